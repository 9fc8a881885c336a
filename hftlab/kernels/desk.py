"""What belongs to the desk as a whole: commands, bars, samples, and the rows written for reports."""

import numpy as np

from hftlab.kernels import ledger
from hftlab.kernels.jit import kernel
from hftlab.types import (
    ACTIVATE,
    ACTIVE,
    ASK,
    BARS,
    BID,
    DEACTIVATE,
    FEE,
    FILL,
    FILLS,
    FLATTEN,
    HALT,
    HALTED,
    LEVELS_MAX,
    LIMIT_NAMES,
    LIVE,
    NO_HALTED,
    NO_PRICE,
    OK,
    PARAM_NAMES,
    PAUSE,
    PAUSED,
    RESUME,
    SAMPLE,
    SAMPLES,
    SET_LIMITS,
    SET_PARAMS,
    SET_TARGET,
    STOP,
    STOPPED,
)

_PARAMS = len(PARAM_NAMES)
_LIMITS = len(LIMIT_NAMES)


@kernel
def command(desk, markets, row):
    """Apply one command row. A stopped desk stays stopped; a halted one listens only to RESUME, STOP, FLATTEN and settings."""
    desk.commands += 1
    market = markets[row.instrument]
    kind = row.kind
    if kind == SET_PARAMS and 0 <= row.order_id < _PARAMS:
        market.params.values[row.order_id] = np.int64(row.price_ticks).view(np.float64)
    elif kind == SET_LIMITS and 0 <= row.order_id < _LIMITS:
        value = np.int64(row.price_ticks).view(np.float64)
        market.limits.values[row.order_id] = value
        if row.instrument == 0:
            desk.limits.values[row.order_id] = value
    elif kind == ACTIVATE or kind == DEACTIVATE:
        market.inactive = 1 if kind == DEACTIVATE else 0
    elif kind == SET_TARGET:
        market.has_target = abs(row.side)
        market.target_lots = row.qty_lots
    elif kind == HALT:
        desk.flattening = 0
        if desk.state != HALTED and desk.state != STOPPED:
            desk.state = HALTED
            desk.halt_verdict = NO_HALTED
            desk.verdicts[NO_HALTED] += 1
    elif kind == STOP:
        desk.flattening = 0
        desk.state = STOPPED
    elif kind == RESUME and desk.state != STOPPED:
        desk.state = ACTIVE
        desk.halt_verdict = OK
        desk.flattening = 0
    elif kind == PAUSE and desk.state == ACTIVE:
        desk.state = PAUSED
    elif kind == FLATTEN and desk.state != STOPPED:
        desk.flattening = 1
        if desk.state == ACTIVE:
            desk.state = PAUSED


@kernel
def is_dust(market):
    """Return whether a position is none, or too small for the venue to take an order for it."""
    if market.position_lots == 0:
        return True
    if market.mark_ticks != market.mark_ticks:
        return False
    return abs(market.position_lots * ledger.value_between(market.spec, market.mark_ticks)) < market.spec.notional_ticklots_min


@kernel
def end_flattening(desk, markets):
    """End FLATTEN once nothing rests and every position is zero, or smaller than the venue's least order: dust stays."""
    for i in range(markets.shape[0]):
        if markets[i].working > 0 or not is_dust(markets[i]):
            return
    desk.flattening = 0


