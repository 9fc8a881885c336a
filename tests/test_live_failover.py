"""Several readers, one feed: after a switch the book is whole, and every print came once."""

import asyncio
import contextlib
import itertools

import numpy as np
import pytest
from scripted_binance import START_MS, Server, Witness, until

from hftlab.errors import InputError
from hftlab.types import ASK, BID, CLEAR, DEPTH, EVENT, GAP, LAST, SNAPSHOT, TRADE
from hftlab.venues.live.binance_reader import BinanceReader
from hftlab.venues.live.binance_tasks import Limits
from hftlab.venues.live.book_rows import differs, empty_book, levels_of, snapshot_rows
from hftlab.venues.live.failover import Failover

SPEEDS = ("100ms", "250ms")
NEVER = Limits(silence_s={}, quiet_s=0.3, checked_each=20)


def clock():
    return (START_MS * 1_000_000 + 1_000_000 * n for n in itertools.count()).__next__


@contextlib.asynccontextmanager
async def following(server, **kw):
    # One connection each, told apart by the names of their streams.
    kw_of = [{"seed": i, "speed": speed, "streams": ("depth", "trade", "bookTicker")} for i, speed in enumerate(SPEEDS)]
    readers = [BinanceReader(server.instruments, server.endpoint, clock(), limits=NEVER, **one) for one in kw_of]
    both, witness = Failover(readers, clock(), silence_s=0.5, **kw), Witness(server)
    task = asyncio.create_task(both.run(witness.emit, witness.say))
    try:
        await until(lambda: all(reader.books[0].trusted for reader in readers) and witness.compared > 20)
        yield both, readers, witness
        server.paused = True
        await until(lambda: all(witness.sound(m) for m in range(len(server.markets))))
        assert witness.wrong == 0
        numbers = [number for number, *_ in witness.prints[0]]
        assert len(numbers) == len(set(numbers))
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def run(story):
    asyncio.run(asyncio.wait_for(story(), 120))


@pytest.mark.parametrize("venue", ["binance", "binanceusdm"])
def test_a_silent_reader_is_left_for_one_that_speaks(venue):
    async def story():
        async with Server(venue, seed=1, symbols=2).running() as server, following(server) as (both, _, witness):
            switches, gaps = both.switches, dict(witness.gaps)
            active = both._markets[0].active
            concerned = [market for market in both._markets.values() if market.active == active]
            server.stalled, server.stalled_only = {"depth", "trade", "bookTicker"}, SPEEDS[active]
            await until(lambda: all(market.active != active for market in concerned))
            assert both.switches >= switches + len(concerned)
            await until(lambda: witness.sound(0) or witness.trusted[0])
            assert witness.gaps[0] == gaps.get(0, 0) + 1
            numbers = sorted(number for number, *_ in witness.prints[0])
            assert numbers == list(range(numbers[0], numbers[-1] + 1))

    run(story)


def test_a_gap_of_the_active_reader_is_healed_at_once_by_the_other():
    async def story():
        async with Server("binanceusdm", seed=2).running() as server, following(server) as (both, readers, witness):
            active, resyncs = both._markets[0].active, sum(book.counts.resyncs for reader in readers for book in reader.books)
            readers[active].books[0].distrust(1, "the test says so")
            assert both._markets[0].active != active
            assert witness.gaps[0] == 1
            assert witness.trusted[0]
            await until(lambda: sum(book.counts.resyncs for reader in readers for book in reader.books) > resyncs)

    run(story)


def rows_of(*made):
    rows = np.zeros(len(made), EVENT)
    for row, (kind, side, price, lots, flags, seq) in zip(rows, made, strict=True):
        row["kind"], row["side"], row["price_ticks"], row["qty_lots"], row["flags"], row["seq"] = kind, side, price, lots, flags, seq
    return rows


def snapshot(seq, bid=100, ask=101):
    whole = SNAPSHOT
    return rows_of((CLEAR, 0, 0, 0, whole, seq), (DEPTH, BID, bid, 5, whole, seq), (DEPTH, ASK, ask, 6, whole | LAST, seq))


class Told:
    instruments = Server().instruments
    streams = ()


def test_by_hand_a_reader_that_failed_rests_and_prints_are_handed_out_once():
    both, out = Failover([Told(), Told()], lambda: 77, wait_s=5.0), []
    both._emit = lambda rows: out.append([(int(r["kind"]), int(r["seq"])) for r in rows])
    now = [0.0]
    both._time = lambda: now[0]
    both.take(0, snapshot(10))
    both.take(1, snapshot(11))
    both.take(0, rows_of((TRADE, BID, 101, 1, LAST, 1)))
    for number in (1, 2, 3):
        both.take(1, rows_of((TRADE, BID, 101, 1, LAST, number)))
    out.clear()
    both.take(0, rows_of((GAP, 0, 0, 0, LAST, 12)))
    assert out == [[(GAP, 12)], [(CLEAR, 11), (DEPTH, 11), (DEPTH, 11)], [(TRADE, 2)], [(TRADE, 3)]]
    both.take(0, snapshot(13))  # whole again, but it rests: the other one has a gap, and nobody goes on
    out.clear()
    both.take(1, rows_of((GAP, 0, 0, 0, LAST, 14)))
    assert out == [[(GAP, 14)]]
    assert both._markets[0].active == 1
    now[0] = 6.0
    both.take(0, rows_of((DEPTH, BID, 99, 1, LAST, 15)))
    assert both._markets[0].active == 0
    assert out[1:] == [[(CLEAR, 15)] + [(DEPTH, 15)] * 3]


def test_a_book_becomes_rows_and_the_same_book_again():
    from hftlab.kernels.reader_book import SLOTS, TOUCH_WORDS, keep

    book, touches = empty_book(), np.zeros((3, SLOTS, TOUCH_WORDS), np.int64)
    far = rows_of((DEPTH, BID, 5, 7, 0, 3), (DEPTH, ASK, 900_000, 8, LAST, 3))
    keep(snapshot(2), book, touches)
    keep(far, book, touches)
    rows = snapshot_rows(book, 4, 1, 2, 3)
    assert levels_of(book, BID).tolist() == [[100, 5], [5, 7]]
    assert levels_of(book, ASK).tolist() == [[101, 6], [900_000, 8]]
    again = empty_book()
    keep(rows, again, np.zeros_like(touches))
    assert not differs(book, again, 0, 10**6)
    short = empty_book()
    keep(snapshot(2), short, np.zeros_like(touches))
    assert differs(book, short, 0, 10**6)
    assert not differs(book, short, 6, 899_999)  # what a short snapshot does not reach is not known


def test_readers_of_different_instruments_are_refused():
    class Other:
        instruments = Server("binanceusdm").instruments
        streams = ()

    with pytest.raises(InputError, match="same instruments"):
        Failover([Told(), Other()], lambda: 0)
    with pytest.raises(InputError, match="two or more"):
        Failover([Told()], lambda: 0)
