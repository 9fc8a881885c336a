"""The reader of Binance against a server that misbehaves: the book is the server's at every update id, or marked as not to be trusted."""

import asyncio
import contextlib
import itertools

import pytest
from scripted_binance import START_MS, Server, Witness, until

from hftlab.venues.live.binance_reader import BinanceReader
from hftlab.venues.live.binance_tasks import Limits

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
        server.paused = True
        await until(lambda: all(witness.sound(m) for m in range(len(server.markets))) or task.done())
        assert witness.compared > 10
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