@kernel
def close_bars(desk, markets):
    """Close the open bars when a TIMER has passed the end of their interval."""
    if desk.bar_ns <= 0 or desk.now_ns < desk.next_bar_ns:
        return
    if desk.next_bar_ns != 0:
        for i in range(markets.shape[0]):
            bar = markets[i].bar_open
            if bar.open_ticks == 0.0:
                continue
            row = markets[i].bars[markets[i].bars_count % BARS]
            row.ts_ns = desk.next_bar_ns
            row.open_ticks = bar.open_ticks
            row.high_ticks = bar.high_ticks
            row.low_ticks = bar.low_ticks
            row.close_ticks = bar.close_ticks
            row.traded_lots = bar.traded_lots
            markets[i].bars_count += 1
            bar.open_ticks = bar.close_ticks
            bar.high_ticks = bar.close_ticks
            bar.low_ticks = bar.close_ticks
            bar.traded_lots = 0.0
    desk.next_bar_ns = (desk.now_ns // desk.bar_ns + 1) * desk.bar_ns


@kernel
def best_working_ticks(market, side):
    """Return the price of our best live order of a side, or NO_PRICE."""
    best = NO_PRICE
    first = 0 if side == BID else LEVELS_MAX
    for key in range(first, first + LEVELS_MAX):
        slot = market.slots[key] - 1
        if slot >= 0 and market.orders[slot].live_ns > 0:
            price = market.orders[slot].price_ticks
            if best == NO_PRICE or (price - best) * side > 0:
                best = price
    return best


@kernel
def quoting_time(desk, market):
    """Count the time in which both sides were live at their first level."""
    bid = market.slots[0] - 1
    ask = market.slots[LEVELS_MAX] - 1
    both = bid >= 0 and ask >= 0 and market.orders[bid].status >= LIVE and market.orders[ask].status >= LIVE
    if market.quoted_from_ns != 0:
        market.quoted_ns += desk.now_ns - market.quoted_from_ns
    market.quoted_from_ns = desk.now_ns if both else 0


@kernel
def sample(desk, markets, out):
    """Write one sample of every market into its ring and into `out`, and set when the next is due."""
    if desk.sample_ns <= 0:
        return
    desk.next_sample_ns = (desk.now_ns // desk.sample_ns + 1) * desk.sample_ns
    for i in range(markets.shape[0]):
        market = markets[i]
        if market.fair_ticks != market.fair_ticks:
            continue
        row = market.samples[market.samples_count % SAMPLES]
        row.ts_ns = desk.now_ns
        row.fair_ticks = market.fair_ticks
        row.best_bid_ticks = market.book.best_bid_ticks
        row.best_ask_ticks = market.book.best_ask_ticks
        row.bid_ticks = best_working_ticks(market, BID)
        row.ask_ticks = best_working_ticks(market, ASK)
        row.position_lots = market.position_lots
        row.pnl_quote = market.pnl_quote
        market.samples_count += 1
        out[0].seq += 1
        written = out[out[0].seq]
        written.ts_exch_ns = market.last_exch_ns
        written.ts_recv_ns = desk.now_ns
        written.price_ticks = np.float64(market.fair_ticks).view(np.int64)
        written.qty_lots = market.position_lots
        written.leaves_lots = np.float64(market.pnl_quote).view(np.int64)
        written.order_id = row.bid_ticks
        written.seq = row.ask_ticks
        written.kind = SAMPLE
        written.side = 0
        written["flags"] = 0
        written.instrument = i


@kernel
def write_fill(market, event, now_ns, out):
    """Write a fill of ours into `out`, `seq` with the bits of the fair price of its time, and after it what it cost."""
    out[0].seq += 1
    row = out[out[0].seq]
    row.ts_exch_ns = event.ts_exch_ns
    row.ts_recv_ns = now_ns
    row.price_ticks = event.price_ticks
    row.qty_lots = event.qty_lots
    row.leaves_lots = event.leaves_lots
    row.order_id = event.order_id
    row.seq = np.float64(market.fair_ticks).view(np.int64)
    row.kind = FILL
    row.side = event.side
    row["flags"] = event["flags"]
    row.instrument = event.instrument
    booked = market.fills[(market.fills_count - 1) % FILLS]
    out[0].seq += 1
    row = out[out[0].seq]
    row.ts_exch_ns = event.ts_exch_ns
    row.ts_recv_ns = now_ns
    row.price_ticks = booked.fee_ticklots
    row.qty_lots = booked.fee_uticklots
    row.leaves_lots = market.position_lots
    row.order_id = event.order_id
    row.seq = 0
    row.kind = FEE
    row.side = event.side
    row["flags"] = 0
    row.instrument = event.instrument
