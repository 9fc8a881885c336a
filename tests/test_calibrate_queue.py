"""Queue truth: the probes of the matching engine, the same probes in every queue model, and the scores that compare them."""

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from hftlab.analytics.queues import scores
from hftlab.analytics.queues.calibrate import MODELS, calibrate_queue
from hftlab.analytics.queues.picture import markdown
from hftlab.analytics.queues.probes import LOOK, Probes, modelled, record
from hftlab.assumptions import Queue
from hftlab.data.synth import SAMPLE_START_NS
from hftlab.errors import InputError, UnknownName
from hftlab.instrument import Instrument
from hftlab.types import ASK, BID, CANCEL, CLEAR, DEPTH, EVENT, FILL, LAST, POST_ONLY, SUBMIT, TIMER, TRADE
from hftlab.venues.simulated import SimulatedMarket

SIM = Instrument.bundled("sim:BTC/USDT")
LOOKS_S = np.array([0.2, 0.5, 1.0])
GUESSING = [queue for queue in MODELS if queue.model not in ("touch", "through")]


def probes(seed=1, seconds=60.0, behind=(0, 1), **options):
    return record(SIM, seed, seconds=seconds, horizon_s=2.0, looks_s=LOOKS_S, behind_ticks=behind, every_s=0.4, **options)


@pytest.fixture(scope="module")
def small():
    return calibrate_queue(seeds=range(6), minutes=4, every_s=0.25)


# --- the truth ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("queue", GUESSING, ids=Queue.text)
def test_where_nobody_cancels_every_model_is_the_truth(queue):
    # Few limit orders, or the book without cancels would outgrow its pool.
    p = probes(cancel_per_s_max=0.0, limit_per_s=60.0, trade_per_s=12.0, informed=0.0, seconds=90.0)
    filled_ns, ahead_lots = modelled(p, queue)
    assert 20 < np.count_nonzero(p.filled_ns) < len(p.side)
    assert np.array_equal(filled_ns, p.filled_ns)
    true_ahead = p.looks["ahead_lots"][:, 1:]
    assert np.array_equal(np.nan_to_num(ahead_lots, nan=-1), true_ahead)
    assert len(np.unique(true_ahead)) > 10


@settings(max_examples=6)
@given(seed=st.integers(0, 10_000), toxic=st.sampled_from([0.0, 0.5]))
def test_the_truth_lies_between_the_bounds(seed, toxic):
    # Every fall of a level that no print explains may have stood behind us; nobody can stand before the first in the queue.
    p = probes(seed, seconds=40.0, toxic=toxic)
    waits = [p.wait_s(modelled(p, Queue(model=model))[0]) for model in ("touch", "risk_averse", "through")]
    first, true, last, never = waits[0], p.wait_s(p.filled_ns), *waits[1:]
    assert (first <= true).all()
    assert (true <= last).all()
    assert (last <= never).all()
    ahead_lots = modelled(p, Queue(model="risk_averse"))[1]
    rests = p.looks["ahead_lots"][:, 1:] >= 0
    assert (ahead_lots[rests] >= p.looks["ahead_lots"][:, 1:][rests]).all()


def test_the_public_rows_hold_none_of_our_lots():
    p = probes(2)
    assert set(np.unique(p.rows["kind"])) == {DEPTH, TRADE, CLEAR, SUBMIT, CANCEL, TIMER}
    book, checked = {}, 0
    for row in p.rows:
        if row["kind"] == DEPTH:
            assert row["qty_lots"] >= 0
            book[row["side"], row["price_ticks"]] = int(row["qty_lots"])
        elif row["kind"] in (SUBMIT, TIMER):
            look = p.looks[row["order_id"] - 1, 0 if row["kind"] == SUBMIT else row["seq"] + 1]
            assert book.get((row["side"], row["price_ticks"]), 0) == look["level_lots"]
            assert look["ahead_lots"] <= look["level_lots"]
            checked += look["ahead_lots"] >= 0
    assert checked > 50


def test_a_joining_order_has_the_whole_level_before_it():
    p = probes(3, cancel_per_s_max=0.0, limit_per_s=60.0, trade_per_s=0.0, informed=0.0, news_per_s=0.0)
    assert np.array_equal(p.looks["ahead_lots"][:, 1], p.looks["level_lots"][:, 0])  # nobody leaves and nobody trades


