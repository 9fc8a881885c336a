"""The crowd: cuts change nothing, seeds decide everything, the book stays sound, and the market looks like one."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hftlab.analytics.theory import stylized, stylized_facts
from hftlab.data.synth import make_sample, pack_rows, sample_rows, synth_rows, unpack_rows
from hftlab.errors import InputError, UnknownName
from hftlab.instrument import Instrument
from hftlab.kernels import rng, world
from hftlab.types import CLEAR, DEPTH, EVENT, LAST, NO_PRICE, SNAPSHOT, TRADE

SECOND = 1_000_000_000
BTC = Instrument.bundled("sim:BTC/USDT")


def run(state, until_ns, out_rows=world.OUT_ROWS):
    """Advance a world and return its rows."""
    out = np.zeros(out_rows, EVENT).view(np.recarray)
    parts = [np.zeros(0, EVENT)]
    while state["flow"]["next_ns"][0] <= until_ns:
        count = world.advance_world(state.view(np.recarray), out, until_ns)
        parts.append(np.asarray(out[:count]).copy())
    return np.concatenate([part.view(EVENT) for part in parts])


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**40), cuts=st.lists(st.integers(0, 5 * SECOND), max_size=6))
def test_cutting_the_way_changes_neither_rows_nor_state(seed, cuts):
    end = 5 * SECOND
    straight = world.world_new(seed=seed, start_ns=0, price_ticks=120_000)
    stepped = straight.copy()
    rows = run(straight, end)
    parts = [run(stepped, cut) for cut in sorted(cuts)] + [run(stepped, end)]
    assert np.concatenate(parts).tobytes() == rows.tobytes()
    assert stepped.tobytes() == straight.tobytes()


DIGEST = """
import hashlib, numpy as np
from hftlab.kernels import world
from hftlab.types import EVENT
small = dict(limit_per_s=150.0, cancel_per_s_max=2.0, activity_sd=0.1)
state = world.world_new(seed=4, start_ns=0, price_ticks=-3, **small).view(np.recarray)
out = np.zeros(world.OUT_ROWS, EVENT).view(np.recarray)
count = world.advance_world(state, out, 10**9)
asked = np.zeros(1, EVENT).view(np.recarray)
asked.kind, asked.order_id, asked.side, asked.price_ticks, asked.qty_lots = 96, 5, 1, 40, 40
more = world.request_world(state, out[count:], asked, 0, 10**9, 1)
rows = out[: count + more]
print(len(rows), sorted(set(rows["kind"].tolist())), hashlib.sha256(rows.tobytes() + state.tobytes()).hexdigest())
"""


@pytest.mark.parametrize("setting", ["NUMBA_DISABLE_JIT", "NUMBA_BOUNDSCHECK"])
def test_plain_python_and_checked_bounds_give_the_bytes_of_the_compiled_kernels(setting, tmp_path):
    def digest(**environment):
        # -W error: an overflow or an invalid cast in the plain run is a fault
        command = [sys.executable, "-W", "error", "-c", DIGEST]
        return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=True).stdout

    compiled = digest()
    assert " [1, 2, 32, 36] " in compiled
    assert digest(**{setting: "1", "HFTLAB_CACHE_DIR": str(tmp_path)}) == compiled


def test_a_short_output_is_filled_in_turns_with_the_same_rows():
    long, short = (world.world_new(seed=5, start_ns=0, price_ticks=120_000) for _ in range(2))
    assert run(long, 5 * SECOND).tobytes() == run(short, 5 * SECOND, out_rows=12_000).tobytes()


@settings(max_examples=5, deadline=None)
@given(
    seed=st.integers(0, 2**40),
    toxic=st.sampled_from((0.0, 1.0)),
    informed=st.sampled_from((0.0, 1.0)),
    name=st.sampled_from(("sim:BTC/USDT", "binance:BTC/USDT", "sim:ETH/USDT", "hyperliquid:BTC/USDC:USDC")),
)
def test_rows_alone_build_a_book_that_never_crosses(seed, toxic, informed, name):
    rows = synth_rows(Instrument.bundled(name), 20, seed, toxic=toxic, informed=informed)
    levels = {1: {}, -1: {}}
    for row in rows:
        if row["kind"] == DEPTH:
            levels[int(row["side"])][int(row["price_ticks"])] = int(row["qty_lots"])
            if row["qty_lots"] == 0:
                del levels[int(row["side"])][int(row["price_ticks"])]
        if row["flags"] & LAST:
            assert max(levels[1]) < min(levels[-1])
    assert np.all(rows["qty_lots"][rows["kind"] == TRADE] > 0)
    assert np.all(np.diff(rows["ts_recv_ns"]) >= 0)
    assert np.all(np.diff(rows["seq"][~(rows["flags"] & SNAPSHOT > 0)]) == 1)


def test_the_seed_decides():
    first, again, other = (synth_rows(BTC, 5, seed) for seed in (1, 1, 2))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


def test_activity_multiplies_the_rate_of_rows():
    calm, busy = (len(synth_rows(BTC, 60, 3, activity=a, activity_sd=0.01)) for a in (0.5, 2.0))
    assert 3 < busy / calm < 5


def test_toxic_takers_take_from_makers_what_the_plain_market_gives_them():
    # realised half spread: what a maker keeps 10 s after a trade, in ticks
    def keeps(toxic, seed):
        return stylized_facts.realised_half_spread(stylized_facts.market(synth_rows(BTC, 600, seed, toxic=toxic)))

    kept = {toxic: np.median([keeps(toxic, seed) for seed in (1, 2, 3)]) for toxic in (0.0, 1.0)}
    assert kept[1.0] < -0.1 < kept[0.0]


def test_uninformed_trades_leave_the_efficient_price_alone():
    state = world.world_new(seed=1, start_ns=0, price_ticks=120_000, informed=0.0, news_per_s=0.0)
    before = float(state["flow"]["efficient_ticks"][0])
    rows = run(state, 60 * SECOND)
    assert np.count_nonzero(rows["kind"] == TRADE) > 20
    assert float(state["flow"]["efficient_ticks"][0]) == before


def test_the_market_meets_the_robust_bars():
    """A subset of numbers.md's bars, on fixed seeds, with room to spare; the whole table is in docs/synthetic_market.md."""
    runs = [stylized.measure(synth_rows(BTC, 1200, seed)) for seed in (1, 2, 3)]
    frame = stylized.table(*runs).set_index("bar")
    held = [
        "P(spread = 1 tick)",
        "kurtosis of 10 s returns",
        "CV of waiting times between trades",
        "Fano factor of trades per second",
        "sign autocorrelation exponent",
        "OFI R2 at 10 s",
        "OFI R2 - trade imbalance R2",
        "P(up | imbalance > .8)",
        "response after 1 trade [ticks]",
        "response after 10 trades [ticks]",
        "trade size tail exponent",
        "limit changes per cancel",
        "limit changes per trade",
    ]
    assert frame.loc[held, "met"].all(), frame.to_string()


