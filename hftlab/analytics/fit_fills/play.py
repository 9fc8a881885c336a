"""Our orders, at the times they came to the venue, through the modelled exchange of the backtester: what a queue model makes of them."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from hftlab.analytics.fit_fills.stays import FILLED, PART
from hftlab.assumptions import Queue
from hftlab.data.merging import merge_rows
from hftlab.instrument import Instrument
from hftlab.kernels import flight, match, queue, requests
from hftlab.kernels.jit import kernel, records
from hftlab.types import AT_EXCHANGE, CANCEL, DESK, EVENT, FILL, IOC, LAST, MARKET_ORDER, NEVER_NS, NO_PRICE, SPEC, SUBMIT, TIMER, TOUCH
from hftlab.types_exchange import EXCHANGE

REST = 1 << 15
"""Flag of a SUBMIT row, unused by orders: it rests, whatever the book says of its price. The venue had taken it in."""

TOUCHES = np.dtype([("ts_ns", "i8"), ("bid_ticks", "i8"), ("ask_ticks", "i8")])


@kernel
def _rest(exchange: Any, row: Any) -> None:
    """Let an order rest at the back of its queue."""
    order = exchange.resting[exchange.resting_count]
    order.order_id = row.order_id
    order.price_ticks = row.price_ticks
    order.qty_lots = row.qty_lots
    order.leaves_lots = row.qty_lots
    order.side = row.side
    order["flags"] = 0
    exchange.arrivals += 1
    order.arrival = exchange.arrivals
    order.stamp = exchange.stamp
    exchange.resting_count += 1
    match.count_own(exchange, exchange.resting_count - 1, 1)
    queue.place(order, match.bk.lots_at(exchange.book, order.side, order.price_ticks), exchange.queue_model)


@kernel
def _own(desk: Any, exchange: Any, spec: Any, row: Any, out: Any) -> None:
    if row.kind == SUBMIT and (row["flags"] & REST) != 0:
        if exchange.resting_count < len(exchange.resting):
            _rest(exchange, row)
    else:
        requests.on_request(desk, exchange, spec, row, out)


@kernel
def run_orders(desk: Any, exchanges: Any, specs: Any, market: Any, own: Any, at: Any, parts: Any, ahead_lots: Any, out: Any) -> int:
    """Run market rows, and before row `at[k]` of them our row `own[k]`, through `exchanges[0]`. Returns the fills, -1 for no room.

    market, own: EVENT; at: i8, rising; order ids number the orders. A TIMER row looks at an order: its `seq` is the place in
    ahead_lots (f8) that gets the lots in front of it, left alone where it does not rest. parts: PART[k]; out: EVENT, scratch.
    """
    exchange = exchanges[0]
    count = 0
    k = 0
    for i in range(market.shape[0] + 1):
        while k < own.shape[0] and at[k] <= i:
            row = own[k]
            k += 1
            if row.kind == TIMER:
                for slot in range(exchange.resting_count):
                    if exchange.resting[slot].order_id == row.order_id:
                        ahead_lots[row.seq] = max(exchange.resting[slot].ahead_lots, 0.0)
            else:
                _own(desk[0], exchange, specs[0], row, out)
            count = _collect(exchange, parts, count)
            out[0].seq = 0
        if i < market.shape[0]:
            match.on_row(desk[0], exchange, specs[0], market[i], out)
            count = _collect(exchange, parts, count)
            out[0].seq = 0
        if count < 0:
            return -1
    return count


@kernel
def _collect(exchange: Any, parts: Any, count: Any) -> int:
    """Take the reports off the ring and keep the fills."""
    while exchange.report_count > 0:
        report = flight.pop_report(exchange)
        if report.kind == FILL and count >= 0:
            if count == parts.shape[0]:
                count = -1
            else:
                parts[count].which = report.order_id
                parts[count].ts_ns = report.ts_exch_ns
                parts[count].lots = report.qty_lots
                parts[count].price_ticks = report.price_ticks
                count += 1
    return count


@kernel
def run_touches(desk: Any, exchanges: Any, specs: Any, market: Any, touches: Any, out: Any) -> int:
    """Run market rows and write down each best price that changed. Returns how many; touches: TOUCHES[k], k at least the rows."""
    exchange = exchanges[0]
    count = 0
    for i in range(market.shape[0]):
        match.on_row(desk[0], exchange, specs[0], market[i], out)
        if out[0].seq > 0 and out[out[0].seq].kind == TOUCH:
            touches[count].ts_ns = market[i].ts_exch_ns
            touches[count].bid_ticks = exchange.touch_bid_ticks
            touches[count].ask_ticks = exchange.touch_ask_ticks
            count += 1
        out[0].seq = 0
    return count


@dataclass(frozen=True)
class Stage:
    """The market rows (EVENT) of one instrument as the exchange saw them, the time of each (of its message), and its records."""

    market: np.ndarray
    times_ns: np.ndarray
    spec: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray, index: int, instrument: Instrument) -> "Stage":
        """Return the stage of one instrument of a stripped tape. Raises TapeError for clocks that disagree."""
        merged = merge_rows(rows[rows["instrument"] == index])
        market = merged[(merged["flags"] & AT_EXCHANGE) != 0]
        market["instrument"] = 0
        spec = np.zeros(1, SPEC)
        spec["inverse_scale"] = instrument.inverse_scale
        return cls(market, np.maximum.accumulate(market["ts_exch_ns"]), records(spec))

    def play(self, queue_model: Queue, own: np.ndarray, looks: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Return PARTs by order and time, and the lots in front at each look (f8, NaN where the order did not rest).

        `own`: SUBMIT, CANCEL and TIMER rows by ts_exch_ns, which act after all market rows of their time.
        """
        at = np.searchsorted(self.times_ns, own["ts_exch_ns"], side="right")
        room = 4 * len(own) + 64
        while True:
            exchange = _exchange(queue_model)
            parts, ahead = np.zeros(room, PART), np.full(looks, np.nan)
            desk, out = records(np.zeros(1, DESK)), records(np.zeros(1024, EVENT))
            count = run_orders(desk, exchange, self.spec, records(self.market), records(own), at, records(parts), ahead, out)
            if count >= 0:
                parts = parts[:count]
                return parts[np.lexsort((parts["ts_ns"], parts["which"]))], ahead
            room *= 4

    def touches(self) -> np.ndarray:
        """Return TOUCHES: the best prices of the stripped book whenever they changed."""
        found = np.zeros(len(self.market), TOUCHES)
        desk, out = records(np.zeros(1, DESK)), records(np.zeros(1024, EVENT))
        count = run_touches(desk, _exchange(Queue()), self.spec, records(self.market), records(found), out)
        return found[:count]


