"""What a live session remembers is bounded, however long it trades, and what it forgets it does not need."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hftlab as hl
from hftlab.data.binance_messages import Envelope
from hftlab.types import ASK, BID, EVENT, FILL, FREE, LIVE, MAKER
from hftlab.venues.live import book_of_orders, foreign
from hftlab.venues.live.binance_slow import _CACHED_MAX, SlowReader
from hftlab.venues.live.book_of_orders import ENDED_S, Book, Order
from hftlab.venues.live.foreign import Foreign
from hftlab.venues.live.gateway_restart import Known
from hftlab.venues.live.gateway_teller import SEEN_KEPT, Seen
from hftlab.venues.live.ids import Ids
from hftlab.venues.live.limiter import Limiter
from hftlab.venues.live.model import VenueFill

DAY_S, PARTS = 86_400.0, 1000


class Time:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def make_book() -> tuple[Book, Time]:
    clock = Time()
    return Book(Ids("binanceusdm", "abc123"), clock), clock


def live_order(book: Book, number: int) -> Order:
    order = Order(number, 0, BID, 0, 1000, 10, book.ids.client_id(number), status=LIVE)
    book.add(order)
    book.learn_venue_id(0, (number, 0), f"v{number}")
    return order


def end(book: Book, order: Order) -> None:
    order.status = FREE
    book.ended(order)


def known_orders(book: Book) -> set[int]:
    """Return the orders that any table of the book speaks of; they must agree."""
    by_venue = {order_id for order_id, _ in book._by_venue.values()}
    assert set(book.orders) == by_venue == set(book._venue_ids)
    return by_venue


# --- orders ---
@settings(max_examples=30)
@given(every_s=st.sampled_from([0.05, 0.5, 7.0]), missing=st.sets(st.integers(1, 50), max_size=5), orders=st.integers(60, 3000))
def test_ended_orders_are_forgotten_after_a_while_unless_fills_of_them_are_missing(every_s, missing, orders):
    book, clock = make_book()
    for number in range(1, orders + 1):
        clock.now_s += every_s
        order = live_order(book, number)
        if number in missing:
            order.said[0] = 3  # the venue has spoken of three lots, and none were told
        end(book, order)
    assert not book.working
    recent = {number for number in range(1, orders + 1) if (orders - number) * every_s <= ENDED_S}
    assert known_orders(book) == recent | missing


def test_an_order_whose_fills_came_late_is_forgotten_too():
    book, clock = make_book()
    late = live_order(book, 1)
    late.said[0] = 3
    end(book, late)
    clock.now_s += ENDED_S + 1
    end(book, live_order(book, 2))
    assert known_orders(book) == {1, 2}
    late.told[0] = 3
    clock.now_s += ENDED_S + 1
    end(book, live_order(book, 3))
    end(book, live_order(book, 4))
    assert known_orders(book) == {3, 4}


def test_no_more_than_so_many_ended_orders_are_remembered_whatever_is_missing(monkeypatch):
    monkeypatch.setattr(book_of_orders, "ENDED_MOST", 100)
    book, _ = make_book()
    for number in range(1, 501):
        order = live_order(book, number)
        order.said[0] = 1
        end(book, order)
    assert known_orders(book) == set(range(401, 501))


def test_a_working_order_is_never_forgotten():
    book, clock = make_book()
    live_order(book, 1)
    for number in range(2, 500):
        clock.now_s += 1
        end(book, live_order(book, number))
    assert 1 in known_orders(book)
    assert book.name(0, "", "v1") == (1, 0)


def test_a_forgotten_order_is_known_by_its_client_id():
    book, clock = make_book()
    end(book, live_order(book, 1))
    for number in (2, 3):
        clock.now_s += ENDED_S + 1
        end(book, live_order(book, number))
    assert book.name(0, "", "v1") is None
    assert book.name(0, book.ids.client_id(1), "v1") == (1, 0)


# --- executions ---
def fill(number: int, side: int = BID, lots: int = 1, fee: str = "0", ts_ns: int = 10) -> VenueFill:
    return VenueFill(number, "", f"v{number // 3}", 0, side, 1000, lots, maker=True, fee=Decimal(fee), fee_asset="BNB", ts_ns=ts_ns)


@given(st.lists(st.tuples(st.sampled_from([BID, ASK]), st.integers(1, 9), st.sampled_from(["0", "0.1", "-0.25"]), st.integers(0, 20))))
def test_what_others_moved_is_the_same_however_many_of_their_fills_are_remembered(fills):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(foreign, "FOREIGN_KEPT", 5)
        few = Foreign(after_ns=7)
        for number, (side, lots, fee, ts_ns) in enumerate(fills):
            few.add(fill(number, side, lots, fee, ts_ns))
    counted = [one for one in fills if one[3] > 7]
    assert few.lots(0) == sum(side * lots for side, lots, _, _ in counted)
    assert few.fees(0, "BNB") == sum(Decimal(fee) for _, _, fee, _ in counted)
    assert len(few.by_trade) <= 5
    assert sum(map(len, few.by_order.values())) == len(few.by_trade)
    assert len(few.by_order) <= 5


def test_trade_ids_are_remembered_up_to_a_number_and_the_newest_are():
    seen = Seen()
    assert all(seen.add(number) for number in range(SEEN_KEPT + 500))
    assert not seen.add(SEEN_KEPT + 499)
    assert not seen.add(500)
    assert seen.add(499)
    assert len(seen._numbers) == SEEN_KEPT


def test_a_restarted_gateway_remembers_the_newest_trades_of_a_long_journal():
    rows = np.zeros(SEEN_KEPT + 10, EVENT)
    rows["kind"], rows["side"], rows["seq"], rows["flags"] = FILL, BID, np.arange(1, len(rows) + 1) * 977, MAKER
    seen = Seen()
    for _, number in Known.of([rows]).trades:
        seen.add(number)
    assert all(int(seq) in seen for seq in rows["seq"][-SEEN_KEPT:])


# --- budgets ---
@given(pauses_s=st.lists(st.floats(0, 2000), min_size=1, max_size=300), size=st.integers(1, 40))
def test_a_days_budget_is_kept_in_few_parts_and_never_exceeded(pauses_s, size):
    clock, taken = Time(), []
    clock.now_s = 1000.0
    limit = Limiter(clock, lambda: {"orders_1d": (size, DAY_S)}, 0.0)
    for pause_s in pauses_s:
        clock.now_s += pause_s
        wait_s = limit.take({"orders_1d": 1.0}, cancel=False)
        if wait_s == 0:
            taken.append(clock.now_s)
        else:
            assert len([at for at in taken if at > clock.now_s - DAY_S - DAY_S / PARTS]) >= size
    for start in taken:
        assert sum(start <= at < start + DAY_S for at in taken) <= size


def test_two_hundred_thousand_requests_of_a_day_are_a_thousand_entries():
    clock = Time()
    limit = Limiter(clock, lambda: {"orders_1d": (200_000.0, DAY_S)}, 0.0)
    for number in range(200_000):
        clock.now_s = number * 0.4
        assert limit.take({"orders_1d": 1.0}, cancel=False) == 0
    assert len(limit._windows["orders_1d"].taken) <= PARTS + 1
    assert limit.status()["orders_1d"]["used"] == 200_000
    assert limit.take({"orders_1d": 1.0}, cancel=False) > 0


# --- texts of numbers ---
def test_a_readers_texts_of_prices_and_sizes_are_bounded_and_still_right():
    instrument = hl.Instrument.bundled("binanceusdm:BTC/USDT:USDT")
    slow = SlowReader((instrument,), (0,))
    for first in range(0, 60_000, 500):
        levels = [(f"{(100_000 + number) / 10:.1f}", f"{number / 1000:.3f}") for number in range(first + 1, first + 501)]
        rows = slow.snapshot(0, Envelope(last_update_id=first, bids=levels, asks=[]), 1, 2)
        assert rows["price_ticks"][1:].tolist() == list(range(100_001 + first, 100_501 + first))
        assert rows["qty_lots"][1:].tolist() == list(range(first + 1, first + 501))
    market = slow._markets[0]
    assert len(market.prices) <= _CACHED_MAX
    assert len(market.sizes) <= _CACHED_MAX
