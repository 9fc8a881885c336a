"""The table of Avellaneda & Stoikov 2008, section 3.3, by simulation with the project's own formulas.

s=100 T=1 sigma=2 dt=.005 k=1.5 A=140, no inventory at the start. Each side is filled independently with probability
lambda dt = A exp(-k delta) dt, clipped to 1; fills are priced from s before the move; the move is +-sigma sqrt(dt);
profit = x_T + q_T s_T. The symmetric maker quotes the inventory maker's time-averaged spread around the mid.
"""

import numpy as np
import pytest

from hftlab.analytics.theory.avellaneda_stoikov import PAPER, PaperMarket, paper_table, profits, simulate_paper
from hftlab.errors import InputError, UnknownName

PATHS = 20_000

# Profit, its standard deviation, final inventory and its standard deviation: 100,000 simulations (the published 1000 in comments).
REFERENCE = {
    (0.1, "inventory"): (64.87, 6.54, -0.01, 2.93),  # 65.0 6.6 0.08 2.9
    (0.1, "symmetric"): (68.20, 13.44, -0.03, 8.38),  # 68.4 12.7 0.26 8.4
    (0.01, "inventory"): (68.38, 8.94, -0.01, 5.21),  # 68.6 8.7 0.12 5.1
    (0.01, "symmetric"): (68.67, 13.68, -0.03, 8.70),  # 68.8 12.8 0.09 8.7
}
MEAN_SPREAD = {0.1: 1.4918, 0.01: 1.3490}


@pytest.mark.parametrize("gamma", [0.1, 0.01])
def test_the_time_averaged_spread_is_that_of_the_table(gamma):
    assert PaperMarket().mean_spread(gamma) == pytest.approx(MEAN_SPREAD[gamma], abs=5e-5)


@pytest.mark.parametrize(("gamma", "strategy"), REFERENCE)
def test_the_table_of_the_paper_is_reproduced(gamma, strategy):
    run = simulate_paper(gamma, strategy, paths=PATHS, seed=2008)
    want_profit, want_sd, want_q, want_q_sd = REFERENCE[gamma, strategy]
    # Four standard errors of two independent estimates, plus the rounding of the reference's last digit. The profits of the
    # paths have fat tails, so the error of a standard deviation takes the sample's own fourth moment.
    both = np.sqrt(1 / PATHS + 1 / 100_000)
    for values, mean, sd in ((run.profit, want_profit, want_sd), (run.inventory, want_q, want_q_sd)):
        centred = values - values.mean()
        kurtosis = np.mean(centred**4) / np.mean(centred**2) ** 2
        assert abs(values.mean() - mean) < 4 * sd * both + 0.005
        assert abs(values.std(ddof=1) - sd) < 4 * sd * np.sqrt((kurtosis - 1) / 4) * both + 0.005


def test_a_poisson_probability_instead_of_the_clipped_rate_would_be_noticed():
    # 1 - exp(-lambda dt) lowers the profit to 57.15 (100,000 simulations): the test above can tell the two apart.
    profit = simulate_paper(0.1, "inventory", paths=PATHS, seed=7, probability=lambda rate: -np.expm1(-rate)).profit
    assert profit.mean() == pytest.approx(57.15, abs=4 * profit.std() * np.sqrt(1 / PATHS + 1 / 100_000) + 0.005)


def test_the_table_stands_beside_what_was_published_and_says_how_far_away_it_is():
    table = paper_table(paths=2000, seed=3)
    assert list(table.index) == list(PAPER)
    assert (table["sigmas"] < 4).all()
    assert table["published_profit"].tolist() == [65.0, 68.4, 68.6, 68.8]
    assert (table.xs("inventory", level="strategy")["profit_sd"] < table.xs("symmetric", level="strategy")["profit_sd"]).all()


def test_errors_and_standard_errors_are_those_of_the_sample():
    run = simulate_paper(0.1, paths=500, seed=1)
    row = run.row()
    assert row["profit_se"] == pytest.approx(run.profit.std(ddof=1) / np.sqrt(500))
    again = simulate_paper(0.1, paths=500, seed=1)
    assert np.array_equal(again.profit, run.profit)
    assert "<svg" in run._repr_html_()
    assert profits((run, again)).startswith("<svg")
    with pytest.raises(UnknownName, match="symmetric"):
        simulate_paper(0.1, "symetric")
    with pytest.raises(InputError, match="gamma"):
        simulate_paper(0.0)
