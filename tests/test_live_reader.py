"""The reader of Binance against a server that misbehaves: the book is the server's at every update id, or marked as not to be trusted."""

import asyncio
import contextlib
import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from fake_wire import run as run_in_virtual_time
from scripted_binance import START_MS, Server, Witness, until

from hftlab.data.state import build
from hftlab.kernels import core
from hftlab.params import FixedSpread
from hftlab.params import Limits as Bounds
from hftlab.types import ASK, BID, BOOK, DEPTH, EVENT, TIMER, TRADE, VALID
from hftlab.venues.live.binance_reader import BinanceReader
from hftlab.venues.live.binance_tasks import BookTasks, Limits
from hftlab.venues.live.book_rows import levels_of
from hftlab.venues.live.model import StreamStatus

TIMER_ROW = np.zeros(1, EVENT)
TIMER_ROW["kind"], TIMER_ROW["ts_recv_ns"] = TIMER, START_MS * 1_000_000
VENUES = ("binance", "binanceusdm")
BOTH = pytest.mark.parametrize("venue", VENUES)
LIMITS = Limits(silence_s={"depth": 0.6, "bookTicker": 30.0, "trade": 30.0}, quiet_s=0.3, checked_each=20)


def clock():
    """Return a clock of its own: a millisecond a call from the beginning of the server's time on."""
    return (START_MS * 1_000_000 + 1_000_000 * n for n in itertools.count()).__next__


@contextlib.asynccontextmanager
async def following(server, limits=LIMITS, **kw):
    """Yield (reader, witness) while the reader runs against a running server; afterwards let the market rest, and compare."""
    kw = {"streams": ("depth", "trade", "bookTicker")} | kw
    reader, witness = BinanceReader(server.instruments, server.endpoint, clock(), limits=limits, **kw), Witness(server)
    task = asyncio.create_task(reader.run(witness.emit, witness.say))
    try:
        await until(lambda: all(witness.trusted) or task.done())
        yield reader, witness
        await until(lambda: witness.compared > 20 or task.done())
        server.paused = True
        await until(lambda: all(witness.sound(m) for m in range(len(server.markets))) or task.done())
        assert witness.wrong == 0
        assert reader.frames.differences == 0
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def run(story):
    asyncio.run(asyncio.wait_for(story(), 120))


@BOTH
def test_a_quiet_session_gives_the_servers_book_and_every_print(venue):
    async def story():
        async with Server(venue, symbols=2).running() as server, following(server) as (reader, witness):
            await until(lambda: min(server.markets[s].update for s in server.markets) and witness.compared > 200)
            server.paused = True
            await until(lambda: all(witness.sound(m) for m in range(2)))
            assert sum(witness.gaps.values()) == 0
            for m, market in enumerate(server.markets.values()):
                numbers = [number for number, *_ in witness.prints[m]]
                assert numbers == list(range(numbers[0], market.print + 1))
                assert set(witness.prints[m]) <= market.printed
            assert reader.frames.checked > 10
            assert all(status.up and status.messages for status in reader.streams)

    run(story)


@BOTH
def test_the_desk_that_runs_the_rows_has_the_servers_book(venue):
    async def story():
        async with Server(venue, seed=13).running() as server:
            reader, witness = BinanceReader(server.instruments, server.endpoint, clock(), limits=LIMITS), Witness(server)
            state = build(
                server.instruments,
                [FixedSpread(order_qty="0.01", half_spread_ticks=2)],
                [Bounds(position_qty_max="1", loss_quote_max=1e9)],
                simulate=False,
            )

            def emit(rows):
                state.step(core.run, rows)
                witness.emit(rows)

            task = asyncio.create_task(reader.run(emit, witness.say))
            await until(lambda: witness.compared > 100)
            Once(server, lambda message, held: [])  # a hole, and back again
            await until(lambda: state.markets["gaps"][0] == 1)
            await until(lambda: witness.trusted[0])
            server.paused = True
            await until(lambda: witness.sound())
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert state.markets["validity"][0] == VALID
            bids, asks = witness.by_number[0].history[witness.by_number[0].update]
            book = np.zeros(1, BOOK)
            book[0] = state.markets["book"][0]
            assert dict(levels_of(book, BID).tolist()) == bids
            assert dict(levels_of(book, ASK).tolist()) == asks
            assert state.markets["crosses"][0] == 0

    run(story)


class Once:
    """Spoils chosen diffs of the first market, counted from when it is armed; `spoil` returns what is sent instead of one."""

    def __init__(self, server, spoil, at=3):
        self.spoil, self.left, self.held, self.done = spoil, at, [], False
        server.mutate = self

    def __call__(self, kind, message):
        if kind != "depth" or message["s"] != "BTCUSDT" or self.done:
            return [message]
        self.left -= 1
        if self.left > 0:
            return [message]
        sent = self.spoil(message, self.held)
        self.done = not self.held
        return sent


def reordered(message, held):
    if not held:
        held.append(message)
        return []
    return [message, held.pop()]


