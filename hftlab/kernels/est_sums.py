"""Inner loops of the estimators over what `est_walk` has taken from the rows."""

import math

from hftlab.kernels import toxicity
from hftlab.kernels.jit import kernel
from hftlab.kernels.pricing import ewma_variance_per_s, ewma_weight
from hftlab.types import VPIN_BUCKETS


@kernel
def ewma_path(moves, dt_ns, half_life_s, weights):
    """Return the variance per second [P^2/s] after moves (f8, P) over dt_ns (i8), as the desk's own estimator has it.

    `weights` (f8, as many) becomes the weight of each observation move^2/dt in it, summing to 1: the plain mean while it is young.
    """
    total = 0.0
    weight = 0.0
    for i in range(len(moves)):
        total = ewma_variance_per_s(total, moves[i], dt_ns[i], half_life_s)
        weight += ewma_weight(dt_ns[i], half_life_s) * (1.0 - weight)
    left = 1.0
    for i in range(len(moves) - 1, -1, -1):
        one = ewma_weight(dt_ns[i], half_life_s)
        weights[i] = one * left / weight
        left *= 1.0 - one
    return total / weight


@kernel
def parzen(x):
    """The Parzen weight k(x) of 0 <= x <= 1: k(0) = 1, k'(0) = k(1) = k'(1) = 0 (so it is no flat top, and the estimate is positive)."""
    if x <= 0.5:
        return 1.0 - 6.0 * x * x + 6.0 * x * x * x
    if x <= 1.0:
        return 2.0 * (1.0 - x) * (1.0 - x) * (1.0 - x)
    return 0.0


@kernel
def realised_kernel(returns, bandwidth):
    """Return gamma_0 + 2 sum_h k(h / (H + 1)) gamma_h of returns (f8) for H = bandwidth (Barndorff-Nielsen et al. 2009, eq. 1)."""
    n = len(returns)
    total = 0.0
    for i in range(n):
        total += returns[i] * returns[i]
    for h in range(1, min(bandwidth, n - 1) + 1):
        gamma = 0.0
        for i in range(h, n):
            gamma += returns[i] * returns[i - h]
        total += 2.0 * parzen(h / (bandwidth + 1.0)) * gamma
    return total


@kernel
def subsampled_variance(prices, step):
    """Return the mean over the `step` shifted grids of the sum of squared moves over `step` prices, and the number of moves of one grid.

    A grid that ends early lacks a part of the window: its sum is scaled to the whole (Zhang, Mykland & Ait-Sahalia 2005).
    """
    n = len(prices) - 1
    total = 0.0
    moves = 0
    for i in range(step, n + 1):
        move = prices[i] - prices[i - step]
        total += move * move
        moves += 1
    if moves == 0:
        return math.nan, 0.0
    return total / moves * (n / step), n / step


@kernel
def vpin_buckets(orders, state, shares):
    """Fill buckets with orders by the desk's own VPIN; `shares[i]` (f8) becomes |bought less sold| / V of the i-th full bucket.

    `orders` have side and qty_lots. They are handed over in pieces that end no later than the open bucket does, which changes nothing.
    Returns how many buckets were filled; `shares` must have the room.
    """
    head = state[0]
    bucket = int(head.limits.vpin_bucket_lots)
    piece = orders[:1].copy()
    count = 0
    for k in range(len(orders)):
        left = orders[k].qty_lots
        piece[0].side = orders[k].side
        while left > 0:
            part = min(left, bucket - head.vpin_open_lots)
            piece[0].qty_lots = part
            left -= part
            before = head.vpin_count
            toxicity.on_print(head, piece[0])
            if head.vpin_count > before:
                shares[count] = head.vpin_lots[before % VPIN_BUCKETS] / bucket
                count += 1
    return count


@kernel
def rest_exposure(rests, path_ns, path_mid2, block_ns, seconds):
    """Add up for how long our orders rested at which distance from the mid.

    rests: i8 (n, 4) from_ns, until_ns, price_ticks, side; path_ns, path_mid2: the mid in half ticks from each time on; block_ns: i8 (m,)
    rising begins of blocks of time. seconds: f8 (m, bins), by block and by depth in half ticks; what is deeper or across the mid is left out.
    """
    last = len(path_ns) - 1
    for r in range(len(rests)):
        low, high, price, side = rests[r, 0], rests[r, 1], rests[r, 2], rests[r, 3]
        # the last mid at or before `low`
        i, j = 0, last
        while i < j:
            middle = (i + j + 1) // 2
            if path_ns[middle] <= low:
                i = middle
            else:
                j = middle - 1
        block = 0
        now = max(low, path_ns[0])
        while now < high:
            until = high if i == last else min(high, path_ns[i + 1])
            while block + 1 < len(block_ns) and block_ns[block + 1] <= now:
                block += 1
            if block + 1 < len(block_ns):
                until = min(until, block_ns[block + 1])
            depth2 = (path_mid2[i] - 2 * price) * side
            if 0 <= depth2 < seconds.shape[1]:
                seconds[block, depth2] += (until - now) * 1e-9
            now = until
            while i < last and path_ns[i + 1] <= now:
                i += 1
