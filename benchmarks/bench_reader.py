"""A frame of market data, from its bytes on: ours, and ccxt.pro's handler on the same frames in the same process.

`parse` is the compiled call alone. `reader` is what the socket's callback does: the call, the order of update ids, our own check of the
book; `until_rows` is that until `emit` is called, which is before the check. `reader_and_run` hands each message's rows to the compiled desk too, which quotes. `ccxt` gets the text and parses it with orjson
(it is installed) before its handler: what its socket's callback does; nobody waits for its futures, which would cost it more.
"""

import asyncio
import gzip
import itertools
import time
from typing import Any

import numpy as np

import hftlab as hl
from benchmarks.desk import LIMITS, RECORDING, quoter

FRAMES, REPEATS = 20_000, 3
GOAL_TIMES_FASTER = 20
KINDS = {"depth": b"@depth", "trade": b"@trade", "bookTicker": b"@bookTicker"}


def run() -> dict[str, object]:
    """Return microseconds a message by kind, and how many times faster than ccxt."""
    if not RECORDING.is_file():
        return {"skipped": f"../shared/data/{RECORDING.name} is not beside this clone"}
    snapshot, frames = _frames()
    kinds = np.array([next(kind for kind, mark in KINDS.items() if mark in frame[:60]) for _, frame in frames])
    ways = {"parse": _parse, "until_rows": _until_rows, "reader": _reader, "reader_and_run": _reader_and_run, "ccxt": _ccxt}
    took = {name: np.concatenate([way(snapshot, frames) for _ in range(REPEATS)]) for name, way in ways.items()}
    found = {name: _figures(ns, np.tile(kinds, REPEATS)) for name, ns in took.items()}
    result: dict[str, object] = {"recording": RECORDING.name, "frames": len(frames) * REPEATS, "us": found}
    result["bytes_mean"] = {
        kind: round(float(np.mean([len(frame) for _, frame in np.array(frames, object)[kinds == kind]]))) for kind in KINDS
    }
    result["times_faster_than_ccxt"] = {
        name: {kind: round(found["ccxt"][kind]["p50"] / found[name][kind]["p50"], 1) for kind in [*KINDS, "all"]}
        for name in ways
        if name != "ccxt"
    }
    return result | {"goal_times_faster": GOAL_TIMES_FASTER}


def _frames() -> tuple[bytes, list[tuple[int, bytes]]]:
    """Return the snapshot, and what follows it."""
    with gzip.open(RECORDING) as lines:
        pairs = [(int(stamp), payload) for stamp, _, payload in (line.rstrip(b"\n").partition(b" ") for line in lines)]
    at = next(i for i, (_, payload) in enumerate(pairs) if payload.startswith(b'{"lastUpdateId"'))
    early = [pair for pair in pairs[:at] if b"@depth" in pair[1][:60]][-3:]  # diffs that the snapshot is joined with
    return pairs[at][1], [*early, *pairs[at + 1 : at + 1 + FRAMES]]


def _instrument() -> Any:
    return hl.Instrument.bundled("binanceusdm:BTC/USDT:USDT")


def _timed(call: Any, frames: list[tuple[int, Any]]) -> np.ndarray:
    clock, took = time.perf_counter_ns, np.empty(len(frames))
    for i, (_, payload) in enumerate(frames):
        began = clock()
        call(payload)
        took[i] = clock() - began
    return took


def _parse(_snapshot: bytes, frames: list[tuple[int, bytes]]) -> np.ndarray:
    from hftlab.kernels.binance_wire import parse
    from hftlab.venues.live.binance_frames import state_of

    state = state_of((_instrument(),), (0,))
    parse(frames[0][1], 1, state)
    return _timed(lambda payload: parse(payload, 1, state), frames)


def _reader(snapshot: bytes, frames: list[tuple[int, bytes]], emit: Any = None) -> np.ndarray:
    return asyncio.run(_through(snapshot, frames, emit or (lambda _rows: None)))


