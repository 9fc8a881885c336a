"""The one place where human units become integers: exact, or refused."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hftlab.analytics.report.frames import one_base
from hftlab.errors import InputError, OffGridPrice, OffGridQuantity, UnknownInstrument
from hftlab.instrument import Instrument, bundled_names, decimal
from hftlab.types import ASK, BID

grids = st.sampled_from(["1", "0.5", "0.25", "0.1", "0.01", "0.001", "0.00001", "0.00000001", "5", "0.05"])
counts = st.integers(-(10**12), 10**12)


def make(**changes):
    values = {"venue": "test", "symbol": "BTC/USDT", "base": "BTC", "quote": "USDT", "tick_size": "0.1", "lot_size": "0.001"}
    return Instrument(**(values | changes))


# --- laws --------------------------------------------------------------------------------------------------------------
@given(tick=grids, ticks=counts)
def test_a_price_on_the_grid_comes_back_from_ticks_as_text_and_as_decimal(tick, ticks):
    instrument = make(tick_size=tick)
    assert instrument.ticks(instrument.price(ticks)) == ticks
    assert instrument.ticks(instrument.price_text(ticks)) == ticks


@given(tick=grids, ticks=st.integers(0, 10**9))
def test_a_price_on_the_grid_comes_back_from_a_float(tick, ticks):
    # 0.1 + 0.2 is another matter: the float nearest to a grid price is that price, a sum of floats need not be.
    instrument = make(tick_size=tick)
    assert instrument.ticks(float(instrument.price(ticks))) == ticks
    assert instrument.ticks(np.float64(instrument.price(ticks))) == ticks


@given(tick=grids, price=st.decimals(-1_000_000, 1_000_000, places=9))
def test_a_bid_rounds_down_an_ask_rounds_up_and_less_than_one_tick(tick, price):
    instrument = make(tick_size=tick)
    low, high = instrument.ticks(price, toward=BID), instrument.ticks(price, toward=ASK)
    assert instrument.price(low) <= price <= instrument.price(high)
    assert high - low == (0 if price % Decimal(tick) == 0 else 1)


@given(lot=grids, lots=st.integers(1, 10**12))
def test_a_quantity_on_the_grid_comes_back(lot, lots):
    instrument = make(lot_size=lot)
    assert instrument.lots(instrument.qty(lots)) == lots
    assert instrument.lots(-instrument.qty(lots), signed=True) == -lots


@given(lot=grids, position=st.decimals(-1_000_000, 1_000_000, places=9))
def test_a_position_rounded_toward_zero_is_never_larger(lot, position):
    instrument = make(lot_size=lot)
    rounded = instrument.qty(instrument.lots(position, signed=True, toward_zero=True))
    assert abs(rounded) <= abs(position) < abs(rounded) + Decimal(lot)


@given(money=st.decimals(-1_000_000_000, 1_000_000_000, places=6))
def test_money_in_ticklots_errs_below_and_by_less_than_one(money):
    instrument = make()
    assert instrument.money_quote(instrument.ticklots(money)) <= money < instrument.money_quote(instrument.ticklots(money) + 1)


# --- stories -----------------------------------------------------------------------------------------------------------
def test_a_price_between_two_ticks_is_refused_with_both_neighbours():
    with pytest.raises(OffGridPrice, match=r"price 100\.05 .* nearest are 100\.0 and 100\.1\. Pass toward=BID or toward=ASK"):
        make().ticks("100.05")


def test_a_sum_of_floats_that_misses_the_grid_is_refused_not_rounded():
    with pytest.raises(OffGridPrice):
        make().ticks(0.1 + 0.2)  # 0.30000000000000004


@pytest.mark.parametrize("qty", ["0", "-0.001", 0, -1.0])
def test_a_size_of_zero_or_less_is_refused(qty):
    with pytest.raises(OffGridQuantity, match="wanted more than zero"):
        make().lots(qty)


def test_a_size_between_two_lots_is_refused_with_both_neighbours():
    with pytest.raises(OffGridQuantity, match=r"nearest are 0\.001 and 0\.002"):
        make().lots("0.0015")


@pytest.mark.parametrize("value", ["NaN", float("nan"), "inf", float("-inf"), "ten", None, True, np.float64("nan")])
def test_what_is_not_a_finite_number_is_refused(value):
    with pytest.raises(InputError, match="price was"):
        make().ticks(value)


@pytest.mark.parametrize("name", ["tick_size", "lot_size", "multiplier"])
@pytest.mark.parametrize("value", ["0", "-1", "NaN"])
def test_an_instrument_without_a_grid_is_refused(name, value):
    with pytest.raises(InputError, match=f"^{name}"):
        make(**{name: value})


def test_a_misspelt_amend_rule_is_answered_with_the_nearest():
    with pytest.raises(InputError, match="Did you mean 'requeues'"):
        make(amend="requeue")


def test_one_ticklot_is_tick_times_lot_times_multiplier():
    # 0.1 USDT x 0.001 BTC = 0.0001 USDT; by hand.
    assert make().ticklot_quote == 0.0001
    assert make().money_quote(3) == Decimal("0.0003")
    assert make(multiplier="100").money_quote(3) == Decimal("0.03")


def test_quantities_are_of_the_base_currency_only_where_one_of_them_is():
    spot = Instrument(venue="test", symbol="B/USD", base="B", quote="USD", tick_size="0.1", lot_size="1")
    coin, mini = replace(spot, multiplier="100", inverse=True), replace(spot, multiplier="0.001")
    assert [one.qty_unit for one in (spot, coin, mini)] == ["B", "contracts", "contracts"]
    assert [one_base(pair) for pair in ((spot, spot), (spot, coin), (coin, mini), (mini, mini))] == [True, False, False, True]


def test_price_text_keeps_the_decimals_of_the_tick():
    assert make(tick_size="0.10").price_text(1_000_000) == "100000.0"
    assert make(tick_size="5").price_text(3) == "15"
    assert make(tick_size="0.00001").price_text(-1) == "-0.00001"


# --- the catalogue -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", bundled_names())
def test_every_bundled_instrument_can_be_made_and_written_down(name):
    instrument = Instrument.bundled(name)
    assert instrument.name == name
    assert Instrument(**instrument.to_dict()) == instrument


def test_an_unknown_name_is_answered_with_the_nearest_and_with_the_way_to_make_one():
    with pytest.raises(UnknownInstrument, match=r"Did you mean 'binance:BTC/USDT'\?.*hl\.Instrument\(venue="):
        Instrument.bundled("binance:BTC/USD")


def test_a_float_is_taken_by_its_shortest_text():
    assert decimal(0.1, "x") == Decimal("0.1")
    assert decimal(np.float64(0.1), "x") == Decimal("0.1")
    assert decimal(np.int64(7), "x") == 7
