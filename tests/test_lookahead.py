"""The look-ahead check: planted bugs of every usual kind are found, honest programs pass."""

import math
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest
from numba import njit
from stories import limits
from tapes import MS, A, B, Writer, build_tape

import hftlab as hl
from hftlab.backtesting.lookahead import check_lookahead
from hftlab.data.tape import Tape
from hftlab.errors import InputError, UserCodeError
from hftlab.types import CLEAR

STEP_NS = 100 * MS


@pytest.fixture(scope="module")
def tape():
    """A mid every 100 ms for 40 seconds, in a book of three levels."""
    w, mid = Writer(feed_ns=2 * MS), 2000
    w.now = w.now // (10_000 * MS) * (10_000 * MS)
    for move in np.random.default_rng(5).integers(-2, 3, 400).tolist():
        mid += move
        w.snapshot(0, mid, depth=3)
        w.now += STEP_NS
    return Tape(w.array(), (A,))


def mids(tape):
    """The mid prices of a tape by the time they were received, as any user would take them from it."""
    at = np.flatnonzero(tape.rows["kind"] == CLEAR)
    return pd.Series(tape.rows["price_ticks"][at + 1] + 1.0, index=tape.rows["ts_recv_ns"][at])


@dataclass
class BySignal:
    """Long while the last known value of a signal is above zero, short below: a column of a DataFrame, looked up by time."""

    signal: pd.Series = field(repr=False)
    every_s: float = 0.1

    def on_timer(self, frame):
        row = int(self.signal.index.searchsorted(frame.now_ns, side="right")) - 1
        value = self.signal.iloc[row] if row >= 0 else math.nan
        return None if math.isnan(value) else {0: "0.2" if value > 0 else "-0.2"}


@dataclass
class NextRow(BySignal):
    """Trades on the row after the last known one."""

    def on_timer(self, frame):
        row = int(self.signal.index.searchsorted(frame.now_ns, side="right"))
        return {0: "0.2" if self.signal.iloc[row] > self.signal.iloc[row - 1] else "-0.2"} if 0 < row < len(self.signal) else None


def fitted(tape, *, upto):
    """A line through (last move, next move), fitted on rows before `upto` of the tape, applied to the last move."""
    moves = mids(tape).diff().fillna(0.0)
    x, y = moves.iloc[:upto].to_numpy()[:-1], moves.iloc[:upto].to_numpy()[1:]
    slope, offset = np.polyfit(x, y, 1)
    return moves * slope + offset


def seconds(tape, label):
    """The mean mid of each second, standing at its start or at its end, less the mean of the second before."""
    mid = mids(tape)
    mid.index = pd.to_datetime(mid.index, utc=True)
    bars = mid.resample("1s", label=label, closed="right").mean().diff()
    bars.index = bars.index.astype("datetime64[ns, UTC]").asi8
    return bars


PLANTED = {
    "the next row": lambda tape: NextRow(mids(tape)),
    "the mean of the whole tape": lambda tape: BySignal(mids(tape) - mids(tape).mean()),
    "normalised by the whole tape": lambda tape: BySignal((mids(tape) - mids(tape).min()) / np.ptp(mids(tape)) - 0.5),
    "a shifted column": lambda tape: BySignal(mids(tape).diff().shift(-1)),
    "a centred window": lambda tape: BySignal(mids(tape) - mids(tape).rolling(9, center=True).mean()),
    "fitted on all data": lambda tape: BySignal(fitted(tape, upto=None)),
    "bars that stand at their start": lambda tape: BySignal(seconds(tape, "left")),
    "holes filled from behind": lambda tape: BySignal(mids(tape).diff().iloc[::7].reindex(mids(tape).index).bfill()),
}

HONEST = {
    "a trailing window": lambda tape: BySignal(mids(tape) - mids(tape).rolling(9).mean()),
    "an expanding mean": lambda tape: BySignal(mids(tape) - mids(tape).expanding().mean()),
    "a column shifted the other way": lambda tape: BySignal(mids(tape).diff().shift(1)),
    "bars that stand at their end": lambda tape: BySignal(seconds(tape, "right")),
    "the z-score of the frame": lambda _: hl.ZScoreReversion(qty="0.2", lookback=4, entry_z=0.6, exit_z=0.1, every_s=0.2),
}


@pytest.mark.parametrize("name", PLANTED)
def test_planted_bugs_are_found(tape, name):
    result = check_lookahead(PLANTED[name], tape, A, limits(), bar_s=0.5)
    assert not result.ok
    assert tape.start_ns <= result.first_ns <= tape.rows["ts_recv_ns"][-1]
    assert "cut tapes give other requests" in result.text
    assert any(cut.difference for cut in result.cuts)


@pytest.mark.parametrize("name", HONEST)
def test_honest_strategies_pass(tape, name):
    result = check_lookahead(HONEST[name], tape, A, limits(), bar_s=0.5)
    assert result.ok, result.text
    assert result.first_ns is None
    assert sum(cut.whole for cut in result.cuts) > 50
    assert all(cut.whole == cut.short for cut in result.cuts if not cut.left_out)


