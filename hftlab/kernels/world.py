"""Making a world, and our side of it: our requests reach the same book, and our trades move the same beliefs."""

import numpy as np

from hftlab.errors import UnknownName, did_you_mean
from hftlab.kernels.flow import advance, draw_next, step_clock
from hftlab.kernels.flow_price import on_trade
from hftlab.kernels.flow_types import FLOW_DEFAULTS, WORLD
from hftlab.kernels.jit import kernel
from hftlab.kernels.lob import amend, cancel, submit
from hftlab.kernels.lob_types import LEVEL_MASK, lob_reset
from hftlab.kernels.rng import rng_seed
from hftlab.types import AMEND, ASK, BID, CLEAR, DEPTH, EVENT, LAST, NO_PRICE, SNAPSHOT, STP_CANCEL_TAKER, SUBMIT

OUT_ROWS = 1 << 17  # always enough for one engine event: see rows_worst() for LOB_ORDERS
SCRATCH_ROWS = 1 << 15
WARM_UP_NS = 20_000_000_000  # of flow before the market opens, so that the book has its shape


@kernel
def _taken(lob):
    """Return the rows written and forget where in `out` they lie: the state must not depend on how it was called."""
    rows = lob.cursor
    lob.cursor = 0
    lob.first = 0
    lob.market_first = 0
    return rows


@kernel
def advance_world(worlds, out, until_ns):
    """Run `worlds[0]` up to and including `until_ns` into `out`. Returns the rows written.

    When `out` got full first, `flow.next_ns` is still at or before `until_ns`: empty it and make the same call again.
    """
    world = worlds[0]
    advance(world, out, until_ns)
    return _taken(world.lob)


@kernel
def request_world(worlds, out, requests, i, now_ns, owner):
    """Bring request row `requests[i]` (SUBMIT, AMEND, CANCEL) of `owner` to the book at `now_ns`. Returns the rows written."""
    world = worlds[0]
    lob = world.lob
    row = requests[i]
    before = lob.traded_lots
    if row.kind == SUBMIT:
        submit(lob, out, now_ns, owner, row.order_id, np.int64(row.side), row.price_ticks, row.qty_lots, np.int64(row["flags"]))
    elif row.kind == AMEND:
        amend(lob, out, now_ns, owner, row.order_id, row.price_ticks, row.qty_lots)
    else:
        cancel(lob, out, now_ns, owner, row.order_id)
    # the public sees a print, whoever made it
    if lob.traded_lots > before:
        on_trade(world, lob.taker_side, lob.traded_lots - before)
    return _taken(lob)


@kernel
def snapshot_world(worlds, out, now_ns, recv_ns):
    """Write the book as CLEAR and DEPTH rows, bids from the best down, then asks from the best up. Returns the rows."""
    lob = worlds[0].lob
    rows = 0
    for side in (0, BID, ASK):
        price = NO_PRICE if side == 0 else (lob.best_bid_ticks if side == BID else lob.best_ask_ticks)
        left = 1 if side == 0 else (lob.bid_orders if side == BID else lob.ask_orders)
        while left > 0:
            row = out[rows]
            row.ts_exch_ns = now_ns
            row.ts_recv_ns = recv_ns
            row.kind = CLEAR if side == 0 else DEPTH
            row.side = side
            row.price_ticks = price
            row.qty_lots = 0 if side == 0 else lob.levels[price & LEVEL_MASK].lots
            row.leaves_lots = 0
            row.order_id = 0
            row.seq = lob.seq
            row.flags = SNAPSHOT
            row.instrument = lob.instrument
            if side == 0:
                break
            slot = lob.levels[price & LEVEL_MASK].head
            while slot >= 0:
                left -= 1
                slot = lob.orders[slot].next
            price -= side
            while left > 0 and lob.levels[price & LEVEL_MASK].head < 0:
                price -= side
            rows += 1
        if side == 0:
            rows += 1
    out[rows - 1].flags = SNAPSHOT | LAST
    return rows


@kernel
def _open(worlds, start_ns):
    """Start flow and clocks at `start_ns`."""
    flow = worlds[0].flow
    flow.now_ns = start_ns
    flow.excite_ns = start_ns
    step_clock(worlds[0], start_ns)
    draw_next(worlds[0])


@kernel
def _redraw(worlds):
    """Draw the next candidate anew, after a change of parameters. Without memory, so nothing is lost."""
    draw_next(worlds[0])


def world_new(
    *,
    seed: int,
    start_ns: int,
    price_ticks: int,
    amend_rule: int = 0,
    stp_mode: int = STP_CANCEL_TAKER,
    response_ns: int = 0,
    instrument_index: int = 0,
    **options: float,
) -> np.ndarray:
    """Return a world (WORLD, shape (1,)) at `start_ns`, with a full book round `price_ticks`.

    `options` are names of FLOW_DEFAULTS. Raises UnknownName for another name.
    """
    for name in options:
        if name not in FLOW_DEFAULTS:
            raise UnknownName(f"no flow option {name!r}.{did_you_mean(name, FLOW_DEFAULTS)}")
    world = np.zeros(1, WORLD)
    lob, flow, params = world["lob"], world["flow"], world["params"]
    lob_reset(lob)
    for name, value in (FLOW_DEFAULTS | options).items():
        params[name] = value
    lob["stp_mode"], lob["amend_rule"], lob["response_ns"], lob["instrument"] = stp_mode, amend_rule, response_ns, instrument_index
    flow["rng"] = rng_seed(seed)
    flow["efficient_ticks"] = price_ticks + 0.5
    # it opens at its mean activity, so that the first minutes of any seed are worth watching
    flow["log_activity"] = params["activity_sd"] ** 2 / 2
    # while the book fills, nothing moves the efficient price
    params["informed"] = params["news_per_s"] = 0.0
    # a recarray view lets the same lines run when the kernels are plain Python
    view, scratch = world.view(np.recarray), np.zeros(SCRATCH_ROWS, EVENT).view(np.recarray)
    _open(view, start_ns - WARM_UP_NS)
    while flow["next_ns"][0] <= start_ns:
        advance_world(view, scratch, start_ns)
    for name in ("informed", "news_per_s"):
        params[name] = (FLOW_DEFAULTS | options)[name]
    flow["now_ns"] = start_ns
    lob["seq"] = 0
    _redraw(view)
    return world
