"""Probe orders through a modelled exchange without a desk: what a queue model says of orders whose truth is known."""

from hftlab.kernels import flight, match, requests
from hftlab.kernels.jit import kernel
from hftlab.types import CANCEL, FILL, SUBMIT, TIMER


@kernel
def replay(desk, exchanges, specs, rows, out, ahead_lots, filled_ns):
    """Run market rows, our SUBMIT and CANCEL rows, and looks (TIMER rows) through `exchanges[0]`, each acting when it comes.

    rows: EVENT[n]; order ids count from 1; a look names its order and, in `seq`, which look it is. Written: ahead_lots f8 (orders,
    looks), lots in front of an order that rests, left alone otherwise; filled_ns i8 (orders,), left alone where nothing filled.
    out: EVENT[k], scratch for what the exchange writes down.
    """
    exchange = exchanges[0]
    for i in range(rows.shape[0]):
        row = rows[i]
        if row.kind == TIMER:
            for slot in range(exchange.resting_count):
                if exchange.resting[slot].order_id == row.order_id:
                    ahead_lots[row.order_id - 1, row.seq] = max(exchange.resting[slot].ahead_lots, 0.0)
        elif row.kind == SUBMIT or row.kind == CANCEL:
            requests.on_request(desk[0], exchange, specs[0], row, out)
        else:
            match.on_row(desk[0], exchange, specs[0], row, out)
        out[0].seq = 0
        while exchange.report_count > 0:
            report = flight.pop_report(exchange)
            if report.kind == FILL and filled_ns[report.order_id - 1] == 0:
                filled_ns[report.order_id - 1] = report.ts_exch_ns
