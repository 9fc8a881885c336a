"""A quoter of the user's own: carried as text, and the same decisions as the built-in one that it copies."""

import math
from types import ModuleType

import numpy as np
import pytest
import yaml
from numba import njit
from stories import limits
from tapes import A, moves_and_prints

import hftlab as hl
from hftlab.errors import InputError, UserCodeError
from hftlab.kernels import book
from hftlab.usercode.functions import key_of
from hftlab.usercode.travel import capture, restore

HALF_TICKS = 2.0
FROM_NUMPY = np.float64(1.0)
TABLE = {"half": 2.0}
ARRAY = np.ones(3)


@njit
def lean(params, position_lots):
    return params.user1 * position_lots * FROM_NUMPY


@njit
def decide(desk, market, params, quote):
    reservation = market.fair_ticks - lean(params, market.position_lots)
    quote.bid_ticks = math.floor(reservation - HALF_TICKS * params.user0)
    quote.ask_ticks = math.ceil(reservation + HALF_TICKS * params.user0)
    quote.bid_lots = quote.ask_lots = np.int64(params.order_lots)
    quote.levels = 1
    quote.step_ticks = 1


@njit
def uses_a_dict(desk, market, params, quote):
    quote.bid_lots = TABLE["half"]


@njit
def uses_an_array(desk, market, params, quote):
    quote.bid_lots = ARRAY[0]


def undecorated(desk, market, params, quote):
    quote.bid_lots = 1


@pytest.fixture(scope="module")
def tape():
    """A minute of moves and prints."""
    return moves_and_prints(300)


def test_the_same_quoter_written_by_hand_trades_the_same(tape):
    built_in = hl.FixedSpread(order_qty="0.1", half_spread_ticks=2, skew_ticks_per_order=1)
    values = {"scale": 1.0, "lean": 0.1}  # 1 tick for 10 lots
    travelled = restore(yaml.safe_load(yaml.safe_dump(capture(decide))))
    reports = [
        hl.backtest(tape, A, quoter, limits(), latency=hl.Latency(order_ms=1))
        for quoter in (built_in, hl.UserQuoter(order_qty="0.1", decide=travelled, values=values))
    ]
    assert len(reports[0].frame()) > 20
    assert reports[0].frame().equals(reports[1].frame())
    assert reports[0].pnl_quote == reports[1].pnl_quote


def test_what_travels_is_the_source_its_callees_its_numbers_and_its_modules():
    code = capture(decide)
    assert code["name"] == "decide"
    assert set(code["functions"]) == {"decide", "lean"}
    assert code["constants"] == {"HALF_TICKS": 2.0, "FROM_NUMPY": 1.0}
    assert code["modules"] == {"math": "math", "np": "numpy"}
    assert not any(source.startswith("@") for source in code["functions"].values())
    assert all(type(value) is float for value in code["constants"].values())


@pytest.mark.parametrize(("function", "name"), [(uses_a_dict, "TABLE"), (uses_an_array, "ARRAY")])
def test_what_cannot_travel_is_refused_by_name(function, name):
    with pytest.raises(UserCodeError, match=f"{name}.*cannot travel"):
        capture(function)


def test_a_function_travels_with_njit_or_without_it_but_not_without_source():
    assert set(capture(undecorated)["functions"]) == {"undecorated"}
    scope = {}
    exec("def made(desk, market, params, quote):\n    quote.bid_lots = 1\n", scope)
    with pytest.raises(UserCodeError, match="cannot be read"):
        capture(njit(scope["made"]))


def one_scope(decide_k, helper_k):
    """Return a decide and its helper that both call something of their own `k`."""

    def own(k):
        def size():
            return k

        return size

    def outer(k, size):
        def decide(desk, market, params, quote):
            quote.bid_lots = k + size()

        return decide

    return outer(decide_k, own(helper_k))


def test_a_name_that_stands_for_two_numbers_does_not_travel_as_one_of_them():
    assert capture(one_scope(2, 2))["constants"] == {"k": 2}
    for other in (3, 2.0, math):
        with pytest.raises(UserCodeError, match="'k' stands for"):
            capture(one_scope(2, other))


def test_a_name_of_one_function_for_another_does_not_travel():
    def lean(x):
        return x

    def twice(x):
        return 2 * x

    def outer(lean, other):
        def decide(desk, market, params, quote):
            quote.bid_lots = lean(1) + other(1)

        return decide

    with pytest.raises(UserCodeError, match="'lean' stands for 'twice'"):
        capture(outer(twice, lean))
    assert capture(outer(twice, twice))["aliases"] == {"lean": "twice", "other": "twice"}


def kept(uses):
    """Return the key under which a decide that uses something is kept compiled."""

    def decide(desk, market, params, quote):
        quote.bid_lots = uses

    return key_of(decide)


def test_what_is_kept_compiled_is_not_taken_for_another_with_the_same_source():
    def helper(default):
        def size(lots=default):
            return lots

        return size

    assert kept(helper(1)) == kept(helper(1))
    assert kept(helper(1)) != kept(helper(2))
    assert kept(book.lots_at) != kept(book.next_level)
    assert kept(math) != kept(np)
    settings = ModuleType("settings")  # a user's module: edited and loaded anew, it holds other numbers
    assert kept(settings) is None


def test_more_values_than_there_is_room_for_are_refused():
    with pytest.raises(InputError, match="at most 16"):
        hl.UserQuoter(order_qty="0.1", decide=decide, values={f"v{i}": 1.0 for i in range(17)}).record(A)
    with pytest.raises(InputError, match="bad was nan"):
        hl.UserQuoter(order_qty="0.1", decide=decide, values={"bad": float("nan")}).record(A)
