"""The arrival of takers as a Hawkes process: each arrival makes the next one likelier for a while. Maximum likelihood, with bands."""

import math
from dataclasses import dataclass

import numpy as np

from hftlab.analytics.estimators.result import Estimate
from hftlab.analytics.grow import Grow
from hftlab.analytics.stats.regression import Floats
from hftlab.errors import InputError
from hftlab.kernels.flow_est_hawkes import hawkes_likelihood, hawkes_residuals, hawkes_thinned
from hftlab.strict import choice, keywords, number
from hftlab.types import TRADE

EVENTS_MIN = 30
LAGS = 10
_SIDES = {"both": 0, "buy": 1, "sell": -1}
_TURNS = 200


@dataclass(frozen=True)
class HawkesFit:
    """Maximum likelihood of intensity(t) = mu + sum alpha exp(-beta (t - t_i)), t in s.

    `mu` and `alpha` in 1/s, `beta` in 1/s, `branching` = alpha / beta: arrivals that one arrival brings; `rate` = mu / (1 - branching):
    the mean intensity. Bands from the observed information, on the logarithms. `residuals`: the compensator between arrivals, which is
    exponential with mean 1 where the law holds; `ks_p` and `ljung_p` test that it is, and that it has no memory.
    """

    mu: Estimate
    alpha: Estimate
    beta: Estimate
    branching: Estimate
    rate: Estimate
    log_likelihood: float
    ks_p: float
    ljung_p: float
    residuals: Floats

    def _repr_html_(self) -> str:
        found = (self.mu, self.alpha, self.beta, self.branching, self.rate)
        rows = "".join(
            f"<tr><th style='text-align:left'>{one.name}</th><td>{one.value:.4g}</td><td>{one.low:.4g} to {one.high:.4g}</td>"
            f"<td>{one.unit}</td><td>{one.flag}</td></tr>"
            for one in found
        )
        tests = f"{self.mu.samples:,} arrivals; residuals exponential: p {self.ks_p:.3g}; without memory: p {self.ljung_p:.3g}"
        return f"<table><tr><th></th><th>value</th><th>{self.mu.level:.0%} band</th><th>unit</th><th></th></tr>{rows}</table><div>{tests}</div>"


class Hawkes:
    """Reads the prints of a market and fits their arrival. `side`: "both", "buy" or "sell" (the taker's).

    Prints of one exchange time and side are one arrival: one order that took several levels or makers. Any cut of the rows into
    `update` calls gives the same.
    """

    @keywords
    def __init__(self, market: int = 0, *, side: str = "both", level: float = 0.90) -> None:
        self.market, self._side, self.level = market, choice(side, _SIDES, "side"), number(level, "level", 0.5, 0.999)
        self._times = Grow(np.dtype("i8"))
        self._last = (0, 0)
        self._start_ns = self._end_ns = 0

    def update(self, rows: np.ndarray) -> None:
        """Read market rows (EVENT, in receive order): the prints, on the exchange's clock."""
        mine = rows[rows["instrument"] == self.market]
        if not len(mine):
            return
        self._start_ns = self._start_ns or int(mine["ts_exch_ns"][0])
        self._end_ns = max(self._end_ns, int(mine["ts_exch_ns"].max()))
        prints = mine[(mine["kind"] == TRADE) & ((self._side == 0) | (mine["side"] == self._side))]
        if not len(prints):
            return
        times, sides = prints["ts_exch_ns"], prints["side"].astype(np.int64)
        new = (np.diff(times, prepend=self._last[0]) != 0) | (np.diff(sides, prepend=self._last[1]) != 0)
        self._last = (int(times[-1]), int(sides[-1]))
        self._times.append(times[new])

    def times_s(self) -> Floats:
        """Return the arrivals in seconds after the first row, ascending."""
        return np.sort(self._times.rows - self._start_ns) / 1e9

    def fit(self) -> HawkesFit:
        """Return the fit of all arrivals so far. Raises InputError with fewer than EVENTS_MIN."""
        return fit_hawkes(self.times_s(), (self._end_ns - self._start_ns) / 1e9, level=self.level)

    def estimate(self) -> Estimate:
        """Return the branching ratio with its band; NaN while there are fewer than EVENTS_MIN arrivals."""
        if len(self._times) < EVENTS_MIN:
            return Estimate("Hawkes branching", math.nan, math.nan, math.nan, "", len(self._times), level=self.level)
        return self.fit().branching


def log_likelihood(times_s: Floats, end_s: float, mu: float, alpha: float, beta: float) -> float:
    """Return the exact log-likelihood of arrivals from 0 to `end_s` (Ozaki 1979)."""
    return float(hawkes_likelihood(np.asarray(times_s, np.float64), end_s, mu, alpha, beta, np.zeros(3), np.zeros((3, 3))))


