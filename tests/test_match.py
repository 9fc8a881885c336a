"""The modelled exchange by hand: our requests arrive, recorded rows pass, reports come back."""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stories import limits, quoter
from tapes import MS, START_NS, A

from hftlab.assumptions import Queue
from hftlab.data.state import build
from hftlab.kernels import flight, match, requests
from hftlab.kernels.jit import records
from hftlab.types import (
    AMEND,
    ASK,
    BID,
    CANCEL,
    CLEAR,
    DEPTH,
    EVENT,
    FILL,
    FOK,
    IOC,
    KIND_NAMES,
    LAST,
    MAKER,
    MARKET_ORDER,
    NO_PRICE,
    PAYMENT,
    POST_ONLY,
    SUBMIT,
    TRADE,
)


@numba.njit
def _request(desk, exchanges, markets, rows, out):
    requests.on_request(desk[0], exchanges[0], markets[0].spec, rows[0], out)


@numba.njit
def _row(desk, exchanges, markets, rows, out):
    for i in range(rows.shape[0]):
        match.on_row(desk[0], exchanges[0], markets[0].spec, rows[i], out)


@numba.njit
def _pop(exchanges, rows):
    flight.copy_event(rows[0], flight.pop_report(exchanges[0]))


class Exchange:
    """One modelled exchange without a desk: what it answers, in words."""

    def __init__(self, amend="requeues", notional_quote_min="0", **options):
        instrument = type(A)(**{**A.to_dict(), "amend": amend, "notional_quote_min": notional_quote_min})
        self.state = build((instrument,), (quoter(),), (limits(),), **options)
        self.now = START_NS
        self.payments = []
        self.message((CLEAR, 0, 0, 0), *((DEPTH, s, 2000 - s * k, 50) for k in (1, 2, 3) for s in (BID, ASK)))

    def _rows(self, *rows):
        self.now += MS
        return records(np.array([(self.now, self.now, p, q, 0, o, 0, kind, s, f, 0) for kind, s, p, q, f, o in rows], EVENT))

    def message(self, *rows):
        made = self._rows(*((*row, 0, 0) for row in rows))
        return self.play(made)

    def play(self, rows):
        rows["flags"][-1] |= LAST
        self.state.out["seq"][0] = 0
        _row(self.state.desk, self.state.exchanges, self.state.markets, rows, self.state.out)
        return self.reports()

    def submit(self, order_id, side, price, lots, flags=0):
        return self._ask(SUBMIT, side, price, lots, flags, order_id)

    def amend(self, order_id, price, lots):
        return self._ask(AMEND, 0, price, lots, 0, order_id)

    def cancel(self, order_id):
        return self._ask(CANCEL, 0, 0, 0, 0, order_id)

    def trade(self, side, price, lots):
        return self.message((TRADE, side, price, lots))

    def level(self, side, price, lots):
        return self.message((DEPTH, side, price, lots))

    def _ask(self, *row):
        _request(self.state.desk, self.state.exchanges, self.state.markets, self._rows(row), self.state.out)
        return self.reports()

    def reports(self):
        said, row = [], records(np.zeros(1, EVENT))
        while self.state.exchanges["report_count"][0]:
            _pop(self.state.exchanges, row)
            one = row[0]
            if one["kind"] == PAYMENT:
                self.payments.append((int(one["qty_lots"]), int(one["leaves_lots"])))
            words = [KIND_NAMES[int(one["kind"])], int(one["order_id"])]
            if one["kind"] == FILL:
                words += [int(one["price_ticks"]), int(one["qty_lots"]), int(one["leaves_lots"]), bool(one["flags"] & MAKER)]
            said.append(tuple(words))
        return said


def filled(said):
    return {w[1]: w[3] for w in said if w[0] == "FILL"}


# --- priority --------------------------------------------------------------------------------------------------------------------


def test_our_better_price_is_filled_first_then_our_older_order():
    x = Exchange()
    for order_id, price in ((1, 1998), (2, 1999), (3, 1998)):
        x.submit(order_id, BID, price, 10)
    # 25 sold through everything: 10 to the best price, 10 to the older at 1998, 5 to the younger.
    said = x.trade(ASK, 1990, 25)
    assert [(w[1], w[3]) for w in said] == [(2, 10), (1, 10), (3, 5)]
    assert said[0] == ("FILL", 2, 1999, 10, 0, True)


def test_a_print_that_eats_the_queue_goes_to_our_orders_in_turn_and_no_lot_twice():
    # 50 stand at 1999 before two of ours of 10 each. 54 print: 4 are left for us, not 4 for each.
    x = Exchange()
    x.submit(1, BID, 1999, 10)
    x.submit(2, BID, 1999, 10)
    assert filled(x.trade(ASK, 1999, 54)) == {1: 4}
    assert filled(x.trade(ASK, 1999, 9)) == {1: 6, 2: 3}