def test_the_simulated_market_says_the_same_of_the_same_orders():
    p = probes(4, seconds=40.0)
    market = SimulatedMarket(SIM, seed=4, start_ns=SAMPLE_START_NS, entry_ns=0, response_ns=0)
    filled_ns, compared = np.zeros(len(p.side), "i8"), 0
    for row in p.rows[np.isin(p.rows["kind"], (SUBMIT, CANCEL, TIMER))]:
        if row["kind"] != TIMER:
            market.submit(np.array([row], EVENT))
        told = market.advance(int(row["ts_exch_ns"]))
        fills = told[told["kind"] == FILL]
        filled_ns[fills["order_id"] - 1] = fills["ts_exch_ns"]
        if row["kind"] == TIMER:
            assert market.queue_ahead(int(row["order_id"])) == p.looks[row["order_id"] - 1, row["seq"] + 1]["ahead_lots"]
            compared += 1
    assert compared > 100
    assert np.array_equal(filled_ns, p.filled_ns)


def test_the_past_of_a_look_is_counted_by_hand():
    s = 1_000_000_000
    rows = np.zeros(5, EVENT)
    rows["ts_exch_ns"] = [1 * s, 12 * s, 13 * s, 20 * s, 23 * s]
    rows["kind"], rows["side"], rows["qty_lots"] = TRADE, [ASK, ASK, BID, ASK, ASK], [9, 2, 5, 4, 7]
    looks = np.zeros((1, 1), LOOK)
    looks["ts_ns"] = 22 * s
    p = Probes(rows, np.array([BID]), np.zeros(1), np.zeros(1, "i8"), looks)
    # over (12 s, 22 s]: sellers took 4 lots (2 at 12 s is just out), buyers 5, in 2 rows
    assert p.past().tolist() == [[[4.0, 5.0, 2.0]]]


# --- the models ----------------------------------------------------------------------------------------------------------------------

# 5 lots, we join, 3 join behind, a print of 3 leaves 2 ahead, then 2 of the 5 lots left are cancelled.
AHEAD = {
    "risk_averse": 2.0,
    "power": 2 - (1 - 9 / 13) * 2,  # behind 3, ahead 2: P(behind) = 9/13
    "power2": 2 - (1 - 9 / 25) * 2,
    "log": 2 - (1 - np.log(4) / (np.log(4) + np.log(3))) * 2,
    "through": 3.0,  # knows no queue: the level is all that bounds it
}
# Then prints of 1, 2 at our price, and 1 beyond: which of them fills our lot (0: the print of 3 before).
FILLED_BY = {"risk_averse": 2, "power": 2, "power2": 2, "log": 2, "through": 3, "touch": 0}


def by_hand():
    at = iter(range(1, 100))

    def row(kind, side=BID, price=100, lots=0, seq=0, order_id=0):
        now = next(at)
        return (now, now, price, lots, 0, order_id, seq, kind, side, LAST | (POST_ONLY if order_id else 0), 0)

    rows = [
        row(DEPTH, ASK, 103, 9),
        row(DEPTH, BID, 99, 9),
        row(DEPTH, lots=5),
        row(SUBMIT, lots=1, order_id=1),
        row(DEPTH, lots=8),
        row(TRADE, ASK, lots=3),
        row(DEPTH, lots=5),
        row(DEPTH, lots=3),
        row(TIMER, order_id=1),
        row(TRADE, ASK, lots=1),
        row(DEPTH, lots=2),
        row(TRADE, ASK, lots=2),
        row(DEPTH, lots=0),
        row(TRADE, ASK, 99, lots=1),
        row(CANCEL, order_id=1),
    ]
    return Probes(np.array(rows, EVENT), np.array([BID]), np.zeros(1, "i8"), np.zeros(1, "i8"), np.zeros((1, 2), LOOK))


@pytest.mark.parametrize("model", FILLED_BY)
def test_one_order_by_hand(model):
    p = by_hand()
    filled_ns, ahead_lots = modelled(p, Queue(model=model))
    prints = p.rows["ts_exch_ns"][p.rows["kind"] == TRADE]
    assert filled_ns[0] == prints[FILLED_BY[model]]
    if model in AHEAD:
        assert ahead_lots[0, 0] == pytest.approx(AHEAD[model])
    else:
        assert np.isnan(ahead_lots[0, 0])  # filled: it stands nowhere


def answers():
    """What every model makes of the order by hand, as text."""
    return [f"{model} {[found.tolist() for found in modelled(by_hand(), Queue(model=model))]}" for model in FILLED_BY]


def test_the_replay_gives_the_same_as_plain_python():
    here = Path(__file__).parent
    env = os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": os.pathsep.join([str(here), str(here.parent)])}
    script = "import test_calibrate_queue as t; print(*t.answers(), sep='\\n')"
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == answers()


