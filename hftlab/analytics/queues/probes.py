"""Probe orders whose fate is known: the smallest post-only orders in a simulated market, and the same orders in each queue model.

The market is the matching engine with its crowd (`kernels.world`), the same as `SimulatedMarket` without latency. Two of our orders
never rest at one price, so an order stands among the crowd's alone and its true place is that among the lots that the public feed
shows without ours. That feed is what a recording would hold: our reports and the changes we made ourselves are gone, every level shows
the crowd's lots only, prints stay whole, because whoever hit us is seen by all.
"""

import heapq
from dataclasses import dataclass
from typing import Any

import numpy as np

from hftlab.assumptions import Queue
from hftlab.data.synth import SAMPLE_START_NS, open_world
from hftlab.errors import InputError
from hftlab.instrument import Instrument
from hftlab.kernels.jit import records
from hftlab.kernels.lob import ahead_of
from hftlab.kernels.lob_types import LEVEL_MASK
from hftlab.kernels.probe import replay
from hftlab.kernels.world import OUT_ROWS, advance_world, request_world, snapshot_world
from hftlab.types import (
    ASK,
    BID,
    CANCEL,
    DEPTH,
    DESK,
    EVENT,
    FILL,
    L3_ORDER,
    LAST,
    NEVER_NS,
    NO_PRICE,
    POST_ONLY,
    SPEC,
    SUBMIT,
    TIMER,
    TRADE,
)
from hftlab.types_exchange import EXCHANGE

OWNER = 1
PAST_NS = 10_000_000_000  # how far back the trades of a forecast are counted

LOOK = np.dtype(
    [
        ("ts_ns", "i8"),
        ("ahead_lots", "i8"),  # the true place; -1 when the order does not rest
        ("level_lots", "i8"),  # at our price, without us
        ("better_lots", "i8"),  # at prices before ours
        ("behind_ticks", "i8"),  # from the best price of our side
        ("opposite_lots", "i8"),  # at the best price of the other side
        ("spread_ticks", "i8"),
    ]
)
"""What is known of a probe at one time. Look 0 is its placement, before it is in the book."""


@dataclass(frozen=True, slots=True)
class Probes:
    """The probes of one seed.

    `rows` EVENT: the public feed, with our SUBMIT, CANCEL and TIMER rows where each happened; `side` i8 (n,); `behind_ticks` i8 (n,) when
    placed; `filled_ns` i8 (n,) in truth, 0 for never; `looks` LOOK (n, 1 + looks).
    """

    rows: np.ndarray
    side: np.ndarray
    behind_ticks: np.ndarray
    filled_ns: np.ndarray
    looks: np.ndarray

    def wait_s(self, filled_ns: np.ndarray) -> np.ndarray:
        """Return the seconds from placement to fill, f8 (n,), inf for no fill."""
        return np.where(filled_ns > 0, (filled_ns - self.looks["ts_ns"][:, 0]) / 1e9, np.inf)

    def past(self) -> np.ndarray:
        """Return what the ten seconds before each look held: f8 (n, looks, 3), lots traded against our side and against the other, rows."""
        return np.stack([self._since(against=1), self._since(against=-1), self._since(against=0)], axis=-1)

    def _since(self, against: int) -> np.ndarray:
        total = np.zeros(self.looks.shape)
        for side in (BID, ASK):
            ours = self.side == side
            hits = self.rows if against == 0 else self.rows[(self.rows["kind"] == TRADE) & (self.rows["side"] == -side * against)]
            lots = np.concatenate(([0], np.cumsum(hits["qty_lots"]))) if against else np.arange(len(hits) + 1)
            now_ns = self.looks["ts_ns"][ours]
            until, since = (lots[np.searchsorted(hits["ts_exch_ns"], t, side="right")] for t in (now_ns, now_ns - PAST_NS))
            total[ours] = until - since
        return total

    def known(self) -> np.ndarray:
        """Return what a forecast may know at each look besides our place in the queue: f8 (n, looks, 8), amounts as logarithms."""
        names = ("level_lots", "better_lots", "opposite_lots", "spread_ticks")
        amounts = [np.log1p(np.maximum(self.looks[name], 0)) for name in names]
        return np.stack([*amounts, self.looks["behind_ticks"].astype(float), *np.moveaxis(np.log1p(self.past()), -1, 0)], axis=-1)