def test_a_random_walk_has_the_statistics_of_one():
    """The measures themselves, on rows whose answers are known: a one-tick market that steps up or down once a second."""
    generator = np.random.default_rng(7)
    steps = generator.choice((-1, 1), 20_000)
    rows = np.zeros(4 * len(steps) + 2, EVENT)
    price = 10_000 + np.concatenate(([0], np.cumsum(steps)))
    rows["kind"], rows["flags"], rows["qty_lots"] = DEPTH, 0, 5
    rows["side"][:2], rows["price_ticks"][:2] = (1, -1), (price[0], price[0] + 1)
    rows["flags"][1::4] = LAST
    body = rows[2:].reshape(-1, 4)
    for k, side in enumerate((1, -1, 1, -1)):
        # the old two levels vanish, the new two appear
        source = price[:-1] if k < 2 else price[1:]
        body["side"][:, k], body["price_ticks"][:, k] = side, source + (side == -1)
        body["qty_lots"][:, k] = 0 if k < 2 else 5
        body["ts_exch_ns"][:, k] = np.arange(1, len(steps) + 1) * SECOND
    body["flags"] = (0, 0, 0, LAST)
    m = stylized_facts.market(rows)
    assert np.array_equal(m.mid, price + 0.5)
    assert stylized_facts.spread_one(m) == 1.0
    assert stylized_facts.signature(m) == pytest.approx(1.0, abs=0.3)
    assert stylized_facts.kurtosis(m, 10) == pytest.approx(3 - 2 / 10, abs=0.2)  # of a sum of n fair signs
    assert abs(stylized_facts.autocorrelation(np.diff(m.mid), 1)) < 4 / np.sqrt(len(steps))