def peeking(tape, ahead):
    """A compiled quoter that leans towards the mid of `ahead` rows later, held in an array."""
    known, times = mids(tape).to_numpy(), mids(tape).index.to_numpy()

    @njit
    def decide(desk, market, params, quote):
        row = min(np.searchsorted(times, desk.now_ns, side="right") - 1 + ahead, len(known) - 1)
        quote.bid_ticks = math.floor(known[row] - 2)
        quote.ask_ticks = math.ceil(known[row] + 2)
        quote.bid_lots = quote.ask_lots = int(params.order_lots)
        quote.levels = 1

    return decide


def test_a_compiled_quoter_that_knows_the_next_price_is_found_and_one_that_knows_the_last_is_not(tape):
    assert not check_lookahead(lambda tape: peeking(tape, 1), tape, A, limits(), cuts=6).ok
    assert check_lookahead(lambda tape: peeking(tape, 0), tape, A, limits(), cuts=6).ok


@njit
def plain(desk, market, params, quote):
    quote.bid_ticks = math.floor(market.fair_ticks - 1)
    quote.ask_ticks = math.ceil(market.fair_ticks + 1)
    quote.bid_lots = quote.ask_lots = int(params.order_lots)
    quote.levels = 1


def test_a_decide_a_quoter_and_a_strategy_are_taken_as_they_are(tape):
    for make in (plain, hl.UserQuoter(decide=plain, order_qty="0.1"), hl.FixedSpread(order_qty="0.1")):
        assert check_lookahead(make, tape, cuts=4).ok
    assert check_lookahead(HONEST["the z-score of the frame"](tape), tape, bar_s=0.5, cuts=4).ok
    named = hl.UserQuoter(decide=plain, order_qty="0.1", values={"mean of the tape": 2000.0})
    assert "Taken as given" in check_lookahead(named, tape, cuts=2).text


def test_data_that_a_cut_cannot_reach_is_refused(tape):
    with pytest.raises(InputError, match=r"holds known, a ndarray of 400.*Pass a function that makes it from a tape"):
        check_lookahead(peeking(tape, 1), tape)
    with pytest.raises(InputError, match="BySignal holds signal, a Series of 400"):
        check_lookahead(BySignal(mids(tape)), tape)


def test_what_fails_on_a_cut_tape_only_is_a_finding_and_what_cannot_be_made_is_left_out(tape):
    class Reaches(BySignal):
        def on_timer(self, frame):
            row = int(self.signal.index.searchsorted(frame.now_ns, side="right"))
            return {0: "0.2" if self.signal.iloc[row] > 0 else "-0.2"} if frame.now_ns < end - 10**9 else None

    end = int(tape.rows["ts_recv_ns"][-1])
    found = check_lookahead(lambda tape: Reaches(mids(tape).diff().fillna(0.0)), tape, A, limits(), cuts=3)
    assert not found.ok
    assert "it fails on the cut tape only" in found.text
    assert "out-of-bounds" in found.text

    def needs_all(some):
        if len(some) < len(tape):
            raise ValueError("too short for me")
        return BySignal(mids(some).diff())

    none = check_lookahead(needs_all, tape, A, limits(), cuts=3)
    assert not none.ok
    assert "nothing could be compared: left out: it could not be made" in none.text


def test_the_result_is_a_table_and_says_when(tape):
    result = check_lookahead(PLANTED["the mean of the whole tape"], tape, A, limits(), cuts=[10.0, 20.0])
    table = result.frame()
    assert list(table.columns) == ["ts", "requests_whole", "requests_short", "result"]
    assert list(table["ts"].astype("int64")) == [tape.start_ns + 10 * 10**9, tape.start_ns + 20 * 10**9]
    html = result._repr_html_()
    assert "Look-ahead" in html
    assert "other requests before their end" in html
    assert "<table>" in html
    assert "on the whole tape" in repr(result)


def test_cuts_outside_of_the_tape_a_silent_quoter_and_a_failing_one_are_said(tape):
    with pytest.raises(InputError, match="cuts held 99"):
        check_lookahead(plain, tape, cuts=[99.0])
    with pytest.raises(InputError, match="cuts was 0"):
        check_lookahead(plain, tape, cuts=0)
    silent = check_lookahead(hl.WorkTarget(order_qty="0.1"), tape)
    assert not silent.ok
    assert "nothing to compare" in silent.text

    def fails(desk, market, params, quote):
        raise ValueError("on purpose")

    with pytest.raises(UserCodeError, match="on purpose"):
        check_lookahead(fails, tape)
    with pytest.raises(UserCodeError, match="returned None"):
        check_lookahead(lambda _: None, tape)


def test_two_instruments_at_once():
    steps = [(n % 2, "move", 1 if n % 3 else -1, 9, 200) for n in range(60)]
    tape = Tape(build_tape(steps, copies=False, commands=False), (A, B))
    result = check_lookahead(plain, tape, cuts=4)
    assert result.ok, result.text
    assert len(hl.backtest(tape, None, hl.UserQuoter(decide=plain, order_qty="1"), limits(position_qty_max="90")).instruments) == 2


@pytest.mark.parametrize("order_ms", [0.0, 20.0])
def test_what_is_on_its_way_when_the_tape_ends_is_no_look_ahead(order_ms):
    """Reports that come due between the last row and the cut lead to requests: on the cut tape they must come too."""
    for start in (0, 120, 240):
        tape = hl.sample().slice(start, start + 40)
        found = hl.check_lookahead(
            hl.FixedSpread(order_qty="0.01", half_spread_ticks=0.5), tape, latency=hl.Latency(order_ms=order_ms), cuts=40
        )
        assert found.ok, found
