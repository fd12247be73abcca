"""Item response theory: LSAT6 to the published digits, recovery, missing data, priors, anchors, and the agreement of fast and slow paths."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from genscope.core.errors import DataError, UsageError
from genscope.core.seeds import Seed
from genscope.core.stats import spearman
from genscope.measures.irt import (
    ANCHOR,
    LOWEST_SLOPE,
    ONE_SIDED,
    THIN_SLOPE,
    NotConverged,
    difficulty_irt,
    information,
    likelihood_ratio,
    marginal,
)
from genscope.measures.irt.answers import Answers, check_connected
from genscope.tasks.attempts import simulate
from genscope.tasks.responses import ResponseRecord

# Bock and Lieberman 1970: examinees with each pattern of answers (items 1 to 5), section 6 of the Law School Admission Test
LSAT6 = {
    "00000": 3, "00001": 6, "00010": 2, "00011": 11, "00100": 1, "00101": 1, "00110": 3, "00111": 4, "01000": 1, "01001": 8, "01011": 16, "01101": 3, "01110": 2, "01111": 15,
    "10000": 10, "10001": 29, "10010": 14, "10011": 81, "10100": 3, "10101": 28, "10110": 15, "10111": 80, "11000": 16, "11001": 56, "11010": 21, "11011": 173, "11100": 11,
    "11101": 61, "11110": 28, "11111": 298,
}  # fmt: skip


def lsat6() -> ResponseRecord:
    cells = [[float(c) for c in pattern] for pattern, count in LSAT6.items() for _ in range(count)]
    return ResponseRecord.from_matrix(cells)


def test_the_data_are_the_published_ones() -> None:
    record = lsat6()
    assert len(record.solvers) == 1_000
    assert (1 - record.wrong_rate()).round(3).tolist() == [0.924, 0.709, 0.553, 0.763, 0.870]
    root = os.environ.get("GENSCOPE_DATA")
    if root and (Path(root) / "04-easy2hard" / "lsat6_patterns.csv").is_file():
        held = pl.read_csv(Path(root) / "04-easy2hard" / "lsat6_patterns.csv")
        found = {"".join(str(row[f"item{k}"]) for k in range(1, 6)): row["count"] for row in held.iter_rows(named=True)}
        assert {pattern: count for pattern, count in found.items() if count} == LSAT6


def test_lsat6_one_parameter_to_the_published_digits() -> None:
    fit = difficulty_irt(lsat6(), "1pl")
    assert fit.b == pytest.approx([-3.6153, -1.3224, -0.3176, -1.7301, -2.7802], abs=2e-4)
    assert fit.b_sd == pytest.approx([0.3266, 0.1422, 0.0977, 0.1691, 0.2510], abs=2e-4)
    assert (fit.a[0], fit.a_sd[0]) == pytest.approx((0.7551, 0.0694), abs=2e-4)
    assert fit.loglik == pytest.approx(-2466.938, abs=5e-4)
    assert fit.b_rasch == pytest.approx([-2.7300, -0.9986, -0.2399, -1.3065, -2.0994], abs=2e-4)
    assert (fit.parameters, fit.aic) == (6, pytest.approx(2 * 6 + 2 * 2466.938, abs=2e-3))
    assert fit.bic == pytest.approx(6 * np.log(1_000) + 2 * 2466.938, abs=2e-3)
    assert fit.converged


def test_lsat6_abilities() -> None:
    fit, patterns = difficulty_irt(lsat6(), "1pl"), [pattern for pattern, count in LSAT6.items() for _ in range(count)]
    by_pattern = dict(zip(patterns, zip(fit.eap, fit.eap_sd, strict=True), strict=True))
    assert by_pattern["00000"] == pytest.approx((-1.9101, 0.797), abs=1e-3)
    assert by_pattern["11111"] == pytest.approx((0.6322, 0.864), abs=1e-3)
    assert by_pattern["10000"][0] == pytest.approx(-1.4288, abs=1e-3)
    assert by_pattern["00100"] == pytest.approx(by_pattern["10000"])
    # the mode solves sum a (x - P) = theta
    theta = fit.map_abilities()[0]
    residual = (fit.a * (0 - 1 / (1 + np.exp(-fit.a * (theta - fit.b))))).sum() - theta
    assert residual == pytest.approx(0, abs=1e-6)


def test_lsat6_two_parameters_and_the_likelihood_ratio() -> None:
    one, two = difficulty_irt(lsat6(), "1pl"), difficulty_irt(lsat6(), "2pl")
    assert two.a == pytest.approx([0.8257, 0.7227, 0.8909, 0.6884, 0.6569], abs=2e-3)
    assert two.b == pytest.approx([-3.3588, -1.3701, -0.2797, -1.8664, -3.1259], abs=1e-2)
    assert two.loglik == pytest.approx(-2466.653, abs=1e-3)
    statistic, df, p = likelihood_ratio(one, two)
    assert (statistic, df) == (pytest.approx(0.568, abs=3e-3), 4)
    assert p == pytest.approx(0.967, abs=2e-3)
    with pytest.raises(UsageError, match="larger one"):
        likelihood_ratio(two, one)


def test_the_likelihood_is_the_integral() -> None:
    """Against adaptive quadrature of one solver's likelihood, at the fitted parameters."""
    from scipy.integrate import quad

    fit = difficulty_irt(lsat6(), "2pl")
    total = 0.0
    for pattern, count in LSAT6.items():
        x = np.array([float(c) for c in pattern])

        def likelihood(theta: float, x: np.ndarray = x) -> float:
            p = 1 / (1 + np.exp(-fit.a * (theta - fit.b)))
            return float(np.prod(np.where(x == 1, p, 1 - p))) * np.exp(-0.5 * theta**2) / np.sqrt(2 * np.pi)

        total += count * np.log(quad(likelihood, -8, 8, epsabs=1e-12)[0])
    assert fit.loglik == pytest.approx(total, abs=1e-5)


