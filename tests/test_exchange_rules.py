"""What a venue's rules make of our requests: self-trades, reduce-only, least notionals, amends, fee tiers, funding, inverse contracts."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stories import Story, limits, quoter
from tapes import A
from test_match import Exchange, filled

import hftlab as hl
from hftlab.assumptions import Fees, Queue
from hftlab.errors import InputError
from hftlab.types import ASK, BID, FEE, FILL, FOK, FUNDING, IOC, MAKER, MARKET_ORDER, NO_PRICE, PAYMENT, POST_ONLY, REDUCE_ONLY

COINM = hl.Instrument.bundled("binancecoinm:BTC/USD:BTC")

# --- our taker meets our own maker ---------------------------------------------------------------------------------------------------

# We rest 10 at 2000, alone before the asks of 50 at 2001, and send a buyer of 15 up to 2001.
STP = {
    "none": [("FILL", 2, 2000, 10, 5, False), ("FILL", 1, 2000, 10, 0, True), ("FILL", 2, 2001, 5, 0, False)],
    "cancel_taker": [("CANCELED", 2)],
    "cancel_maker": [("CANCELED", 1), ("FILL", 2, 2001, 15, 0, False)],
    "cancel_both": [("CANCELED", 1), ("CANCELED", 2)],
    "decrement": [("CANCELED", 1), ("AMENDED", 2), ("FILL", 2, 2001, 5, 0, False)],
}


@pytest.mark.parametrize("mode", STP)
def test_every_way_of_preventing_a_self_trade(mode):
    x = Exchange(queue=Queue(self_trade=mode))
    x.submit(1, ASK, 2000, 10)
    assert x.submit(2, BID, 2001, 15, IOC) == [("ACCEPTED", 2), *STP[mode]]


def test_what_stands_before_our_own_order_is_taken_first():
    # 50 of others at 2001, ours behind them: 60 bought are 50 of theirs, then the rule decides about ours.
    x = Exchange(queue=Queue(self_trade="cancel_maker"))
    x.submit(1, ASK, 2001, 10)
    assert x.submit(2, BID, 2001, 60, IOC) == [("ACCEPTED", 2), ("FILL", 2, 2001, 50, 10, False), ("CANCELED", 1), ("CANCELED", 2)]


# --- reduce-only and the least order -------------------------------------------------------------------------------------------------


def test_reduce_only_is_refused_when_flat_and_fills_no_further_than_the_position():
    x = Exchange()
    assert x.submit(1, ASK, 1999, 10, IOC | REDUCE_ONLY) == [("REJECTED", 1)]
    x.submit(2, BID, 2001, 6, IOC)
    assert x.submit(3, BID, 2001, 6, IOC | REDUCE_ONLY) == [("REJECTED", 3)]
    assert x.submit(4, ASK, 1999, 10, IOC | REDUCE_ONLY) == [("ACCEPTED", 4), ("FILL", 4, 1999, 6, 4, False), ("CANCELED", 4)]
    x.submit(5, BID, 2001, 6, IOC)
    x.submit(6, ASK, 2003, 10, POST_ONLY | REDUCE_ONLY)
    assert x.trade(BID, 2010, 100) == [("FILL", 6, 2003, 6, 4, True), ("CANCELED", 6)]


def test_an_order_below_the_least_notional_is_refused():
    x = Exchange(notional_quote_min="10")  # a lot at 2000 ticks is worth 10: 0.5 x 0.01 x 2000
    assert x.submit(1, BID, 1999, 1, POST_ONLY) == [("REJECTED", 1)]
    assert x.submit(2, BID, 1999, 2, POST_ONLY) == [("ACCEPTED", 2)]
    assert x.submit(3, BID, NO_PRICE, 1, MARKET_ORDER)[0] == ("ACCEPTED", 3)  # 1 x 2001


def test_flatten_leaves_a_position_that_the_venue_takes_no_order_for():
    a = type(A)(**{**A.to_dict(), "notional_quote_min": "15"})
    story = Story(instruments=(a,))
    story.book()
    order = story.orders()[0].copy()
    story.answer()
    story.fill(order, 1)
    assert int(story.market()["position_lots"]) == 1
    story.command(67)
    story.answer()
    assert [len(story.book()) for _ in range(5)] == [0] * 5
    assert story.desk["flattening"] == 0


# --- amends, as data --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "smaller", "larger", "elsewhere", "across"),
    [
        ("never", "REJECTED", "REJECTED", "REJECTED", "REJECTED"),
        ("requeues", "back", "back", "back", "REJECTED"),
        ("keeps_smaller", "kept", "back", "back", "REJECTED"),
        ("smaller_only", "kept", "REJECTED", "REJECTED", "REJECTED"),
        ("requeues_or_cancels", "back", "back", "back", "CANCELED"),
    ],
)
def test_what_each_venue_makes_of_an_amend(rule, smaller, larger, elsewhere, across):
    for (price, lots), wanted in zip([(1999, 8), (1999, 12), (1998, 10), (2001, 10)], [smaller, larger, elsewhere, across], strict=True):
        x = Exchange(rule)
        x.level(BID, price, 0) if price < 2000 else None
        x.submit(1, BID, 1999, 10, POST_ONLY)
        x.submit(2, BID, min(price, 1999), 1, POST_ONLY)  # whoever is at the back comes after this one
        said = x.amend(1, price, lots)
        if wanted in ("kept", "back"):
            assert said == [("AMENDED", 1)]
            first = next(iter(filled(x.trade(ASK, price, 51 if price == 1999 and lots == 12 else 1)) or {0: 0}))
            assert first == (1 if wanted == "kept" else 2)
        else:
            assert said == [(wanted, 1)]


def test_a_desk_amends_only_what_the_venue_lets_it():
    a = type(A)(**{**A.to_dict(), "amend": "smaller_only"})
    story = Story(instruments=(a,))
    story.book()
    story.answer()
    assert [int(k) for k in story.wish(bid=1998, ask=2002)["kind"]] == [98, 98, 96, 96]  # another price: cancel and replace
    story = Story(instruments=(a,))
    story.book()
    story.answer()
    bid, ask = (int(story.market()["quote"][name]) for name in ("bid_ticks", "ask_ticks"))
    assert [int(k) for k in story.wish(bid=bid, ask=ask, lots=4)["kind"]] == [97, 97]


# --- money ------------------------------------------------------------------------------------------------------------------------------


def run_rows(instrument, rows, **options):
    """A simulated exchange and ledger without a quoter: play rows, return the market."""
    story = Story(quoter(order_qty=instrument.lot_size), limits(position_qty_max=instrument.lot_size), (instrument,), **options)
    story.tell(*rows(story.w))
    return story.market()


def fill_row(w, side, price, lots, flags=MAKER):
    return w.row(FILL, 0, side, price, lots, flags, 64)


def test_a_fee_schedule_steps_down_with_the_volume_traded():
    # A lot at 2000 is 10 USD. 10 lots are 100 USD; from 150 USD on the maker pays 1 bps, from 250 on is paid 0.5.
    fees = Fees(maker_bps=2, taker_bps=5, tiers=[(150, 1, 4), (250, -0.5, 3)])
    market = run_rows(A, lambda w: [fill_row(w, BID, 2000, 10) for _ in range(4)], fees=fees)
    centibps = [200, 200, 100, -50]  # the fill that crosses a step still pays the old fee
    fills = market["fills"][:4]
    exact = [int(t) * 1_000_000 + int(u) for t, u in zip(fills["fee_ticklots"], fills["fee_uticklots"], strict=True)]
    assert exact == [20_000 * c for c in centibps]
    assert (fills["fee_uticklots"] >= 0).all()


def test_a_volume_traded_before_the_run_counts():
    fees = Fees(maker_bps=2, taker_bps=5, tiers=[(150, 1, 4)], volume_quote=150)
    market = run_rows(A, lambda w: [fill_row(w, BID, 2000, 10)], fees=fees)
    assert int(market["fills"][0]["fee_ticklots"]) == 2


@pytest.mark.parametrize(
    ("rows", "words"),
    [([(2, 1, 1), (1, 1, 1)], "rising"), ([(1, 0.001, 1)], "0.01 bps"), ([(n, 1, 1) for n in range(9)], "at most 8")],
)
def test_a_schedule_that_makes_no_sense_is_refused(rows, words):
    with pytest.raises(InputError, match=words):
        run_rows(A, lambda w: [fill_row(w, BID, 2000, 10)], fees=Fees(tiers=rows))


def test_fees_of_a_lifetime_do_not_wrap():
    # 10**8 BTC x 60,000 at 7.5 bps, in 200,000 fills of 500 BTC: 4.5e9 USDT of fees; the old single counter held 922,000.
    btc = hl.Instrument.bundled("binance:BTC/USDT")
    market = run_rows(
        btc, lambda w: [fill_row(w, BID if n % 2 else ASK, 6_000_000, 50_000_000, 0) for n in range(1000)], fees=Fees(taker_bps=7.5)
    )
    exact = Decimal(1000 * 6_000_000 * 50_000_000 * 750) / 1_000_000
    assert int(market["fees_ticklots"]) + Decimal(int(market["fees_uticklots"])) / 1_000_000 == exact
    assert exact * btc.money_unit == 22_500_000


def test_a_long_pays_positive_funding_and_a_short_receives_it():
    for side in (BID, ASK):
        x = Exchange()
        price = 2001 if side == BID else 1999
        x.submit(1, side, price, 7, IOC)
        x.message((FUNDING, 0, 2000, 12_345))  # 0.012345 %
        payments = x.payments
        # 7 lots x 2000 ticks x 12345e-8 = 1.7283 ticklots
        assert payments == [(1, 72_830_000)] if side == BID else [(-2, 27_170_000)]


def test_payments_reach_the_ledger_to_the_last_unit():
    market = run_rows(A, lambda w: [(*w.row(PAYMENT, 0, 0, 0, 1)[:4], 72_830_000, *w.row(PAYMENT)[5:]) for _ in range(3)])
    assert (int(market["funding_ticklots"]), int(market["funding_e8ticklots"])) == (5, 18_490_000)
    assert market["pnl_quote"] == pytest.approx(-5.1849 * A.ticklot_quote)


def test_an_inverse_contract_earns_coin():
    # 100 contracts of 100 USD bought at 50,000 and sold at 51,000: 10,000 x (1/50,000 - 1/51,000) BTC.
    market = run_rows(COINM, lambda w: [fill_row(w, BID, 500_000, 100), fill_row(w, ASK, 510_000, 100)], fees=Fees(maker_bps=1))
    exact = Fraction(10_000, 50_000) - Fraction(10_000, 51_000)
    fees = (Fraction(10_000, 50_000) + Fraction(10_000, 51_000)) / 10_000
    unit = Fraction(COINM.money_unit)
    assert abs(int(market["cash_ticklots"]) * unit - exact) <= 100 * unit
    assert float(market["pnl_quote"]) == pytest.approx(float(exact - fees), rel=1e-8)
    assert COINM.settle == "BTC"


@settings(max_examples=200)
@given(
    fills=st.lists(
        st.tuples(st.sampled_from([BID, ASK]), st.integers(10_000, 3_000_000), st.integers(1, 100_000)), min_size=1, max_size=20
    ),
    mark=st.integers(10_000, 3_000_000),
)
def test_inverse_accounts_add_up_like_linear_ones(fills, mark):
    market = run_rows(COINM, lambda w: [fill_row(w, *one) for one in fills])
    position = sum(s * q for s, _, q in fills)
    cash = -sum(s * q * COINM.value_of(p) for s, p, q in fills)
    assert (int(market["position_lots"]), int(market["cash_ticklots"])) == (position, cash)
    # The coin value of a lot is rounded once, to the nearest unit.
    assert abs(COINM.value_of(mark) * Fraction(COINM.money_unit) + Fraction(1000, mark)) <= Fraction(COINM.money_unit) / 2


def test_a_fee_row_follows_every_fill():
    story = Story(fees=Fees(maker_bps=1.5))
    story.book()
    order = story.orders()[0].copy()
    story.answer()
    story.fill(order, 3)
    rows = story.written[np.isin(story.written["kind"], (FILL, FEE))]
    assert rows["kind"].tolist() == [FILL, FEE]
    assert rows["leaves_lots"][1] == int(story.market()["position_lots"])
    assert int(rows["price_ticks"][1]) * 1_000_000 + int(rows["qty_lots"][1]) == 3 * int(order["price_ticks"]) * 150


def test_fill_or_kill_counts_only_what_others_show():
    x = Exchange()
    x.submit(1, ASK, 2001, 10)
    assert x.submit(2, BID, 2001, 55, FOK) == [("REJECTED", 2)]