def simulate_hawkes(mu: float, alpha: float, beta: float, end_s: float, seed: int | np.random.Generator = 0) -> Floats:
    """Return the arrivals of one path from 0 to `end_s` in seconds, by thinning (Ogata 1981). Raises InputError unless alpha < beta."""
    for name, value in (("mu", mu), ("beta", beta), ("end_s", end_s)):
        number(value, name, 1e-12, 1e12)
    if not 0 <= number(alpha, "alpha") < beta:
        raise InputError(f"alpha was {alpha:g} and beta {beta:g}; wanted 0 <= alpha < beta, or the arrivals explode.")
    rng = np.random.default_rng(seed)
    many = int(8 * mu / (1 - alpha / beta) * end_s) + 1000
    while True:
        out = np.empty(many)
        count = int(hawkes_thinned(mu, alpha, beta, end_s, rng.random((many, 2)), out))
        if count >= 0:
            return out[:count].copy()
        many *= 2


def fit_hawkes(times_s: Floats, end_s: float, *, level: float = 0.90) -> HawkesFit:
    """Fit arrivals `times_s` (float64, ascending, within 0 to `end_s`). Raises InputError for fewer than EVENTS_MIN, or out of order."""
    times_s = np.ascontiguousarray(times_s, np.float64)
    if len(times_s) < EVENTS_MIN:
        raise InputError(f"{len(times_s)} arrivals; wanted {EVENTS_MIN} or more.")
    if (np.diff(times_s) < 0).any() or times_s[0] < 0 or times_s[-1] > end_s:
        raise InputError(f"the arrivals run from {times_s[0]:g} to {times_s[-1]:g} s; wanted them ascending, from 0 to end_s={end_s:g}.")
    theta, best, curve = _climb(times_s, end_s)
    mu, alpha, beta = np.exp(theta)
    covariance = _covariance(curve)
    residuals = np.empty(len(times_s))
    hawkes_residuals(times_s, mu, alpha, beta, residuals)
    ks_p, ljung_p = exponential_p(residuals), memoryless_p(residuals)
    # Two tests, one answer: twice the smaller p (Bonferroni).
    make = _Maker(covariance, len(times_s), min(1.0, 2 * min(ks_p, ljung_p)), level)
    share = alpha / beta
    if not np.isfinite(covariance).all():  # the likelihood has its top at the edge, where nothing excites
        return _unexcited(times_s, end_s, make, best, ks_p, ljung_p, residuals)
    return HawkesFit(
        make("mu", mu, "1/s", np.array([1.0, 0, 0])),
        make("alpha", alpha, "1/s", np.array([0, 1.0, 0])),
        make("beta", beta, "1/s", np.array([0, 0, 1.0])),
        make("branching", share, "", np.array([0, 1.0, -1.0])),
        make("rate", mu / (1 - share) if share < 1 else math.nan, "1/s", np.array([1.0, share / (1 - share), -share / (1 - share)])),
        best,
        ks_p,
        ljung_p,
        residuals,
    )


@dataclass(frozen=True)
class _Maker:
    """Makes an Estimate of a function of the three: its band is that of its logarithm, whose slope in the logarithms is given."""

    covariance: Floats
    samples: int
    fit_p: float
    level: float

    def __call__(self, name: str, value: float, unit: str, slope: Floats) -> Estimate:
        from statistics import NormalDist

        reach = NormalDist().inv_cdf(0.5 + self.level / 2) * math.sqrt(max(float(slope @ self.covariance @ slope), 0.0))
        factor = math.exp(min(reach, 700.0)) if math.isfinite(reach) else math.nan
        words = "maximum likelihood; band from the observed information, on the logarithm"
        return self.of(name, value, value / factor, value * factor, unit, words)

    def of(self, name: str, value: float, low: float, high: float, unit: str, words: str) -> Estimate:
        """Return an Estimate with this band."""
        return Estimate(f"Hawkes {name}", float(value), float(low), float(high), unit, self.samples, self.fit_p, self.level, words)


def _unexcited(times_s: Floats, end_s: float, make: _Maker, best: float, ks_p: float, ljung_p: float, residuals: Floats) -> HawkesFit:
    """Return the fit of arrivals that show no excitation: a Poisson rate, a branching of zero with the most that the data allow.

    That is the largest branching whose likelihood, at the best of some decays, lies within half the chi-square of one degree of the top.
    alpha and beta cannot be told: NaN.
    """
    from statistics import NormalDist

    rate = len(times_s) / end_s
    reach = NormalDist().inv_cdf(0.5 + make.level / 2)
    floor = best - reach * reach / 2
    shares, decays = np.linspace(0.01, 0.99, 99), rate * np.geomspace(0.1, 30.0, 10)
    likely = [max(log_likelihood(times_s, end_s, rate * (1 - n), n * beta, beta) for beta in decays) >= floor for n in shares]
    most = float(shares[np.flatnonzero(likely)[-1]]) if any(likely) else float(shares[0])
    factor = math.exp(reach / math.sqrt(len(times_s)))
    poisson = [make.of(name, rate, rate / factor, rate * factor, "1/s", "no excitation: a Poisson rate") for name in ("mu", "rate")]
    unknown = [make.of(name, math.nan, math.nan, math.nan, "1/s", "cannot be told without excitation") for name in ("alpha", "beta")]
    branching = make.of("branching", 0.0, 0.0, most, "", "no excitation; upper end by the likelihood ratio")
    return HawkesFit(poisson[0], unknown[0], unknown[1], branching, poisson[1], best, ks_p, ljung_p, residuals)


