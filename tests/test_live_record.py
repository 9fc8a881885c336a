"""What is recorded is what was lived: the file, read again, gives the rows that the session had."""

import asyncio
import gzip

import numpy as np
import pytest
from scripted_binance import Server, Witness, until

from hftlab.data.recordings import load
from hftlab.errors import InputError
from hftlab.types import BBO, DEPTH, GAP, TRADE
from hftlab.venues.live.binance_reader import BinanceReader
from hftlab.venues.live.binance_tasks import Limits
from hftlab.venues.live.record import Recorder, recorded

LIMITS = Limits(silence_s={}, quiet_s=0.3, checked_each=20)


def clock(server):
    """Return a clock that is a millisecond ahead of the exchange's."""
    return lambda: 1_000_000 * (1 + max(market.now_ms for market in server.markets.values()))


def run(story):
    return asyncio.run(asyncio.wait_for(story(), 120))


async def session(server, path, misbehave=None):
    """Follow a server with a recorder until enough has happened; return the rows that were handed out."""
    with Recorder(path, server.instruments) as recorder:
        reader, witness = (
            BinanceReader(server.instruments, server.endpoint, clock(server), limits=LIMITS, recorder=recorder),
            Witness(server),
        )
        task = asyncio.create_task(reader.run(witness.emit, witness.say))
        await until(lambda: witness.compared > 60 * len(server.markets))
        if misbehave is not None:
            misbehave(server)
            await until(lambda: witness.gaps[0] > 0)
            await until(lambda: witness.trusted[0])
        server.paused = True
        await until(lambda: all(witness.sound(m) for m in range(len(server.markets))))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert recorder.dropped == 0
    return np.concatenate(witness.rows)


def same(mine, tape, kind):
    """Say whether the rows of a kind are the same, but for where a message ends: live, snapshot and replayed diffs are one."""
    mine, theirs = mine[mine["kind"] == kind].copy(), tape[tape["kind"] == kind].copy()
    for rows in (mine, theirs):
        rows["flags"] &= ~np.uint16(1)
    fields = ["price_ticks", "qty_lots", "seq", "side", "flags", "ts_exch_ns"]
    return len(mine) == len(theirs) and all(mine[name].tolist() == theirs[name].tolist() for name in fields)


@pytest.mark.parametrize("venue", ["binance", "binanceusdm"])
def test_a_recorded_session_reads_as_it_was_lived(venue, tmp_path):
    async def story():
        async with Server(venue, seed=1).running() as server:
            return await session(server, tmp_path / "day.gz")

    rows = run(story)
    tape = load(tmp_path / "day.gz", bbo=True)
    # Best prices and prints come before the first snapshot too; the exchange time of spot's first rows is filled in by the loader.
    for kind in (DEPTH, TRADE) if venue == "binance" else (DEPTH, TRADE, BBO):
        assert same(rows, tape.rows, kind), kind
    assert tape.report.gaps == 0


def test_a_hole_is_a_hole_in_the_recording_too(tmp_path):
    async def story():
        async with Server("binanceusdm", seed=2).running() as server:

            def lose(server):
                left = iter([False, True])
                server.mutate = lambda kind, message: [] if kind == "depth" and next(left, False) else [message]

            return await session(server, tmp_path / "day.gz", lose)

    rows = run(story)
    tape = load(tmp_path / "day.gz")
    assert tape.report.gaps == 1 == np.count_nonzero(rows["kind"] == GAP)
    assert same(rows, tape.rows, DEPTH)


def test_several_instruments_are_recorded_in_files_of_their_own(tmp_path):
    async def story():
        async with Server("binance", seed=3, symbols=2).running() as server:
            return await session(server, tmp_path / "day.gz")

    rows = run(story)
    for m, symbol in enumerate(("BTCUSDT", "ETHUSDT")):
        tape = load(tmp_path / f"day.{symbol}.gz")
        assert same(rows[rows["instrument"] == m], tape.rows, DEPTH)


def test_record_stops_after_its_time_and_leaves_a_file_that_loads(tmp_path):
    said = []

    async def story():
        async with Server("binanceusdm", seed=4).running() as server:
            return await recorded(
                server.instruments[0], server.endpoint, tmp_path / "x.gz", 0.3, clock(server), lambda *what: said.append(what)
            )

    counts = run(story)
    assert counts["dropped"] == counts["gaps"] == 0
    assert counts["frames"] == len(gzip.decompress((tmp_path / "x.gz").read_bytes()).splitlines())
    assert load(tmp_path / "x.gz").report.gaps == 0
    assert "frames recorded" in said[-1][1]


def test_a_recording_is_not_overwritten_and_a_time_is_more_than_zero(tmp_path):
    (tmp_path / "x.gz").write_bytes(b"")
    with pytest.raises(InputError, match="not overwritten"):
        Recorder(tmp_path / "x.gz", (Server().instruments[0],))
    with pytest.raises(InputError, match="more than zero"):
        asyncio.run(recorded(Server().instruments[0], None, tmp_path / "y.gz", 0, lambda: 0, lambda *_: None))


def test_a_recorder_that_cannot_keep_up_leaves_out_and_counts(tmp_path):
    one = Server().instruments[0]
    recorder = Recorder(tmp_path / "x.gz", (one,), queued_max=1)
    for n in range(20_000):
        recorder.frame(one, "btcusdt@trade", n + 10**18, b'{"e":"trade"}')
    recorder.close()
    lines = gzip.decompress((tmp_path / "x.gz").read_bytes()).splitlines()
    assert recorder.dropped > 0
    assert len(lines) == recorder.frames == 20_000 - recorder.dropped
    assert lines[0] == b'1000000000000000000 {"stream":"btcusdt@trade","data":{"e":"trade"}}'
