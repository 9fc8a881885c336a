"""A tape on two clocks, in parts: the same bytes as the whole merge, wherever it is cut."""

from contextlib import suppress

import numpy as np
import pytest
from captures import USDM
from hypothesis import given
from hypothesis import strategies as st

from hftlab.data.merging import merged_chunks
from hftlab.data.tape import Tape
from hftlab.errors import InputError, TapeError
from hftlab.types import AT_DESK, AT_EXCHANGE, BID, DEPTH, EVENT, LAST, TRADE


@st.composite
def tapes(draw, latency_max=12):
    """Messages of one to three rows; within one the exchange times may differ, and some messages lack their LAST."""
    rows, now = [], 1000
    for number in range(draw(st.integers(1, 40))):
        now += draw(st.integers(0, 3))
        size = draw(st.integers(1, 3))
        closed = draw(st.integers(0, 9)) > 0
        for k in range(size):
            row = np.zeros(1, EVENT)
            row["ts_exch_ns"] = now - draw(st.integers(0, latency_max))
            row["ts_recv_ns"], row["seq"], row["qty_lots"] = now, number, k
            row["kind"] = TRADE if size == 1 else DEPTH
            row["side"], row["flags"] = BID, LAST if k == size - 1 and closed else 0
            rows.append(row)
    return Tape(np.concatenate(rows), (USDM,))


def plain_merge(rows):
    """The merge by its definition: one sort of all copies by (time, exchange first, order), then neighbours of one row made one."""
    messages, start = [], 0
    for i in range(1, len(rows) + 1):
        if i == len(rows) or rows["flags"][i - 1] & LAST or rows["ts_recv_ns"][i] != rows["ts_recv_ns"][i - 1]:
            messages.append((start, i))
            start = i
    copies = []
    for n, (low, high) in enumerate(messages):
        copies += [(int(rows["ts_exch_ns"][low:high].max()), 0, n), (int(rows["ts_recv_ns"][low]), 1, n)]
    copies.sort()
    out, skip = [], False
    for at, (_, ours, n) in enumerate(copies):
        if skip:
            skip = False
            continue
        low, high = messages[n]
        part = rows[low:high].copy()
        meets = not ours and high - low == 1 and copies[at + 1][1:] == (1, n)
        # The exchange's next row at the very time of ours comes between, for it comes first.
        part["flags"] |= AT_EXCHANGE | AT_DESK if meets else AT_DESK if ours else AT_EXCHANGE
        skip = meets
        out.append(part)
    return np.concatenate(out)


@given(tape=tapes())
def test_the_whole_merge_is_the_one_of_the_definition(tape):
    assert tape.merge().rows.tobytes() == plain_merge(tape.rows).tobytes()


@given(tape=tapes(), rows_max=st.integers(1, 150))
def test_merged_chunks_are_the_merge_unless_a_message_comes_more_than_a_chunk_late(tape, rows_max):
    merged = None
    with suppress(TapeError):
        merged = np.concatenate(list(merged_chunks(tape, rows_max)))
    # Even one so late may find that nothing is given out yet that stands behind it.
    assert merged is not None or more_than_a_chunk_late(tape, rows_max)
    assert merged is None or merged.tobytes() == tape.merge().rows.tobytes()


def more_than_a_chunk_late(tape, rows_max):
    """Return whether a message happened before all of a chunk that is not the one right before its own."""
    earliest = []
    for chunk in tape.chunks(rows_max):
        ends = np.flatnonzero(((chunk["flags"] & LAST) != 0) | (np.append(np.diff(chunk["ts_recv_ns"]), 1) != 0))
        earliest.append(min(part["ts_exch_ns"].max() for part in np.split(chunk, ends[:-1] + 1)))
    return any(later < seen for n, seen in enumerate(earliest) for later in earliest[n + 1 :] if n)


@given(tape=tapes(latency_max=3), extra=st.integers(0, 20))
def test_chunks_longer_than_the_latency_never_fail(tape, extra):
    # Rows of four ticks of time: nothing that happened in them is received after the chunk that follows.
    recv_ns = tape.rows["ts_recv_ns"]
    rows_max = max(int(np.count_nonzero((recv_ns >= at) & (recv_ns <= at + 4))) for at in recv_ns) + extra
    parts = list(merged_chunks(tape, rows_max))
    assert np.concatenate(parts).tobytes() == tape.merge().rows.tobytes()


def test_a_cut_between_the_copies_of_a_row():
    # Prints happen at 10, 20, 21 and are received at 15, 30, 31. In chunks of one row the second is given out as the exchange's
    # copy before the third is known to lie between its copies; the first meets its own copy.
    rows = np.zeros(3, EVENT)
    rows["ts_exch_ns"], rows["ts_recv_ns"] = (10, 20, 21), (15, 30, 31)
    rows["kind"], rows["side"], rows["flags"], rows["seq"] = TRADE, BID, LAST, (1, 2, 3)
    parts = list(merged_chunks(Tape(rows, (USDM,)), 1))
    assert [[(int(row["seq"]), int(row["flags"]) & ~LAST) for row in part] for part in parts] == [
        [(1, AT_EXCHANGE | AT_DESK)],
        [(2, AT_EXCHANGE)],
        [(3, AT_EXCHANGE), (2, AT_DESK), (3, AT_DESK)],
    ]


def test_a_message_more_than_a_chunk_late_is_refused_with_what_to_do():
    rows = np.zeros(4, EVENT)
    rows["ts_exch_ns"], rows["ts_recv_ns"] = (10, 20, 30, 5), (11, 21, 31, 41)
    rows["kind"], rows["side"], rows["flags"] = TRADE, BID, LAST
    tape = Tape(rows, (USDM,))
    with pytest.raises(TapeError, match=r"received 0\.000000 s after it happened, more than a chunk late.*Raise rows_max"):
        list(merged_chunks(tape, 1))
    assert np.concatenate(list(merged_chunks(tape, 4))).tobytes() == tape.merge().rows.tobytes()


def test_clocks_that_disagree_are_refused_with_the_row():
    rows = np.zeros(3, EVENT)
    rows["ts_exch_ns"], rows["ts_recv_ns"] = (10, 20, 3_000_030), (11, 21, 31)
    rows["kind"], rows["side"], rows["flags"] = TRADE, BID, LAST
    with pytest.raises(TapeError, match=r"row 2 was received 3\.000 ms before it happened.*clock='correct'"):
        list(merged_chunks(Tape(rows, (USDM,)), 1))


@pytest.mark.parametrize("rows_max", [0, -1, 1.5, True, "many"])
def test_a_number_of_rows_that_is_none(rows_max):
    rows = np.zeros(1, EVENT)
    rows["kind"], rows["side"], rows["flags"] = TRADE, BID, LAST
    with pytest.raises(InputError, match=r"rows_max was .*one or more"):
        list(merged_chunks(Tape(rows, (USDM,)), rows_max))
