"""A decide that fails: the error names the user's line and says in a sentence what is wrong, and the part that was run is kept."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
from numba import njit
from stories import limits
from tapes import A, moves_and_prints

import hftlab as hl
from hftlab.data.tape import Tape
from hftlab.errors import InputError, UserCodeError
from hftlab.kernels import book as bk
from hftlab.types import BID, TRADE
from hftlab.usercode.run import compiled, runner
from hftlab.usercode.travel import capture, restore

TABLE = {"half": 2.0}


@njit
def deep(p, position):
    return p.risk * position  # unknown field, in a function that decide calls


def middle(params, position):
    return deep(params, position)


# Each function is wrong in exactly one line, which is marked. The texts are what a person reads under it.


def field(desk, market, params, quote):
    quote.bid_ticks = int(market.fair)  # here


def field_set(desk, market, params, quote):
    quote.bid = 3  # here


def field_of_another(desk, market, params, quote):
    quote.bid_ticks = market.now_ns  # here


def field_of_the_book(desk, market, params, quote):
    levels = market.book
    quote.bid_ticks = levels.best_bid  # here


def field_of_an_order(desk, market, params, quote):
    for order in market.orders:
        quote.bid_ticks = order.price  # here


def field_by_text(desk, market, params, quote):
    quote.bid_ticks = market["possition_lots"]  # here


def written_fact(desk, market, params, quote):
    market.position_lots = 0  # here


def written_slot(desk, market, params, quote):
    market.slots[0] = 1  # here


def unknown_name(desk, market, params, quote):
    half = 2
    quote.ask_ticks = half
    quote.bid_ticks = haf  # noqa: F821  # here


def unknown_in_module(desk, market, params, quote):
    quote.bid_ticks = math.flor(3.2)  # here


def wrong_call(desk, market, params, quote):
    quote.bid_lots = bk.lots_at(market.book, 3)  # here


def counts_rows(desk, market, params, quote):
    quote.bid_lots = desk.rows % 2  # here


def wrong_record(desk, market, params, quote):
    quote.bid_lots = bk.lots_at(market, BID, quote.bid_ticks)  # here


def endless(desk, market, params, quote):
    while True:  # here
        quote.bid_lots += 1


def a_dict(desk, market, params, quote):
    quote.bid_ticks = TABLE["half"]  # here


def two_types(desk, market, params, quote):
    price = 1
    if market.fair_ticks > 3:
        price = "high"
    quote.bid_ticks = price  # here


def a_text(desk, market, params, quote):
    quote.bid_ticks = "high"  # here


def returns(desk, market, params, quote):
    quote.bid_ticks = 3
    return 5  # here


def imports(desk, market, params, quote):
    import os  # here

    quote.bid_ticks = os.getpid()


def with_open(desk, market, params, quote):
    with TABLE as table:  # here
        quote.bid_ticks = table["half"]


def formats(desk, market, params, quote):
    print(f"{market.fair_ticks:.3f}")  # here


def adds_a_record(desk, market, params, quote):
    quote.bid_ticks = market.book + 1  # here


def unknown_method(desk, market, params, quote):
    quote.bid_ticks = market.fair_ticks.rounded(3)  # here


WORDS = {
    field: "market has no field 'fair'. Did you mean 'fair_ticks' or 'fair_ns'? All its fields: hl.fields(\"market\")",
    field_set: "quote has no field 'bid'. Did you mean 'bid_lots' or 'bid_ticks'?",
    field_of_another: "market has no field 'now_ns'. desk has a field of that name.",
    field_of_the_book: "levels is a book record and has no field 'best_bid'. Did you mean 'best_bid_ticks'?",
    field_of_an_order: "order has no field 'price'. Did you mean 'price_ticks'?",
    field_by_text: "market has no field 'possition_lots'. Did you mean 'position_lots'",
    written_fact: "market.position_lots is a fact and no place to write to. Fill `quote`",
    written_slot: "market.slots[0] is a fact and no place to write to.",
    unknown_name: "There is no name 'haf' here. Did you mean 'half'?",
    unknown_in_module: "math has no 'flor'. Did you mean 'floor'?",
    wrong_call: "The call does not fit lots_at(book, side, price_ticks): missing a required argument: 'price_ticks'.",
    counts_rows: "desk.rows depends on the pieces in which a run is made. Use desk.now_ns or market.messages.",
    wrong_record: "lots_at takes a book record as its argument 'book', not market. Did you mean market.book?",
    endless: "This loop never ends.",
    a_dict: "TABLE is a dict, which compiled code cannot read.",
    two_types: "price is 1 on one way and the text 'high' on another; a compiled variable keeps one type.",
    a_text: "quote.bid_ticks holds a whole number; the text 'high' cannot be put there.",
    returns: "It returns 5; decide fills `quote` and returns nothing.",
    imports: "An import inside decide cannot be compiled",
    with_open: "construct cannot be compiled.",
    formats: "An f-string with a format (:.3f) cannot be compiled; hl.try_decide runs plain Python",
    adds_a_record: "Compiled code cannot do a record + 1.",
    unknown_method: "A float has no attribute 'rounded'.",
}


def marked_line(function):
    """The line of the function that says `# here`, read from this file."""
    lines = Path(__file__).read_text().splitlines()
    first = function.__code__.co_firstlineno
    return next(n for n, text in enumerate(lines[first - 1 :], first) if text.endswith("# here"))


@pytest.mark.parametrize("function", WORDS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("decorate", [njit, lambda plain: plain], ids=["njit", "plain"])
def test_what_cannot_be_compiled_is_said_with_its_line(function, decorate):
    with pytest.raises(UserCodeError) as caught:
        runner(decorate(function))
    text, line = str(caught.value), marked_line(function)
    assert text.startswith(f"{function.__name__}, line {line} of {__file__}:\n")
    assert WORDS[function] in text
    assert len(text) < 600
    assert caught.value.line == line
    assert caught.value.__suppress_context__


def test_numbas_own_words_are_kept_for_who_wants_them():
    with pytest.raises(UserCodeError) as caught:
        runner(two_types)
    assert "Cannot unify" in str(caught.value.details)


def test_a_mistake_in_a_function_that_decide_calls_is_found_there():
    def calls(desk, market, params, quote):
        quote.bid_ticks = middle(params, market.position_lots)

    with pytest.raises(UserCodeError, match=r"deep, line \d+ of") as caught:
        runner(calls)
    assert "p is a params record and has no field 'risk'" in str(caught.value)
    assert caught.value.line == deep.py_func.__code__.co_firstlineno + 2


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda desk, market: None, r"takes 2 parameters .*wanted four: def <lambda>\(desk, market, params, quote\)"),
        (lambda *all_of_them: None, "takes 1 parameters"),
        (3, "decide was 3; wanted a function"),
    ],
)
def test_what_is_no_decide_is_refused(wrong, words):
    with pytest.raises(UserCodeError, match=words):
        runner(wrong)


def test_one_run_has_one_decide(tape):
    two = (hl.UserQuoter(decide=good, order_qty="0.1"), hl.FixedSpread(order_qty="0.1"))
    with pytest.raises(InputError, match="wanted one decide for all of them"):
        hl.backtest(Tape(tape.rows, (A, A)), None, two, limits())


# --- failures while it runs --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tape():
    """Half a minute of moves and prints."""
    return moves_and_prints(150)


def good(desk, market, params, quote):
    quote.bid_ticks = math.floor(market.fair_ticks - 2)
    quote.ask_ticks = math.ceil(market.fair_ticks + 2)
    quote.bid_lots = quote.ask_lots = int(params.order_lots)
    quote.levels = 1


def raises(desk, market, params, quote):
    good(desk, market, params, quote)
    if market.trades >= 100:
        raise ValueError("no more")  # here


def out_of_range(desk, market, params, quote):
    good(desk, market, params, quote)
    bar = market.bars[market.trades + 156]  # here
    quote.bid_ticks -= int(bar.close_ticks)


@pytest.mark.parametrize("jit", [True, False], ids=["compiled", "plain"])
@pytest.mark.parametrize(
    ("function", "words"),
    [(raises, "ValueError: no more"), (out_of_range, "IndexError: index 256 is out of bounds for axis 0 with size 256")],
)
def test_a_failure_stops_the_run_names_line_row_and_time_and_keeps_what_was_done(tape, function, words, jit):
    quoter = hl.UserQuoter(decide=function, order_qty="0.1")
    with pytest.raises(UserCodeError) as caught:
        hl.backtest(tape, A, quoter, limits(), jit=jit)
    error = caught.value
    hundredth = np.flatnonzero(tape.rows["kind"] == TRADE)[99]  # both fail once they have heard of the hundredth print
    assert str(error).startswith(f"{function.__name__}, line {marked_line(function)} of {__file__}:\n")
    assert f"It raised {words}." in str(error)
    assert error.row == hundredth
    assert f"at row {hundredth:,} of the tape" in str(error)
    assert error.ts_ns == tape.rows["ts_recv_ns"][hundredth]
    # The part is the beginning of a run that does not fail.
    part, whole = error.report.frame(), hl.backtest(tape, A, hl.UserQuoter(decide=good, order_qty="0.1"), limits()).frame()
    known = whole[whole["ts"].astype("int64") < error.ts_ns - 2_000_000]
    assert len(part) > 10
    same = [name for name in part if not name.startswith("mid_")]  # later prices are known only where the run went on
    assert part[same].equals(whole.iloc[: len(part)][same])
    assert len(part) >= len(known)


def test_compiled_and_plain_fail_in_the_same_state(tape):
    written = []
    for jit in (True, False):
        with pytest.raises(UserCodeError) as caught:
            hl.backtest(tape, A, hl.UserQuoter(decide=raises, order_qty="0.1"), limits(), jit=jit)
        written.append((caught.value.written.tobytes(), caught.value.report.digest, caught.value.report.desk["submits"]))
    assert written[0] == written[1]


def test_a_failure_in_the_engine_names_the_line_of_the_cell(tape):
    travelled = restore(capture(raises))
    with pytest.raises(UserCodeError, match=f"raises, line {marked_line(raises)} of test_decide_errors.py") as caught:
        hl.backtest(tape, A, hl.UserQuoter(decide=travelled, order_qty="0.1"), limits())
    assert 'raise ValueError("no more")' in str(caught.value)


def test_an_interrupt_goes_through_plain_python(tape):
    def stops(desk, market, params, quote):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hl.backtest(tape, A, hl.UserQuoter(decide=stops, order_qty="0.1"), limits(), jit=False)


class Fails:
    every_s = 1.0

    def on_timer(self, frame):
        if frame.markets[0]["trades"] < 20:
            return None
        return self.wish(frame)

    def wish(self, frame):
        return {0: 1 / 0}  # here

    def to_dict(self):
        return {}


def test_a_strategy_that_fails_is_named_and_what_was_done_is_kept(tape):
    with pytest.raises(UserCodeError) as caught:
        hl.backtest(tape, A, hl.FixedSpread(order_qty="0.1", half_spread_ticks=2), limits(), strategy=Fails())
    assert str(caught.value).startswith(f"wish, line {marked_line(Fails.wish)} of {__file__}:\n")
    assert "ZeroDivisionError: division by zero" in str(caught.value)
    assert len(caught.value.report.frame()) > 2
    Fails.wish = lambda self, frame: 3.0
    with pytest.raises(UserCodeError, match=re.escape("on_timer returned 3.0; wanted {market number: position")):
        hl.backtest(tape, A, hl.FixedSpread(order_qty="0.1"), limits(), strategy=Fails())


# --- wishes that are none ------------------------------------------------------------------------------------------------------


def crossed(desk, market, params, quote):
    good(desk, market, params, quote)
    quote.bid_ticks, quote.ask_ticks = quote.ask_ticks, quote.bid_ticks


def nan(desk, market, params, quote):
    good(desk, market, params, quote)
    quote.bid_ticks = math.floor(market.fair_ticks - math.sqrt(params.user0 - 1.0))


def without_levels(desk, market, params, quote):
    good(desk, market, params, quote)
    quote.levels = 0


@pytest.mark.parametrize(
    ("function", "words"),
    [(crossed, "decide began to wish a quote that is none"), (nan, "NaN"), (without_levels, "set quote.levels = 1"), (good, None)],
)
def test_a_wish_that_is_none_is_refused_and_said_in_words(tape, function, words):
    report = hl.backtest(tape, A, hl.UserQuoter(decide=function, order_qty="0.1"), limits())
    if words is None:
        assert "warning" not in report.assumptions
        assert len(report.frame())
    else:
        assert words in report.assumptions["warning"]
        assert words in report._repr_html_()
        assert report.desk["submits"] == 0


def test_facts_may_be_read_and_parameters_kept_in(tape):
    def counts(desk, market, params, quote):
        params.user1 += 1.0
        params.values[23] = params.user1
        good(desk, market, params, quote)

    assert compiled(counts).nopython_signatures
    report = hl.backtest(tape, A, hl.UserQuoter(decide=counts, order_qty="0.1"), limits())
    assert len(report.frame()) > 10
