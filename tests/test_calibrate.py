"""Calibration: what a window says about a quoter, and the one bounded, journaled, revertible command that sets it."""

import dataclasses

import numpy as np
import pytest
import sessions

import hftlab as hl
from benchmarks.drills import estimator_truth as truth
from hftlab.analytics.estimators.calibrate import WIDEST
from hftlab.data import journal as jn
from hftlab.data.tape import Tape
from hftlab.engine.commands import rows_of
from hftlab.engine.view_calibrate import params_before
from hftlab.errors import CommandRefused, InputError, UnknownName
from hftlab.kernels import pricing
from hftlab.types import SET_PARAMS

BTC = truth.BTC
WIDE = {"spreads": "apart"}


def quoter(**options):
    return hl.AvellanedaStoikov(**({"risk_aversion": 0.1, "order_qty": "0.01"} | options))


@pytest.fixture(scope="module")
def tape():
    """Ten minutes of a market with A = 2 /s and k = 0.5 per tick."""
    return Tape(truth.flow(np.random.default_rng(5), **WIDE), (BTC,))


@pytest.fixture(scope="module")
def short():
    return Tape(truth.flow(np.random.default_rng(5), seconds=20.0, **WIDE), (BTC,))


def test_a_calibrated_quoter_has_the_measured_values_and_an_interval(tape):
    found = hl.calibrate(quoter(), tape)
    assert found.usable, found.why
    k, a = found.values["decay_per_price"], found.values["arrival_per_s"]
    assert k.low <= truth.K / truth.TICK <= k.high
    assert a.low <= truth.A <= a.high
    made = found.quoter
    assert (made.decay_per_price, made.arrival_per_s) == (k.value, a.value)
    assert made.calibration_band_ticks == pytest.approx(found.half_spread.width / 2)
    # By hand from the formula: the half-spread at no inventory, sigma being the measured one.
    sigma = hl.estimate(tape, "volatility")["volatility"].value / truth.TICK
    record = quoter().record(BTC)[0]
    wanted = (
        pricing.as_spread(record["risk_aversion_per_ticklot"], sigma, record["horizon_s"], k.value * truth.TICK, record["order_lots"]) / 2
    )
    assert found.half_spread.value == pytest.approx(wanted, rel=1e-6)
    assert found.half_spread.low < wanted < found.half_spread.high
    assert made.half_spread_ticks_min <= wanted <= made.half_spread_ticks_max
    assert made.half_spread_ticks_max == pytest.approx(WIDEST * found.half_spread.high, rel=0.2)
    assert "Half-spread at no inventory" in found._repr_html_()
    assert list(found.table().index) == list(found.values)


def test_a_fixed_spread_is_where_depth_times_intensity_peaks(tape):
    found = hl.calibrate(hl.FixedSpread(order_qty="0.01", half_spread_ticks=7), tape)
    depth = np.linspace(0.1, 10, 10_000)
    k = hl.estimate(tape, "decay")["decay"].value * truth.TICK
    assert found.quoter.half_spread_ticks == pytest.approx(depth[np.argmax(depth * np.exp(-k * depth))], abs=2e-3)
    assert found.values["half_spread_ticks"].low <= 1 / truth.K <= found.values["half_spread_ticks"].high


def test_too_short_a_window_has_no_values(short):
    found = hl.calibrate(quoter(), short.slice(0, 3))
    assert not found.usable
    assert "independent samples" in found.why or "could not be measured" in found.why
    with pytest.raises(InputError, match="longer window"):
        _ = found.quoter


def test_a_band_wider_than_the_half_spread_is_not_usable_and_the_quoter_refuses_to_quote(tape):
    found = hl.calibrate(quoter(), tape)
    vague = dataclasses.replace(found.half_spread, low=0.0, high=4 * found.half_spread.value)
    from hftlab.analytics.estimators.calibrate import _reasons

    assert "more than its" in _reasons([], vague)[0]
    unsure = dataclasses.replace(found, half_spread=vague)
    report = hl.backtest(tape, BTC, unsure.quoter, hl.Limits(position_qty_max="0.1"))
    assert report.summary()["submits"] == 0
    assert "calibration band" in str(report.desk["refusals"])
    sure = hl.backtest(tape, BTC, found.quoter, hl.Limits(position_qty_max="0.1"))
    assert sure.summary()["submits"] > 0


def test_what_cannot_be_calibrated_is_said(tape):
    with pytest.raises(InputError, match="AvellanedaStoikov and FixedSpread"):
        hl.calibrate(hl.WorkTarget(order_qty="0.01"), tape)
    with pytest.raises(UnknownName, match="level"):
        hl.calibrate(quoter(), tape, leval=0.9)


