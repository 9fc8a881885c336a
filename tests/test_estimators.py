"""Estimators: laws that hold for any rows, bands and flags on markets of known law (a small share of `python -m benchmarks estimators`)."""

import math

import numpy as np
import pytest

import hftlab as hl
from benchmarks import bench_estimators as bench
from benchmarks.drills import estimator_truth as truth
from hftlab.analytics.estimators.fills import FillIntensity, _rests
from hftlab.analytics.estimators.flow import Spread, TradeRate, VolumeRate, Vpin
from hftlab.analytics.estimators.intensity import Intensity
from hftlab.analytics.estimators.profiles import BookDepth, DayProfile, VolatilityMap
from hftlab.analytics.estimators.volatility import RealisedKernel, Volatility, realised
from hftlab.analytics.estimators.walk import Walk
from hftlab.analytics.stats import tests as et
from hftlab.errors import InputError, UnknownName
from hftlab.kernels import est_sums
from hftlab.types import ACCEPTED, AMENDED, DEPTH, EVENT, FILL, GAP, LAST, TRADE

BTC = truth.BTC
RUNS = 30


@pytest.fixture(scope="module")
def tape():
    return hl.sample()


def _all_of(make, rows, cuts):
    one = make()
    for part in np.split(rows, cuts):
        one.update(part)
    if hasattr(one, "profile"):
        return one.profile().to_csv() + (str(one.estimate()) if hasattr(one, "estimate") else "")
    return str(one.estimates()) if hasattr(one, "estimates") else str(one.estimate())


MAKERS = (Volatility, RealisedKernel, Intensity, TradeRate, VolumeRate, Vpin, Spread, BookDepth, DayProfile, VolatilityMap)


@pytest.mark.parametrize("maker", MAKERS, ids=lambda one: one.__name__)
def test_where_the_rows_are_cut_makes_no_difference(maker, tape):
    rows = tape.rows[:40_000]
    whole = _all_of(lambda: maker(BTC), rows, [])
    for seed in range(2):
        cuts = np.sort(np.random.default_rng(seed).integers(0, len(rows), 30))
        assert _all_of(lambda: maker(BTC), rows, cuts) == whole


@pytest.mark.parametrize("case", bench.CASES, ids=lambda one: one.name)
def test_bands_hold_the_truth_and_wrong_laws_are_flagged(case):
    # Of 16 bands of 90 % fewer than 11 hold the truth once in 400 such tables; the study over 200 runs is the benchmark's.
    row = bench.study(case, 16)
    assert row.covered >= 0.68
    assert row.flagged >= 0.87
    assert row.false_flags <= 0.13
    assert row.ratio == pytest.approx(1.0, abs=0.06)


def _orders_of_one_lot(signs, lots=50):
    """A tape of prints of one lot beside a book that stands."""
    rows = truth.rows_of(
        truth.Path(np.zeros(1), np.array([100]), np.array([102]), np.array([9])),
        np.arange(len(signs)) * 0.1 + 0.1,
        signs,
        np.where(signs > 0, 102, 100),
        np.ones(len(signs), np.int64),
    )
    return Vpin(BTC, bucket_qty=str(BTC.qty(lots))), rows


def test_vpin_of_even_orders_is_the_binomials():
    # |B - S| of 50 orders with even sides has the mean sum C(50, i) 2^-50 |2i - 50|.
    wanted = sum(math.comb(50, i) * 0.5**50 * abs(2 * i - 50) / 50 for i in range(51))
    held = 0
    for seed in range(RUNS):
        vpin, rows = _orders_of_one_lot(np.where(np.random.default_rng(seed).random(2600) < 0.5, 1, -1))
        vpin.update(rows)
        found = vpin.estimate()
        held += found.low <= wanted <= found.high
    assert held >= 22


