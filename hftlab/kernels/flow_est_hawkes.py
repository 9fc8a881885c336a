"""The log-likelihood of a Hawkes process with an exponential kernel, exact, in one pass, with its first two derivatives."""

import math

from hftlab.kernels.jit import kernel


@kernel
def hawkes_likelihood(times_s, end_s, mu, alpha, beta, slope, curve):
    """Return the log-likelihood of `times_s` (ascending, from 0 to `end_s`) under intensity mu + sum alpha exp(-beta (t - t_i)).

    Ozaki 1979: with A_i = sum_j exp(-beta (t_i - t_j)) = exp(-beta dt) (1 + A_{i-1}) a pass is enough; its derivatives in beta follow
    from the same recursion. `slope` (3,) and `curve` (3, 3) are filled with the derivatives in (mu, alpha, beta).
    """
    slope[:] = 0.0
    curve[:] = 0.0
    total = -mu * end_s
    slope[0] = -end_s
    decay0 = 0.0
    decay1 = 0.0  # sum of d exp(-beta d), and below of d^2 exp(-beta d)
    decay2 = 0.0
    for i in range(len(times_s)):
        if i > 0:
            dt = times_s[i] - times_s[i - 1]
            kept = math.exp(-beta * dt)
            decay2 = kept * (decay2 + 2.0 * dt * decay1 + dt * dt * (1.0 + decay0))
            decay1 = kept * (decay1 + dt * (1.0 + decay0))
            decay0 = kept * (1.0 + decay0)
        rate = mu + alpha * decay0
        total += math.log(rate)
        by_beta = -alpha * decay1
        slope[0] += 1.0 / rate
        slope[1] += decay0 / rate
        slope[2] += by_beta / rate
        curve[0, 0] -= 1.0 / rate**2
        curve[0, 1] -= decay0 / rate**2
        curve[0, 2] -= by_beta / rate**2
        curve[1, 1] -= decay0 * decay0 / rate**2
        curve[1, 2] += -decay1 / rate - decay0 * by_beta / rate**2
        curve[2, 2] += alpha * decay2 / rate - by_beta * by_beta / rate**2
        left = end_s - times_s[i]
        gone = math.exp(-beta * left)
        total -= alpha / beta * (1.0 - gone)
        slope[1] -= (1.0 - gone) / beta
        slope[2] -= alpha * (left * gone / beta - (1.0 - gone) / beta**2)
        curve[1, 2] -= left * gone / beta - (1.0 - gone) / beta**2
        curve[2, 2] -= alpha * (-left * left * gone / beta - 2.0 * left * gone / beta**2 + 2.0 * (1.0 - gone) / beta**3)
    curve[1, 0] = curve[0, 1]
    curve[2, 0] = curve[0, 2]
    curve[2, 1] = curve[1, 2]
    return total


@kernel
def hawkes_residuals(times_s, mu, alpha, beta, out):
    """Fill `out` (n,) with the compensator between events, from 0 to the first one on: exponential with mean 1 where the law holds."""
    before = 0.0
    excited = 0.0  # sum of exp(-beta (t - t_j)) just after the last event
    for i in range(len(times_s)):
        dt = times_s[i] - before
        kept = math.exp(-beta * dt)
        out[i] = mu * dt + alpha / beta * excited * (1.0 - kept)
        excited = excited * kept + 1.0
        before = times_s[i]


@kernel
def hawkes_thinned(mu, alpha, beta, end_s, draws, out):
    """Fill `out` with the times of one path up to `end_s` (Ogata 1981) from `draws` (uniform, (n, 2)). Returns their number, -1 for too few."""
    now = 0.0
    excited = 0.0
    count = 0
    for i in range(len(draws)):
        bound = mu + alpha * excited
        wait = -math.log(1.0 - draws[i, 0]) / bound
        now += wait
        if now >= end_s:
            return count
        excited *= math.exp(-beta * wait)
        if draws[i, 1] * bound <= mu + alpha * excited:
            if count == len(out):
                return -1
            out[count] = now
            count += 1
            excited += 1.0
    return -1
