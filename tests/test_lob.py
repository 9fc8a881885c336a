"""The matching engine against a reference book of forty lines, and the laws of matching."""

from collections import defaultdict, deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hftlab import codes
from hftlab.kernels import lob as engine
from hftlab.kernels import lob_types as types
from hftlab.types import (
    ACCEPTED,
    AMEND_KEEPS_SMALLER,
    AMEND_NEVER,
    AMEND_REQUEUES,
    AMENDED,
    ASK,
    BID,
    CANCEL_REJECTED,
    CANCELED,
    DEPTH,
    EVENT,
    FILL,
    FOK,
    IOC,
    LAST,
    MAKER,
    MARKET_ORDER,
    NO_PRICE,
    POST_ONLY,
    REJECTED,
    TRADE,
)


class Reference:
    """Price-time priority in plain Python: a dict of deques of [owner, id, leaves, executed, post_only] for each side."""

    def __init__(self, stp_mode, amend_rule):
        self.sides = {BID: defaultdict(deque), ASK: defaultdict(deque)}
        self.stp_mode, self.amend_rule = stp_mode, amend_rule
        self.trades = []

    def best(self, side):
        prices = [price for price, queue in self.sides[side].items() if queue]
        return None if not prices else max(prices) if side == BID else min(prices)

    def find(self, owner, order_id):
        for side, levels in self.sides.items():
            for price, queue in levels.items():
                for order in queue:
                    if order[:2] == [owner, order_id]:
                        return side, price, order
        return None

    def crossing(self, side, price, any_price=False):
        best = self.best(-side)
        return best is not None and (any_price or side * (price - best) >= 0)

    def can_fill(self, owner, side, price, qty, any_price):
        levels = self.sides[-side]
        for level in sorted((p for p in levels if levels[p]), key=lambda p: side * p):
            if not any_price and side * (level - price) > 0:
                break
            for order in levels[level]:
                if order[0] == owner and self.stp_mode:
                    if self.stp_mode != codes.STP_CANCEL_MAKER:
                        return False
                    continue
                qty -= order[2]
                if qty <= 0:
                    return True
        return False

    def sweep(self, owner, side, price, qty, any_price):
        executed = 0
        while qty > 0 and self.crossing(side, price, any_price):
            level = self.best(-side)
            queue = self.sides[-side][level]
            maker = queue[0]
            both = min(qty, maker[2])
            if maker[0] == owner and self.stp_mode:
                if self.stp_mode == codes.STP_CANCEL_MAKER:
                    queue.popleft()
                elif self.stp_mode == codes.STP_CANCEL_TAKER:
                    return 0, executed
                elif self.stp_mode == codes.STP_CANCEL_BOTH:
                    queue.popleft()
                    return 0, executed
                else:
                    maker[2] -= both
                    qty -= both
            else:
                self.trades.append((level, both, side))
                maker[2] -= both
                maker[3] += both
                qty -= both
                executed += both
            if queue and queue[0][2] == 0:
                queue.popleft()
        return qty, executed

    def submit(self, owner, order_id, side, price, qty, flags):
        any_price = bool(flags & MARKET_ORDER)
        if qty <= 0:
            return types.BAD_SIZE
        if self.find(owner, order_id):
            return types.DUPLICATE
        if flags & FOK and not self.can_fill(owner, side, price, qty, any_price):
            return types.CANNOT_FILL
        immediate = flags & (IOC | FOK | MARKET_ORDER)
        if not immediate and flags & POST_ONLY and self.crossing(side, price):
            return types.WOULD_TAKE
        left, executed = self.sweep(owner, side, price, qty, any_price)
        if left and not immediate:
            self.sides[side][price].append([owner, order_id, left, executed, bool(flags & POST_ONLY)])
        return types.ACCEPT

    def cancel(self, owner, order_id):
        found = self.find(owner, order_id)
        if not found:
            return types.UNKNOWN_ORDER
        side, price, order = found
        self.sides[side][price].remove(order)
        return types.ACCEPT

    def amend(self, owner, order_id, price, qty):
        found = self.find(owner, order_id)
        if not found:
            return types.UNKNOWN_ORDER
        if self.amend_rule == AMEND_NEVER:
            return types.NO_AMEND
        side, old_price, order = found
        leaves = qty - order[3]
        if leaves <= 0:
            return self.cancel(owner, order_id)
        if order[4] and self.crossing(side, price):
            return types.WOULD_TAKE
        if self.amend_rule == AMEND_KEEPS_SMALLER and price == old_price and leaves <= order[2]:
            order[2] = leaves
            return types.ACCEPT
        self.sides[side][old_price].remove(order)
        left, executed = self.sweep(owner, side, price, leaves, False)
        if left:
            self.sides[side][price].append([owner, order_id, left, order[3] + executed, order[4]])
        return types.ACCEPT

    def queues(self):
        return {(side, price): [tuple(o[:4]) for o in q] for side, levels in self.sides.items() for price, q in levels.items() if q}