def test_vpin_is_the_desks(tape):
    # One bucket size, one tape: the estimator and the desk that ran it (kernels.toxicity) say the same.
    report = hl.backtest(
        tape, BTC, hl.FixedSpread(order_qty="0.01", half_spread_ticks=50), hl.Limits(position_qty_max="0.1", vpin_bucket_qty="0.1")
    )
    from hftlab.backtesting.run import build  # the same desk, kept to be looked at
    from hftlab.data.merging import merged_chunks
    from hftlab.kernels import core

    assert report.rows == len(tape)
    state = build(
        (BTC,),
        (hl.FixedSpread(order_qty="0.01", half_spread_ticks=50),),
        (hl.Limits(position_qty_max="0.1", vpin_bucket_qty="0.1"),),
    )
    for rows in merged_chunks(tape, 1 << 20):
        state.step(core.run, rows)
    vpin = Vpin(BTC, bucket_qty="0.1")
    vpin.update(tape.rows)
    assert vpin.estimate().value == pytest.approx(float(state.markets["vpin"][0]), rel=1e-12)


def test_a_worked_story_of_reach():
    # Spread of 2 ticks for 100 s. Twenty sellers and twenty buyers take the best price, ten of each go one tick deeper: by hand
    # mean reach 20/60, k = ln(1 + 3) per tick; A = 60 / (2 * 100 exp(-k)) = 1.2 per side.
    n = 60
    side = np.where(np.arange(n) % 2, 1, -1)
    deep = np.arange(n) >= 40
    path = truth.Path(np.zeros(1), np.array([1000]), np.array([1002]), np.array([50]))
    when = np.linspace(1.0, 100.0, n)
    rows = truth.rows_of(path, when, side, np.where(side > 0, 1002 + deep, 1000 - deep), np.ones(n, np.int64))
    last = rows[1:2].copy()
    last["ts_exch_ns"] = last["ts_recv_ns"] = truth.START_NS + int(100e9)
    last["flags"] = LAST
    one = Intensity(BTC)
    one.update(np.concatenate([rows, last]))
    found = one.estimates()
    assert found["decay"].samples >= 59  # the last order is still open when nothing came after it
    assert found["decay"].value * truth.TICK == pytest.approx(math.log(4.0), rel=0.05)
    assert found["arrival"].value == pytest.approx(1.2, rel=0.08)


def test_prints_of_one_side_at_one_time_are_one_order_and_meet_the_touch_before_it():
    path = truth.Path(np.array([0.0, 1.0]), np.array([100, 100]), np.array([102, 104]), np.array([5, 5]))
    # The book shows the ask at 104 at 1 s already; the prints of that very time, which came later, ate from 102 on.
    rows = truth.rows_of(path, np.array([1.0, 1.0, 2.0]), np.array([1, 1, 1]), np.array([102, 103, 104]), np.array([5, 7, 1]))
    seen = Walk().read(rows)
    assert len(seen.orders) == 1  # the second is open
    (order,) = seen.orders
    assert (order["qty_lots"], order["price_ticks"], order["ask_ticks"]) == (12, 103, 102)


