"""Forecasts of fills against the matching engine's truth: a small seeded study that the model must pass, and the laws of its scores."""

import numpy as np
import pytest

from hftlab.analytics.queues import scores as sc
from hftlab.analytics.queues.fill_probability import BASE, EXPONENTIAL, MODEL, NAMES, ORACLE, QUEUE, SCALED, fill_forecasts
from hftlab.errors import InputError, UnknownName


@pytest.fixture(scope="module")
def found():
    return fill_forecasts(seeds=range(4), minutes=3, every_s=0.4)


def test_every_order_has_every_forecast_and_they_are_probabilities(found):
    assert found.p.shape == (len(NAMES), len(found.filled))
    assert len(found.filled) > 500
    assert ((found.p >= 0) & (found.p <= 1)).all()
    assert 0.2 < found.filled.mean() < 0.7
    # A fill by the queue alone is less likely than one by the queue or by the price.
    assert (found.p[NAMES.index(QUEUE)] <= found.p[NAMES.index(MODEL)] + 1e-12).all()


def test_the_model_knows_more_than_the_base_rate_and_means_what_it_says(found):
    said = {name: sc.scores(p, found.p[0], found.filled) for name, p in zip(NAMES, found.p, strict=True)}
    model = said[MODEL]
    for worse in (BASE, QUEUE, EXPONENTIAL):
        assert model["brier"] < said[worse]["brier"]
        assert model["log_loss"] < said[worse]["log_loss"]
    # What was taught the truth by eight variables is about the best there is: ours has half of its skill without having been taught.
    assert 0.5 * said[ORACLE]["skill"] < model["skill"] < said[ORACLE]["skill"] + 0.02
    assert 0.5 < model["slope"] < 1.5
    assert abs(found.p[NAMES.index(MODEL)].mean() - found.filled.mean()) < 0.06
    assert said[SCALED]["brier"] < said[BASE]["brier"]


def test_reliability_bins_hold_every_order_once_and_rise(found):
    bins = found.reliability()
    assert bins["orders"].sum() == len(found.filled)
    assert np.average(bins["forecast"], weights=bins["orders"]) == pytest.approx(found.p[NAMES.index(MODEL)].mean())
    large = bins[bins["orders"] >= 40]
    assert large["filled"].iloc[-1] > large["filled"].iloc[0] + 0.3
    with pytest.raises(UnknownName, match="queue and price"):
        found.reliability("queue and prize")


def test_the_scores_are_those_of_the_formulas(found):
    p, y, base = found.p[1], found.filled, found.p[0]
    said = sc.scores(p, base, y)
    assert said["brier"] == pytest.approx(np.mean((p - y) ** 2))
    assert said["skill"] == pytest.approx(1 - np.mean((p - y) ** 2) / np.mean((base - y) ** 2))
    by_seed = [sc.scores(p[found.seed == s], base[found.seed == s], y[found.seed == s])["brier"] for s in range(4)]
    assert found.table().loc[MODEL, "brier"] == pytest.approx(np.mean(by_seed))
    assert found.table().loc[MODEL, "brier_se"] == pytest.approx(np.std(by_seed, ddof=1) / 2)


def test_the_same_arguments_give_the_same_forecasts():
    one, two = (fill_forecasts(seeds=(3, 5), minutes=0.5) for _ in range(2))
    assert np.array_equal(one.p, two.p)
    with pytest.raises(InputError, match="at least two"):
        fill_forecasts(seeds=(3,), minutes=0.5)
