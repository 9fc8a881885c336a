"""How long requests and reports of a session travelled: distributions with intervals, and the `hl.Latency` that says the same.

Entry is from our request to the exchange's own time of acting, report from there to us. Between two clocks neither can be told from an
offset of the clocks: `round trip` is free of it. A backtest is not harmed by an offset, for the tape of the session has the same two clocks.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hftlab.analytics.fit_fills.trips import CLASSES, STILL_NS, TRIPS_MIN, Samples, samples
from hftlab.analytics.stats.resample import Blocks
from hftlab.assumptions import Latency
from hftlab.errors import InputError
from hftlab.types import FILL

if TYPE_CHECKING:
    import pandas as pd

_POINTS = 400
_LOG_SD_MIN, _LOG_SD_MAX = 0.05, 3.0
_NORMAL_95 = 1.6449  # standard deviations from the median to the 95 % quantile
_ALIKE = 2.0  # spreads of classes that differ by no more than this factor are one jitter


# --- the model -------------------------------------------------------------------------------------------------------------
def lognormal_above(values: np.ndarray) -> tuple[float, float, float]:
    """Return (base, mean, log_sd) in the unit of the values (f8, ns): they are base + a lognormal of that mean.

    Greatest likelihood over the base (its profile), which must stay a thousandth of the spread below the smallest value, where the
    likelihood has no bound. Constant values: (their median, 0, 1).
    """
    x = np.quantile(values, (np.arange(_POINTS) + 0.5) / _POINTS) if len(values) > _POINTS else np.sort(values)
    spread = float(x[-1] - x[0])
    if spread <= STILL_NS:
        return float(np.median(x)), 0.0, 1.0
    below = spread * np.geomspace(1e-3, 30.0, 160)
    bases = x[0] - below
    logs = np.log(x[None, :] - bases[:, None])
    mu, sd = logs.mean(axis=1), logs.std(axis=1)
    best = int(np.argmax(np.where(sd <= _LOG_SD_MAX, -np.log(sd) - mu, -np.inf)))
    return float(bases[best]), float(np.exp(mu[best] + sd[best] ** 2 / 2)), float(sd[best])


def _lognormal_by_quantiles(excess: np.ndarray) -> tuple[float, float]:
    """Return (mean, log_sd) of the lognormal with the median and the 95 % quantile of the values.

    A venue that stamps in milliseconds, or whose clock lags, shows requests that arrived before they were sent; their logarithms would
    be the whole estimate, and quantiles do not feel them.
    """
    middle, high = (max(float(one), STILL_NS) for one in np.quantile(excess, (0.5, 0.95)))
    log_sd = min(max(np.log(high / middle) / _NORMAL_95, _LOG_SD_MIN), _LOG_SD_MAX)
    return middle * float(np.exp(log_sd**2 / 2)), float(log_sd)


def feed_share(entry: Samples, report: Samples) -> float:
    """Return by how much a latency grows with the feed's own of that moment: a straight line through medians of tenths of the feed's.

    0 where the feed's latency does not vary.
    """
    slopes, weights = [], []
    for one in (entry, report):
        if len(one.took_ns) < TRIPS_MIN or np.ptp(one.feed_ns) <= STILL_NS:
            continue
        edges = np.unique(np.quantile(one.feed_ns, np.linspace(0, 1, 11)))
        tenth = np.clip(np.searchsorted(edges, one.feed_ns, side="right") - 1, 0, len(edges) - 2)
        groups = [g for g in range(len(edges) - 1) if np.count_nonzero(tenth == g) >= 3]
        x, y = (np.array([np.median(values[tenth == g]) for g in groups]) for values in (one.feed_ns, one.took_ns))
        count = np.array([np.count_nonzero(tenth == g) for g in groups], float)
        if len(groups) < 2 or np.ptp(x) <= STILL_NS:
            continue
        centred = x - np.average(x, weights=count)
        strength = float((count * centred**2).sum())
        slopes.append(float((count * centred * y).sum()) / strength)
        weights.append(strength)
    return float(np.average(slopes, weights=weights)) if slopes else 0.0


PARAMETERS = ("order_ms", "cancel_ms", "report_ms", "feed_share", "jitter_ms", "jitter_log_sd")


def parameters(found: Mapping[str, Samples], *, share: bool) -> dict[str, float]:
    """Return PARAMETERS of `hl.Latency`; `cancel_ms` as `order_ms` without cancels. `share` lets the feed's latency count.

    One jitter serves all classes, as in `hl.Latency`: its shape is that of all of them, each moved to a median of zero. Where the
    classes vary by different amounts it is that of the requests, for what comes too late to the exchange decides fills.
    """
    of_feed = min(max(feed_share(found["entry"], found["report"]), 0.0), 100.0) if share else 0.0
    left = {name: found[name].took_ns - of_feed * found[name].feed_ns for name in CLASSES[:3]}
    if len(left["cancel"]) < TRIPS_MIN:
        del left["cancel"]
    medians = {name: float(np.median(values)) for name, values in left.items()}
    pooled = np.concatenate([left[name] - medians[name] for name in alike(left)])
    base, mean, log_sd = lognormal_above(pooled)
    lowest = -min(medians[name] for name in alike(left))
    if base < lowest and mean > 0:  # no constant part may be negative
        base = lowest
        mean, log_sd = _lognormal_by_quantiles(pooled - base)
    constants = {name: max(median + base, 0.0) / 1e6 for name, median in medians.items()}
    return {
        "order_ms": constants["entry"],
        "cancel_ms": constants.get("cancel", constants["entry"]),
        "report_ms": constants["report"],
        "feed_share": of_feed,
        "jitter_ms": mean / 1e6,
        "jitter_log_sd": log_sd,
    }


def alike(left: Mapping[str, np.ndarray]) -> list[str]:
    """Return the classes that vary as the entry does, by the width of their middle nine tenths."""
    width = {name: float(np.subtract(*np.quantile(values, (0.95, 0.05)))) + STILL_NS for name, values in left.items()}
    return [name for name in left if 1 / _ALIKE <= width[name] / width["entry"] <= _ALIKE]


@dataclass(frozen=True, repr=False)
class LatencyFit:
    """`model` is what to hand to `hl.backtest`; `fitted` its parameters, `low` and `high` their intervals; `trips` what it is made of."""

    model: Latency
    fitted: Mapping[str, float]
    low: Mapping[str, float]
    high: Mapping[str, float]
    trips: np.ndarray = field(repr=False)
    found: Mapping[str, Samples] = field(repr=False)
    quantiles: Mapping[str, tuple[Any, ...]] = field(repr=False)
    shift_ns: int = 0

    @property
    def recorded(self) -> Latency:
        """Return the session's own round trips as a Latency: for its own tape the closest, for no other."""
        asked = self.trips[(self.trips["kind"] != FILL) & (self.trips["matched_ns"] >= self.trips["sent_ns"])]
        asked = asked[asked["learned_ns"] >= asked["matched_ns"]]
        _, first = np.unique(asked["sent_ns"], return_index=True)
        return Latency(recorded=np.stack([asked[name][first] for name in ("sent_ns", "matched_ns", "learned_ns")], axis=1))

    @property
    def offset_ms(self) -> float:
        """Return by how much the exchange's clock would be ahead of ours if the fastest way there and back took the same time."""
        there = np.concatenate([self.found[name].took_ns for name in ("entry", "cancel")])
        return float(there.min() - self.found["report"].took_ns.min()) / 2e6

    def table(self) -> "pd.DataFrame":
        """Return one row a class: count, min, median with its interval, p95 with its, p99, max (ms), and what load does to it.

        `per_1000_msgs`: ms more at 1,000 messages a second more in the tenth of a second before, with its interval.
        """
        import pandas as pd

        names = ("count", "min_ms", "p50_ms", "p50_low", "p50_high", "p95_ms", "p95_low", "p95_high", "p99_ms", "max_ms")
        load = ("per_1000_msgs", "load_low", "load_high")
        return pd.DataFrame.from_dict({name: list(row) for name, row in self.quantiles.items()}, orient="index", columns=[*names, *load])

    def frame(self) -> "pd.DataFrame":
        """Return one row a parameter of the model: value, low and high of its 95 % interval."""
        import pandas as pd

        return pd.DataFrame({"value": dict(self.fitted), "low": dict(self.low), "high": dict(self.high)})