class Recorder:
    """One market with its crowd, the stream that the public sees of it, and our probes."""

    def __init__(self, instrument: Instrument, seed: int, looks_ns: np.ndarray, horizon_ns: int, **options: Any) -> None:
        self.world = open_world(instrument, seed=seed, start_ns=SAMPLE_START_NS, **options)
        self.book = self.world["lob"][0]
        self.looks_ns, self.horizon_ns = looks_ns, horizon_ns
        self._out = np.zeros(OUT_ROWS, EVENT)
        self._request = np.zeros(1, EVENT)
        count = snapshot_world(self.world, self._out, SAMPLE_START_NS, SAMPLE_START_NS)
        self._parts = [self._out[:count].copy()]
        self._holder: dict[tuple[int, int], int] = {}
        self._agenda: list[tuple[int, int, int]] = []  # when, order, which look; look 0 is the cancel
        self._placed: list[tuple[int, int, int]] = []
        self._looks: list[np.ndarray] = []

    def advance(self, until_ns: int) -> None:
        """Let the crowd act up to `until_ns`, and look at and cancel what is due by then."""
        while self._agenda and self._agenda[0][0] <= until_ns:
            ts_ns, order_id, look = heapq.heappop(self._agenda)
            self._crowd(ts_ns)
            side, price_ticks, _ = self._placed[order_id - 1]
            if look > 0:
                self._looks[order_id - 1][look] = self._look(ts_ns, side, price_ticks, order_id)
                self._row(TIMER, ts_ns, order_id, side, price_ticks, seq=look - 1)
            else:
                self._row(CANCEL, ts_ns, order_id, side, price_ticks)
                if ahead_of(self.book, OWNER, order_id) >= 0:
                    request_world(self.world, self._out, self._request, 0, ts_ns, OWNER)
        self._crowd(until_ns)

    def place(self, ts_ns: int, side: int, behind_ticks: int) -> None:
        """Join the queue `behind_ticks` behind the best price, unless one of our orders stands there or there is no price."""
        best = int(self.book["best_bid_ticks" if side == BID else "best_ask_ticks"])
        price_ticks = best - side * behind_ticks
        held = self._holder.get((side, price_ticks))
        if best == NO_PRICE or (held is not None and ahead_of(self.book, OWNER, held) >= 0):
            return
        order_id = len(self._placed) + 1
        look = np.zeros(1 + len(self.looks_ns), LOOK)
        look[0] = self._look(ts_ns, side, price_ticks, order_id)
        self._row(SUBMIT, ts_ns, order_id, side, price_ticks)
        request_world(self.world, self._out, self._request, 0, ts_ns, OWNER)
        self._holder[side, price_ticks] = order_id
        self._placed.append((side, price_ticks, behind_ticks))
        self._looks.append(look)
        for k, age_ns in enumerate(self.looks_ns):
            heapq.heappush(self._agenda, (ts_ns + int(age_ns), order_id, k + 1))
        heapq.heappush(self._agenda, (ts_ns + self.horizon_ns, order_id, 0))

    def probes(self) -> Probes:
        """Return the probes placed so far. Raises InputError when there are none."""
        if not self._placed:
            raise InputError("no probe found a place in the market; wanted more minutes, or a smaller every_s.")
        side, _, behind = np.array(self._placed).T
        rows, filled_ns = _public(np.concatenate(self._parts), len(side))
        return Probes(rows, side, behind, filled_ns, np.stack(self._looks))

    def _crowd(self, until_ns: int) -> None:
        while self.world["flow"]["next_ns"][0] <= until_ns:
            count = advance_world(self.world, self._out, until_ns)
            self._parts.append(self._out[:count].copy())

    def _row(self, kind: int, ts_ns: int, order_id: int, side: int, price_ticks: int, seq: int = 0) -> None:
        self._request[0] = (ts_ns, ts_ns, price_ticks, 1, 0, order_id, seq, kind, side, LAST | POST_ONLY, 0)
        self._parts.append(self._request.copy())

    def _look(self, ts_ns: int, side: int, price_ticks: int, order_id: int) -> tuple[int, ...]:
        book, levels = self.book, self.book["levels"]["lots"]
        own, other = ("best_bid_ticks", "best_ask_ticks") if side == BID else ("best_ask_ticks", "best_bid_ticks")
        best, against = int(book[own]), int(book[other])
        ahead = int(ahead_of(book, OWNER, order_id))
        behind = 0 if best == NO_PRICE else max((best - price_ticks) * side, 0)
        better = sum(int(levels[(price_ticks + side * k) & LEVEL_MASK]) for k in range(1, behind + 1))
        opposite = 0 if against == NO_PRICE else int(levels[against & LEVEL_MASK])
        spread = 0 if NO_PRICE in (best, against) else (against - best) * side
        # one ladder serves both sides: beyond our own best price the lots are the other side's
        level = 0 if best == NO_PRICE or (price_ticks - best) * side > 0 else int(levels[price_ticks & LEVEL_MASK]) - (ahead >= 0)
        return ts_ns, ahead, level, better, behind, opposite, spread


