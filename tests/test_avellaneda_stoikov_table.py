"""The table of Avellaneda & Stoikov 2008, section 3.3, by simulation with the project's own formulas.

s=100 T=1 sigma=2 dt=.005 k=1.5 A=140, no inventory at the start. Each side is filled independently with probability
lambda dt = A exp(-k delta) dt, clipped to 1; fills are priced from s before the move; the move is +-sigma sqrt(dt);
profit = x_T + q_T s_T. The symmetric maker quotes the inventory maker's time-averaged spread around the mid.
"""

import numpy as np
import pytest

from hftlab.kernels.pricing import as_reservation_ticks, as_spread

S, T, SIGMA, DT, K, A = 100.0, 1.0, 2.0, 0.005, 1.5, 140.0
STEPS = round(T / DT)
PATHS = 20_000

# Profit, its standard deviation, final inventory and its standard deviation: 100,000 simulations (the published 1000 in comments).
REFERENCE = {
    (0.1, "inventory"): (64.87, 6.54, -0.01, 2.93),  # 65.0 6.6 0.08 2.9
    (0.1, "symmetric"): (68.20, 13.44, -0.03, 8.38),  # 68.4 12.7 0.26 8.4
    (0.01, "inventory"): (68.38, 8.94, -0.01, 5.21),  # 68.6 8.7 0.12 5.1
    (0.01, "symmetric"): (68.67, 13.68, -0.03, 8.70),  # 68.8 12.8 0.09 8.7
}
MEAN_SPREAD = {0.1: 1.4918, 0.01: 1.3490}


def mean_spread(gamma):
    return float(np.mean([as_spread(gamma, SIGMA, T - i * DT, K, 1.0) for i in range(STEPS)]))


def simulate(gamma, strategy, seed, probability=lambda rate: np.minimum(rate, 1.0)):
    """Return profit and final inventory of every path, (PATHS,) each."""
    rng = np.random.default_rng(seed)
    s, q, cash = np.full(PATHS, S), np.zeros(PATHS), np.zeros(PATHS)
    symmetric = mean_spread(gamma)
    for i in range(STEPS):
        tau = T - i * DT
        if strategy == "inventory":
            centre = as_reservation_ticks.py_func(s, q, gamma, SIGMA, tau)  # the source of the kernel, on whole arrays
            half = 0.5 * as_spread(gamma, SIGMA, tau, K, 1.0)
        else:
            centre, half = s, 0.5 * symmetric
        bid, ask = centre - half, centre + half
        bought = rng.random(PATHS) < probability(A * np.exp(-K * (s - bid)) * DT)
        sold = rng.random(PATHS) < probability(A * np.exp(-K * (ask - s)) * DT)
        q += bought.astype(float) - sold
        cash += ask * sold - bid * bought
        s += np.where(rng.random(PATHS) < 0.5, -1.0, 1.0) * SIGMA * np.sqrt(DT)
    return cash + q * s, q


@pytest.mark.parametrize("gamma", [0.1, 0.01])
def test_the_time_averaged_spread_is_that_of_the_table(gamma):
    assert mean_spread(gamma) == pytest.approx(MEAN_SPREAD[gamma], abs=5e-5)


@pytest.mark.parametrize(("gamma", "strategy"), REFERENCE)
def test_the_table_of_the_paper_is_reproduced(gamma, strategy):
    profit, q = simulate(gamma, strategy, seed=2008)
    want_profit, want_sd, want_q, want_q_sd = REFERENCE[gamma, strategy]
    # Four standard errors of two independent estimates, plus the rounding of the reference's last digit. The profits of the
    # paths have fat tails, so the error of a standard deviation takes the sample's own fourth moment.
    both = np.sqrt(1 / PATHS + 1 / 100_000)
    for values, mean, sd in ((profit, want_profit, want_sd), (q, want_q, want_q_sd)):
        centred = values - values.mean()
        kurtosis = np.mean(centred**4) / np.mean(centred**2) ** 2
        assert abs(values.mean() - mean) < 4 * sd * both + 0.005
        assert abs(values.std(ddof=1) - sd) < 4 * sd * np.sqrt((kurtosis - 1) / 4) * both + 0.005


def test_a_poisson_probability_instead_of_the_clipped_rate_would_be_noticed():
    # 1 - exp(-lambda dt) lowers the profit to 57.15 (100,000 simulations): the test above can tell the two apart.
    profit, _ = simulate(0.1, "inventory", seed=7, probability=lambda rate: -np.expm1(-rate))
    assert profit.mean() == pytest.approx(57.15, abs=4 * profit.std() * np.sqrt(1 / PATHS + 1 / 100_000) + 0.005)