def queues_of(book):
    """Read every queue of the engine's book, oldest order first."""
    record = book.view(np.recarray)[0]
    found = {}
    for place in np.flatnonzero(record.levels["head"] != types.NIL):
        slot = record.levels[place].head
        price = int(record.orders[slot].price_ticks)
        assert record.anchor_ticks <= price < record.anchor_ticks + types.LOB_LEVELS
        assert price & types.LEVEL_MASK == place
        while slot != types.NIL:
            order = record.orders[slot]
            found.setdefault((int(order.side), price), []).append(
                (int(order.owner), int(order.order_id), int(order.leaves_lots), int(order.executed_lots))
            )
            slot = order.next
    return found


class Engine:
    """The engine under test, with its rows."""

    def __init__(self, stp_mode=codes.STP_NONE, amend_rule=AMEND_KEEPS_SMALLER):
        self.book = types.lob_new(stp_mode, amend_rule).view(np.recarray)
        self.out = np.zeros(20_000, EVENT).view(np.recarray)
        self.lob = self.book[0]

    def do(self, name, *args):
        """Run one engine event; return its code and rows."""
        self.lob.cursor = 0
        code = getattr(engine, name)(self.lob, self.out, 7, *args)
        return int(code), self.out[: int(self.lob.cursor)].copy()


commands = st.one_of(
    st.tuples(
        st.just("submit"),
        st.integers(1, 3),
        st.integers(1, 40),
        st.sampled_from((BID, ASK)),
        st.integers(95, 105),
        st.integers(0, 9),
        st.sampled_from((0, 0, 0, POST_ONLY, IOC, FOK, MARKET_ORDER, MARKET_ORDER | FOK)),
    ),
    st.tuples(st.just("cancel"), st.integers(1, 3), st.integers(1, 40)),
    st.tuples(st.just("amend"), st.integers(1, 3), st.integers(1, 40), st.integers(95, 105), st.integers(0, 9)),
)


def check_rest(lob, queues):
    """Hold the invariants of a book at rest: not crossed, totals right, nothing lost."""
    bids = [price for side, price in queues if side == BID]
    asks = [price for side, price in queues if side == ASK]
    assert lob.best_bid_ticks == (max(bids) if bids else NO_PRICE)
    assert lob.best_ask_ticks == (min(asks) if asks else NO_PRICE)
    assert not bids or not asks or max(bids) < min(asks)
    resting = sum(order[2] for queue in queues.values() for order in queue)
    assert lob.added_lots == 2 * lob.traded_lots + lob.canceled_lots + resting
    assert lob.levels["lots"].sum() == resting
    for (_, price), queue in queues.items():
        assert lob.levels[price & types.LEVEL_MASK].lots == sum(order[2] for order in queue)