def _climb(times_s: Floats, end_s: float) -> tuple[Floats, float, Floats]:
    """Return the best (log mu, log alpha, log beta), its log-likelihood and the curvature there: damped Newton from several starts."""
    rate = len(times_s) / end_s
    gap = float(np.median(np.diff(times_s))) or 1.0 / rate
    starts = [(rate * (1 - n), n * beta, beta) for n, beta in ((0.5, rate), (0.5, 1.0 / gap), (0.3, 10 * rate), (0.7, 0.1 * rate))]
    found = [_newton(times_s, end_s, np.log(np.array(start))) for start in starts]
    return max(found, key=lambda one: one[1])


def _newton(times_s: Floats, end_s: float, theta: Floats) -> tuple[Floats, float, Floats]:
    value, slope, curve = _in_logs(times_s, end_s, theta)
    damping = 1e-3
    for _ in range(_TURNS):
        if np.abs(slope).max() < 1e-7 * len(times_s) or damping > 1e12:
            break
        # Levenberg and Marquardt: against minus the curvature, made positive where it is not.
        values, vectors = np.linalg.eigh(-curve)
        step = vectors @ ((vectors.T @ slope) / (np.abs(values) + damping * max(np.abs(values).max(), 1.0)))
        step *= min(1.0, 2.0 / max(np.abs(step).max(), 1e-300))
        tried = _in_logs(times_s, end_s, theta + step)
        if tried[0] > value:
            theta, (value, slope, curve) = theta + step, tried
            damping = max(damping / 10, 1e-12)
        else:
            damping *= 10
    return theta, value, curve


def _in_logs(times_s: Floats, end_s: float, theta: Floats) -> tuple[float, Floats, Floats]:
    """Return the log-likelihood and its derivatives in the logarithms of the three."""
    at, slope, curve = np.exp(theta), np.zeros(3), np.zeros((3, 3))
    value = float(hawkes_likelihood(times_s, end_s, at[0], at[1], at[2], slope, curve))
    return (value if math.isfinite(value) else -math.inf), slope * at, curve * np.outer(at, at) + np.diag(slope * at)


def _covariance(curve: Floats) -> Floats:
    """Return the inverse of the observed information, NaN where the likelihood has no peak (no excitation to be seen)."""
    values = np.linalg.eigvalsh(-curve)
    if not np.isfinite(values).all() or values.min() <= 1e-9 * values.max():
        return np.full((3, 3), math.nan)
    return np.asarray(np.linalg.inv(-curve))


def exponential_p(residuals: Floats) -> float:
    """Return the p-value of residuals (n,) being exponential with a mean that was fitted: Kolmogorov–Smirnov.

    D* = (D - 0.2 / n)(sqrt n + 0.26 + 0.5 / sqrt n) has the upper points .926 .990 1.094 1.190 1.308 at 15, 10, 5, 2.5 and 1 %
    (Stephens 1974; D'Agostino & Stephens 1986, table 4.14). 2.27 exp(-3.17 D*^2) goes through all five within 3 %.
    """
    n = len(residuals)
    below = 1.0 - np.exp(-np.sort(residuals) / residuals.mean())
    rank = np.arange(n)
    distance = float(max((below - rank / n).max(), ((rank + 1) / n - below).max()))
    scaled = (distance - 0.2 / n) * (math.sqrt(n) + 0.26 + 0.5 / math.sqrt(n))
    return min(1.0, 2.27 * math.exp(-3.17 * max(scaled, 0.0) ** 2))


def memoryless_p(residuals: Floats, lags: int = LAGS) -> float:
    """Return the p-value of residuals having no autocorrelation up to `lags` (Ljung & Box 1978), on their ranks.

    Ranks, because the exponential's tail makes the test on raw values wrong in small samples. Chi-square with `lags` degrees.
    """
    n = len(residuals)
    ranks = np.argsort(np.argsort(residuals, kind="stable"), kind="stable") - (n - 1) / 2.0
    power = float(ranks @ ranks)
    rho = np.array([float(ranks[lag:] @ ranks[:-lag]) / power for lag in range(1, lags + 1)])
    return chi2_tail(float(n * (n + 2) * (rho**2 / (n - np.arange(1, lags + 1))).sum()), lags)


def chi2_tail(value: float, degrees: int) -> float:
    """Return P(X > `value`) for chi-square with an even number of degrees: exp(-x/2) sum (x/2)^k / k!, k below degrees / 2."""
    half, term, total = value / 2, 1.0, 1.0
    for k in range(1, degrees // 2):
        term *= half / k
        total += term
    return min(1.0, math.exp(-half) * total)