# --- scores --------------------------------------------------------------------------------------------------------------------------


def test_scores_by_hand():
    p, base, y = np.array([0.8, 0.4, 0.0, 0.6]), np.full(4, 0.5), np.array([True, False, False, True])
    found = scores.scores(p, base, y)
    assert found["brier"] == pytest.approx((0.04 + 0.16 + 0 + 0.16) / 4)
    assert found["skill"] == pytest.approx(1 - 0.09 / 0.25)
    assert found["log_loss"] == pytest.approx(-(np.log(0.8) + np.log(0.6) + np.log(0.999) + np.log(0.6)) / 4)
    assert found["slope"] == pytest.approx(np.polyfit(p, y.astype(float), 1)[0])


def test_a_forecast_twice_too_sure_has_slope_one_half():
    rng = np.random.default_rng(1)
    truth = rng.uniform(0.3, 0.7, 200_000)
    found = scores.scores(0.5 + 2 * (truth - 0.5), np.full(200_000, 0.5), rng.random(200_000) < truth)
    assert found["slope"] == pytest.approx(0.5, abs=0.02)


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000), k=st.integers(1, 4))
def test_the_regression_is_at_its_minimum(seed, k):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(300, k)) * rng.uniform(0.1, 10, k) + 3
    y = rng.random(300) < 1 / (1 + np.exp(-(x - 3) @ rng.normal(size=k) / 5))
    z = np.column_stack((np.ones(300), (x - x.mean(axis=0)) / x.std(axis=0)))
    found = minimize(lambda w: np.sum(np.logaddexp(0, z @ w) - y * (z @ w)) + 0.5 * np.sum(w[1:] ** 2), np.zeros(k + 1), tol=1e-12)
    assert scores.predict(scores.fit(x, y), x) == pytest.approx(1 / (1 + np.exp(-z @ found.x)), abs=1e-4)


@pytest.mark.parametrize("seed", range(20))
def test_outliers_do_not_throw_the_regression_off_its_minimum(seed):
    # Newton's full steps run away on six of these samples.
    rng = np.random.default_rng(seed)
    x = np.concatenate((rng.normal(size=(1000, 8)), rng.normal(size=(5, 8)) * 300))
    y = rng.logistic(size=1005) < 3 * x[:, :4].sum(axis=1) - 9
    fitted = scores.fit(x, y)
    z, weights = (x - fitted[:8]) / fitted[8:16], fitted[17:]
    errors = y - scores.predict(fitted, x)
    assert abs(errors.sum()) < 1e-4
    assert z.T @ errors == pytest.approx(weights, abs=1e-4)  # the slope of the likelihood is that of the ridge


def test_labels_that_are_all_alike_give_a_constant():
    p = scores.predict(scores.fit(np.arange(20.0).reshape(10, 2), np.zeros(10, bool)), np.ones((3, 2)))
    assert p == pytest.approx(np.full(3, 0.5 / 11))


def test_no_forecast_has_seen_its_own_fold():
    # In fold 0 every order filled, in fold 1 none: whoever learned from the other side is as wrong as can be.
    fold = np.array([0] * 50 + [1] * 50)
    p = scores.base_rate(fold == 0, np.zeros(100), fold)
    assert (p[fold == 0] < 0.02).all()
    assert (p[fold == 1] > 0.98).all()


def test_a_reliability_curve_by_hand():
    curve = scores.reliability(np.array([0.05, 0.15, 0.15, 1.0]), np.array([False, True, False, True]), np.array([0, 0, 1, 1]))
    assert curve["forecast"].tolist() == [0.05, 0.15, 1.0]
    assert curve["filled"].tolist() == [0.0, 0.5, 1.0]
    assert curve["orders"].tolist() == [1, 2, 1]
    assert curve["filled_se"][1] == pytest.approx(np.sqrt((0.25 + 0.25) * 2 / 1) / 2)


# --- the whole -----------------------------------------------------------------------------------------------------------------------


def test_the_true_queue_is_beaten_by_no_model(small):
    table = small.table()
    truth, models = table.loc["true queue"], table.drop("true queue")
    assert (truth[["wrong", "late_s", "ahead_bias_lots", "ahead_rmse_lots"]] == 0).all()
    assert (models["wrong"] > 0).all()
    assert (models["ahead_rmse_lots"] > 0).all()
    assert (models["brier_over"] > -2 * models["brier_over_se"]).all()
    assert (models["brier_over"][["touch", "through"]] > models["brier_over"]["power n=1"] + 0.002).all()
    assert table["age_brier"]["true queue"] < table["age_brier"]["touch"]


