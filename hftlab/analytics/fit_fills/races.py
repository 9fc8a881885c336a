"""What latency costs a session, live and in its model: the orders once more with modelled latencies, lost races, and what takers paid."""

from dataclasses import dataclass

import numpy as np

from hftlab.analytics.fit_fills.latency import LatencyFit
from hftlab.analytics.fit_fills.play import Stage, taker_rows
from hftlab.analytics.fit_fills.stays import FILLED, MOVED, OPEN
from hftlab.analytics.fit_fills.trips import feed_latency_ns
from hftlab.analytics.stats.resample import Blocks, interval_of
from hftlab.assumptions import Queue
from hftlab.instrument import Instrument
from hftlab.types import NO_PRICE

MARKOUT_S = 1.0


def travelled(found: np.ndarray, fit: LatencyFit, market: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return the STAYs as they would have been with latencies of the fitted model: their requests travel anew.

    What asked for the end of a stay that was filled may win its race now, so such a stay ends when that comes. A request whose sending
    is not known comes when it came.
    """
    rng = np.random.default_rng(seed)
    out = found.copy()
    begun, ended = found["sent_ns"] > 0, found["end_sent_ns"] > 0
    out["start_ns"][begun] = _arrivals(found["sent_ns"][begun], np.zeros(int(begun.sum()), bool), fit, market, rng)
    out["end_ns"][ended] = _arrivals(found["end_sent_ns"][ended], found["ended"][ended] != MOVED, fit, market, rng)
    out["ended"] = np.where(ended & (found["ended"] == FILLED), OPEN, found["ended"])
    out["end_ns"] = np.maximum(out["end_ns"], out["start_ns"])
    return out


def _arrivals(sent_ns: np.ndarray, cancelling: np.ndarray, fit: LatencyFit, market: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return when requests come to the exchange: what is sent at one time travels together, nothing overtakes."""
    model = fit.model
    times, which = np.unique(sent_ns, return_inverse=True)
    jitter = np.zeros(len(times))
    if model.jitter_ms > 0:
        sd = model.jitter_log_sd
        jitter = model.jitter_ms * 1e6 * np.exp(rng.normal(size=len(times)) * sd - sd**2 / 2)
    varying = jitter + model.feed_share * feed_latency_ns(market, times)
    order_ns, cancel_ns = model.ns()[0], round((model.order_ms if model.cancel_ms is None else model.cancel_ms) * 1e6)
    arrival = sent_ns + np.where(cancelling, cancel_ns, order_ns) + varying[which].astype(np.int64)
    order = np.argsort(sent_ns, kind="stable")
    arrival[order] = np.maximum.accumulate(arrival[order])
    return np.asarray(arrival)


@dataclass(frozen=True)
class Races:
    """Cancels and moves against fills. `asked` of them; `lost`: stays that filled after we had asked them away, of which `lots`.

    `cost_ticklots`: what these lots were worth to us MARKOUT_S later, less what they were bought for: what losing the races made.
    """

    asked: int
    lost: int
    lots: int
    cost_ticklots: float

    @property
    def share(self) -> float:
        """Return the share of the races that were lost."""
        return self.lost / self.asked if self.asked else np.nan


def races(found: np.ndarray, parts: np.ndarray, touches: np.ndarray, sent: np.ndarray) -> Races:
    """Return the Races of STAYs with their PARTs; `sent` i8, when each was asked away on our clock, 0 for never."""
    asked = sent > 0
    late = parts[asked[parts["which"]] & (parts["ts_ns"] >= sent[parts["which"]])] if len(parts) else parts
    mid = mid_ticks(touches, late["ts_ns"] + round(MARKOUT_S * 1e9))
    side = found["side"][late["which"]]
    made = np.where(np.isnan(mid), 0.0, (mid - late["price_ticks"]) * side * late["lots"])
    return Races(int(asked.sum()), len(np.unique(late["which"])), int(late["lots"].sum()), float(made.sum()))


def mid_ticks(touches: np.ndarray, ts_ns: np.ndarray) -> np.ndarray:
    """Return the mid of the stripped book at each time, f8, NaN where it had not two sides."""
    if not len(touches):
        return np.full(len(ts_ns), np.nan)
    at = np.searchsorted(touches["ts_ns"], ts_ns, side="right") - 1
    bid, ask = touches["bid_ticks"][at], touches["ask_ticks"][at]
    return np.where((at < 0) | (bid == NO_PRICE) | (ask == NO_PRICE), np.nan, (bid / 2 + ask / 2))


@dataclass(frozen=True)
class Takers:
    """Orders that took: how many, lots filled live and in the model, and how many ticks a lot the model paid more, with its interval."""

    orders: int
    live_lots: int
    model_lots: int
    more_ticks: float
    low: float
    high: float


def takers(stage: Stage, found: np.ndarray, queue: Queue, *, replicates: int = 200, seed: int = 0) -> Takers:
    """Return what the book without us would have given the TAKERs at the time they came."""
    parts, _ = stage.play(queue, taker_rows(found))
    lots, paid = np.zeros(len(found)), np.zeros(len(found))
    np.add.at(lots, parts["which"], parts["lots"])
    np.add.at(paid, parts["which"], parts["lots"] * parts["price_ticks"].astype(float))
    both = (lots > 0) & (found["filled_lots"] > 0)
    if not both.any():
        return Takers(len(found), int(found["filled_lots"].sum()), int(lots.sum()), np.nan, np.nan, np.nan)
    more = (paid[both] / lots[both] - found["paid_ticklots"][both] / found["filled_lots"][both]) * found["side"][both]
    weight = found["filled_lots"][both].astype(float)
    drawn = Blocks.of(found["start_ns"][both], replicates=replicates, seed=seed).weights(found["start_ns"][both]) * weight
    kept = drawn[drawn.sum(axis=1) > 0]
    low, high = interval_of((kept @ more) / kept.sum(axis=1))
    live, model = int(found["filled_lots"].sum()), int(lots.sum())
    return Takers(len(found), live, model, float(np.average(more, weights=weight)), low, high)


def in_quote(ticklots: float, instrument: Instrument) -> float:
    """Return ticks x lots as money of the settlement currency."""
    return ticklots * float(instrument.ticklot_quote)