@settings(max_examples=150, deadline=None)
@given(
    stream=st.lists(commands, max_size=60),
    stp_mode=st.integers(0, 4),
    amend_rule=st.sampled_from((AMEND_NEVER, AMEND_REQUEUES, AMEND_KEEPS_SMALLER)),
)
def test_any_stream_gives_the_trades_queues_and_refusals_of_the_reference(stream, stp_mode, amend_rule):
    sut, reference = Engine(stp_mode, amend_rule), Reference(stp_mode, amend_rule)
    shown = {}
    for name, *args in stream:
        known = len(reference.trades)
        wanted = getattr(reference, name)(*args)
        code, rows = sut.do(name, *args)
        assert code == wanted
        prints = rows[rows.kind == TRADE]
        assert [(r.price_ticks, r.qty_lots, r.side) for r in prints] == reference.trades[known:]
        queues = queues_of(sut.book)
        assert queues == reference.queues()
        check_rest(sut.lob, queues)
        for row in rows[rows.kind == DEPTH]:
            shown[int(row.side), int(row.price_ticks)] = int(row.qty_lots)
        # whoever only reads DEPTH rows has the book
        assert {k: v for k, v in shown.items() if v} == {k: sum(o[2] for o in q) for k, q in queues.items()}
        assert np.flatnonzero(rows["flags"] & LAST).tolist() == ([len(rows) - 1] if len(rows) else [])


@settings(max_examples=150, deadline=None)
@given(stream=st.lists(commands, max_size=60), stp_mode=st.integers(0, 4))
def test_reports_alone_tell_what_rests(stream, stp_mode):
    """Leaves by the reports equal leaves in the book, for every order, without a look at the market rows."""
    sut = Engine(stp_mode)
    leaves = {}
    for name, _owner, *args in stream:
        _, rows = sut.do(name, 1, *args)
        for row in rows:
            if row.kind in (ACCEPTED, AMENDED, FILL):
                leaves[int(row.order_id)] = int(row.leaves_lots)
            elif row.kind == CANCELED:
                leaves[int(row.order_id)] -= int(row.leaves_lots)
    resting = {order[1]: order[2] for queue in queues_of(sut.book).values() for order in queue}
    assert {k: v for k, v in leaves.items() if v} == resting


def test_the_oldest_order_at_a_price_trades_first_and_reports_come_before_market_rows():
    sut = Engine()
    sut.do("submit", 1, 1, BID, 100, 5, 0)
    sut.do("submit", 0, 0, BID, 100, 7, 0)
    _, rows = sut.do("submit", 2, 1, ASK, 99, 8, 0)
    assert [(r.kind, r.qty_lots, r.leaves_lots, r["flags"]) for r in rows] == [
        (ACCEPTED, 8, 8, 0),
        (FILL, 5, 0, MAKER),
        (FILL, 5, 3, 0),
        (FILL, 3, 0, 0),
        (TRADE, 5, 0, 0),
        (TRADE, 3, 0, 0),
        (DEPTH, 4, 0, LAST),
    ]
    assert set(rows.price_ticks[1:]) == {100}


def test_a_smaller_amend_keeps_its_place_and_a_larger_one_goes_to_the_back():
    sut = Engine()
    sut.do("submit", 1, 1, BID, 100, 5, 0)
    sut.do("submit", 1, 2, BID, 100, 5, 0)
    sut.do("amend", 1, 1, 100, 3)
    assert engine.ahead_of(sut.lob, 1, 1) == 0
    sut.do("amend", 1, 1, 100, 4)
    assert engine.ahead_of(sut.lob, 1, 1) == 5
    assert engine.ahead_of(sut.lob, 1, 99) == -1


@pytest.mark.parametrize(
    ("mode", "kinds", "resting"),
    [
        (codes.STP_NONE, [ACCEPTED, FILL, FILL, FILL], 2),
        (codes.STP_CANCEL_TAKER, [ACCEPTED, CANCELED], 7),
        (codes.STP_CANCEL_MAKER, [ACCEPTED, CANCELED, FILL, CANCELED], 0),
        (codes.STP_CANCEL_BOTH, [ACCEPTED, CANCELED, CANCELED], 4),
        (codes.STP_DECREMENT, [ACCEPTED, CANCELED, AMENDED, FILL], 2),
    ],
)
def test_self_trade_prevention(mode, kinds, resting):
    # our 3 lie before the crowd's 4; our sell of 5 (immediate or cancel) meets them
    sut = Engine(mode)
    sut.do("submit", 1, 1, BID, 100, 3, 0)
    sut.do("submit", 0, 0, BID, 100, 4, 0)
    _, rows = sut.do("submit", 1, 2, ASK, 100, 5, IOC)
    assert sorted(r.kind for r in rows if r.kind >= ACCEPTED) == sorted(kinds)
    assert sut.lob.levels[100 & types.LEVEL_MASK].lots == resting