def test_pessimists_miss_fills_and_optimists_invent_them(small):
    table = small.table()
    assert (table["false_fills"][["risk_averse", "through"]] == 0).all()
    assert table["missed_fills"]["touch"] == 0
    assert table["missed_fills"]["through"] > table["missed_fills"]["risk_averse"] > table["missed_fills"]["power n=1"]
    assert table["false_fills"]["touch"] > 0.1
    # The crowd cancels each order with the same hazard, wherever it stands: what power with n = 1 supposes.
    assert abs(table["ahead_bias_lots"]["power n=1"]) < 1 < table["ahead_bias_lots"]["risk_averse"]
    assert small.best == table["wrong"].drop("true queue").idxmin()


def test_the_same_seeds_give_the_same_figures_and_the_order_of_seeds_does_not_matter():
    said = []
    options = {"minutes": 0.5, "models": ("power", "touch"), "every_s": 0.3}
    one = calibrate_queue(seeds=(5, 3), progress=lambda done, total: said.append((done, total)), **options)
    two = calibrate_queue(seeds=(3, 5), **options)
    assert said == [(1, 2), (2, 2)]
    assert one.models == ("power n=2", "touch")
    assert np.array_equal(one.wait_s[:, one.seed == 0], two.wait_s[:, two.seed == 1])
    assert one.table().equals(calibrate_queue(seeds=(5, 3), **options).table())


def test_groups_hold_every_order_once(small):
    for what in ("behind", "queue", "trades"):
        groups = small.by(what)["orders"].xs("touch", level="model")
        assert groups.sum() == len(small.seed)
    with pytest.raises(InputError, match="Did you mean 'queue'"):
        small.by("queues")


def test_curves_hold_every_order_once(small):
    assert small.reliability("touch")["orders"].sum() == len(small.seed)
    rests = np.count_nonzero(~np.isnan(small.ahead_lots[-1, :, -1]))
    assert small.reliability("true queue", at="age")["orders"].sum() == rests < len(small.seed)
    assert list(small.ahead().xs("touch")["ahead_bias_lots"].index) == [0.2, 0.5, 1.0]
    with pytest.raises(UnknownName, match="Did you mean 'log'"):
        small.reliability("log3")
    with pytest.raises(InputError, match="'placement' or 'age'"):
        small.reliability("log", at="now")


def test_the_picture_is_well_formed_and_without_a_script(small):
    page = small._repr_html_()
    pictures = [ET.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]
    assert [len(picture.findall("polyline")) for picture in pictures[:3]] == [11, 10, 11]
    assert "<script" not in page
    assert "nan" not in page.lower()
    assert len(small.words()) == 7
    assert markdown(small, ("wrong", "brier")).count("\n") == len(small.names) + 1


@pytest.mark.browser
def test_the_page_in_a_browser_is_no_wider_than_a_notebook(small, page):
    page.set_viewport_size({"width": 1000, "height": 900})
    page.set_content(f"<!doctype html><div style='background:#111;color:#ddd'>{small._repr_html_()}</div>")
    assert page.evaluate("document.documentElement.scrollWidth") <= 1000
    shown = page.locator("polyline").evaluate_all("lines => lines.map(l => getComputedStyle(l).stroke)")
    assert shown.count("rgb(221, 221, 221)") > 2  # the lines without a colour of their own take that of the page


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"horizn_s": 1}, UnknownName, "Did you mean 'horizon_s'"),
        ({"toxi": 1}, UnknownName, "Did you mean 'toxic'"),
        ({"seeds": [1]}, InputError, "at least two"),
        ({"seeds": [1, 1]}, InputError, "different whole numbers"),
        ({"seeds": [1.5, 2]}, InputError, "different whole numbers"),
        ({"behind_ticks": [-1]}, InputError, "from 0"),
        ({"horizon_s": -1}, InputError, "from 0.01"),
        ({"models": "power"}, InputError, "a list"),
        ({"models": ["powr"]}, InputError, "Did you mean 'power'"),
        ({"models": ["fifo"]}, InputError, "order-by-order"),
        ({"models": ["log", "log"]}, InputError, "each once"),
        ({"horizon_s": 600, "minutes": 1}, InputError, "more minutes"),
    ],
)
def test_what_cannot_be_run_is_said(options, error, words):
    with pytest.raises(error, match=words):
        calibrate_queue(**({"seeds": (1, 2), "minutes": 0.5} | options))