def crossed(message, _held):
    bids = [
        [f"{float(level[0]) + 100_000:.8f}" if i == 0 else level[0], "1.00000000"] for i, level in enumerate(message["b"] or message["a"])
    ]
    return [message | {"b": bids}]


SPOILT = {
    "gap": (lambda message, held: [], {"holes": 1}),
    "duplicate": (lambda message, held: [message, message], {"holes": 0, "repeated": 1}),
    "reorder": (reordered, {"holes": 1, "repeated": 1}),
    "crossed": (crossed, {"crossed": 1}),
    "garbage": (lambda message, held: ['{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpd'], {"lost": 1}),
    "price between two ticks": (lambda message, held: [message | {"b": [["6000.001", "1"]]}], {"lost": 1}),
    "not even text of ours": (lambda message, held: ["\u2603"], {"holes": 1}),
    "decreasing ids": (lambda message, held: [message | {"U": 1, "u": 2, "pu": 0}], {"gaps": 1}),
}


@pytest.mark.parametrize("name", SPOILT)
@BOTH
def test_after_a_spoilt_diff_the_book_is_right_or_marked(venue, name):
    spoil, counted = SPOILT[name]

    async def story():
        async with Server(venue, seed=name, symbols=2).running() as server, following(server) as (reader, witness):
            once = Once(server, spoil)
            await until(lambda: once.done)
            seen = witness.compared
            await until(lambda: witness.compared > seen + 50)
            counts = reader.books[0].counts
            for what, least in counted.items():
                assert getattr(counts, what) >= least, (what, counts)
            if name == "duplicate":
                assert witness.gaps[0] == 0
            else:
                assert witness.gaps[0] == counts.gaps > 0
                assert counts.resyncs == counts.gaps + 1
            assert witness.gaps[1] == 0

    run(story)


@BOTH
def test_best_prices_that_differ_at_the_same_update_id_are_noticed(venue):
    async def story():
        async with Server(venue, seed=5).running() as server, following(server) as (reader, witness):

            def spoil(kind, message):  # a diff that leaves the touch out, while the best prices tell of it
                if kind == "depth" and reader.books[0].counts.differing == 0:
                    return [message | {"b": [["10.0", "1"]], "a": []}]
                return [message]

            witness.by_number[0].history = Anything(witness.by_number[0].history)
            server.mutate = spoil
            await until(lambda: reader.books[0].counts.differing > 0)
            witness.by_number[0].history.strict = True
            seen = witness.compared
            await until(lambda: witness.compared > seen + 50)
            assert witness.gaps[0] >= 1

    run(story)


class Anything(dict):
    """A history that agrees with every book until it is told to be strict: nobody can know that a change was not told."""

    strict = False

    def get(self, update, default=None):
        return super().get(update, default) if self.strict else _Equal()


class _Equal:
    def __eq__(self, other):
        return True

    def __ne__(self, other):
        return False

    __hash__ = None


@BOTH
def test_a_level_that_was_not_deleted_far_from_the_touch_is_found_by_an_audit(venue):
    async def story():
        limits = Limits(silence_s={}, quiet_s=0.3, checked_each=20, audit_s=0.2)
        async with Server(venue, seed=12, symbols=2).running() as server, following(server, limits) as (reader, witness):
            await until(lambda: reader.books[0].counts.audits >= 2)
            assert witness.gaps[0] == 0
            witness.by_number[0].history = history = Anything(witness.by_number[0].history)
            once = Once(server, lambda message, held: [message | {"b": [*message["b"], ["1000.0", "1.00000"]]}])
            await until(lambda: once.done and reader.books[0].counts.stale_levels == 1)
            history.strict = True
            seen = reader.books[0].counts.audits
            await until(lambda: reader.books[0].counts.audits >= seen + 2)
            assert reader.books[0].counts.stale_levels == witness.gaps[0] == 1
            assert witness.gaps[1] == 0

    run(story)


@BOTH
def test_a_snapshot_older_than_the_stream_is_fetched_again(venue):
    async def story():
        server = Server(venue, seed=2)
        for _ in range(60):  # so that there is a past to serve
            server.markets["BTCUSDT"].step()
        server.stale, server.stale_by = 3, 10**6
        async with server.running() as _, following(server) as (reader, witness):
            assert server.counts["depth"] >= 4
            assert reader.books[0].counts.stale_snapshots >= 3
            assert sum(witness.gaps.values()) == 0

    run(story)


@BOTH
def test_a_stalled_book_with_a_live_socket_is_noticed_and_its_connection_replaced(venue):
    async def story():
        async with Server(venue, seed=3, symbols=2).running() as server, following(server) as (reader, witness):
            server.stalled, server.stalled_before = {"depth"}, server.counts["dials"]
            await until(lambda: witness.gaps[0] and witness.gaps[1])
            await until(lambda: all(witness.trusted))
            assert reader.lines[0].rollovers >= 1
            assert all(book.counts.resyncs == 2 for book in reader.books)

    run(story)