def test_after_a_gap_nothing_is_measured_until_the_next_snapshot():
    rows = truth.diffusion(np.random.default_rng(0), seconds=60)
    gap = rows[len(rows) // 2 : len(rows) // 2 + 1].copy()
    gap["kind"], gap["flags"] = GAP, LAST
    broken = np.concatenate([rows[: len(rows) // 2], gap, rows[len(rows) // 2 :]])
    half, whole = Walk().read(broken), Walk().read(rows)
    assert len(half.samples) < 0.6 * len(whole.samples)


def test_the_half_life_is_the_desks_own_formula(tape):
    moves, dt_ns = np.array([1.0, -2.0, 0.5]), np.array([100_000_000, 150_000_000, 100_000_000])
    weights = np.zeros(3)
    value = est_sums.ewma_path(moves, dt_ns, 60.0, weights)
    assert weights.sum() == pytest.approx(1.0)
    assert value == pytest.approx(float(weights @ (moves**2 / (dt_ns * 1e-9))))


def test_the_realised_kernel_of_plain_noise_is_near_nothing():
    # Pure quote noise of one price has no integrated variance; the realised variance of the same prices is 2 n omega^2.
    prices = 100.0 + np.random.default_rng(1).standard_normal(5000)
    assert realised(prices).variance < 0.02 * float((np.diff(prices) ** 2).sum())


def test_p_values_of_a_right_law_are_even():
    # Under its law a p-value is uniform: a tenth of 400 lies below 0.1, within four standard errors.
    rng = np.random.default_rng(0)
    for test in (
        lambda: et.exponential_p(rng.exponential(1.0, 200)),
        lambda: et.constant_p(rng.standard_normal(400) ** 2),
        lambda: et.uncorrelated_p(rng.standard_normal(400)),
        lambda: et.neumann_p(rng.standard_normal(40)),
        lambda: et.pearson_p(np.bincount(rng.geometric(0.5, 500), minlength=30), 500 * 0.5 ** np.arange(30.0) * (np.arange(30) > 0), 0),
    ):
        share = np.mean([test() < 0.1 for _ in range(400)])
        assert 0.04 < share < 0.16


def test_our_orders_rest_from_their_acceptance_until_they_move_end_or_are_filled_up():
    # Two seconds at 99, amended to 98, a part filled, two more, the rest filled; another that still rests at the end.
    rows = [(0, 1, ACCEPTED, 5, 99), (2, 1, AMENDED, 5, 98), (4, 1, FILL, 2, 98), (6, 1, FILL, 0, 98), (5, 2, ACCEPTED, 1, 97)]
    own = np.zeros(len(rows), EVENT)
    for name, column in zip(("ts_exch_ns", "order_id", "kind", "leaves_lots", "price_ticks"), zip(*rows, strict=True), strict=True):
        own[name] = column
    own["side"] = 1
    assert _rests(own, 9).tolist() == [[0, 2, 99, 1], [2, 6, 98, 1], [5, 9, 97, 1]]


# --- hl.estimate ---------------------------------------------------------------------------------------------------------
def test_one_call_measures_a_tape_and_shows_it(tape):
    found = hl.estimate(tape)
    assert list(found.table().index) == list(found.names)
    assert found["spread"].low < found["spread"].value < found["spread"].high
    page = found._repr_html_()
    assert "distance from the mid, ticks" in page
    assert "horizon" in page
    assert "nan" not in page.lower()
    some = hl.estimate(tape, ["decay", "arrival"])
    assert some.names == ("decay", "arrival")
    assert str(some["decay"]) == str(found["decay"])
    assert "BTC" in found["volume"].unit


def test_a_report_adds_its_own_fills(tape):
    quoter = hl.FixedSpread(order_qty="0.01", half_spread_ticks=1, levels=3)
    report = hl.backtest(tape, BTC, quoter, hl.Limits(position_qty_max="0.5", loss_quote_max=1e6))
    found = hl.estimate(report)
    assert str(found["decay"]) == str(hl.estimate(tape)["decay"])
    own = found["fill_decay"]
    assert 0 < own.low < own.value < own.high
    assert own.samples <= len(report.fills)
    curve, counted = found.curve(own=True)
    assert counted["fills"].sum() == own.samples
    assert curve.per_s(np.array([1.0]))[0] > curve.per_s(np.array([2.0]))[0]
    assert "own fills" in found._repr_html_()


def test_what_there_is_not_is_said(tape):
    with pytest.raises(UnknownName, match="Did you mean 'volatility'"):
        hl.estimate(tape, "volatilty")
    with pytest.raises(InputError, match="wanted a Tape"):
        hl.estimate(tape.rows)
    with pytest.raises(InputError, match=r"hl\.estimate\(report\)"):
        hl.estimate(tape).curve(own=True)
    with pytest.raises(InputError, match="no binance"):
        hl.estimate(tape, instrument=hl.Instrument.bundled("binance:BTC/USDT"))
    with pytest.raises(UnknownName):
        hl.estimate(tape).profile("yearly")


def test_short_and_empty_markets_have_no_values_and_say_so():
    rows = np.zeros(2, EVENT)
    rows["kind"], rows["flags"], rows["ts_recv_ns"], rows["side"] = [DEPTH, TRADE], LAST, truth.START_NS, 1
    for maker in MAKERS:
        one = maker(BTC)
        one.update(rows)
        if hasattr(one, "estimate"):
            assert one.estimate().flag in ("too few", "unknown")
    empty = FillIntensity(BTC)
    empty.update(rows)
    assert {one.flag for one in empty.estimates().values()} == {"too few"}