def test_fill_or_kill_is_all_or_nothing():
    sut = Engine()
    sut.do("submit", 0, 0, ASK, 101, 3, 0)
    sut.do("submit", 0, 0, ASK, 102, 3, 0)
    code, rows = sut.do("submit", 1, 1, BID, 101, 4, FOK)
    assert code == types.CANNOT_FILL
    assert [r.kind for r in rows] == [REJECTED]
    code, rows = sut.do("submit", 1, 1, BID, 102, 6, FOK)
    assert code == types.ACCEPT
    assert sum(r.qty_lots for r in rows if r.kind == TRADE) == 6


def test_an_order_far_from_the_window_moves_it_and_what_falls_out_is_canceled_aloud():
    half = types.LOB_LEVELS // 2
    sut = Engine()
    sut.do("submit", 1, 1, BID, 1000, 5, 0)  # the window is [1000 - half, 1000 + half)
    sut.do("submit", 1, 2, BID, 1000 + half - 1, 5, 0)
    code, rows = sut.do("submit", 1, 3, BID, 1000 + half + 9, 5, 0)  # now [1000 - 1, ...): order 1 still fits
    assert (code, sum(rows.kind == CANCELED)) == (types.ACCEPT, 0)
    code, rows = sut.do("submit", 1, 4, BID, 1000 + 2 * half + 5, 5, 0)  # now [1000 + 9, ...)
    assert code == types.ACCEPT
    assert [int(r.order_id) for r in rows if r.kind == CANCELED] == [1]
    assert [(r.price_ticks, r.qty_lots) for r in rows if r.kind == DEPTH] == [(1000, 0), (1000 + 2 * half + 5, 5)]
    assert sut.do("submit", 1, 5, ASK, 1000 + 20 * half, 5, 0)[0] == types.OUTSIDE_LADDER
    check_rest(sut.lob, queues_of(sut.book))


def test_a_full_pool_refuses_and_goes_on():
    sut = Engine()
    sut.lob.free_head = types.LOB_ORDERS - 1  # as if all slots but the last were taken
    assert sut.do("submit", 1, 1, BID, 100, 5, 0)[0] == types.ACCEPT
    code, rows = sut.do("submit", 1, 2, BID, 100, 5, 0)
    assert (code, [r.kind for r in rows]) == (types.POOL_FULL, [REJECTED])
    assert sut.do("submit", 2, 1, ASK, 100, 5, IOC)[0] == types.ACCEPT
    assert sut.do("submit", 1, 2, BID, 100, 5, 0)[0] == types.ACCEPT


def test_too_little_room_for_rows_does_nothing():
    sut = Engine()
    sut.do("submit", 1, 1, BID, 100, 5, 0)
    sut.lob.cursor = 0
    before = sut.book.tobytes()
    assert engine.submit(sut.lob, sut.out[:12], 8, 2, 1, ASK, 100, 5, 0) == types.FAULT_ROOM
    assert engine.cancel(sut.lob, sut.out[:12], 8, 1, 1) == types.FAULT_ROOM
    assert sut.book.tobytes() == before


def test_a_handle_outlives_its_order_without_naming_another():
    sut = Engine()
    sut.do("submit", 0, 0, BID, 100, 5, 0)
    handle = int(sut.lob.handle)
    slot = engine.slot_of(sut.lob, handle)
    sut.do("cancel_slot", slot)
    sut.do("submit", 0, 0, BID, 100, 5, 0)
    assert engine.slot_of(sut.lob, handle) == types.NIL
    assert engine.slot_of(sut.lob, int(sut.lob.handle)) == slot


def test_unknown_orders_are_refused_and_counted():
    sut = Engine()
    for name, args in (("cancel", (1, 5)), ("amend", (1, 5, 100, 3))):
        code, rows = sut.do(name, *args)
        assert code == types.UNKNOWN_ORDER
        assert [(r.kind, r.order_id) for r in rows] == [(CANCEL_REJECTED, 5)]
    assert sut.lob.rejects[types.UNKNOWN_ORDER] == 2