def fit_latency(made: np.ndarray, market: np.ndarray, *, replicates: int = 200, seed: int = 0, shift_ns: int = 0) -> LatencyFit:
    """Return the LatencyFit of TRIP rows; `market` are the market rows as received. Raises InputError for too few trips.

    Intervals: 95 %, blocks of the session drawn anew `replicates` times.
    """
    found, free = samples(made, market), samples(made, market, free=True)
    if len(found["entry"].took_ns) < TRIPS_MIN:
        raise InputError(f"the session has {len(found['entry'].took_ns)} accepted requests; wanted {TRIPS_MIN} or more to fit latencies.")
    blocks = Blocks.of(np.concatenate([found[name].ts_ns for name in CLASSES[:3]]), replicates=replicates, seed=seed)
    share_low, _ = blocks.interval(free, lambda part: feed_share(part["entry"], part["report"]))
    share = share_low > 0.0
    values = parameters(free, share=share)
    drawn = [parameters(part, share=share) for part in blocks.draws(free)]
    low, high = ({name: float(np.quantile([one[name] for one in drawn], q)) for name in PARAMETERS} for q in (0.025, 0.975))
    model = Latency(
        order_ms=values["order_ms"],
        report_ms=values["report_ms"],
        cancel_ms=values["cancel_ms"],
        feed_share=values["feed_share"],
        jitter_ms=values["jitter_ms"],
        jitter_log_sd=values["jitter_log_sd"],
        seed=seed,
    )
    rows = {name: _quantiles(name, found, blocks) for name in CLASSES if len(found[name].took_ns)}
    return LatencyFit(model, values, low, high, made, found, rows, shift_ns)


def _quantiles(name: str, found: Mapping[str, Samples], blocks: Blocks) -> tuple[Any, ...]:
    took = found[name].took_ns / 1e6
    part = {name: found[name]}

    def quantile(q: float) -> Callable[[Mapping[str, Samples]], float]:
        return lambda drawn: float(np.quantile(drawn[name].took_ns, q)) / 1e6

    middle, tail = blocks.interval(part, quantile(0.5)), blocks.interval(part, quantile(0.95))
    slope = blocks.interval(part, lambda drawn: _load_slope(drawn[name]))
    p50, p95, p99 = np.quantile(took, (0.5, 0.95, 0.99)).tolist()
    return (len(took), took.min(), p50, *middle, p95, *tail, p99, took.max(), _load_slope(found[name]), *slope)


def _load_slope(one: Samples) -> float:
    """Return the ms more of latency for 1,000 messages a second more: least squares on the ranks' own values, 0 without variation."""
    x = one.load_per_s - one.load_per_s.mean() if len(one.load_per_s) else one.load_per_s
    strength = float((x**2).sum())
    return float((x * (one.took_ns / 1e6)).sum()) / strength * 1000 if strength > 0 else 0.0
