"""What is held now and what surrounds it: position, visible book, our orders, past prices. Read from frames and reports."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from hftlab.analytics.report.report import Report
from hftlab.data.frame import Frame, side_levels
from hftlab.errors import InputError
from hftlab.instrument import Instrument
from hftlab.types import ASK, BID, FREE, SAMPLE

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

LEVELS = 1000
"""Price levels a side that a liquidation may walk through."""


@dataclass(frozen=True)
class Holding:
    """One market of a desk at one moment, in machine units.

    `bids`, `asks`: i8 (k, 2) of price_ticks and lots, best first, our own orders taken out; `orders`: i8 (j, 3) of side,
    price_ticks, lots, all that could still fill; `ts_ns` i8 (n,) and `fair_ticks` f8 (n,): past fair prices, rising in time.
    """

    instrument: Instrument
    position_lots: int
    mark_ticks: float
    bids: Ints
    asks: Ints
    orders: Ints
    ts_ns: Ints
    fair_ticks: Floats

    def moved_quote(self, price_ticks: float | Floats, lots: Any = None, from_ticks: Any = None) -> Any:
        """Return the P&L in settlement currency of `lots` (the position) when the price goes from a price (the mark) to another."""
        one = self.instrument
        lots = self.position_lots if lots is None else lots
        start = self.mark_ticks if from_ticks is None else from_ticks
        return lots * (one.worth_of(price_ticks) - one.worth_of(start)) * one.ticklot_quote

    @property
    def exposure_quote(self) -> float:
        """Return the signed worth of the position at the mark: P&L = exposure x relative move, to first order."""
        if self.position_lots == 0:
            return 0.0
        return self.position_lots * abs(self.instrument.worth_of(self.mark_ticks)) * self.instrument.ticklot_quote

    @property
    def price(self) -> float:
        """Return the mark in quote currency per base unit, NaN before the first book."""
        return self.mark_ticks * float(self.instrument.tick_size)


@dataclass(frozen=True)
class Desk:
    """The markets of one desk, and its P&L in the settlement currency over time: `pnl_ns` i8 (n,), `pnl_quote` f8 (n,).

    `peak_quote` is the highest P&L before the first of these, where it is known; `notes` say what could not be read.
    """

    holdings: tuple[Holding, ...]
    pnl_ns: Ints
    pnl_quote: Floats
    peak_quote: float = 0.0
    notes: tuple[str, ...] = field(default=())

    @property
    def currency(self) -> str:
        """Return the settlement currency."""
        return self.holdings[0].instrument.settle


def desk_of(source: Any) -> Desk:
    """Return the Desk of a Report, a Frame, or what publishes Frames (View, Session, State). Raises InputError for anything else."""
    if isinstance(source, Desk):
        return source
    if isinstance(source, Report):
        return _of_report(source)
    frame = source if isinstance(source, Frame) else source.frame() if hasattr(source, "frame") else source
    if not isinstance(frame, Frame):
        raise InputError(f"risk was asked of a {type(source).__name__}; wanted a Report, a Frame, a View or Session, or a list of them.")
    return _of_frame(frame)


# --- a frame -----------------------------------------------------------------------------------------------------------------


def _of_frame(frame: Frame) -> Desk:
    holdings = tuple(_market(frame, i) for i in range(len(frame.instruments)))
    samples = [frame.samples(i) for i in range(len(frame.instruments))]
    pnl_ns, pnl = summed([(one["ts_ns"], one["pnl_quote"]) for one in samples])
    peak = float(frame.desk["peak_pnl_quote"])
    # The rings hold the last minutes only; a peak above all of them stood before them.
    earlier = peak if len(pnl) and peak > pnl.max() else 0.0
    return Desk(holdings, np.append(pnl_ns, frame.now_ns), np.append(pnl, float(frame.desk["pnl_quote"])), earlier)


def _market(frame: Frame, i: int) -> Holding:
    market = frame.markets[i]
    working = market["orders"][market["orders"]["status"] != FREE]
    # An amend on its way may or may not have happened: the larger of the two sizes counts, as in the risk gate.
    lots = np.maximum(working["leaves_lots"], working["wish_lots"])
    orders = np.stack([working["side"], working["price_ticks"], lots], axis=1).astype(np.int64).reshape(-1, 3)
    own = orders if int(market["spec"]["own_in_book"]) else orders[:0]
    bars, samples = frame.bars(i), frame.samples(i)
    bars = bars[bars["ts_ns"] < samples["ts_ns"][0]] if len(samples) else bars
    return Holding(
        instrument=frame.instruments[i],
        position_lots=int(market["position_lots"]),
        mark_ticks=float(market["mark_ticks"]),
        bids=_others(side_levels(market["book"], BID, LEVELS), own, BID),
        asks=_others(side_levels(market["book"], ASK, LEVELS), own, ASK),
        orders=orders,
        ts_ns=np.concatenate([bars["ts_ns"], samples["ts_ns"]]),
        fair_ticks=np.concatenate([bars["close_ticks"], samples["fair_ticks"]]),
    )


def _others(levels: Sequence[tuple[int, int]], own: Ints, side: int) -> Ints:
    """Return the levels of a side less what is ours in them."""
    table = np.array(levels, np.int64).reshape(-1, 2)
    for _, price, lots in own[own[:, 0] == side]:
        table[table[:, 0] == price, 1] -= lots
    return table[table[:, 1] > 0]


# --- a report ----------------------------------------------------------------------------------------------------------------


def _of_report(report: Report) -> Desk:
    rows = report.samples[report.samples["kind"] == SAMPLE]
    holdings, series, notes = (
        [],
        [],
        ["a report does not know which orders of ours still rest: price shocks are those of the position alone."],
    )
    for i, instrument in enumerate(report.instruments):
        mine = rows[rows["instrument"] == i]
        fair, ts_ns = mine["price_ticks"].view(np.float64), mine["ts_recv_ns"]
        series.append((ts_ns, mine["leaves_lots"].view(np.float64)))
        bids, asks = _book_of(report, i)
        holdings.append(
            Holding(
                instrument=instrument,
                position_lots=instrument.lots(repr(report.accounts[i]["position_base"]), signed=True),
                mark_ticks=float(fair[-1]) if len(fair) else math.nan,
                bids=bids,
                asks=asks,
                orders=np.zeros((0, 3), np.int64),
                ts_ns=np.asarray(ts_ns),
                fair_ticks=np.asarray(fair),
            )
        )
    if report.origin is None:
        notes.append("a report of a session keeps no book: liquidation and spread are not known; ask the session's view for them.")
    pnl_ns, pnl = summed(series)
    return Desk(tuple(holdings), pnl_ns, pnl, 0.0, tuple(notes))


def _book_of(report: Report, i: int) -> tuple[Ints, Ints]:
    """Return the levels of the last book of the tape, none where the report has no tape."""
    empty = np.zeros((0, 2), np.int64)
    if report.origin is None:
        return empty, empty
    table = report.origin.book_at(report.facts.end_ns, i, LEVELS)
    sides = (table[table["side"] == name][["price_ticks", "qty_lots"]].to_numpy(np.int64).reshape(-1, 2) for name in ("bid", "ask"))
    return next(sides), next(sides)


# --- over markets --------------------------------------------------------------------------------------------------------------


def summed(series: Sequence[tuple[Ints, Floats]]) -> tuple[Ints, Floats]:
    """Return times and the sum of several (ts_ns, values) over them; a series that says nothing at a time keeps its last value."""
    known = [(np.asarray(ts), np.asarray(values, np.float64)) for ts, values in series if len(ts)]
    if not known:
        return np.zeros(0, np.int64), np.zeros(0)
    times = np.unique(np.concatenate([ts for ts, _ in known]))
    total = np.zeros(len(times))
    for ts, values in known:
        at = np.searchsorted(ts, times, side="right") - 1
        total += np.where(at >= 0, values[np.maximum(at, 0)], 0.0)
    return times, total


def rate_of(currency: str, into: str, rates: Mapping[str, float]) -> float:
    """Return what one unit of `currency` is worth in `into`. Raises InputError where no rate says so: money of two kinds does not add up."""
    if currency == into:
        return 1.0
    if currency not in rates:
        raise InputError(
            f"{currency} and {into} cannot be added without a rate; wanted rates={{{currency!r}: …}}, the worth of one {currency} in {into}."
        )
    rate = float(rates[currency])
    if not (math.isfinite(rate) and rate > 0):
        raise InputError(
            f"the rate of {currency} was {rates[currency]!r}; wanted a number above zero, the worth of one {currency} in {into}."
        )
    return rate


def moves(holdings: Sequence[Holding], horizon_s: float) -> tuple[Floats, tuple[int, int]]:
    """Return the relative moves of the fair prices, f8 (n, m), over the same steps of `horizon_s`, and the time they span.

    Prices are read at whole multiples of the horizon, the last known one each. A step at whose ends some market's price is older
    than the horizon is left out: nothing was seen there, which is not the same as no move. Raises InputError for a horizon finer
    than the samples.
    """
    step = int(horizon_s * 1e9)
    if any(len(one.ts_ns) == 0 for one in holdings):
        return np.zeros((0, len(holdings))), (0, 0)
    for one in holdings:
        spacing = int(np.diff(one.ts_ns).min()) if len(one.ts_ns) > 1 else 0
        if spacing > step:
            raise InputError(
                f"horizon_s was {horizon_s:g}, but prices of {one.instrument.name} are known every {spacing / 1e9:g} s only; "
                f"wanted {spacing / 1e9:g} or more."
            )
    first = max(-(-int(one.ts_ns[0]) // step) for one in holdings)
    last = min(int(one.ts_ns[-1]) // step for one in holdings)
    if last <= first:
        return np.zeros((0, len(holdings))), (0, 0)
    times = np.arange(first, last + 1, dtype=np.int64) * step
    prices, fresh = np.empty((len(times), len(holdings))), np.ones(len(times), bool)
    for k, one in enumerate(holdings):
        at = np.searchsorted(one.ts_ns, times, side="right") - 1
        prices[:, k] = one.fair_ticks[at]
        fresh &= times - one.ts_ns[at] <= step
    table = prices[1:] / prices[:-1] - 1.0
    kept = table[fresh[1:] & fresh[:-1] & np.isfinite(table).all(axis=1)]
    return kept, (int(times[0]), int(times[-1]))
