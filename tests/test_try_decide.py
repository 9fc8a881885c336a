"""A decide in plain Python: the same results as compiled, a table of its wishes, and what one compile costs."""

import gc
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from numba import njit
from stories import limits
from tapes import TAPES, A, B, Writer, build_tape

import hftlab as hl
from hftlab.backtesting.attempt import try_decide
from hftlab.data.state import build
from hftlab.data.tape import Tape
from hftlab.errors import InputError, UserCodeError
from hftlab.kernels import book as bk
from hftlab.kernels import own, pricing
from hftlab.kernels import quote as q
from hftlab.kernels.book import lots_at
from hftlab.types import ASK, BID, LAST, NO_PRICE
from hftlab.usercode.run import compiled, runner
from hftlab.usercode.travel import capture, restore

EDGE = 1.5


@njit
def weight(market, side, price):
    return 0.0 if price == NO_PRICE else own.public_lots(market, side, price)


def lean(market, params):
    return params.user0 * market.position_lots + 0.25 * pricing.ewma_weight(10_000_000, 1.0)


@njit
def decide(desk, market, params, quote):
    """Reads everything that a quoter may read: the book by its functions, orders, bars, its own memory."""
    best = q.public_touch(market, BID)
    deep = bk.next_level(market.book, BID, best) if best != NO_PRICE else NO_PRICE
    tilt = math.log((1.0 + weight(market, BID, deep)) / (1.0 + lots_at(market.book, ASK, market.book.best_ask_ticks)))
    resting = 0
    for order in market.orders:
        if order.status != 0 and order["flags"] != 0:
            resting += order.leaves_lots
    last = market.bars[(market.bars_count - 1) % 256].close_ticks if market.bars_count > 0 else market.fair_ticks
    params.user9 = 0.9 * params.user9 + 0.1 * (market.fair_ticks - last)
    middle = market.fair_ticks - lean(market, params) + 0.5 * tilt - 0.01 * resting + params.user9
    quote.bid_ticks = math.floor(middle - EDGE)
    quote.ask_ticks = math.ceil(middle + EDGE)
    quote.bid_lots = quote.ask_lots = int(params.order_lots)
    quote.levels = 2
    quote.step_ticks = 2


def run(tape_rows, *, jit=True, function=decide):
    quoter = hl.UserQuoter(decide=function, order_qty="1", values={"lean": 0.05})
    state = build((A, B), (quoter, quoter), (limits(), limits(position_qty_max="400")), latency=hl.Latency(order_ms=3), sample_ms=100)
    written = state.step(runner(function, jit=jit), tape_rows)
    return state.digest(), written.tobytes(), int(state.desk["submits"][0])


@given(steps=TAPES)
@settings(max_examples=30, deadline=None)
def test_plain_python_leaves_the_same_bytes_as_compiled(steps):
    rows = build_tape(steps)
    assert run(rows) == run(rows, jit=False)


def test_what_travelled_leaves_the_same_bytes_too():
    rows = build_tape([(0, "move", 1, 9, 100), (1, "trade", -1, 30, 50), (0, "trade", 1, 60, 40), (0, "move", -2, 7, 300)] * 8)
    first = run(rows)
    assert first[2] > 5
    assert run(rows, function=restore(capture(decide))) == first


@pytest.fixture(scope="module")
def tape():
    """Twelve snapshots, one a second, the mid a tick higher each time."""
    w = Writer(feed_ns=2_000_000)
    for n in range(12):
        w.snapshot(0, 2000 + n, depth=2)
        w.now += 1_000_000_000
    return Tape(w.array(), (A,))


def fixed(desk, market, params, quote):
    quote.bid_ticks = int(market.fair_ticks) - 3
    quote.ask_ticks = int(market.fair_ticks) + 3
    quote.bid_lots = 10
    quote.ask_lots = 20
    quote.levels = 1


def test_the_table_holds_every_wish_in_human_units(tape):
    table = try_decide(fixed, tape, messages=3, timer_ms=10_000.0)
    # By hand: three messages, each with its tick of 0.5 and lots of 0.01, and reports on our orders between them.
    messages = table.drop_duplicates("fair")
    assert messages["fair"].tolist() == [1000.0, 1000.5, 1001.0]
    assert messages["bid"].tolist() == [998.5, 999.0, 999.5]
    assert messages["ask"].tolist() == [1001.5, 1002.0, 1002.5]
    assert set(table["bid_qty"]) == {0.1}
    assert set(table["ask_qty"]) == {0.2}
    assert messages["best_bid"].tolist() == [999.5, 1000.0, 1000.5]
    assert messages["ts"].astype("int64").tolist() == [tape.start_ns + k * 10**9 for k in range(3)]
    assert set(table["instrument"]) == {"A/USD"}
    assert set(table["note"]) == {""}


def test_prints_and_closures_work_while_trying(tape, capsys):
    seen = []

    def talks(desk, market, params, quote):
        print(f"fair {market.fair_ticks:.1f}")  # neither would compile
        seen.append({"fair": float(market.fair_ticks)})

    table = try_decide(talks, tape, messages=2)
    assert [one["fair"] for one in seen][:1] == [2000.0]
    assert len(seen) == len(table)
    assert "fair 2000.0" in capsys.readouterr().out


def test_a_record_that_a_user_keeps_keeps_its_memory(tape):
    kept = []

    def keeps(desk, market, params, quote):
        kept.append((desk, market, market.bars))

    try_decide(keeps, tape, messages=3)
    gc.collect()
    other = [np.full(600_000, 7, np.uint8) for _ in range(20)]  # would take the place of memory that is free
    desk, market, bars = kept[0]
    assert desk.now_ns > tape.start_ns
    assert market.fair_ticks == 2002.0
    assert bars.shape == (256,)
    assert len(other) == 20


