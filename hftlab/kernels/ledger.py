"""Money and position, in integers.

A lot is worth `value(price)` units of money: the price in ticks for spot and linear contracts, minus a scaled reciprocal of it
for inverse ones, rounded once. Everything else is sums of lots x value, so accounts close to the last unit. Cash is minus what was
bought plus what was sold; a fee in hundredths of a basis point is an exact number of millionths of a unit, a funding rate in 1e-8
an exact number of hundred-millionths. P&L = cash + position x value(fair) - fees - funding.
"""

from hftlab.kernels.jit import kernel
from hftlab.types import FILLS

MILLION = 1_000_000
E8 = 100_000_000


@kernel
def value(spec, price_ticks):
    """Return what a lot is worth at a price, in whole units of money."""
    if spec.inverse_scale == 0:
        return price_ticks
    return -((2 * spec.inverse_scale + price_ticks) // (2 * price_ticks)) if price_ticks > 0 else 0


@kernel
def value_between(spec, price_ticks):
    """Return what a lot is worth at a price that may lie between ticks, as a float."""
    return price_ticks * 1.0 if spec.inverse_scale == 0 else -spec.inverse_scale / price_ticks


@kernel
def apply_fill(market, event, maker, now_ns):
    """Book one fill of ours (side, price_ticks, qty_lots of `event`) and remember it with the fair price of its time."""
    side = event.side
    lots = event.qty_lots
    signed = side * lots
    worth = value(market.spec, event.price_ticks)
    _enter(market, signed, worth)
    market.position_lots += signed
    market.cash_ticklots -= signed * worth
    row = market.fills[market.fills_count % FILLS]
    _fee(market, abs(worth) * lots, maker, row)
    if side > 0:
        market.bought_lots += lots
    else:
        market.sold_lots += lots
    row.ts_ns = event.ts_exch_ns
    row.recv_ns = now_ns
    row.price_ticks = event.price_ticks
    row.qty_lots = lots
    row.order_id = event.order_id
    row.position_lots = market.position_lots
    row.fair_ticks = market.fair_ticks
    row.side = side
    row.maker = 1 if maker else 0
    market.fills_count += 1
    mark(market)


@kernel
def _enter(market, signed, worth):
    """Keep the cost of the open position: average cost leaves in proportion, what turns the position over enters anew."""
    position = market.position_lots
    if position == 0 or (position > 0) == (signed > 0):
        market.entry_ticklots += signed * worth
        return
    closed = min(abs(signed), abs(position))
    # Split before multiplying: cost x lots of a large position would pass 2**63.
    average = market.entry_ticklots // abs(position)
    rest = market.entry_ticklots - average * abs(position)
    market.entry_ticklots -= average * closed + rest * closed // abs(position)
    if closed == abs(position):
        market.entry_ticklots = (position + signed) * worth


@kernel
def _fee(market, notional_ticklots, maker, row):
    """Charge the fee of a fill by the step of the schedule reached before it; split first, or a large fill would pass 2**63."""
    centibps = market.spec.maker_centibps if maker else market.spec.taker_centibps
    part = (notional_ticklots % MILLION) * centibps
    row.fee_ticklots = notional_ticklots // MILLION * centibps + part // MILLION
    row.fee_uticklots = part % MILLION
    rest = market.fees_uticklots + row.fee_uticklots
    market.fees_ticklots += row.fee_ticklots + rest // MILLION
    market.fees_uticklots = rest % MILLION
    market.traded_ticklots += notional_ticklots
    for step in range(market.spec.tiers):
        if market.traded_ticklots >= market.spec.tier_from_ticklots[step]:
            market.spec.maker_centibps = market.spec.tier_maker_centibps[step]
            market.spec.taker_centibps = market.spec.tier_taker_centibps[step]


@kernel
def pay(market, ticklots, e8ticklots):
    """Book a payment outside of fills; what we pay is positive."""
    rest = market.funding_e8ticklots + e8ticklots
    market.funding_ticklots += ticklots + rest // E8
    market.funding_e8ticklots = rest % E8
    mark(market)


@kernel
def mark(market):
    """Mark the market to the last fair price; before the first book to cost, which is the best there is."""
    held = market.entry_ticklots * 1.0
    if market.mark_ticks == market.mark_ticks:
        held = market.position_lots * value_between(market.spec, market.mark_ticks)
    paid = market.fees_ticklots + market.fees_uticklots * 1e-6 + market.funding_ticklots + market.funding_e8ticklots * 1e-8
    market.pnl_quote = (market.cash_ticklots + held - paid) * market.spec.ticklot_quote
