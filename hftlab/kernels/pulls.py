"""What takes the quotes of a market away for a while: a slow line, a wild price, a sweep, toxic flow.

A pull lasts `pull_ns` beyond its last cause, so that quotes do not flutter about a threshold. A measure at its limit passes.
"""

import math

from hftlab.kernels.jit import kernel
from hftlab.types import (
    NO_LATENCY,
    NO_SWEEP,
    NO_TOXIC,
    NO_VOLATILITY,
    ORDERS,
    PENDING_AMEND,
    PENDING_CANCEL,
    PENDING_NEW,
)


@kernel
def pull(market, verdict, now_ns):
    """Take the quotes of a market away; of several reasons the first in the order of the checks is the one that is told."""
    if now_ns >= market.pulled_until_ns:
        market.pulls += 1
        market.pull_verdict = verdict
    market.pull_verdict = min(market.pull_verdict, verdict)
    market.pulled_until_ns = max(market.pulled_until_ns, now_ns + int(market.limits.pull_ns))


@kernel
def watch(market, now_ns):
    """Hold what the market itself shows against its limits: the feed's delay, the volatility, the toxicity of the flow."""
    limits = market.limits
    if market.feed_ns > limits.latency_ns_max:
        pull(market, NO_LATENCY, now_ns)
    if limits.volatility_bps_max < math.inf and sigma_bps(market) > limits.volatility_bps_max:
        pull(market, NO_VOLATILITY, now_ns)
    if market.vpin > limits.vpin_max:
        pull(market, NO_TOXIC, now_ns)


@kernel
def sigma_bps(market):
    """Return the volatility [bps per square root of a second] at the last fair price, NaN before there is one."""
    if market.mark_ticks != market.mark_ticks or market.mark_ticks == 0.0:
        return math.nan
    return math.sqrt(market.variance_ticks2_per_s) / abs(market.mark_ticks) * 1e4


@kernel
def answered(market, sent_ns, now_ns):
    """Take note of the answer to a request of ours: how long it took, from our sending to our hearing of it."""
    market.trip_ns = now_ns - sent_ns
    if market.trip_ns > market.limits.latency_ns_max:
        pull(market, NO_LATENCY, now_ns)


@kernel
def overdue(market, now_ns):
    """Look for a request that has waited for its answer longer than the limit. An order of unknown fate is no measure of a delay."""
    if market.limits.latency_ns_max == math.inf or market.working == 0:
        return
    left = market.working
    for slot in range(ORDERS):
        if left == 0:
            return
        order = market.orders[slot]
        left -= order.status != 0
        waits = order.status == PENDING_NEW or order.status == PENDING_AMEND or order.status == PENDING_CANCEL
        if waits and now_ns - order.sent_ns > market.limits.latency_ns_max:
            pull(market, NO_LATENCY, now_ns)
            return


@kernel
def on_print(market, row, now_ns):
    """Follow a run of prints of one side, each beyond the last: a sweep, by the prices that it ate or by how far it moved.

    A run begins anew with a print of the other side, or `sweep_ns` after its first one. The allowance of `sweep_sigmas_max` is that
    many standard deviations of the fair price over `sweep_ns`.
    """
    limits = market.limits
    if limits.sweep_levels_max == math.inf and limits.sweep_sigmas_max == math.inf:
        return
    if row.side != market.sweep_side or row.ts_exch_ns - market.sweep_from_ns > limits.sweep_ns:
        market.sweep_side = row.side
        market.sweep_from_ns = row.ts_exch_ns
        market.sweep_from_ticks = row.price_ticks
        market.sweep_ticks = row.price_ticks
        market.sweep_levels = 1
    elif (row.price_ticks - market.sweep_ticks) * row.side > 0:
        market.sweep_ticks = row.price_ticks
        market.sweep_levels += 1
    if market.sweep_levels > limits.sweep_levels_max:
        pull(market, NO_SWEEP, now_ns)
    elif limits.sweep_sigmas_max < math.inf and market.variance_weight > 0.0:
        sigma_ticks = math.sqrt(market.variance_ticks2_per_s * limits.sweep_ns * 1e-9)
        if abs(market.sweep_ticks - market.sweep_from_ticks) > limits.sweep_sigmas_max * sigma_ticks:
            pull(market, NO_SWEEP, now_ns)