def test_the_hill_estimate_finds_the_exponent_of_a_pareto_sample():
    lots = (100 * np.random.default_rng(1).random(200_000) ** (-1 / 1.6)).astype("i8")
    empty = np.zeros(0, "i8")
    m = stylized_facts.Market(empty, empty, empty, empty, lots, empty, empty, 0, 0)
    assert stylized_facts.size_exponent(m) == pytest.approx(1.6, abs=4 * 1.6 / np.sqrt(4000))


@given(seed=st.integers(0, 2**62), steps=st.integers(1, 50))
def test_the_generator_runs_as_the_exact_recurrence_says(seed, steps):
    state = np.zeros(1, [("rng", "u8")]).view(np.recarray)
    state.rng = rng.rng_seed(seed)
    x = int(state.rng[0])
    for _ in range(steps):
        wanted = (((x ^ (x >> 32)) & 0xFFFFFFFF) + 0.5) / 2**32
        assert rng.uniform(state[0]) == wanted
        x = 4294883355 * (x & 0xFFFFFFFF) + (x >> 32)
        assert int(state.rng[0]) == x < 2**64


def test_the_draws_have_the_moments_of_their_laws():
    state = np.zeros(1, [("rng", "u8")]).view(np.recarray)
    state.rng = rng.rng_seed(11)
    n = 20_000
    normal = np.array([rng.normal(state[0]) for _ in range(n)])
    exponential = np.array([rng.exponential(state[0]) for _ in range(n)])
    pareto = np.array([rng.pareto(state[0], 1.5) for _ in range(n)])
    assert abs(normal.mean()) < 4 / np.sqrt(n)
    assert abs(normal.var() - 1) < 4 * np.sqrt(2 / n)
    assert abs(exponential.mean() - 1) < 4 / np.sqrt(n)
    assert abs(np.mean(pareto > 4) - 4**-1.5) < 4 * np.sqrt(0.125 * 0.875 / n)


def test_the_shipped_sample_is_what_its_seed_makes():
    rows = sample_rows()
    assert rows.dtype == EVENT
    assert rows[0]["kind"] == CLEAR
    assert rows[0]["price_ticks"] == NO_PRICE
    assert make_sample().tobytes() == rows.tobytes()


def test_packing_gives_the_rows_back(tmp_path):
    rows = synth_rows(BTC, 3, 9, jitter_ns=500_000)
    pack_rows(tmp_path / "tape.npz", rows, seed=9)
    assert unpack_rows(tmp_path / "tape.npz").tobytes() == rows.tobytes()


def test_bad_input_says_what_was_wanted():
    with pytest.raises(UnknownName, match="Did you mean 'toxic'"):
        synth_rows(BTC, 1, 1, toxik=1.0)
    with pytest.raises(InputError, match="seconds=0"):
        synth_rows(BTC, 0, 1)
    with pytest.raises(InputError, match="no DEPTH row"):
        stylized_facts.market(np.zeros(3, EVENT))
