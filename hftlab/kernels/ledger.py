"""Money and position, in integers.

Cash is minus what was bought plus what was sold, in ticklots; fees are in millionths of a ticklot, because a fee in
hundredths of a basis point of an integer notional is an exact integer there. P&L = cash + position x fair - fees.
"""

from hftlab.kernels.jit import kernel
from hftlab.types import FILLS


@kernel
def apply_fill(market, event, maker, now_ns):
    """Book one fill of ours (side, price_ticks, qty_lots of `event`) and remember it with the fair price of its time."""
    side = event.side
    lots = event.qty_lots
    signed = side * lots
    position = market.position_lots
    notional = event.price_ticks * lots
    if position == 0 or (position > 0) == (signed > 0):
        market.entry_ticklots += signed * event.price_ticks
    else:
        closed = min(lots, abs(position))
        # Average cost leaves in proportion to what is closed; what is left over opens the other side at this price.
        # Split before multiplying: cost x lots of a large position would pass 2**63.
        average = market.entry_ticklots // abs(position)
        rest = market.entry_ticklots - average * abs(position)
        market.entry_ticklots -= average * closed + rest * closed // abs(position)
        if closed == abs(position):
            market.entry_ticklots = side * (lots - closed) * event.price_ticks
    market.position_lots = position + signed
    market.cash_ticklots -= signed * event.price_ticks
    fee = abs(notional) * (market.spec.maker_centibps if maker else market.spec.taker_centibps)
    market.fees_uticklots += fee
    if side > 0:
        market.bought_lots += lots
    else:
        market.sold_lots += lots
    row = market.fills[market.fills_count % FILLS]
    row.ts_ns = event.ts_exch_ns
    row.recv_ns = now_ns
    row.price_ticks = event.price_ticks
    row.qty_lots = lots
    row.order_id = event.order_id
    row.position_lots = market.position_lots
    row.fee_uticklots = fee
    row.fair_ticks = market.fair_ticks
    row.side = side
    row.maker = 1 if maker else 0
    market.fills_count += 1
    mark(market)


@kernel
def mark(market):
    """Mark the market to the last fair price; before the first book to cost, which is the best there is."""
    value = market.entry_ticklots * 1.0 if market.mark_ticks != market.mark_ticks else market.position_lots * market.mark_ticks
    market.pnl_quote = (market.cash_ticklots + value - market.fees_uticklots * 1e-6) * market.spec.ticklot_quote
