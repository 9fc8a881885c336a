"""Where to quote: the published formulas, in whatever units the caller uses consistently.

Units here: prices in [P] (ticks, or quote currency), quantities in [Q] (lots, or base units), time in seconds. Then sigma is
in P/sqrt(s), the fill decay k in 1/P, the arrival rate A in 1/s, and the risk aversion gamma in 1/(P x Q): one over money.

The papers trade one unit at a time. `size` is the order size, in Q: an order of `size` units is one unit of an asset whose
price is `size` times as large, which is how the general forms below follow from the published ones (size = 1).
"""

import math

from hftlab.kernels.jit import kernel

LN2 = math.log(2.0)


@kernel
def _log1p_ratio(x):
    """ln(1 + x) / x, which is 1 at x = 0. log1p keeps every digit of a small x; ln(1 + x) would keep none below 1e-16."""
    if x == 0.0:
        return 1.0
    return math.log1p(x) / x


@kernel
def as_reservation_ticks(fair, q, gamma, sigma, tau):
    """Reservation price of a maker holding `q`: fair - q gamma sigma^2 tau (Avellaneda & Stoikov 2008, eq. 29).

    `tau` is the time left, T - t, in seconds. The price does not depend on the order size: q is the whole position.
    """
    return fair - q * gamma * sigma * sigma * tau


@kernel
def as_spread(gamma, sigma, tau, k, size):
    """Total spread delta_a + delta_b of a maker who trades `size` at a time.

    gamma sigma^2 tau size + 2/(gamma size) ln(1 + gamma size / k) (Avellaneda & Stoikov 2008, eq. 30, there with size = 1).
    Its limit for gamma -> 0 is 2/k, the spread of a maker without fear.
    """
    return gamma * sigma * sigma * tau * size + 2.0 / k * _log1p_ratio(gamma * size / k)


@kernel
def glft_c1(gamma, k, size):
    """Half-spread at zero inventory without drift: ln(1 + gamma size / k) / (gamma size), in P; 1/k as gamma -> 0.

    Guéant, Lehalle & Fernandez-Tapia 2013 (size = 1); Guéant 2017 for general sizes.
    """
    return _log1p_ratio(gamma * size / k) / k


@kernel
def glft_c2(gamma, sigma, k, A, size):
    """Skew per unit held, in P/Q: sqrt(sigma^2 gamma / (2 k A size) (1 + gamma size / k)^(1 + k / (gamma size))).

    Guéant, Lehalle & Fernandez-Tapia 2013 (size = 1); Guéant 2017 for general sizes. It vanishes with gamma.
    """
    x = gamma * size / k
    # (1 + x)^(1 + 1/x) = exp((1 + x) ln(1 + x) / x), which is e at x = 0.
    power = math.exp((1.0 + x) * _log1p_ratio(x))
    return math.sqrt(sigma * sigma * gamma / (2.0 * k * A * size) * power)


@kernel
def glft_depths(q, gamma, sigma, k, A, size):
    """Distance of the bid and of the ask from the fair price, far from the horizon, for a maker holding `q`: (bid, ask) in P.

    bid = c1 + (2q + size)/2 c2, ask = c1 - (2q - size)/2 c2 (Guéant, Lehalle & Fernandez-Tapia 2013, section 4). A depth may be
    negative: that order crosses the fair price, and the caller decides what it may do. The closed form comes from an expansion
    around q = 0; at large inventories `hftlab.analytics.theory.glft.exact_depths` is right and this is not.
    """
    c1 = glft_c1(gamma, k, size)
    c2 = glft_c2(gamma, sigma, k, A, size)
    return c1 + (q + 0.5 * size) * c2, c1 - (q - 0.5 * size) * c2


@kernel
def ewma_weight(dt_ns, half_life_s):
    """Weight of the new observation after `dt_ns`: 1 - 2^(-dt / half-life), in [0, 1].

    The half-life is in time, not in messages: with a weight per message sigma would depend on how talkative the feed is.
    """
    return -math.expm1(-LN2 * dt_ns * 1e-9 / half_life_s)


@kernel
def ewma_variance_per_s(variance_per_s, move, dt_ns, half_life_s):
    """Variance per second after a price `move` (P) over `dt_ns`; zero mean, exponential weights by time (P^2/s).

    The observation is move^2/dt. Weighing it by 1 - 2^(-dt / half-life) makes the estimate the same whether a quiet second is
    reported once or in a thousand messages. A `dt_ns` of zero or less holds no information about a rate and changes nothing.
    """
    if dt_ns <= 0:
        return variance_per_s
    weight = ewma_weight(dt_ns, half_life_s)
    return variance_per_s + weight * (move * move / (dt_ns * 1e-9) - variance_per_s)
