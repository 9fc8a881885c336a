"""The rule of the comparison in hftbacktest 2.4.4. Run by the python of its own environment, which has no hftlab.

`python theirs.py DATA.npz` reads requests, one line of JSON each, from its input and answers each with one line:
{"do": "convert", "raw": FILE}: convert a recording with hftbacktest's own converter into DATA.npz -> rows, first_ns
{"do": "run", "depth": "roi" or "hashmap", "levels": 1, "step": 1}: run the rule -> seconds of the run alone, counts, P&L
the same with "dump": FILE.npz: every order, cancel and fill too

The clock of a backtest starts at the earliest time in the data on either clock, which is the exchange time of the first event.
The strategy then acts 100 ms later and every 100 ms, after everything that happened up to and including that time.

How exact the log is: order.exch_timestamp is set by the exchange model when an order ends and is read before the order is
cleared, so exchange times are exact to the nanosecond; with constant latency the time we learned of it is 5 ms later.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
from hftbacktest import BacktestAsset, HashMapMarketDepthBacktest, ROIVectorMarketDepthBacktest
from hftbacktest.order import BUY, CANCELED, EXPIRED, FILLED, GTX, LIMIT, SELL
from numba import njit

TICK, LOT, QTY = 0.1, 0.001, 0.01
INTERVAL_NS, LATENCY_NS = 100_000_000, 5_000_000
DEPTHS = {"hashmap": HashMapMarketDepthBacktest, "roi": ROIVectorMarketDepthBacktest}
ROI = (40_000.0, 80_000.0)  # all that the day traded at, twice as wide as needed

SENT = np.dtype([("order_id", "i8"), ("sent_ns", "i8"), ("price_ticks", "i8"), ("side", "i1")])
DONE = np.dtype([("order_id", "i8"), ("exch_ns", "i8"), ("price_ticks", "i8"), ("qty", "f8"), ("status", "i1"), ("side", "i1")])
LOG = 200_000


@njit
def rule(hbt, levels, step, log, sent, cancels, done):
    """Run to the end of the data and return (orders, cancels, rows of `done`); docs/benchmarks.md has the rule.

    sent: SENT[n], cancels: SENT[n], done: DONE[n], filled if `log`; an order's id is its number, from 0.
    """
    orders_n, cancels_n, done_n = 0, 0, 0
    have = np.empty((2, levels), np.bool_)
    while hbt.elapse(INTERVAL_NS) == 0:
        if log:
            done_n = note(hbt.orders(0), done, done_n)
        hbt.clear_inactive_orders(0)
        depth, orders, position = hbt.depth(0), hbt.orders(0), hbt.position(0)
        best_bid, best_ask = depth.best_bid_tick, depth.best_ask_tick
        fair = (best_bid + best_ask) / 2.0 - 0.5 * position / QTY
        bid = int(np.floor(min(np.floor(fair - 2.0), best_bid) / step)) * step
        ask = int(np.ceil(max(np.ceil(fair + 2.0), best_ask) / step)) * step
        have[:, :] = False
        bids = levels if position < 0.2 else 0
        asks = levels if position > -0.2 else 0
        values = orders.values()
        while values.has_next():
            order = values.get()
            is_buy = order.side == BUY
            away = bid - order.price_tick if is_buy else order.price_tick - ask
            if away >= 0 and away % step == 0 and away // step < (bids if is_buy else asks):
                have[0 if is_buy else 1, away // step] = True
            elif order.cancellable:
                if log:
                    write(cancels[cancels_n], order.order_id, hbt.current_timestamp, order.price_tick, order.side)
                hbt.cancel(0, order.order_id, False)
                cancels_n += 1
        for level in range(levels):
            if level < bids and not have[0, level]:
                price = bid - level * step
                if log:
                    write(sent[orders_n], orders_n, hbt.current_timestamp, price, BUY)
                hbt.submit_buy_order(0, orders_n, price * TICK, QTY, GTX, LIMIT, False)
                orders_n += 1
        for level in range(levels):
            if level < asks and not have[1, level]:
                price = ask + level * step
                if log:
                    write(sent[orders_n], orders_n, hbt.current_timestamp, price, SELL)
                hbt.submit_sell_order(0, orders_n, price * TICK, QTY, GTX, LIMIT, False)
                orders_n += 1
    if log:
        done_n = note(hbt.orders(0), done, done_n)
    return orders_n, cancels_n, done_n


@njit
def write(row, order_id, now_ns, price_ticks, side):
    row.order_id = order_id
    row.sent_ns = now_ns
    row.price_ticks = price_ticks
    row.side = side


@njit
def note(orders, done, n):
    """Write down every order that has ended since the last look: they are cleared right after it."""
    values = orders.values()
    while values.has_next():
        order = values.get()
        if order.status in (FILLED, CANCELED, EXPIRED):
            filled = order.status == FILLED
            done[n].order_id = order.order_id
            done[n].exch_ns = order.exch_timestamp
            done[n].price_ticks = order.exec_price_tick if filled else order.price_tick
            done[n].qty = order.exec_qty if filled else 0.0
            done[n].status = order.status
            done[n].side = order.side
            n += 1
    return n


def asset(rows):
    """Return the instrument with the models of the comparison."""
    return (
        BacktestAsset()
        .data(rows)
        .linear_asset(1.0)
        .constant_order_latency(LATENCY_NS, LATENCY_NS)
        .power_prob_queue_model(2.0)
        .no_partial_fill_exchange()
        .trading_value_fee_model(-0.00005, 0.0007)
        .tick_size(TICK)
        .lot_size(LOT)
        .roi_lb(ROI[0])
        .roi_ub(ROI[1])
    )


def run(rows, depth, levels, step, dump=None):
    """Run the rule once and return what it gave; only the compiled run is timed."""
    hbt = DEPTHS[depth]([asset(rows)])
    size = LOG if dump else 0
    sent, cancels, done = np.zeros(size, SENT), np.zeros(size, SENT), np.zeros(size, DONE)
    began = time.perf_counter()
    orders_n, cancels_n, done_n = rule(hbt, levels, step, dump is not None, sent, cancels, done)
    seconds = time.perf_counter() - began
    state, book = hbt.state_values(0), hbt.depth(0)
    mid = (book.best_bid + book.best_ask) / 2.0
    result = {
        "seconds": seconds,
        "rows": len(rows),
        "orders": orders_n,
        "cancels": cancels_n,
        "fills": int(state.num_trades),
        "position": float(state.position),
        "pnl": float(state.balance + state.position * mid - state.fee),
        "fee": float(state.fee),
        "mid_ticks": float(mid / TICK),
    }
    hbt.close()
    if dump is not None:
        np.savez_compressed(dump, sent=sent[:orders_n], cancels=cancels[:cancels_n], done=done[:done_n], latency_ns=LATENCY_NS)
    return result


def convert(raw, path):
    """Convert a recording with hftbacktest's converter, which also corrects the clock. Returns facts about the rows."""
    from hftbacktest.data.utils import binancefutures

    binancefutures.convert(str(raw), output_filename=str(path), buffer_size=4_000_000)


def facts(rows):
    """Return the number of rows and the time at which hftbacktest's clock starts."""
    exchange, local = (rows["ev"] & (1 << 31)) != 0, (rows["ev"] & (1 << 30)) != 0
    first_exch, first_local = int(rows["exch_ts"][exchange][0]), int(rows["local_ts"][local][0])
    return {"rows": len(rows), "start_ns": min(first_exch, first_local), "first_exch_ns": first_exch, "first_local_ns": first_local}


def main():
    """Answer requests until the input ends."""
    # hftbacktest prints, from Python and from Rust; the answers alone go where the asker reads.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    path = Path(sys.argv[1])
    rows = None
    for line in sys.stdin:
        request = json.loads(line)
        do = request.pop("do")
        if do == "convert":
            if not path.is_file():
                convert(request["raw"], path)
            rows = np.load(path)["data"]
            answer = facts(rows)
        else:
            rows = np.load(path)["data"] if rows is None else rows
            answer = run(rows, **request)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
