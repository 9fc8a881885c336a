"""Scores of fill forecasts, each with its formula. Forecasts p are probabilities of a fill within the horizon, outcomes y are 0 or 1.

    Brier score  mean (p - y)**2, and skill 1 - Brier / Brier of the base rate (the share of fills in the seeds that were learned from)
    log loss     -mean y ln p + (1 - y) ln(1 - p), p kept within 0.001 .. 0.999
    slope        least squares of y on p: 1 for a forecast that means what it says, below 1 for one that is too sure of itself

(Brier 1950; Murphy 1973 for skill and reliability.)
"""

import numpy as np
import pandas as pd

P_MIN = 0.001
_RIDGE = 1.0  # of standardised features, in orders: nothing beside hundreds, and perfect separation stays finite
_STEPS = 25


def fit(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the logistic regression of y (bool, (n,)) on x (f8, (n, k)): f8 (2 k + 1,): centres, scales and weights in one, see `predict`.

    Newton's method on the likelihood with a small ridge. Labels that are all alike give the constant (fills + 1/2)/(n + 1).
    """
    centre, scale = x.mean(axis=0), x.std(axis=0)
    z = np.column_stack((np.ones(len(x)), (x - centre) / np.where(scale > 0, scale, 1.0)))
    share = (y.sum() + 0.5) / (len(y) + 1)
    weights = np.zeros(z.shape[1])
    weights[0] = np.log(share / (1 - share))
    if 0 < y.sum() < len(y):
        weights = _newton(z, y, weights)
    return np.concatenate((centre, np.where(scale > 0, scale, 1.0), weights))


def _newton(z: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    ridge = np.full(z.shape[1], _RIDGE)
    ridge[0] = 0.0

    def loss(w: np.ndarray) -> float:
        score = z @ w
        return float(np.sum(np.logaddexp(0, score) - y * score) + 0.5 * ridge @ w**2)

    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-np.clip(z @ weights, -30, 30)))
        hessian = (z * (p * (1 - p))[:, None]).T @ z + np.diag(ridge)
        step = np.linalg.solve(hessian, z.T @ (y - p) - ridge * weights)
        size = 1.0
        while size > 1e-6 and loss(weights + size * step) > loss(weights):  # a full step can land beyond the minimum
            size /= 2
        weights = weights + size * step
        if np.abs(step).max() < 1e-9:
            break
    return weights


def predict(fitted: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return the forecasts of a fitted regression for x (f8, (n, k)): f8 (n,)."""
    k = x.shape[1]
    score = fitted[2 * k] + (x - fitted[:k]) / fitted[k : 2 * k] @ fitted[2 * k + 1 :]
    return 1 / (1 + np.exp(-np.clip(score, -30, 30)))


def out_of_sample(x: np.ndarray, label: np.ndarray, groups: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Return forecasts f8 (n,) of `label`, every one from a regression on the other fold of the same group. An empty fold gives NaN."""
    p = np.full(len(label), np.nan)
    for group in np.unique(groups):
        for held_out in (0, 1):
            learn, score = (groups == group) & (fold != held_out), (groups == group) & (fold == held_out)
            if learn.any() and score.any():
                p[score] = predict(fit(x[learn], label[learn]), x[score])
    return p


def base_rate(y: np.ndarray, groups: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Return the share of fills among the other fold of the same group, f8 (n,): the forecast that knows nothing of the order."""
    return out_of_sample(np.zeros((len(y), 0)), y, groups, fold)


def scores(p: np.ndarray, base: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Return brier, skill, log_loss and slope of forecasts p against outcomes y."""
    brier = float(np.mean((p - y) ** 2))
    kept = np.clip(p, P_MIN, 1 - P_MIN)
    spread = p - p.mean()
    return {
        "brier": brier,
        "skill": 1 - brier / float(np.mean((base - y) ** 2)),
        "log_loss": float(-np.mean(np.where(y, np.log(kept), np.log(1 - kept)))),
        "slope": float(spread @ y / (spread @ spread)) if spread @ spread > 0 else np.nan,
    }


def over_seeds(rows: list[dict[str, float]]) -> dict[str, float]:
    """Return the mean of each figure over seeds, and its standard error (sd / sqrt(seeds), ddof 1) as `<name>_se`; NaN is left out."""
    frame = pd.DataFrame(rows)
    mean, error = frame.mean(), frame.std(ddof=1) / np.sqrt(frame.count())
    return {name: float(value) for column in frame for name, value in ((column, mean[column]), (f"{column}_se", error[column]))}


def reliability(p: np.ndarray, y: np.ndarray, seed: np.ndarray, bins: int = 10) -> pd.DataFrame:
    """Return bins of equal width: mean forecast, share filled with its standard error, and count.

    The error is that of a ratio with whole seeds drawn, not orders: orders of one seed share their market.
    """
    which = np.minimum((p * bins).astype(int), bins - 1)
    rows = []
    for b in np.unique(which):
        mine = which == b
        share = float(y[mine].mean())
        residuals = np.bincount(seed[mine], y[mine] - share)
        seeds = len(np.unique(seed[mine]))
        error = np.sqrt(residuals @ residuals * seeds / (seeds - 1)) / mine.sum() if seeds > 1 else np.nan
        rows.append({"forecast": float(p[mine].mean()), "filled": share, "filled_se": float(error), "orders": int(mine.sum())})
    return pd.DataFrame(rows)