@pytest.mark.parametrize("price", [1999, 1995])
def test_a_print_fills_no_more_than_its_quantity(price):
    x = Exchange()
    x.level(BID, 1999, 0)
    for order_id in (1, 2, 3):
        x.submit(order_id, BID, 1999, 10)
    assert filled(x.trade(ASK, price, 14)) == {1: 10, 2: 4}


def test_a_print_of_the_same_side_or_at_a_worse_price_is_nothing_to_us():
    x = Exchange()
    x.submit(1, BID, 1999, 10)
    assert x.trade(BID, 1999, 500) == []
    assert x.trade(ASK, 2000, 500) == []


def test_without_partial_fills_an_order_fills_whole_or_not():
    x = Exchange(queue=Queue(partial_fills=False))
    x.submit(1, BID, 1999, 10)
    assert x.trade(ASK, 1999, 50) == []
    assert filled(x.trade(ASK, 1999, 1)) == {1: 10}


def test_the_other_side_coming_to_our_price_fills_us_at_our_price():
    x = Exchange()
    x.submit(1, BID, 1999, 10)
    x.submit(2, BID, 1997, 10)
    assert x.message((DEPTH, BID, 1999, 0), (DEPTH, ASK, 1999, 15)) == [("FILL", 1, 1999, 10, 0, True)]


def test_a_level_that_comes_to_our_price_fills_no_more_than_it_shows_and_not_twice():
    x = Exchange()
    x.submit(1, BID, 1999, 10)
    assert x.message((DEPTH, BID, 1999, 0), (DEPTH, ASK, 1999, 3)) == [("FILL", 1, 1999, 3, 7, True)]
    assert x.level(ASK, 1999, 3) == []  # the same three lots, spoken of again
    assert filled(x.level(ASK, 1999, 5)) == {1: 2}
    assert x.level(ASK, 1999, 4) == []
    # Two levels come at once: the nearer gives its two, the order at our own price the rest.
    assert filled(x.message((DEPTH, ASK, 1998, 2), (DEPTH, ASK, 1999, 50))) == {1: 3}


def test_what_comes_to_our_prices_goes_to_the_better_price_then_the_older_order_and_leaves_its_own_side():
    x = Exchange()
    for order_id, side, price in ((1, BID, 1998), (2, BID, 1999), (3, BID, 1998), (4, ASK, 2002)):
        x.submit(order_id, side, price, 10)
    said = x.message((DEPTH, BID, 1999, 0), (DEPTH, BID, 1998, 0), (DEPTH, ASK, 1998, 23))
    assert [(w[1], w[3]) for w in said] == [(2, 10), (1, 10), (3, 3)]
    book = x.state.exchanges["book"][0]
    # All 23 are gone from the asks, and the bids have lost nothing by it, whichever order took the place of a filled one in the table.
    assert int(book["best_ask_ticks"]) == 2001
    assert int(book["best_bid_ticks"]) == 1997
    assert filled(x.message((DEPTH, ASK, 2001, 0), (DEPTH, ASK, 2002, 0), (DEPTH, BID, 2002, 4))) == {4: 4}


# --- kinds of orders ---------------------------------------------------------------------------------------------------------------


def test_a_post_only_order_that_would_trade_is_rejected_and_one_behind_rests():
    x = Exchange()
    assert x.submit(1, BID, 2001, 10, POST_ONLY) == [("REJECTED", 1)]
    assert x.submit(2, BID, 2000, 10, POST_ONLY) == [("ACCEPTED", 2)]
    assert x.submit(3, ASK, 1999, 10, POST_ONLY) == [("REJECTED", 3)]


def test_an_ioc_takes_what_is_there_within_its_price_and_the_rest_is_cancelled():
    x = Exchange()
    said = x.submit(1, BID, 2002, 120, IOC)
    assert said == [("ACCEPTED", 1), ("FILL", 1, 2001, 50, 70, False), ("FILL", 1, 2002, 50, 20, False), ("CANCELED", 1)]
    # What we took is gone; the feed goes on showing it, and only what it shows beyond that is new.
    assert x.submit(2, BID, 2002, 10, IOC) == [("ACCEPTED", 2), ("CANCELED", 2)]
    x.level(ASK, 2002, 57)
    assert filled(x.submit(3, BID, 2002, 10, IOC)) == {3: 7}


def test_a_fill_or_kill_fills_whole_or_not_at_all():
    x = Exchange()
    assert x.submit(1, BID, 2002, 101, FOK) == [("REJECTED", 1)]
    assert [w[3] for w in x.submit(2, BID, 2002, 100, FOK) if w[0] == "FILL"] == [50, 50]