def _exchange(queue_model: Queue) -> np.ndarray:
    exchange = np.zeros(1, EXCHANGE)
    queue_model.fill(exchange)
    exchange["active"], exchange["due_ns"] = 1, NEVER_NS
    for name in ("touch_bid_ticks", "touch_ask_ticks", "seen_bid_ticks", "seen_ask_ticks"):
        exchange[name] = NO_PRICE
    for name in ("anchor_ticks", "best_bid_ticks", "best_ask_ticks"):
        exchange["book"][name] = NO_PRICE
    return records(exchange)


def order_rows(found: np.ndarray, grace_ns: int) -> np.ndarray:
    """Return the SUBMIT and CANCEL rows of STAYs, numbered as they stand: one that was filled may rest `grace_ns` longer in a model."""
    begin, end = np.zeros(len(found), EVENT), np.zeros(len(found), EVENT)
    for rows, kind in ((begin, SUBMIT), (end, CANCEL)):
        rows["kind"], rows["order_id"] = kind, np.arange(len(found))
        for name in ("price_ticks", "qty_lots", "side"):
            rows[name] = found[name]
    begin["flags"], end["flags"] = REST | LAST, LAST
    begin["ts_exch_ns"] = found["start_ns"]
    end["ts_exch_ns"] = found["end_ns"] + np.where(found["ended"] == FILLED, grace_ns, 0)
    rows = np.concatenate([end, begin])  # on ties what goes makes room first
    return rows[np.argsort(rows["ts_exch_ns"], kind="stable")]


def taker_rows(found: np.ndarray) -> np.ndarray:
    """Return the SUBMIT rows of TAKERs, numbered as they stand; what they do not take at once is not their matter."""
    rows = np.zeros(len(found), EVENT)
    rows["kind"], rows["order_id"], rows["ts_exch_ns"] = SUBMIT, np.arange(len(found)), found["start_ns"]
    for name in ("price_ticks", "qty_lots", "side"):
        rows[name] = found[name]
    rows["flags"] = LAST | IOC | (found["flags"] & MARKET_ORDER)
    return rows


@kernel
def judge(live: Any, model: Any, cap_lots: Any, grace_ns: Any, figures: Any) -> None:
    """Hold the fills of a model against the live ones, stay by stay, first lot against first lot.

    live, model: PART[...] by which and time; cap_lots: i8 (n,), the most that a stay can fill. Written to figures, f8 (n, 4): lots filled
    live and not in the model, in the model and not live, the others' share of a lot that is wrong for its time (whole from `grace_ns`
    on), and lots x ns by which the model's were late.
    """
    i = 0
    j = 0
    for which in range(cap_lots.shape[0]):
        room = cap_lots[which]
        lived = 0
        modelled = 0
        late_ns = 0
        while True:
            if lived == 0 and i < live.shape[0] and live[i].which == which:
                lived = live[i].lots
                i += 1
            if modelled == 0 and j < model.shape[0] and model[j].which == which:
                modelled = min(model[j].lots, room)
                room -= modelled
                j += 1
                if modelled == 0:
                    continue
            if lived == 0 and modelled == 0:
                break
            if lived == 0:
                figures[which, 1] += modelled
                modelled = 0
            elif modelled == 0:
                figures[which, 0] += lived
                lived = 0
            else:
                lots = min(lived, modelled)
                late_ns = model[j - 1].ts_ns - live[i - 1].ts_ns
                figures[which, 2] += lots * min(abs(late_ns) / grace_ns, 1.0)
                figures[which, 3] += lots * late_ns
                lived -= lots
                modelled -= lots
