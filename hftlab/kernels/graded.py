"""The answer to a limit that comes near, in steps: full, wider, only what reduces the position. The last step, HALTED, is `checks.watch`.

A grade is left when the largest share has fallen below `recover_frac` times the threshold that led to it: it does not flutter about
one. The desk has a grade (losses, drawdown), each market another (position, volatility, toxicity); the worse of the two holds.
"""

import math

import numpy as np

from hftlab.kernels import pulls
from hftlab.kernels.jit import kernel
from hftlab.types import (
    ACTIVE,
    CHANGES,
    GRADE_FULL,
    GRADE_REDUCE,
    GRADE_WIDEN,
    HALTED,
    NO_DAILY_LOSS,
    NO_DRAWDOWN,
    NO_MARKOUT,
    NO_POSITION,
    NO_TOXIC,
    NO_VOLATILITY,
    OK,
    PAUSED,
    REDUCING,
    STATE,
    TAKING,
    WIDEN,
)

# Sizes shrink in steps: a size that followed every flicker of the volatility would send an amend with each.
SIZE_STEPS = 8


@kernel
def share_of(amount, limit):
    """Return how much of a limit is used, 1 at the limit; nothing is used by what is not lost, and a limit of zero is used up at once."""
    if not amount > 0.0 or limit == math.inf:
        return 0.0
    return amount / limit if limit > 0.0 else math.inf


@kernel
def next_grade(grade, share, limits):
    """Return the grade after `grade` for the largest share: up as soon as a threshold is passed, down below `recover_frac` of it."""
    if share > limits.reduce_at_frac:
        return GRADE_REDUCE
    if share > limits.widen_at_frac and grade < GRADE_WIDEN:
        return GRADE_WIDEN
    if grade == GRADE_REDUCE and share >= limits.recover_frac * limits.reduce_at_frac:
        return GRADE_REDUCE
    if grade >= GRADE_WIDEN and share >= limits.recover_frac * limits.widen_at_frac:
        return GRADE_WIDEN
    return GRADE_FULL


@kernel
def regrade(desk, market):
    """Bring the grades of the desk and of a market up to date. Returns whether that of the desk, and that of the market, is another."""
    desk_before = desk.grade
    market_before = market.grade
    limits = desk.limits
    if limits.widen_at_frac < math.inf or limits.reduce_at_frac < math.inf or desk.grade != GRADE_FULL:
        _grade_desk(desk)
    limits = market.limits
    if limits.widen_at_frac < math.inf or limits.reduce_at_frac < math.inf or market.grade != GRADE_FULL:
        _grade_market(market)
    return desk.grade != desk_before, market.grade != market_before


@kernel
def _grade_desk(desk):
    limits = desk.limits
    loss = desk.day_open_pnl_quote - desk.pnl_quote
    share = share_of(loss, limits.loss_quote_max)
    if limits.loss_frac_max < math.inf:
        share = max(share, share_of(loss, limits.loss_frac_max * (limits.capital_quote + desk.day_open_pnl_quote)))
    fallen = share_of(desk.drawdown_quote, limits.drawdown_frac_max * (limits.capital_quote + max(desk.peak_pnl_quote, 0.0)))
    desk.grade_verdict = NO_DRAWDOWN if fallen > share else NO_DAILY_LOSS
    desk.grade_share = max(share, fallen)
    desk.grade = next_grade(desk.grade, desk.grade_share, limits)


@kernel
def _grade_market(market):
    limits = market.limits
    best = share_of(abs(market.position_lots) * 1.0, limits.position_lots_max)
    verdict = NO_POSITION
    if limits.volatility_bps_max < math.inf:
        share = share_of(pulls.sigma_bps(market), limits.volatility_bps_max)
        if share > best:
            best = share
            verdict = NO_VOLATILITY
    share = share_of(market.vpin, limits.vpin_max)
    if share > best:
        best = share
        verdict = NO_TOXIC
    share = share_of(-market.markout_bps, limits.markout_loss_bps_max)
    if share > best:
        best = share
        verdict = NO_MARKOUT
    market.grade_verdict = verdict
    market.grade_share = best
    market.grade = next_grade(market.grade, best, limits)


