"""What the desk's panels say in a few characters: amounts of money of any size, and orders in a narrow column."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from hftlab.data.frame import OrderRow
from hftlab.widgets import blotter
from hftlab.widgets.text import money, number, places, table

sizes = st.floats(1e-4, 1e9)


@given(sizes, st.booleans())
def test_money_is_shown_to_half_a_percent_however_small_its_market(size, loss):
    value = -size if loss else size
    text = money(value, "USDT")
    assert text[0] == ("\N{MINUS SIGN}" if loss else "+")
    assert abs(float(text.removesuffix(" USDT")[1:]) - size) <= 0.005001 * size


@given(sizes, sizes)
def test_amounts_that_are_shown_together_have_the_decimals_of_the_largest(one, other):
    assert places(one, -other) == places(max(one, other))
    assert number(one, places(one, -other)).count(".") == 1


def test_no_money_is_no_reason_for_decimals():
    assert (money(0.0), money(-0.0), money(float("nan")), places()) == ("+0.00", "+0.00", "–", 2)


def test_an_order_says_what_is_done_with_it_and_pointing_at_it_says_why():
    live = OrderRow(1, 1, 100.0, 1.0, 1.0, 0.5, "live", 0, decision="keep: within hysteresis")
    changes = ({}, {"decision": ""}, {"status": "pending cancel"}, {"status": "unknown"})
    assert [blotter._now(replace(live, **change))[0] for change in changes] == ["keep", "live", "pending cancel", "unknown"]
    assert 'title="live; keep: within hysteresis"' in table([("now", "l"), ("price", "")], [[blotter._now(live), ("x", "l")]])