def test_three_parameters_keep_to_their_floor_and_their_prior() -> None:
    record = lsat6()
    fixed = difficulty_irt(record, "3pl", guessing_rate=0.2, fixed_guessing=True)
    assert fixed.c == pytest.approx(np.full(5, 0.2))
    assert fixed.parameters == 10
    free = difficulty_irt(record, "3pl", guessing_rate=0.2)
    assert free.parameters == 15
    assert (free.c > 0.1).all()
    assert (free.c < 0.35).all()
    # nearly no floor: the 2PL under the same priors of a and b, which pull little on 1,000 solvers
    none = difficulty_irt(record, "3pl", guessing_rate=1e-6, fixed_guessing=True)
    assert none.b == pytest.approx(difficulty_irt(record, "2pl", prior_b=3.0).b, abs=0.35)


def test_guessing_is_found_where_it_is() -> None:
    rng = Seed("guess").rng()
    theta, b = rng.standard_normal(4_000), np.linspace(-1.5, 1.5, 20)
    p = 0.25 + 0.75 / (1 + np.exp(-1.5 * (theta[:, None] - b)))
    record = ResponseRecord.from_matrix((rng.random(p.shape) < p).astype(float))
    fit = difficulty_irt(record, "3pl", guessing_rate=0.25, errors=False)
    assert np.sqrt(np.mean((fit.b - b) ** 2)) < 0.25
    assert difficulty_irt(record, "2pl", errors=False).b[:5] == pytest.approx(b[:5], abs=1.5)
    assert abs(fit.c.mean() - 0.25) < 0.05


def test_recovery_of_difficulty_and_honest_intervals() -> None:
    inside, errors = [], []
    for seed in range(8):
        made = simulate(Seed("recovery", seed), solvers=60, items=300)
        fit = difficulty_irt(made.record, "1pl")
        inside.append(np.mean(np.abs(fit.b_rasch - made.difficulty) < 1.96 * fit.d_sd))
        errors.append(np.sqrt(np.mean(((fit.b_rasch - fit.b_rasch.mean()) - (made.difficulty - made.difficulty.mean())) ** 2)))
        assert spearman(fit.b, made.difficulty) > 0.95
        assert fit.eap.mean() == pytest.approx(0, abs=1e-3)
    assert 0.9 < np.mean(inside) < 0.99
    assert np.mean(errors) < 0.45


def test_missing_answers_are_left_out_and_not_taken_for_wrong() -> None:
    made = simulate(Seed("missing"), solvers=400, items=60, sd=1.0)
    cells = made.record.matrix()
    cells[Seed("holes").rng().random(cells.shape) < 0.5] = np.nan
    half = difficulty_irt(ResponseRecord.from_matrix(cells), "1pl")
    whole = difficulty_irt(made.record, "1pl")
    assert np.abs(half.b - whole.b).mean() < 0.25
    assert half.b_sd.mean() / whole.b_sd.mean() == pytest.approx(np.sqrt(2), abs=0.15)