async def _through(snapshot: bytes, frames: list[tuple[int, bytes]], emit: Any, timed: Any = _timed) -> np.ndarray:
    """Give the frames to a reader as its socket would, behind a snapshot that has joined."""
    import msgspec

    from hftlab.data.binance_messages import Envelope
    from hftlab.venues.live.binance_reader import BinanceReader
    from hftlab.venues.live.endpoints import endpoint

    stamps = itertools.chain((stamp for stamp, _ in frames), itertools.repeat(frames[-1][0]))
    reader = BinanceReader((_instrument(),), endpoint("binanceusdm"), stamps.__next__)
    book = reader.books[0]
    book.emit = emit
    book.connected(0)
    for _, payload in frames[:3]:
        reader.heard(0, payload)
    assert book.join(msgspec.json.decode(snapshot, type=Envelope), snapshot, frames[2][0])
    took = np.concatenate([np.full(3, np.nan), timed(lambda payload: reader.heard(0, payload), frames[3:])])
    assert book.trusted
    assert book.counts.gaps == 0
    return took


def _until_rows(snapshot: bytes, frames: list[tuple[int, bytes]]) -> np.ndarray:
    """Return nanoseconds from the frame to the first `emit`; nan for frames that give no rows."""
    clock = time.perf_counter_ns
    at = [0]

    def emit(_rows: np.ndarray) -> None:
        at[0] = clock()

    took = np.full(len(frames), np.nan)

    def timed(call: Any, some: list[tuple[int, bytes]]) -> np.ndarray:
        for i, (_, payload) in enumerate(some, len(frames) - len(some)):
            at[0], began = 0, clock()
            call(payload)
            if at[0]:
                took[i] = at[0] - began
        return took[len(frames) - len(some) :]

    return asyncio.run(_through(snapshot, frames, emit, timed))


def _reader_and_run(snapshot: bytes, frames: list[tuple[int, bytes]]) -> np.ndarray:
    from hftlab.data.state import build
    from hftlab.kernels.core import run as step

    state = build((_instrument(),), [quoter()], [LIMITS], simulate=False)
    return _reader(snapshot, frames, lambda rows: state.step(step, rows))


def _ccxt(snapshot: bytes, frames: list[tuple[int, bytes]]) -> np.ndarray:
    texts = [(stamp, payload.decode()) for stamp, payload in frames]
    return asyncio.run(_through_ccxt(snapshot, texts))


async def _through_ccxt(snapshot: bytes, frames: list[tuple[int, str]]) -> np.ndarray:
    import ccxt.pro
    import orjson

    exchange = ccxt.pro.binanceusdm()
    try:
        market = {"id": "BTCUSDT", "symbol": "BTC/USDT:USDT", "base": "BTC", "quote": "USDT", "settle": "USDT", "baseId": "BTC"}
        market |= {
            "quoteId": "USDT",
            "settleId": "USDT",
            "type": "swap",
            "swap": True,
            "linear": True,
            "contract": True,
            "contractSize": 1.0,
        }
        exchange.set_markets([exchange.safe_market_structure(market | {"precision": {"price": 0.1, "amount": 0.001}})])
        client = exchange.client("wss://fstream.binance.com/public/ws/0")
        book = exchange.order_book({}, 1000)
        parsed = orjson.loads(snapshot)
        told = exchange.parse_order_book(parsed, "BTC/USDT:USDT", parsed["T"])
        told["nonce"] = parsed["lastUpdateId"]
        book.reset(told)
        exchange.orderbooks["BTC/USDT:USDT"] = book
        took = _timed(client.handle_text_or_binary_message, frames)
        assert "BTC/USDT:USDT" in exchange.orderbooks  # it takes a book away that misses something
    finally:
        await exchange.close()
    return took


def _figures(took_ns: np.ndarray, kinds: np.ndarray) -> dict[str, dict[str, float]]:
    parts = {kind: took_ns[kinds == kind] / 1e3 for kind in KINDS} | {"all": took_ns / 1e3}
    return {
        name: {
            "p50": round(float(np.nanmedian(us)), 2),
            "p99": round(float(np.nanpercentile(us, 99)), 2),
            "mean": round(float(np.nanmean(us)), 2),
        }
        for name, us in parts.items()
    }
