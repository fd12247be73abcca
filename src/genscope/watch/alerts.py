"""Alerts: what a training record says in plain language, with the numbers behind it and how the rule did where the answer was known.

Each rule looks at a whole record and gives the first step at which it holds. `EVIDENCE` says on which runs it was tried; the same runs are tests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from genscope.watch.record import Run

HOLD = 3
"""Looks in a row at which a row is given the same other label before it counts as corrupt-like."""
LOOKS = 5
"""Looks in a row at which a rule must hold."""
EVIDENCE: Mapping[str, str] = {
    "memorizing": "on digits with 10, 20 or 40 % wrong labels it fired in 48 of 48 runs (Adam and SGD, a look every 5 or 25 steps), with test accuracy still within 0.3 points of its best in the median (7 at most); it fell by 6 later. With clean labels it fired in 0 of 16. On MNIST-1D, where nets find wrong rows hardly harder than right ones, it fired in 6 of 24 runs with wrong labels (all with Adam) and in 0 of 8 with clean ones: silence proves nothing",
    "overfitting": "a paired test over the same held-out rows, 3 standard errors, at 5 looks in a row; on digits it fired in 2 of 2 runs on 300 rows with 20 % wrong labels, in 0 of 4 with clean labels",
    "batch too large": "on digits it fired in 4 of 4 runs with batches of 512 or 1,500 rows, in 0 of 4 with 32 or 64. The noise scale is an estimate from the sample's rows and mostly grows in training: a batch that is too large now may not be later",
    "still coming": "on digits it fired in 4 of 4 runs from large weights with strong weight decay, whose test accuracy came late, in 0 of 2 from ordinary weights, whose came at once",
    "not finite": "a fact, no estimate",
    "repeats hurt copying": "copying fell by more than 0.1 from its best at 3 looks while half of the rows or more had been seen before. A small decoder that went over from new documents to 64 or 256 of them, again and again: it fired in 7 of 7 runs, at the third look; to 4,096 of them, or to none: 0 of 5",
}
"""Rule -> how far it can be trusted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """What is to be seen at a step. name: of the rule; sentence: for people; advice: what to do; numbers: behind it."""

    name: str
    step: int
    sentence: str
    advice: str
    numbers: Mapping[str, float] = field(default_factory=dict)

    @property
    def evidence(self) -> str:
        """How the rule did where the answer was known."""
        return EVIDENCE[self.name]


def alerts(run: Run) -> list[Alert]:
    """Every rule that holds somewhere in the record, by step."""
    found = [rule(run) for rule in RULES.values()]
    return sorted((one for one in found if one is not None), key=lambda one: (one.step, one.name))