def test_dense_sparse_and_complete_products_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    made = simulate(Seed("sparse"), solvers=80, items=40, pattern="selective")
    dense = difficulty_irt(made.record, "2pl")
    monkeypatch.setattr("genscope.measures.irt.answers.DENSE_FROM", 2.0)
    sparse = difficulty_irt(made.record, "2pl")
    assert sparse.b == pytest.approx(dense.b, abs=1e-8)
    assert sparse.b_sd == pytest.approx(dense.b_sd, abs=1e-8)
    monkeypatch.setattr("genscope.measures.irt.answers.SINGLE_FROM", 1)
    monkeypatch.setattr("genscope.measures.irt.answers.DENSE_FROM", 0.0)
    single = difficulty_irt(made.record, "2pl", tolerance=1e-4)
    assert single.b == pytest.approx(dense.b, abs=2e-2)
    assert single.loglik == pytest.approx(dense.loglik, abs=1e-2)


def test_projected_standard_errors_agree_with_exact_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    made = simulate(Seed("errors"), solvers=200, items=60, sd=1.0)
    exact = difficulty_irt(made.record, "2pl")
    monkeypatch.setattr(information, "EXACT", 0)
    projected = difficulty_irt(made.record, "2pl")
    assert "second order" in projected.errors
    assert exact.errors == "observed information"
    assert projected.b_sd == pytest.approx(exact.b_sd, rel=0.02)
    monkeypatch.setattr(information, "MOST", 10)
    alone = difficulty_irt(made.record, "2pl")
    assert alone.errors == "items by themselves"
    assert (alone.b_sd < exact.b_sd * 1.02).all()


def test_weights_count_as_copies_of_answers() -> None:
    one = ResponseRecord.from_triples(["a", "a", "b", "b"], ["x", "y", "x", "y"], [1, 0, 1, 1], weights=[1, 1, 1, 2])
    answers = Answers(one)
    assert not answers.complete
    assert answers.count_of_item.tolist() == [2, 3]
    assert answers.right_of_item.tolist() == [2, 2]


def test_solvers_who_are_always_right_rank_first_and_all_wrong_items_stay() -> None:
    made = simulate(Seed("ends"), solvers=50, items=40, sd=1.0)
    cells = made.record.matrix()
    cells[0], cells[1] = 1.0, 0.0
    cells[:, 0], cells[:, 1] = 0.0, 1.0
    for model in ("1pl", "2pl"):
        fit = difficulty_irt(ResponseRecord.from_matrix(cells), model)
        assert (int(np.argmax(fit.eap)), int(np.argmin(fit.eap))) == (0, 1)
        assert (int(np.argmax(fit.b)), int(np.argmin(fit.b))) == (0, 1)
        assert fit.flags[0] == fit.flags[1] == ONE_SIDED
        assert np.isfinite(fit.b).all()
        assert fit.b_sd[0] > 2 * np.median(fit.b_sd)


def test_an_item_that_able_solvers_fail_gets_the_lowest_slope_and_a_flag() -> None:
    made = simulate(Seed("negative"), solvers=400, items=30, sd=1.0)
    cells = made.record.matrix()
    cells[:, 3] = 1 - cells[:, 3]
    fit = difficulty_irt(ResponseRecord.from_matrix(cells), "2pl")
    assert fit.flags[3] == LOWEST_SLOPE
    assert sum(flag == LOWEST_SLOPE for flag in fit.flags) == 1
    assert spearman(fit.eap, made.ability) > 0.9


def test_thin_records_converge() -> None:
    record = simulate(Seed(5), solvers=80, items=120, pattern="selective").record
    fit = difficulty_irt(record, "2pl", errors=False)
    assert fit.converged
    assert THIN_SLOPE in fit.flags
    assert fit.a.max() < 10.001


def test_anchors_put_another_record_on_the_old_scale() -> None:
    rng = Seed("anchors").rng()
    b, first, second = rng.standard_normal(80), rng.standard_normal(600), 0.7 * rng.standard_normal(600) + 1.0
    x = [(rng.random((len(theta), 80)) < 1 / (1 + np.exp(b - theta[:, None]))).astype(float) for theta in (first, second)]
    names = [f"i{k}" for k in range(80)]
    old = difficulty_irt(ResponseRecord.from_matrix(x[0][:, :50], items=names[:50]), "2pl")
    shared = {name: value for name, value in old.anchors().items() if int(name[1:]) >= 20}
    new = difficulty_irt(ResponseRecord.from_matrix(x[1][:, 20:], items=names[20:]), "2pl", anchors=shared)
    assert (new.mean, new.sd) == (pytest.approx(1.0, abs=0.15), pytest.approx(0.7, abs=0.15))
    assert new.b[:30] == pytest.approx([shared[name][1] for name in names[20:50]])
    assert new.flags[:30] == (ANCHOR,) * 30
    assert (new.b_sd[:30] == 0).all()
    assert np.median(np.abs(new.b[30:] - b[50:])) < 0.25
    free = difficulty_irt(ResponseRecord.from_matrix(x[1][:, 20:], items=names[20:]), "2pl")
    assert abs((free.b[30:] - b[50:]).mean()) > 0.5
    with pytest.raises(DataError, match="anchor\\(s\\) are not in the record, the first: 'zebra'"):
        difficulty_irt(old.record, "2pl", anchors={"zebra": 0.0})
    with pytest.raises(UsageError, match="common slope"):
        difficulty_irt(old.record, "1pl", anchors={"i0": (1.0, 0.0), "i1": (2.0, 0.0)})


