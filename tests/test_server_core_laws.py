"""The exchange's core under random clients: money, positions, books and orders add up after every call."""

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from server_core_rig import SYMBOLS, Rig

from hftlab.errors import InputError
from hftlab.types import ASK, BID, NO_PRICE
from hftlab.venues.server.model import NewOrder, Refused

STEP = st.tuples(
    st.sampled_from(["place", "place", "place", "take", "amend", "cancel", "cancel_all", "nudge", "fill", "quote", "wait"]),
    st.sampled_from("ab"),
    st.sampled_from([BID, ASK]),
    st.integers(-60, 40),  # ticks behind the touch
    st.integers(1, 4000),  # lots
    st.integers(0, 4),  # self-trade prevention
    st.sampled_from(["", "post_only", "reduce_only", "IOC", "FOK", "far", "through"]),
    st.integers(0, 10**6),  # which order
)
STEPS = st.lists(STEP, min_size=5, max_size=40)


def pick(rig, account, number):
    open_orders = rig.ex.open_orders(account)
    return open_orders[number % len(open_orders)] if open_orders else None


def best(rig, side):
    """Return the best price of a side, or where the market was."""
    price = rig.ex.listing(rig.symbol).book.best(side)
    return price if price != NO_PRICE else rig.ex.listing(rig.symbol).mark_half_ticks() // 2


def wish_of(rig, side, offset, lots, stp, how, number):
    """Return a wish near the touch, or far from it on either side."""
    price = best(rig, side) - side * offset
    if how in ("far", "through"):
        price += (-side if how == "far" else side) * min(40_000, price // 3)
    tif = how if how in ("IOC", "FOK") else "GTC"
    named = {how: True} if how in ("post_only", "reduce_only") else {}
    return NewOrder(rig.symbol, side, lots, price, client_id=f"c{number % 50}", tif=tif, stp=stp, **named)


def act(rig, step):
    """Do one step; the exchange may refuse it."""
    what, account, side, offset, lots, stp, how, number = step
    order = pick(rig, account, number)
    if what == "place":
        rig.ex.place(account, wish_of(rig, side, offset, lots, stp, how, number))
    elif what == "take":
        rig.ex.place(account, NewOrder(rig.symbol, side, lots, tif="IOC", stp=stp, reduce_only=how == "reduce_only"))
    elif what == "amend" and order:
        rig.amend(order, order.price_ticks + (offset if how != "far" else 0), lots)
    elif what == "cancel" and order:
        rig.cancel(order)
    elif what == "cancel_all":
        rig.ex.cancel_all(account, rig.symbol if number % 2 else None)
    elif what == "nudge":
        rig.ex.nudge(rig.symbol, side, lots)
    elif what == "fill" and order and rig.ex.queue_ahead(order) >= 0:
        rig.ex.fill_order(order, 1 + lots % order.leaves_lots)
    elif what == "quote":
        price = best(rig, side) - side * offset
        if rig.ex.listing(rig.symbol).reaches(price):
            rig.ex.quote(rig.symbol, side, price, lots)
    elif what == "wait":
        rig.wait(number % 50)


@pytest.mark.parametrize("crowd", [False, True], ids=["still", "crowd"])
@pytest.mark.parametrize("venue", SYMBOLS)
@settings(max_examples=25)
@given(steps=STEPS)
def test_everything_adds_up_after_every_call(venue, crowd, steps):
    rig = Rig.crowd(venue) if crowd else Rig(venue)
    for step in steps:
        with contextlib.suppress(Refused):
            act(rig, step)
        rig.check()


@pytest.mark.parametrize("venue", SYMBOLS)
@settings(max_examples=8)
@given(steps=STEPS, seed=st.integers(0, 5))
def test_the_same_calls_at_the_same_times_make_the_same_log(venue, steps, seed):
    logs = []
    for _ in range(2):
        rig = Rig.crowd(venue, seed=seed)
        for step in steps:
            try:
                act(rig, step)
            except Refused:
                continue
        logs.append([*rig.ex.log.json_lines(), json.dumps(rig.ex.truth())])
    assert logs[0] == logs[1]


def test_another_seed_makes_another_market():
    books = []
    for seed in (1, 2):
        rig = Rig.crowd(seed=seed)
        rig.wait(1000)
        books.append(rig.ex.book(rig.symbol).bids)
    assert books[0] != books[1]


@settings(max_examples=25)
@given(steps=st.lists(st.sampled_from([1, 7, 400]), min_size=1, max_size=30))
def test_a_market_cut_into_any_turns_is_the_same_market(steps):
    whole, cut = Rig.crowd("binanceusdm"), Rig.crowd("binanceusdm")
    steps = [*steps, 500]
    whole.wait(sum(steps))
    for ms in steps:
        cut.wait(ms)
    assert whole.events == cut.events
    assert len(whole.events) > 0


def test_a_book_some_diffs_ago_leads_to_the_present_by_the_diffs_since():
    rig = Rig.crowd()
    rig.wait(500)
    diffs = [event for event in rig.events if type(event).__name__ == "DepthDiff"]
    for back in (0, 1, 2, 50, 200):
        book = rig.ex.book(rig.symbol, 10**6, back=back)
        assert book.last_id == (diffs[-back - 1].last_id)
        sides = {BID: dict(book.bids), ASK: dict(book.asks)}
        for diff in diffs[len(diffs) - back :]:
            for side, levels in ((BID, diff.bids), (ASK, diff.asks)):
                sides[side].update(levels)
        now = rig.ex.book(rig.symbol, 10**6)
        assert {p: n for p, n in sides[BID].items() if n} == dict(now.bids)
        assert {p: n for p, n in sides[ASK].items() if n} == dict(now.asks)
        best = rig.ex.book(rig.symbol, 20, back=back)
        assert rig.ex.book_hash(rig.symbol, book.last_id, levels=20) == rig.ex.book_hash(rig.symbol, best.last_id, levels=20)
        assert best.bids == book.bids[:20]
        assert best.asks == book.asks[:20]


def test_a_listener_may_not_trade():
    rig = Rig()
    rig.ex.listen(lambda event: rig.place(BID, 1))
    with pytest.raises(InputError, match="from one of its listeners"):
        rig.place(BID, 100, 5_999_000)