@BOTH
def test_a_lost_connection_is_a_gap_at_once_and_prints_are_fetched_afterwards(venue):
    async def story():
        async with Server(venue, seed=4).running() as server, following(server) as (reader, witness):
            await until(lambda: witness.prints[0])
            server.refused = 3
            await server.disconnect()
            await until(lambda: not witness.trusted[0])
            await until(lambda: witness.trusted[0])
            assert reader.lines[0].refused == 3
            assert witness.gaps[0] == 1
            await until(lambda: reader.books[0].prints.late and not reader.books[0].prints.wanted.is_set())
            numbers = sorted(number for number, *_ in witness.prints[0])
            assert numbers == list(range(numbers[0], numbers[-1] + 1))
            assert set(witness.prints[0]) <= server.markets["BTCUSDT"].printed

    run(story)


@BOTH
def test_a_connection_is_replaced_without_a_gap_before_the_venue_ends_it(venue):
    async def story():
        limits = Limits(life_s=0.4, quiet_s=0.3, checked_each=20)
        async with Server(venue, seed=6, symbols=2).running() as server, following(server, limits) as (reader, witness):
            await until(lambda: reader.lines[0].rollovers >= 3)
            assert sum(witness.gaps.values()) == 0
            assert all(book.counts.takeovers >= 3 for book in reader.books)
            numbers = [number for number, *_ in witness.prints[0]]
            assert numbers == list(range(numbers[0], numbers[-1] + 1))
            await until(lambda: len(server.sockets) == 1)

    run(story)


def test_a_server_that_says_it_shuts_down_is_left_before_it_does():
    async def story():
        async with Server(seed=7).running() as server, following(server) as (reader, witness):
            await server.send("btcusdt@depth", "depth", '{"e":"serverShutdown","E":1700000000000}')
            await until(lambda: reader.lines[0].rollovers == 1)
            assert witness.gaps[0] == 0

    run(story)


@BOTH
def test_a_venue_that_counts_anew_is_believed(venue):
    async def story():
        async with Server(venue, seed=8).running() as server, following(server) as (_, witness):
            server.markets["BTCUSDT"].restart()
            await until(lambda: witness.gaps[0] == 1)
            await until(lambda: witness.trusted[0] and witness.prints[0][-1][0] < 100_000)

    run(story)


@BOTH
@pytest.mark.parametrize("quiet", [False, True])
def test_a_venue_that_is_reset_just_after_a_snapshot_is_believed(venue, quiet):
    """Its new diffs look as if the snapshot held them already; were they dropped, the book would stand still, and be trusted."""

    async def story():
        async with Server(venue, seed=8).running(0.0005) as server:
            market, honest = server.markets["BTCUSDT"], server.markets["BTCUSDT"].snapshot
            server.mutate = lambda kind, message: [] if quiet and not market.restarts else [message]

            def snapshot(back=0):
                body = honest(back)
                if not market.restarts:
                    server.paused = True
                    market.restart()
                    asyncio.get_running_loop().call_later(3 * LIMITS.quiet_s, setattr, server, "paused", False)
                return body

            market.snapshot = snapshot
            async with following(server) as (reader, witness):
                await until(lambda: witness.gaps[0])
                assert reader.books[0].counts.inside > 0 or not quiet
                await until(lambda: witness.sound())

    run(story)


def test_many_streams_are_subscribed_in_batches_and_a_ban_is_waited_for():
    async def story():
        limits = Limits(streams_in_url=0, quiet_s=0.3, checked_each=20)
        server = Server(seed=9, symbols=2)
        server.limited = 2
        async with server.running() as _, following(server, limits) as (reader, _):
            assert server.subscribed == [list(reader.lines[0].streams)]
            assert server.counts["depth"] >= 4

    run(story)


def test_what_emit_raises_ends_the_reader():
    class BrokenError(Exception):
        pass

    def emit(rows):
        raise BrokenError

    async def story():
        async with Server(seed=10).running() as server:
            reader = BinanceReader(server.instruments, server.endpoint, clock(), limits=LIMITS)
            with pytest.raises(BrokenError):
                await reader.run(emit, lambda level, text: None)

    run(story)


def test_a_question_that_waits_for_a_ban_to_end_does_not_hide_that_another_stream_is_silent():
    async def story():
        async def prints(symbol):
            await asyncio.Event().wait()

        rolled = []
        streams = {kind: StreamStatus(name, up=True) for kind, name in ((TRADE, "trade"), (DEPTH, "depth"))}
        book = SimpleNamespace(market=0, name="BTC", symbol="BTCUSDT", source=-1, streams=streams, prints=SimpleNamespace(past=list))
        line = SimpleNamespace(roll=lambda why, *, broken: rolled.append(why))
        limits = Limits(silence_s={"depth": 5.0, "trade": 1.0})
        tasks = BookTasks([book], SimpleNamespace(prints=prints), limits, lambda _: line, clock(), lambda *_: None, 1)
        watching = asyncio.create_task(tasks.watched())
        await asyncio.sleep(30)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        return rolled

    assert run_in_virtual_time(story)[0] == "depth was silent"