def test_the_common_location_does_not_stall() -> None:
    """Hundreds of items, a pool far above them: plain EM leaves the mean of b behind and stops."""
    rng = Seed("location").rng()
    b, theta = rng.standard_normal(400) - 2.0, rng.standard_normal(150)
    record = ResponseRecord.from_matrix((rng.random((150, 400)) < 1 / (1 + np.exp(b - theta[:, None]))).astype(float))
    fit = difficulty_irt(record, "1pl", errors=False)
    assert fit.iterations < 40
    assert fit.b_rasch.mean() == pytest.approx(-2.0 - theta.mean(), abs=0.1)
    slow = marginal.fit(
        Answers(record),
        marginal.start_of(Answers(record)),
        common=True,
        prior=marginal.Prior(b=np.zeros(400), log_a=np.zeros(400)),
        free=np.ones(400, bool),
        nodes=61,
        tolerance=1e-9,
        most=3_000,
    )
    assert -slow.state.d == pytest.approx(fit.b_rasch, abs=2e-3)


def test_parts_that_share_nothing_are_refused() -> None:
    cells = np.full((80, 20), np.nan)
    for part, (rows, columns) in enumerate(((slice(0, 40), slice(0, 10)), (slice(40, 80), slice(10, 20)))):
        cells[rows, columns] = simulate(Seed("part", part), solvers=40, items=10, sd=1.0).record.matrix()
    record = ResponseRecord.from_matrix(cells)
    with pytest.raises(DataError, match="falls into 2 parts"):
        difficulty_irt(record)
    assert check_connected(record, True) == 2
    assert np.isfinite(difficulty_irt(record, allow_disconnected=True).b).all()


def test_what_did_not_converge_says_so() -> None:
    with pytest.warns(NotConverged, match="stopped after 5 steps with a last change of"):
        fit = difficulty_irt(lsat6(), "2pl", most=5, errors=False)
    assert not fit.converged


@pytest.mark.parametrize(("settings", "said"), [({"model": "4pl"}, "unknown IRT model"), ({"method": "jml"}, "unknown IRT method"), ({"prior_b": -1.0}, "above 0"), ({"prior_b": "wide"}, "prior_b is"), ({"guessing_rate": 1.0}, "guessing_rate")])  # fmt: skip
def test_bad_settings_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        difficulty_irt(lsat6(), **settings)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("method", ["map", "vi"])
def test_joint_fits_agree_with_the_marginal_one(method: str) -> None:
    pytest.importorskip("torch")
    made = simulate(Seed("joint"), solvers=120, items=40, sd=1.0)
    marginal_fit = difficulty_irt(made.record, "1pl")
    fit = difficulty_irt(made.record, "1pl", method=method)  # pyright: ignore[reportArgumentType]
    assert spearman(fit.b, marginal_fit.b) > 0.99
    assert np.polyfit(marginal_fit.b, fit.b, 1)[0] == pytest.approx(1.0, abs=0.2)
    assert np.isnan(fit.loglik)
    assert fit.eap[np.argmax(made.ability)] > 1
    with pytest.raises(UsageError, match="3PL"):
        difficulty_irt(made.record, "3pl", method=method)  # pyright: ignore[reportArgumentType]


def test_a_table_of_items_and_solvers() -> None:
    fit = difficulty_irt(lsat6(), "1pl")
    assert fit.items().columns == ["item", "b", "b_std", "a", "a_std", "c", "n_obs", "right", "flag"]
    assert fit.abilities().columns == ["solver", "eap", "eap_std", "map"]
    table = fit.difficulty()
    assert table["notion"].unique().to_list() == ["irt"]
    assert table["n"].to_list() == [1_000] * 5
