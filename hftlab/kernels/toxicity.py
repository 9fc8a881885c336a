"""How much the flow that meets us knows: VPIN of the public prints, and what our own fills have made shortly after."""

from hftlab.kernels import pulls
from hftlab.kernels.jit import kernel
from hftlab.kernels.pricing import ewma_weight
from hftlab.types import FILLS, NO_MARKOUT, VPIN_BUCKETS

# Fewer recent fills than these count as so many, the missing ones with a markout of zero: one bad fill is no evidence.
FILLS_MIN = 5.0
# Without a new fill the mean fades at this spacing.
FADE_NS = 1_000_000_000


@kernel
def on_print(market, row):
    """Fill buckets of equal volume with a print; VPIN is the mean share of a bucket by which one side outweighed the other.

    VPIN = sum |V_buy - V_sell| / (n V) over the last n = 50 buckets of volume V (Easley, Lopez de Prado & O'Hara 2012, "Flow toxicity
    and liquidity in a high-frequency world", Review of Financial Studies 25). They classify volume in bulk, from the price change of a
    bar, for want of a better sign; our prints carry the aggressor's side, which is what they estimate. A print without one is half each.
    """
    bucket = int(market.limits.vpin_bucket_lots)
    if bucket <= 0:
        return
    lots = row.qty_lots
    if lots > (VPIN_BUCKETS + 1) * bucket:  # whole buckets of one side beyond a full ring change nothing
        lots = VPIN_BUCKETS * bucket + lots % bucket
    while lots > 0:
        part = min(lots, bucket - market.vpin_open_lots)
        market.vpin_open_lots += part
        market.vpin_signed_lots += row.side * part
        lots -= part
        if market.vpin_open_lots >= bucket:
            _close_bucket(market, bucket)


@kernel
def _close_bucket(market, bucket):
    place = market.vpin_count % VPIN_BUCKETS
    imbalance = abs(market.vpin_signed_lots)
    market.vpin_sum_lots += imbalance - market.vpin_lots[place]
    market.vpin_lots[place] = imbalance
    market.vpin_count += 1
    market.vpin_open_lots = 0
    market.vpin_signed_lots = 0
    if market.vpin_count >= VPIN_BUCKETS:
        market.vpin = market.vpin_sum_lots / (VPIN_BUCKETS * bucket)


@kernel
def watch_fills(market, now_ns):
    """Mark the fills that are `markout_ns` old, and pull the quotes when their mean has become too bad.

    A markout is what a fill has made since, in basis points of its price: positive is ours. Only a new one can pull: quotes that are
    away earn no fills by which they could be forgiven.
    """
    if market.markout_next == market.fills_count:
        if market.markout_weight > 0.0 and now_ns - market.markout_at_ns >= FADE_NS:
            _fade(market, now_ns)
        return
    if market.fair_ticks != market.fair_ticks:
        return
    market.markout_next = max(market.markout_next, market.fills_count - FILLS)
    while market.markout_next < market.fills_count:
        fill = market.fills[market.markout_next % FILLS]
        if now_ns - fill.recv_ns < market.limits.markout_ns:
            return
        market.markout_next += 1
        _fade(market, now_ns)
        made = fill.side * (market.fair_ticks - fill.price_ticks) / max(abs(fill.price_ticks), 1) * 1e4
        market.markout_sum_bps += made
        market.markout_weight += 1.0
        market.markout_bps = market.markout_sum_bps / max(market.markout_weight, FILLS_MIN)
        if -market.markout_bps > market.limits.markout_loss_bps_max:
            pulls.pull(market, NO_MARKOUT, now_ns)


@kernel
def _fade(market, now_ns):
    if market.markout_at_ns != 0:
        kept = 1.0 - ewma_weight(now_ns - market.markout_at_ns, market.limits.markout_half_life_s)
        market.markout_sum_bps *= kept
        market.markout_weight *= kept
        if market.markout_weight < 1e-6:
            market.markout_sum_bps = 0.0
            market.markout_weight = 0.0
        market.markout_bps = market.markout_sum_bps / max(market.markout_weight, FILLS_MIN)
    market.markout_at_ns = now_ns