def corrupt_like(predicted: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """[T, rows]: the net has given a row the same other label at `HOLD` looks in a row, and has not given it its own label at as many since."""
    steps, rows = predicted.shape
    now, made = np.zeros(rows, bool), np.zeros((steps, rows), bool)
    for t in range(steps):
        if t >= HOLD - 1:
            window = predicted[t - HOLD + 1 : t + 1]
            same = (window == window[0]).all(0)
            now = (now | (same & (window[0] != targets))) & ~(same & (window[0] == targets))
        made[t] = now
    return made


def memorizing(run: Run) -> Alert | None:
    """The rest is learned (90 % right); at least 5 % of the rows hold another label, stay so, and carry 60 % of the squared gradients."""
    split = next(iter(run.header.get("sample", {})), "")
    targets = run.targets(split)
    steps, predicted = run.examples(split, "prediction")
    at, squares = _rows(run, split, "gradient", len(targets))
    both = np.intersect1d(steps, at)
    if len(both) < LOOKS or not len(targets):
        return None
    predicted, squares = predicted[np.isin(steps, both)], squares[np.isin(at, both)]
    seen = squares.shape[1]
    suspect = corrupt_like(predicted, targets)
    right = predicted == targets
    holds = []
    for t in range(len(both)):
        one = suspect[t]
        total = squares[t].sum()
        share = float(squares[t][one[:seen]].sum() / total) if total > 0 else 0.0
        rest = float(right[t][~one].mean()) if (~one).any() else 0.0
        holds.append((one.mean() >= 0.05 and share >= 0.6 and rest >= 0.9, share, rest))
        window = holds[-LOOKS:]
        if len(window) == LOOKS and all(fits for fits, _, _ in window):
            before = suspect[t - LOOKS + 1]
            if (one & before).sum() >= 0.8 * before.sum():
                return Alert(
                    name="memorizing", step=int(both[t]), numbers={"corrupt_like": float(one.mean()), "gradient_share": share, "rest_accuracy": rest},
                    sentence=f"Memorizing: {100 * one.mean():.0f} % of the training rows look as if their labels were wrong, and they now carry {100 * share:.0f} % of the gradient; the others are learned ({100 * rest:.0f} % right).",
                    advice="stop here, or weigh these rows down; and look at their labels: run.corrupt_like() names them",
                )  # fmt: skip
    return None


def overfitting(run: Run) -> Alert | None:
    """Held-out loss is above its best by 3 standard errors (paired over rows), while the training loss fell on."""
    names = list(run.header.get("sample", {}))
    if len(names) < 2:
        return None
    train, test = names[0], names[1]
    steps, losses = run.examples(test, "loss")
    at, training = run.series(f"{train}/loss")
    mean = {int(step): float(value) for step, value in zip(at, training, strict=True)}
    held, best = 0, 0
    for t in range(len(steps)):
        best = t if losses[t].mean() < losses[best].mean() else best
        rise = losses[t] - losses[best]
        spread = float(rise.std(ddof=1)) if len(rise) > 1 else 0.0
        error = spread / max(1, len(rise)) ** 0.5
        fell = mean.get(int(steps[t]), np.inf) < mean.get(int(steps[best]), -np.inf)
        held = held + 1 if spread > 0 and rise.mean() > 3 * error and fell else 0
        if held >= LOOKS:
            return Alert(
                name="overfitting", step=int(steps[t]), numbers={"best_step": float(steps[best]), "rise": float(rise.mean()), "standard_error": error},
                sentence=f"Overfitting: the {test} loss has been above its best (step {steps[best]:,}) for {LOOKS} looks, now by {rise.mean():.3f} ({3 * error:.3f} would be noise), while the {train} loss fell on.",
                advice=f"the weights of step {steps[best]:,} were better on {test}: stop, or regularise",
            )  # fmt: skip
    return None


def batch_too_large(run: Run) -> Alert | None:
    """The gradient noise scale lies below half of the batch: a batch half as large would give nearly the same step."""
    held: list[float] = []
    for look in run.looks:
        scale, batch = look.values.get("noise_scale"), look.values.get("batch")
        if scale is None or batch is None:
            continue
        held = [*held, scale] if scale < batch / 2 else []
        if len(held) >= LOOKS:
            scale = float(np.median(held[-LOOKS:]))
            return Alert(
                name="batch too large", step=look.step, numbers={"noise_scale": scale, "batch": batch},
                sentence=f"Batch past its useful size at this point: {batch:,.0f} rows, where the gradient noise scale is {scale:,.0f} (median of {LOOKS} looks). Most of a batch repeats what the rest says.",
                advice="a smaller batch would learn as much from fewer rows; or raise the learning rate while the loss allows it",
            )  # fmt: skip
    return None


def still_coming(run: Run) -> Alert | None:
    """The training rows are right (99 %), and held-out accuracy still rises: over the last looks by 3 standard errors, paired over rows."""
    names = list(run.header.get("sample", {}))
    if len(names) < 2:
        return None
    train, test = names[0], names[1]
    steps, predicted = run.examples(test, "prediction")
    at, values = run.series(f"{train}/accuracy")
    accuracy = {int(step): float(value) for step, value in zip(at, values, strict=True)}
    right = (predicted == run.targets(test)).astype(float) if len(steps) else np.zeros((0, 0))
    fitted = [t for t in range(len(steps)) if accuracy.get(int(steps[t]), 0.0) >= 0.99]
    for place in range(LOOKS, len(fitted)):
        t, before = fitted[place], fitted[place - LOOKS]
        if any(accuracy.get(int(steps[k]), 0.0) < 0.99 for k in range(before, t + 1)):
            continue
        gain = right[t] - right[before]
        error = float(gain.std(ddof=1)) / len(gain) ** 0.5 if len(gain) > 1 else 0.0
        if error > 0 and gain.mean() > 3 * error and gain.mean() >= 0.02:
            return Alert(
                name="still coming", step=int(steps[t]), numbers={"gain": float(gain.mean()), "standard_error": error, "accuracy": float(right[t].mean())},
                sentence=f"Generalization is still coming: the {train} rows have been right since step {steps[before]:,} at the latest, and {test} accuracy rose by {100 * gain.mean():.0f} points since then, to {100 * right[t].mean():.0f} %.",
                advice="do not stop because the training loss is low",
            )  # fmt: skip
    return None


def not_finite(run: Run) -> Alert | None:
    """A loss was no number."""
    for look in run.looks:
        lost = [name for name, value in look.values.items() if value is None and name.endswith("loss")]
        if lost:
            return Alert(
                name="not finite", step=look.step, numbers={}, sentence=f"The loss is no number at step {look.step:,} ({', '.join(lost)}).",
                advice="go back to an earlier checkpoint, with a lower learning rate or clipped gradients",
            )  # fmt: skip
    return None


def repeats_hurt_copying(run: Run) -> Alert | None:
    """Copying fell from its best by 0.1 while at least half of the rows had been seen before."""
    steps, copying = run.series("copying")
    at, values = run.series("repeated")
    repeated = {int(step): float(value) for step, value in zip(at, values, strict=True)}
    held, best = 0, 0
    for t in range(len(steps)):
        best = t if copying[t] > copying[best] else best
        held = held + 1 if copying[best] - copying[t] > 0.1 and repeated.get(int(steps[t]), 0.0) >= 0.5 else 0
        if held >= HOLD:
            return Alert(
                name="repeats hurt copying", step=int(steps[t]), numbers={"copying": float(copying[t]), "best": float(copying[best]), "repeated": repeated[int(steps[t])]},
                sentence=f"Repeated data is hurting copying: {100 * repeated[int(steps[t])]:.0f} % of the rows were seen before, and copying fell from {copying[best]:.2f} (step {steps[best]:,}) to {copying[t]:.2f}.",
                advice="mix in unseen data, or repeat a smaller part fewer times (genscope audit DATA --with repetition)",
            )  # fmt: skip
    return None


def _rows(run: Run, split: str, quantity: str, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """(steps, values) of a quantity that may be known of the first rows only."""
    kept = [(look.step, look.examples[split][quantity]) for look in run.looks if quantity in look.examples.get(split, {})]
    size = min((len(values) for _, values in kept), default=0)
    if not size or size > rows:
        return np.zeros(0, dtype=int), np.zeros((0, 0))
    return np.array([step for step, _ in kept]), np.nan_to_num(np.array([np.array(values[:size], dtype=float) for _, values in kept]))


RULES: Mapping[str, Callable[[Run], Alert | None]] = {
    "not finite": not_finite, "memorizing": memorizing, "overfitting": overfitting, "still coming": still_coming, "batch too large": batch_too_large,
    "repeats hurt copying": repeats_hurt_copying,
}  # fmt: skip
"""Name -> rule."""
