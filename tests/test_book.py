"""The book against a dict, over windows that move and tables that fill."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hftlab.kernels import book as bk
from hftlab.types import ASK, BID, BOOK, FAR, LADDER, NO_PRICE


def new_book():
    book = np.zeros(1, BOOK).view(np.recarray)[0]
    bk.reset(book)
    return book


LEVELS = st.tuples(
    st.sampled_from([BID, ASK]),
    st.one_of(st.integers(-30, 30), st.integers(-3 * LADDER, 3 * LADDER)),
    st.integers(0, 5),
    st.booleans(),
)


@given(base=st.integers(-10_000, 10_000_000), changes=st.lists(LEVELS, max_size=120))
def test_the_book_equals_a_dict_wherever_its_window_lies(base, changes):
    book, model = new_book(), {BID: {}, ASK: {}}
    for side, offset, lots, last in changes:
        price = base + offset
        old = bk.apply_level(book, side, price, lots)
        assert old == model[side].pop(price, 0)
        if lots:
            model[side][price] = lots
        if last:
            bk.settle(book)
        assert book.best_bid_ticks == max(model[BID], default=NO_PRICE)
        assert book.best_ask_ticks == min(model[ASK], default=NO_PRICE)
    for side in (BID, ASK):
        for _, offset, _, _ in changes:
            assert bk.lots_at(book, side, base + offset) == model[side].get(base + offset, 0)


def test_clearing_one_side_leaves_the_other_near_and_far():
    book = new_book()
    for side, price in ((BID, 100), (BID, 100 - 2 * LADDER), (ASK, 101), (ASK, 101 + 2 * LADDER)):
        bk.apply_level(book, side, price, 7)
    bk.clear(book, BID)
    assert (book.best_bid_ticks, book.best_ask_ticks) == (NO_PRICE, 101)
    assert bk.lots_at(book, BID, 100 - 2 * LADDER) == 0
    assert bk.lots_at(book, ASK, 101 + 2 * LADDER) == 7


def test_a_full_table_counts_what_it_drops_and_loses_nothing_else():
    book = new_book()
    bk.apply_level(book, BID, 0, 1)
    for i in range(FAR):
        bk.apply_level(book, ASK, 10 * LADDER + i, 1)
    kept = sum(bk.lots_at(book, ASK, 10 * LADDER + i) for i in range(FAR))
    assert kept + book.dropped == FAR
    assert book.dropped > 0
    assert book.best_bid_ticks == 0
