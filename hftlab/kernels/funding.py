"""Funding at the simulated exchange: what a perpetual pays at its hour."""

from hftlab.kernels import ledger
from hftlab.kernels.flight import report
from hftlab.kernels.jit import kernel
from hftlab.types import NO_PRICE, PAYMENT


@kernel
def on_funding(desk, exchange, spec, row):
    """Let the venue book a funding payment on our position: longs pay shorts when the rate is positive."""
    price = row.price_ticks
    if price == NO_PRICE:
        price = (exchange.book.best_bid_ticks + exchange.book.best_ask_ticks) // 2
    if exchange.position_lots == 0 or price == NO_PRICE:
        return
    worth = exchange.position_lots * abs(ledger.value(spec, price))
    part = (worth % ledger.E8) * row.qty_lots
    ticklots = worth // ledger.E8 * row.qty_lots + part // ledger.E8
    report(desk, exchange, PAYMENT, 0, 0, price, ticklots, part % ledger.E8, 0, row.instrument)