@kernel
def reducing(desk, market):
    """Return whether a market may only be quoted towards a position of zero."""
    return desk.grade == GRADE_REDUCE or market.grade == GRADE_REDUCE


@kernel
def temper(desk, market, wish):
    """Make a quote, whoever wished it, as wide and as small as the state of things asks for. Orders that take are not made wider.

    Wider: half the distance between bid and ask grows by `widen_factor` around their middle; a quote of one side moves away from the
    fair price by that factor. Smaller: above `size_volatility_bps` the size falls as the volatility rises, in eighths of what is wished.
    """
    limits = market.limits
    if limits.size_volatility_bps < math.inf:
        _shrink(market, wish)
    # A market that may only reduce is not made wider: its orders are the way out.
    if max(desk.grade, market.grade) != GRADE_WIDEN or wish["flags"] & TAKING != 0:
        return
    factor = limits.widen_factor
    if wish.bid_lots > 0 and wish.ask_lots > 0:
        middle = (wish.bid_ticks + wish.ask_ticks) / 2.0
        half = (wish.ask_ticks - wish.bid_ticks) / 2.0 * factor
        wish.half_spread_ticks = half
        wish.bid_ticks = math.floor(middle - half)
        wish.ask_ticks = math.ceil(middle + half)
    elif wish.bid_lots > 0:
        wish.bid_ticks -= math.ceil(max(wish.fair_ticks - wish.bid_ticks, 0.0) * (factor - 1.0))
    elif wish.ask_lots > 0:
        wish.ask_ticks += math.ceil(max(wish.ask_ticks - wish.fair_ticks, 0.0) * (factor - 1.0))


@kernel
def _shrink(market, wish):
    sigma = pulls.sigma_bps(market)
    if not sigma > market.limits.size_volatility_bps:
        return
    eighths = max(int(SIZE_STEPS * market.limits.size_volatility_bps / sigma), 1)
    if wish.bid_lots > 0:
        wish.bid_lots = max(wish.bid_lots * eighths // SIZE_STEPS, 1)
    if wish.ask_lots > 0:
        wish.ask_lots = max(wish.ask_lots * eighths // SIZE_STEPS, 1)


# --- telling -----------------------------------------------------------------------------------------------------------------


@kernel
def shown(state, grade):
    """Return the state that people read: the grade shows where nobody has commanded otherwise."""
    if state != ACTIVE or grade == GRADE_FULL:
        return state
    return WIDEN if grade == GRADE_WIDEN else REDUCING


@kernel
def tell(desk, market, i, out):
    """Write a STATE row for the desk, and for market `i`, when it is in another state than the last one told."""
    state = shown(desk.state, desk.grade)
    if state != desk.told_state:
        graded = state == WIDEN or state == REDUCING
        verdict = desk.halt_verdict if state == HALTED else (desk.grade_verdict if graded else OK)
        _write(desk, out, -1, desk.told_state, state, verdict, desk.grade_share if graded else 0.0)
        desk.told_state = state
    state = shown(PAUSED if market.inactive != 0 else ACTIVE, market.grade)
    if state != market.told_state:
        graded = state == WIDEN or state == REDUCING
        _write(desk, out, i, market.told_state, state, market.grade_verdict if graded else OK, market.grade_share if graded else 0.0)
        market.told_state = state


@kernel
def _write(desk, out, market, before, after, verdict, share):
    change = desk.changes[desk.changes_count % CHANGES]
    change.ts_ns = desk.now_ns
    change.market = market
    change.before = before
    change.after = after
    change.verdict = verdict
    change.share = share
    desk.changes_count += 1
    out[0].seq += 1
    row = out[out[0].seq]
    row.ts_exch_ns = 0
    row.ts_recv_ns = desk.now_ns
    row.price_ticks = np.float64(share).view(np.int64)
    row.qty_lots = after
    row.leaves_lots = before
    row.order_id = verdict
    row.seq = 1 if market < 0 else 0
    row.kind = STATE
    row.side = 0
    row["flags"] = 0
    row.instrument = max(market, 0)