# --- the command ---------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        values = {"decay_per_price": 5.0, "half_spread_ticks_min": 0.75, "calibration_band_ticks": 0.25}
        return sessions.run_session(
            tmp_path_factory.mktemp("calibrated") / "run", patch, by=quoter(), seconds=10, commands=[(6, "calibrate", values)]
        )[0]


def test_one_command_is_contiguous_rows_and_replays_byte_for_byte(driver):
    rows = jn.read(driver.directory / "journal")
    at = np.flatnonzero(rows["kind"] == SET_PARAMS)
    assert len(at) == 3
    assert (np.diff(at) == 1).all()
    state = driver.spec.state()
    state.step(driver.spec.run(), rows)
    assert state.digest() == driver.state.digest()
    before = params_before(driver.directory, 0, int(at[0]))
    assert before.tobytes() == driver.spec.quoters[0].record(BTC).tobytes()
    assert params_before(driver.directory, 0, len(rows)).tobytes() == driver.state.markets["params"][:1].tobytes()


def test_all_or_nothing_and_bounded(driver):
    state = driver.state
    for values, error, text in (
        ({"decay_per_price": 21.0, "half_spread_ticks_min": 1.0}, CommandRefused, "more than 4 times away from the 5 in force"),
        ({"decay_per_price": 1.2}, CommandRefused, "more than 4 times"),
        ({"decay_per_price": 6.0, "half_spred_ticks_min": 1.0}, UnknownName, "half_spread_ticks_min"),
        ({"decay_per_price": float("nan")}, InputError, "number"),
        ({"bound": 4.0}, InputError, "no parameter"),
        ({"decay_per_price": 6.0, "bound": 0.5}, InputError, "bound"),
    ):
        with pytest.raises(error, match=text):
            rows_of("calibrate", 0, values, state, 1)
    assert len(rows_of("calibrate", 0, {"decay_per_price": 20.0}, state, 1)) == 1
    assert len(rows_of("calibrate", 0, {"decay_per_price": 50.0, "bound": 10.0}, state, 1)) == 1
    # k is the desk's own estimate where it is not set: 1 / mean distance.
    state.markets["params"]["decay_per_tick"][0] = 0.0
    there = 1.0 / float(state.markets["distance_ticks"][0]) / truth.TICK
    assert len(rows_of("calibrate", 0, {"decay_per_price": 3.9 * there}, state, 1)) == 1
    with pytest.raises(CommandRefused):
        rows_of("calibrate", 0, {"decay_per_price": 4.1 * there}, state, 1)


def test_a_view_is_a_source_that_is_followed(driver):
    view = hl.attach(driver.directory)
    follower = view.follow()
    first = sum(map(len, follower.chunks()))
    assert first == sum(map(len, view.chunks(1000)))
    assert max(map(len, view.chunks(1000))) < 3000
    assert sum(map(len, follower.chunks())) == 0
    found = hl.estimate(view)
    assert found.rows == first
    loaded = hl.load(driver.directory)
    assert first == len(loaded)
    assert str(found["spread"]) == str(hl.estimate(loaded)["spread"])
    with (driver.directory / "journal" / "000000.rows").open("ab") as file:
        file.write(loaded.rows[-1:].tobytes() + b"torn")
    assert found.refresh().rows == first + 1


def test_a_session_takes_a_calibration_and_takes_it_back_after_a_restart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = quoter()
    session = hl.start(hl.SynthFeed(BTC, seed=3), hl.PaperVenue(BTC), before, hl.Limits(position_qty_max="0.05"), run="calibrated")
    try:
        session.wait(lambda frame: frame.desk["rows"] > 500, 60)
        start = session.frame().markets[0]["params"].tobytes()
        with pytest.raises(InputError, match="nothing to take back"):
            session.revert()
        found = hl.calibrate(before, hl.sample())
        done = session.apply(found, "the sample says so", bound=1e6)
        assert done["count"] == len(found.params)
        session.stop()
        session = hl.resume("calibrated")
        there = session.frame().markets[0]["params"]
        assert there["decay_per_tick"] == pytest.approx(found.params["decay_per_price"] * truth.TICK)
        session.revert("not better")
        assert session.frame().markets[0]["params"].tobytes() == start
        with pytest.raises(InputError, match="nothing to take back"):
            session.revert()
        last = session.audit()[-1]
        assert (last["command"], last["why"], last["values"]["revert"]) == ("calibrate", "not better", done["row"])
        with pytest.raises(InputError, match="a quoter FixedSpread"):
            session.apply(hl.calibrate(hl.FixedSpread(order_qty="0.01"), hl.sample()))
    finally:
        session.stop()