def test_a_market_order_walks_the_book_and_ends_with_it():
    x = Exchange()
    said = x.submit(1, ASK, NO_PRICE, 200, MARKET_ORDER)
    assert [w[2:4] for w in said if w[0] == "FILL"] == [(1999, 50), (1998, 50), (1997, 50)]
    assert said[-1] == ("CANCELED", 1)


def test_a_plain_limit_order_takes_and_rests_with_what_is_left():
    x = Exchange()
    assert x.submit(1, BID, 2001, 60) == [("ACCEPTED", 1), ("FILL", 1, 2001, 50, 10, False)]
    assert filled(x.trade(ASK, 2001, 4)) == {1: 4}


# --- amend and cancel --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rule", "first"), [("requeues", 2), ("keeps_smaller", 1)])
def test_a_smaller_size_keeps_its_place_only_where_the_venue_says_so(rule, first):
    x = Exchange(rule)
    x.level(BID, 1999, 0)
    x.submit(1, BID, 1999, 10)
    x.submit(2, BID, 1999, 10)
    assert x.amend(1, 1999, 8) == [("AMENDED", 1)]
    assert list(filled(x.trade(ASK, 1999, 3))) == [first]


@pytest.mark.parametrize("change", [(1999, 12), (1998, 8)])
def test_more_size_or_another_price_always_goes_to_the_back(change):
    x = Exchange("keeps_smaller")
    x.submit(1, BID, 1999, 10)
    x.amend(1, *change)
    assert x.trade(ASK, change[0], 50) == []
    assert filled(x.trade(ASK, change[0], 1)) == {1: 1}


def test_an_amend_speaks_of_the_total_and_one_that_is_already_executed_cancels():
    x = Exchange()
    x.submit(1, BID, 1999, 10)
    x.trade(ASK, 1990, 4)
    x.amend(1, 1998, 9)
    assert filled(x.trade(ASK, 1990, 100)) == {1: 5}
    x.submit(2, BID, 1999, 10)
    x.trade(ASK, 1990, 4)
    assert x.amend(2, 1998, 4) == [("CANCELED", 2)]


def test_an_amend_into_the_other_side_is_refused_and_the_order_stands():
    x = Exchange()
    x.submit(1, BID, 1999, 10, POST_ONLY)
    assert x.amend(1, 2001, 10) == [("REJECTED", 1)]
    assert filled(x.trade(ASK, 1990, 100)) == {1: 10}


def test_whoever_comes_second_in_a_race_of_cancel_and_fill_is_told():
    x = Exchange()
    x.submit(1, BID, 1999, 10)
    x.trade(ASK, 1990, 10)
    assert x.cancel(1) == [("CANCEL_REJECTED", 1)]
    assert x.amend(1, 1998, 10) == [("REJECTED", 1)]
    x.submit(2, BID, 1999, 10)
    assert x.cancel(2) == [("CANCELED", 2)]
    assert x.trade(ASK, 1990, 10) == []


# --- law -----------------------------------------------------------------------------------------------------------------------------


OPS = st.tuples(
    st.sampled_from(["bid", "ask", "trade", "trade", "level", "cancel", "amend"]), st.integers(-4, 4), st.integers(1, 40), st.integers(0, 9)
)


@settings(max_examples=100)
@given(ops=st.lists(OPS, max_size=50), model=st.sampled_from(["power", "risk_averse"]))
def test_prints_bound_fills_and_no_order_fills_more_than_it_is(ops, model):
    x = Exchange(queue=model)
    size, done = {}, {}
    for number, (what, n, lots, pick) in enumerate(ops, start=1):
        side = BID if n > 0 else ASK
        if what in ("bid", "ask"):
            side = BID if what == "bid" else ASK
            said = x.submit(number, side, 2000 - side * abs(n), lots, POST_ONLY)
            size[number] = lots
        elif what == "trade":
            said = x.trade(side, 2000 + n, lots)
            assert sum(w[3] for w in said) <= lots
        elif what == "level":
            said = x.level(side, 2000 - side * max(abs(n), 1), lots)
        elif size:
            order_id = sorted(size)[pick % len(size)]
            said = x.cancel(order_id) if what == "cancel" else x.amend(order_id, 2000 + n, lots)
            if ("AMENDED", order_id) in said:
                size[order_id] = lots
        else:
            continue
        for w in said:
            if w[0] == "FILL":
                done[w[1]] = done.get(w[1], 0) + w[3]
                assert done[w[1]] + w[4] == size[w[1]]
        resting = x.state.exchanges["resting"][0][: int(x.state.exchanges["resting_count"][0])]
        assert (resting["leaves_lots"] > 0).all()