def record(
    instrument: Instrument,
    seed: int,
    *,
    seconds: float,
    horizon_s: float,
    looks_s: np.ndarray,
    behind_ticks: tuple[int, ...],
    every_s: float,
    **options: Any,
) -> Probes:
    """Return the probes of one seed: about one every `every_s`, at random times, on random sides, cancelled after `horizon_s`.

    `options` are `price` and the flow parameters of `kernels.flow_types.FLOW_DEFAULTS`. Raises InputError, UnknownName.
    """
    rng = np.random.default_rng((seed, 0x9A0BE))
    recorder = Recorder(instrument, seed, (looks_s * 1e9).astype("i8"), int(horizon_s * 1e9), **options)
    end_ns = SAMPLE_START_NS + int(seconds * 1e9)
    now_ns = SAMPLE_START_NS + PAST_NS
    while (now_ns := now_ns + 1 + int(rng.exponential(every_s * 1e9))) <= end_ns - recorder.horizon_ns:
        recorder.advance(now_ns)
        recorder.place(now_ns, BID if rng.random() < 0.5 else ASK, int(rng.choice(behind_ticks)))
    recorder.advance(end_ns)
    return recorder.probes()


def _public(rows: np.ndarray, orders: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the stream without what only we saw and without our lots, and when each order filled (0: never)."""
    kinds, ids = rows["kind"], rows["order_id"]
    start, end = np.zeros(orders, "i8"), np.zeros(orders, "i8")
    filled_ns = np.zeros(orders, "i8")
    for kind, at in ((SUBMIT, start), (CANCEL, end), (FILL, end)):  # a filled order leaves the book with its fill
        rows_of = np.flatnonzero(kinds == kind)
        at[ids[rows_of] - 1] = rows_of
        if kind == FILL:
            filled_ns[ids[rows_of] - 1] = rows["ts_exch_ns"][rows_of]
    for a, b in zip(start, end, strict=True):
        part = rows[a + 1 : b]
        ours = (part["kind"] == DEPTH) & (part["price_ticks"] == rows["price_ticks"][a]) & (part["side"] == rows["side"][a])
        part["qty_lots"][ours] -= 1
    market = (kinds >= DEPTH) & (kinds <= L3_ORDER)
    return rows[market | (kinds == SUBMIT) | (kinds == CANCEL) | (kinds == TIMER)], filled_ns


def modelled(probes: Probes, queue: Queue) -> tuple[np.ndarray, np.ndarray]:
    """Run the same orders at the same times through the modelled exchange.

    Returns when each filled (i8 (n,), 0 for never) and the estimated lots ahead at each look after placement (f8 (n, looks), NaN where
    the order did not rest). One lot cannot fill in part, so without `partial_fills` our orders do not share a print's quantity either.
    """
    exchanges = records(np.zeros(1, EXCHANGE))
    queue.fill(exchanges)
    exchanges["partial_fills"] = 0
    exchanges["active"], exchanges["due_ns"] = 1, NEVER_NS
    exchanges["touch_bid_ticks"] = exchanges["touch_ask_ticks"] = NO_PRICE
    for name in ("anchor_ticks", "best_bid_ticks", "best_ask_ticks"):
        exchanges["book"][name] = NO_PRICE
    ahead_lots = np.full((len(probes.side), probes.looks.shape[1] - 1), np.nan)
    filled_ns = np.zeros(len(probes.side), "i8")
    desk, spec, out = (records(np.zeros(n, dtype)) for n, dtype in ((1, DESK), (1, SPEC), (512, EVENT)))
    replay(desk, exchanges, spec, records(probes.rows), out, ahead_lots, filled_ns)
    return filled_ns, ahead_lots