def test_what_is_wrong_with_a_wish_stands_beside_it(tape):
    def crosses(desk, market, params, quote):
        fixed(desk, market, params, quote)
        if market.messages == 2:
            quote.bid_ticks = quote.ask_ticks
        if market.messages == 3:
            quote.levels = 0

    table = try_decide(crosses, tape, messages=4)
    assert table["note"].drop_duplicates().tolist() == ["", "refused: the bid is not below the ask", "nothing shown: levels is 0"]

    def nan(desk, market, params, quote):
        quote.bid_lots = quote.levels = 1
        quote.bid_ticks = NO_PRICE  # what a NaN becomes

    assert set(try_decide(nan, tape, messages=4)["note"]) == {"refused: not a price (out of a NaN or an infinity?)"}


def test_a_failure_while_trying_keeps_the_table(tape):
    def fails(desk, market, params, quote):
        fixed(desk, market, params, quote)
        assert market.messages < 5, "only five"

    with pytest.raises(UserCodeError, match="AssertionError: only five") as caught:
        try_decide(fails, tape)
    assert caught.value.report["fair"].max() == 1001.5
    assert caught.value.row == np.flatnonzero((tape.rows["flags"] & LAST) != 0)[4]


def test_a_frame_is_asked_once_and_left_as_it_was(tape):
    state = build((A,), (hl.FixedSpread(order_qty="0.1"),), (limits(),))
    state.step(runner(fixed), tape.rows[: 2 * 5])
    before, frame = state.digest(), state.frame(copy=False)
    table = try_decide(hl.UserQuoter(decide=fixed, order_qty="0.1"), frame)
    assert table[["fair", "bid", "ask"]].to_numpy().tolist() == [[1000.5, 999.0, 1002.0]]
    assert state.digest() == before
    with pytest.raises(UserCodeError, match="ZeroDivisionError"):
        try_decide(lambda desk, market, params, quote: 1 // 0, frame)


def test_wrong_arguments_are_answered(tape):
    with pytest.raises(InputError, match="messages was 0"):
        try_decide(fixed, tape, messages=0)
    with pytest.raises(InputError, match="Did you mean 'messages'"):
        try_decide(fixed, tape, mesages=3)


def test_a_small_order_is_one_that_the_venue_takes():
    btc = hl.Instrument.bundled("binance:BTC/USDT")
    table = try_decide(fixed_lots, hl.sample().slice(0, 1), messages=50)
    notional = table["bid"] * table["bid_qty"]
    assert (notional >= 2 * float(btc.notional_quote_min)).all()


def fixed_lots(desk, market, params, quote):
    fixed(desk, market, params, quote)
    quote.bid_lots = quote.ask_lots = int(params.order_lots)


# --- what it costs -----------------------------------------------------------------------------------------------------------


def test_a_new_decide_compiles_itself_and_not_the_engine(tape):
    from numba.core import event

    class Names(event.Listener):
        def on_start(self, event):
            names.append(event.data["dispatcher"].py_func.__name__)

        def on_end(self, event):
            pass

    hl.backtest(tape, A, hl.UserQuoter(decide=fixed, order_qty="0.1"), limits())
    names = []

    def another(desk, market, params, quote):
        quote.bid_ticks = int(market.fair_ticks) - 7
        quote.bid_lots = quote.levels = 1

    with event.install_listener("numba:compile", Names()):
        hl.backtest(tape, A, hl.UserQuoter(decide=another, order_qty="0.1"), limits())
        hl.backtest(tape, A, hl.UserQuoter(decide=another, order_qty="0.2"), limits())
    assert names == ["another"]


def test_a_changed_number_in_the_notebook_is_compiled_anew():
    scope = {}
    exec("def steps(desk, market, params, quote):\n    quote.bid_ticks = STEP\n", scope)
    scope["STEP"] = 1
    one, same = compiled(scope["steps"]), compiled(scope["steps"])
    scope["STEP"] = 2
    assert one is same
    assert compiled(scope["steps"]) is not one


# --- with numba switched off, and in a notebook ------------------------------------------------------------------------------


def fresh(script, **env):
    here = Path(__file__).parent
    paths = {"PYTHONPATH": os.pathsep.join([str(here), str(here.parent)])}
    done = subprocess.run([sys.executable, "-c", script], env=os.environ | paths | env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_same_with_numba_switched_off():
    script = (
        "import hashlib, test_try_decide as t\n"
        "from tapes import build_tape\n"
        "rows = build_tape([(0, 'move', 1, 9, 100), (1, 'trade', -1, 30, 50), (0, 'trade', 1, 60, 40)] * 3)\n"
        "digest, written, submits = t.run(rows)\n"
        "print(digest, hashlib.blake2b(written).hexdigest(), submits)\n"
    )
    assert fresh(script, NUMBA_DISABLE_JIT="1") == fresh(script)


def test_an_error_in_a_notebook_names_the_cell():
    script = (
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance()\n"
        "shell.run_cell('import hftlab as hl', store_history=True)\n"
        "shell.run_cell('def decide(desk, market, params, quote):\\n    quote.bid_ticks = market.fair\\n', store_history=True)\n"
        "shell.run_cell('from hftlab.usercode.run import runner\\ntry:\\n    runner(decide)\\nexcept hl.errors.UserCodeError as e:\\n    print(e)')\n"
    )
    assert "decide, line 2 of cell In[2]:\n    quote.bid_ticks = market.fair\nmarket has no field 'fair'." in fresh(script)
