"""A bundle reproduces every order, and a changed byte anywhere in it is said in words."""

import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
from numba import njit

import hftlab as hl
from hftlab.analytics.report.compare import acts
from hftlab.backtesting.bundle import Bundle, bundle, check_bundle, tape_digest
from hftlab.backtesting.codec import decode, encode
from hftlab.data.tape import Tape
from hftlab.errors import BundleError, FormatError, InputError
from hftlab.types import CANCEL, SUBMIT

EDGE = 1.0


@njit
def requote(desk, market, params, quote):
    """Follow the fair price with every message: many cancels and new orders."""
    lean = params.user0 * market.position_lots
    quote.bid_ticks = math.floor(market.fair_ticks - EDGE - lean)
    quote.ask_ticks = math.ceil(market.fair_ticks + EDGE - lean)
    quote.bid_lots = quote.ask_lots = int(params.order_lots)
    quote.levels = 1


@pytest.fixture(scope="module")
def tape():
    return hl.sample().slice(0, 40)


def run(tape, quoter):
    """A market maker that requotes by cancelling, with random latency, fee tiers and a queue model of its own."""
    one = replace(tape.instruments[0], amend="never")
    limits = hl.Limits(position_qty_max="0.05", requests_per_s_max=1000, requests_burst=1000)
    latency = hl.Latency(order_ms=3, report_ms=2, jitter_ms=1, seed=4)
    fees = hl.Fees(maker_bps=-0.5, tiers=[(1e5, -0.6, 5)])
    return hl.backtest(tape, one, quoter, limits, latency=latency, fees=fees, queue=hl.Queue(model="log"))


@pytest.fixture(scope="module")
def report(tape):
    return run(tape, hl.FixedSpread(order_qty="0.01", half_spread_ticks=1, skew_ticks_per_order=0.5, hysteresis_ticks=1, life_ms_min=0))


@pytest.fixture(scope="module")
def sealed(report, tmp_path_factory):
    return bundle(report, tmp_path_factory.mktemp("b") / "run.zip", with_tape=True)


def test_a_requoting_market_maker_comes_out_the_same(sealed, report):
    kinds = report.facts.own["kind"]
    assert (kinds == SUBMIT).sum() > 50
    assert (kinds == CANCEL).sum() > 50
    again = check_bundle(sealed)
    assert again.report.digest == report.digest
    assert again.report.pnl_quote == report.pnl_quote
    assert again.report.facts.own.tobytes() == report.facts.own.tobytes()
    assert "came out the same" in repr(again)


def test_a_users_own_quoter_travels_as_text_and_comes_out_the_same(tape, tmp_path):
    quoter = hl.UserQuoter(decide=requote, order_qty="0.01", values={"lean": 0.05}, hysteresis_ticks=1, life_ms_min=0)
    report = run(tape, quoter)
    path = bundle(report, tmp_path / "own.zip")
    made = Bundle.load(path)
    code = made.call["quoter"]["values"]["decide"]["code"]
    assert "lean = params.user0 * market.position_lots" in code["functions"]["requote"]
    assert code["constants"] == {"EDGE": 1.0}
    assert made.about["assumptions"]["queue"] == "log"
    assert "requests and fills" in repr(made)
    assert made.check(tape).acts == len(acts(report.facts.own)) > 100


def test_a_decide_without_a_decorator_travels_as_well(tape, tmp_path):
    # As the README writes it. It was refused: only what @njit had wrapped was taken for a decide.
    plain = hl.UserQuoter(decide=requote.py_func, order_qty="0.01", values={"lean": 0.05}, hysteresis_ticks=1, life_ms_min=0)
    wrapped = hl.UserQuoter(decide=requote, order_qty="0.01", values={"lean": 0.05}, hysteresis_ticks=1, life_ms_min=0)
    report = run(tape, plain)
    assert report.digest == run(tape, wrapped).digest
    assert Bundle.load(bundle(report, tmp_path / "plain.zip")).check(tape).report.digest == report.digest


def test_one_flipped_bit_anywhere_is_said_in_words(sealed, tmp_path):
    whole = sealed.read_bytes()
    rng = np.random.default_rng(8)
    places = {0, 1, 10, len(whole) - 1, len(whole) - 64, len(whole) - 65, len(whole) - 80, *rng.integers(0, len(whole), 300).tolist()}
    for place in places:
        changed = bytearray(whole)
        changed[place] ^= 1 << int(rng.integers(0, 8))
        path = tmp_path / "changed.zip"
        path.write_bytes(changed)
        with pytest.raises(BundleError, match="was changed"):
            check_bundle(path)
    for cut in (0, 3, 64, 70, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut.zip").write_bytes(whole[:cut])
        with pytest.raises(BundleError, match=r"no bundle|cut short"):
            Bundle.load(tmp_path / "cut.zip")
    (tmp_path / "long.zip").write_bytes(whole + b"x")
    with pytest.raises(BundleError, match="was changed"):
        Bundle.load(tmp_path / "long.zip")


def test_a_bundle_without_a_tape_wants_the_same_one(report, tape, tmp_path):
    small = bundle(report, tmp_path / "small.zip")
    with pytest.raises(BundleError, match="holds no tape"):
        check_bundle(small)
    rows = tape.rows.copy()
    rows["qty_lots"][5] += 1
    other = Tape(rows, tape.instruments)
    assert tape_digest(other)[0] != tape_digest(tape)[0]
    with pytest.raises(BundleError, match="not the one"):
        check_bundle(small, tape=other)
    assert check_bundle(small, tape=tape).acts > 20
    with pytest.raises(BundleError, match="no file"):
        Bundle.load(tmp_path / "nothing.zip")


def test_a_run_that_comes_out_different_names_the_first_order(report, sealed, tape):
    made = Bundle.load(sealed)
    call = dict(made.call)
    call["latency"] = encode(hl.Latency(order_ms=30))
    with pytest.raises(BundleError, match=r"does not come out the same: the first [\d,]+ requests and fills are the same; then, at 2026"):
        Bundle(sealed, made.about, call, made.expected).check(tape)


def test_arguments_travel_and_what_cannot_is_refused(tmp_path):
    values = [
        None,
        1.5,
        math.inf,
        [1, "a"],
        {"x": 2},
        hl.Limits(position_qty_max="0.05"),
        hl.Queue(model="log"),
        hl.Latency(order_ms=1, recorded=[(0, 5, 9), (10, 16, 21)]),
        hl.ZScoreReversion(qty="0.02", lookback=7),
        hl.Instrument.bundled("sim:BTC/USDT"),
    ]
    for value in values:
        assert decode(encode(value)) == value or decode(encode(value)).to_dict() == value.to_dict()
    array = np.arange(6.0).reshape(2, 3)
    assert np.array_equal(decode(encode(array)), array)
    with pytest.raises(InputError, match="cannot travel"):
        encode(object(), "quoter")
    with pytest.raises(FormatError, match="another version"):
        decode({"type": "Nonsense", "values": {}})


def test_a_strategy_starts_anew_when_its_run_is_repeated(tmp_path):
    tape = hl.sample()
    strategy = hl.ZScoreReversion(qty="0.02", lookback=20)
    limits = hl.Limits(position_qty_max="0.05")
    report = hl.backtest(tape, None, hl.WorkTarget(order_qty="0.01"), limits, strategy=strategy, bar_s=2)
    assert report.origin.again().digest == report.digest
    path = bundle(report, tmp_path / "strategy.zip")
    assert check_bundle(shutil.copy(path, tmp_path / "copy.zip"), tape=tape).report.digest == report.digest
