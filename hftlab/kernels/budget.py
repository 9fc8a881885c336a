"""How many requests may be sent: a token bucket for each venue, all with the rate and the size of the desk's limits.

The last `requests_reserved` tokens are kept for getting out. A cancel may even overdraw: it is never refused, what follows waits longer.
"""

from hftlab.kernels.jit import kernel


@kernel
def refill(desk, venue):
    """Let the budget of a venue grow with time."""
    burst = desk.limits.requests_burst
    if desk.tokens_ns[venue] == 0:
        desk.request_tokens[venue] = burst
    else:
        gained = (desk.now_ns - desk.tokens_ns[venue]) * 1e-9 * desk.limits.requests_per_s_max
        desk.request_tokens[venue] = min(desk.request_tokens[venue] + gained, burst)
    desk.tokens_ns[venue] = desk.now_ns


@kernel
def spend(desk, venue):
    """Take the token of one request."""
    desk.request_tokens[venue] = max(desk.request_tokens[venue] - 1.0, -desk.limits.requests_burst)


@kernel
def is_enough(desk, venue, reserved):
    """Return whether one more request leaves the reserve untouched."""
    return desk.request_tokens[venue] >= 1.0 + reserved
