"""Money by hand, and the identities of the accounts."""

from fractions import Fraction

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tapes import A

from hftlab.assumptions import Fees
from hftlab.data.state import build
from hftlab.instrument import Instrument
from hftlab.kernels import ledger
from hftlab.kernels.jit import records
from hftlab.params import FixedSpread, Limits
from hftlab.types import ASK, BID, EVENT, FILL

BTC = Instrument(venue="test", symbol="BTC/USDT", base="BTC", quote="USDT", tick_size="0.01", lot_size="0.00001")


@numba.njit
def _book(markets, rows, maker):
    for i in range(rows.shape[0]):
        ledger.apply_fill(markets[0], rows[i], maker, 1)
    ledger.mark(markets[0])


def account(fills, *, instrument=A, maker=True, mark=None, **fees):
    """The market after fills of (side, price_ticks, lots)."""
    state = build((instrument,), (FixedSpread(order_qty=instrument.lot_size),), (Limits(position_qty_max="1"),), fees=Fees(**fees))
    rows = records(np.zeros(len(fills), EVENT))
    rows["kind"] = FILL
    for row, (side, price, lots) in zip(rows, fills, strict=True):
        row["side"], row["price_ticks"], row["qty_lots"] = side, price, lots
    if mark is not None:
        state.markets["mark_ticks"] = mark
    _book(state.markets, rows, maker)
    return state.markets[0]


def fees_of(market):
    """All fees in millionths of a ticklot."""
    return int(market["fees_ticklots"]) * 1_000_000 + int(market["fees_uticklots"])


def money(market):
    return int(market["position_lots"]), int(market["cash_ticklots"]), int(market["entry_ticklots"]), fees_of(market)


def realised(market):
    """Cash and the cost of what is still held: what has been won for good, before fees."""
    return int(market["cash_ticklots"]) + int(market["entry_ticklots"])


def test_average_cost_leaves_in_proportion():
    # 10 @ 100 and 30 @ 104 are 40 @ 103; 10 sold at 110 win 70.
    market = account([(BID, 100, 10), (BID, 104, 30), (ASK, 110, 10)], mark=103)
    assert money(market) == (30, -3020, 3090, 0)
    assert realised(market) == 70
    assert market["pnl_quote"] == pytest.approx(70 * A.ticklot_quote)


def test_a_sell_larger_than_our_long_flips_the_position():
    # bought 2 @ 100, sold 5 @ 103: (103 - 100) x 2 = 6 won, short 3 entered at 103.
    market = account([(BID, 100, 2), (ASK, 103, 5)], mark=103)
    assert money(market) == (-3, 315, -309, 0)
    assert realised(market) == 6


def test_a_buy_larger_than_our_short_flips_it_back():
    market = account([(ASK, 103, 5), (BID, 100, 8)], mark=101)
    assert money(market) == (3, -285, 300, 0)
    assert realised(market) == 15
    assert market["pnl_quote"] == pytest.approx(18 * A.ticklot_quote)


def test_going_flat_leaves_no_cost_behind_even_when_the_average_is_no_integer():
    market = account([(BID, 100, 1), (BID, 101, 2), (ASK, 102, 1), (ASK, 102, 2)])
    assert money(market) == (0, 4, 0, 0)


@pytest.mark.parametrize(("bps", "maker", "fee"), [(1.0, True, 100), (-0.5, True, -50), (5.0, False, 500)])
def test_fees_are_exact_and_a_rebate_is_income(bps, maker, fee):
    # 10 lots at 2000 ticks are 20,000 ticklots = 100 USD; 1 bps of it is 0.01 USD = 2 ticklots = 2,000,000 millionths.
    name = "maker_bps" if maker else "taker_bps"
    market = account([(BID, 2000, 10)], maker=maker, mark=2000, **{name: bps})
    assert fees_of(market) == 20_000 * fee
    assert market["pnl_quote"] == pytest.approx(-100 * bps * 1e-4)


def test_a_fee_is_taken_from_the_amount_not_from_its_sign():
    market = account([(BID, -300, 10), (ASK, -300, 10)], maker_bps=1)
    assert fees_of(market) == 2 * 3000 * 100


FILLS = st.lists(st.tuples(st.sampled_from([BID, ASK]), st.integers(1, 20_000_000), st.integers(1, 5_000_000)), max_size=40)


@settings(max_examples=200)
@given(fills=FILLS, mark=st.integers(1, 20_000_000), bps=st.integers(-100, 1000))
def test_the_accounts_are_the_sum_of_the_fills_at_any_size(fills, mark, bps):
    """Up to 50 BTC a fill on a grid of 0.01 USDT and 0.00001 BTC, at up to 200,000 USDT and 10 bps."""
    market = account(fills, instrument=BTC, mark=float(mark), maker_bps=bps / 100)
    position = sum(s * q for s, _, q in fills)
    cash = -sum(s * p * q for s, p, q in fills)
    fees = sum(p * q * bps for _, p, q in fills)
    assert int(market["position_lots"]) == position
    assert int(market["cash_ticklots"]) == cash
    assert fees_of(market) == fees
    assert int(market["bought_lots"] - market["sold_lots"]) == position
    exact = Fraction(cash + position * mark) - Fraction(fees, 1_000_000)
    scale = abs(cash) + abs(position * mark) + 1
    assert abs(Fraction(float(market["pnl_quote"])) / Fraction(BTC.ticklot_quote) - exact) <= scale * Fraction(1, 2**48)


@settings(max_examples=200)
@given(fills=FILLS)
def test_realised_is_what_average_cost_says_and_nothing_is_lost_to_rounding_when_flat(fills):
    position, cost, won = 0, Fraction(0), Fraction(0)
    for n, (side, price, lots) in enumerate(fills, start=1):
        closed = min(lots, abs(position)) if position * side < 0 else 0
        if closed:
            average = cost / position
            won += side * -1 * (price - average) * closed
            cost -= average * closed * (1 if position > 0 else -1)
        cost += side * price * (lots - closed)
        position += side * lots
        market = account(fills[:n], instrument=BTC) if n == len(fills) else None
    if fills:
        # Each closing fill rounds the cost to a whole ticklot, 1e-7 USDT.
        assert abs(realised(market) - won) <= len(fills)
        assert abs(int(market["entry_ticklots"]) - cost) <= len(fills)
        if position == 0:
            assert int(market["entry_ticklots"]) == 0


def test_a_fill_keeps_what_the_markout_needs():
    market = account([(BID, 2000, 10), (ASK, 2001, 4)], mark=2000, maker_bps=1)
    rows = market["fills"][:2]
    assert rows["side"].tolist() == [BID, ASK]
    assert rows["position_lots"].tolist() == [10, 6]
    assert rows["fee_ticklots"].sum() * 1_000_000 + rows["fee_uticklots"].sum() == fees_of(market)
    assert rows["maker"].tolist() == [1, 1]
