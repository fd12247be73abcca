"""The 1PL and 2PL for records beyond 1e7 answers, in torch on CPU or GPU: joint maximum a posteriori, or a mean-field variational fit; full batch, no sampling noise.

MAP: theta, b ~ N(0, 3^2), log a ~ N(0, 0.5^2), all at their mode (priors keep perfect scores finite; plain joint maximum likelihood diverges). The mean of
log a is held at 0 while fitting, or the mode would trade small abilities for huge slopes; afterwards all is put on the scale theta ~ N(0, 1).
VI: q(theta_i) = N(m_i, s_i^2), q(b_j) = N(n_j, t_j^2), slopes as points; E log sigmoid(z) under z ~ N(a (m - n), a^2 (s^2 + t^2)) on 7 Gauss-Hermite
nodes, so that the bound is a smooth function: no "best epoch" to pick. Slopes are positive: theta and b cannot flip signs together.
"""

# N solvers, J items, R answers

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from genscope.core.errors import UsageError, missing_extra
from genscope.tasks.responses import ResponseRecord

if TYPE_CHECKING:
    from genscope.measures.irt import IRT

SD, SD_LOG_A = 3.0, 0.5
CHUNK = 2_000_000
"""Answers that one backward pass holds."""
NODES = 7


def joint(
    record: ResponseRecord,
    model: Literal["1pl", "2pl", "3pl"],
    method: Literal["map", "vi"],
    *,
    steps: int = 200,
    tolerance: float = 1e-7,
    device: str | None = None,
) -> IRT:
    """Fit by L-BFGS. The marginal likelihood is not known here: loglik, AIC and BIC are NaN. steps: iterations at most; tolerance: relative change of the objective at which it ends."""
    try:
        import torch
    except ImportError as error:
        raise missing_extra(f"method={method!r} runs on torch", "train") from error
    from genscope.measures.irt import IRT, NotConverged

    if model == "3pl":
        raise UsageError('the 3PL is fitted by method="mml" only')
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    solver, item = (torch.from_numpy(one).to(where) for one in (record.solver, record.item))
    right, weight = (torch.from_numpy(one.astype(np.float32)).to(where) for one in (record.right, record.weight))
    n, j = len(record.solvers), len(record.items)
    share = 1 - record.wrong_rate()
    count = np.bincount(record.item, record.weight, minlength=j)
    share = (share * count + 0.5) / (count + 1)
    values = [torch.zeros(n), torch.from_numpy(-np.log(share / (1 - share)).astype(np.float32)), torch.zeros(j)]
    if method == "vi":
        values += [torch.full((n,), -1.0), torch.full((j,), -1.0)]
    parameters = [one.to(where).requires_grad_(place != 2 or model == "2pl") for place, one in enumerate(values)]
    moving = [one for one in parameters if one.requires_grad]
    x, w = np.polynomial.hermite_e.hermegauss(NODES)
    nodes = list(zip(x.tolist(), (w / w.sum()).tolist(), strict=True)) if method == "vi" else [(0.0, 1.0)]
    softplus = torch.nn.functional.softplus

    def answers_loss(rows: slice) -> Any:
        theta, b, log_a = parameters[:3]
        i, k = solver[rows], item[rows]
        a = (log_a - log_a.mean()).exp()[k]
        z = a * (theta[i] - b[k])
        spread = a * (torch.exp(2 * parameters[3])[i] + torch.exp(2 * parameters[4])[k]).sqrt() if method == "vi" else None
        expected = sum(share * softplus(z if spread is None else z + node * spread) for node, share in nodes)
        return (weight[rows] * (expected - right[rows] * z)).sum()

    def priors() -> Any:
        theta, b, log_a = parameters[:3]
        found = 0.5 * ((theta**2).sum() + (b**2).sum()) / SD**2 + 0.5 * (log_a**2).sum() / SD_LOG_A**2
        if method == "vi":
            for log_sd in parameters[3:]:
                found = found + 0.5 * torch.exp(2 * log_sd).sum() / SD**2 - log_sd.sum()
        return found

    optimizer = torch.optim.LBFGS(
        moving, lr=1.0, max_iter=20, history_size=10, line_search_fn="strong_wolfe", tolerance_grad=1e-9, tolerance_change=1e-12
    )

    def closure() -> Any:
        optimizer.zero_grad(set_to_none=True)
        total = priors()
        total.backward()
        value = float(total.detach())
        for start in range(0, len(record), CHUNK):
            part = answers_loss(slice(start, start + CHUNK))
            part.backward()
            value += float(part.detach())
        return torch.tensor(value, dtype=torch.float64)

    last, change, taken = float("inf"), float("inf"), 0
    while taken < steps:
        value = float(optimizer.step(closure))
        taken += 20
        change, last = abs(last - value) / max(1.0, abs(value)), value
        if change < tolerance:
            break
    converged = change < tolerance
    if not converged:
        warnings.warn(
            f"IRT ({method}) stopped after {taken} steps with a relative change of {change:.2g}; raise steps", NotConverged, stacklevel=3
        )
    theta, b, log_a = (one.detach().cpu().numpy().astype(float) for one in parameters[:3])
    a = np.exp(log_a - log_a.mean())
    if method == "vi":
        theta_sd, b_sd = (np.exp(one.detach().cpu().numpy().astype(float)) for one in parameters[3:])
    else:
        theta_sd, b_sd = _curvature_sd(record, theta, b, a)
    middle, scale = theta.mean(), float(np.sqrt(theta.var() + np.mean(theta_sd**2)))
    theta, b, a, theta_sd, b_sd = (theta - middle) / scale, (b - middle) / scale, a * scale, theta_sd / scale, b_sd / scale
    return IRT(
        model=model, method="joint maximum a posteriori" if method == "map" else "mean-field variational", record=record, a=a, b=b, c=np.zeros(j), b_sd=b_sd, a_sd=np.full(j, np.nan), d_sd=a * b_sd,
        flags=("",) * j, eap=theta, eap_sd=theta_sd, mean=0.0, sd=1.0, loglik=float("nan"), parameters=j + (j if model == "2pl" else 1), converged=converged, change=change, iterations=taken,
        errors="curvature of each parameter by itself" if method == "map" else "standard deviations of the variational posterior",
    )  # fmt: skip


def _curvature_sd(record: ResponseRecord, theta: np.ndarray, b: np.ndarray, a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    z = a[record.item] * (theta[record.solver] - b[record.item])
    p = 1 / (1 + np.exp(-np.clip(z, -35, 35)))
    information = record.weight * a[record.item] ** 2 * p * (1 - p)
    of_theta = np.bincount(record.solver, information, minlength=len(theta)) + 1 / SD**2
    of_b = np.bincount(record.item, information, minlength=len(b)) + 1 / SD**2
    return 1 / np.sqrt(of_theta), 1 / np.sqrt(of_b)
