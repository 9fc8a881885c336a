"""Raw frames with their receive times, written as `hl.load` reads them: `hftlab record`, and recording while trading.

A line is `receive_ns {json}`, gzip. Frames are handed over as the reader takes them, in order, those of a younger connection when it
takes over. Compressing and writing is a thread's work, behind a bounded queue: when the disk is too slow, frames are left out and
counted, and whoever reads the file sees a gap in the ids.
"""

import asyncio
import gzip
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import numpy as np

from hftlab.data.markets import native_symbol
from hftlab.errors import InputError
from hftlab.instrument import Instrument
from hftlab.types import CLEAR
from hftlab.venues.live.binance_reader import BinanceReader
from hftlab.venues.live.model import Endpoint, Reader

_QUEUED_MAX = 100_000  # frames: seconds of the busiest market
_FLUSH_S = 1.0  # a killed recorder leaves whole lines up to so long ago
_BLOCK = 256  # lines compressed at once
_LEVEL = 4  # half the time of the default for 5% more bytes


class Recorder:
    """Writes one file an instrument (a file holds one market: its snapshots do not name theirs). Close it, or use it in a `with`.

    With one instrument the file is `path`, with several its name gets the symbol: day.gz -> day.BTCUSDT.gz. Raises InputError for a
    file that exists: recordings are not overwritten.
    """

    def __init__(self, path: str | Path, instruments: Sequence[Instrument], queued_max: int = _QUEUED_MAX) -> None:
        self.paths = {one: _named(Path(path), one, alone=len(instruments) == 1) for one in instruments}
        for file in self.paths.values():
            if file.exists():
                raise InputError(f"{file} exists; wanted the name of a new file: recordings are not overwritten.")
            file.parent.mkdir(parents=True, exist_ok=True)
        self.frames = self.dropped = 0
        self._last_ns = 0
        self._queue: queue.Queue[tuple[Instrument, bytes] | None] = queue.Queue(queued_max)
        self._failure: OSError | None = None
        self._thread = threading.Thread(target=self._write, name="recorder", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def frame(self, instrument: Instrument, stream: str, recv_ns: int, payload: bytes) -> None:
        """Take one frame; `stream` is "" for the body of a snapshot. Never blocks. Raises OSError when the file cannot be written."""
        if self._failure is not None:
            raise self._failure
        if b"\n" in payload:  # between two values of JSON; a line is a message
            payload = payload.replace(b"\r", b" ").replace(b"\n", b" ")
        if stream and not payload.startswith(b'{"stream":'):
            payload = b'{"stream":"%s","data":%s}' % (stream.encode(), payload)
        self._last_ns = max(self._last_ns, recv_ns)
        try:
            self._queue.put_nowait((instrument, b"%d %s\n" % (self._last_ns, payload)))
            self.frames += 1
        except queue.Full:
            self.dropped += 1

    def close(self) -> None:
        """Write what is queued and close the files. Raises OSError when they could not be written."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _write(self) -> None:
        try:
            with ExitStack() as stack:
                files = {one: stack.enter_context(gzip.open(path, "xb", _LEVEL)) for one, path in self.paths.items()}
                flushed_s = time.monotonic()
                while self._write_some(files):
                    if time.monotonic() - flushed_s > _FLUSH_S:
                        for file in files.values():
                            file.flush()
                        flushed_s = time.monotonic()
        except OSError as error:
            self._failure = error  # raised where frames are handed over

    def _write_some(self, files: dict[Instrument, gzip.GzipFile]) -> bool:
        """Write what has come; return whether more may come."""
        lines: dict[Instrument, list[bytes]] = {one: [] for one in files}
        ended = False
        for _ in range(_BLOCK):
            try:
                one = self._queue.get(timeout=_FLUSH_S)
            except queue.Empty:
                break
            if one is None:
                ended = True
                break
            lines[one[0]].append(one[1])
        for instrument, file in files.items():
            file.write(b"".join(lines[instrument]))
        return not ended


def record(
    instrument: Instrument,
    endpoint: Endpoint,
    path: str | Path,
    seconds: float,
    clock_ns: Callable[[], int],
    say: Callable[[str, str], None],
    make: Callable[..., Reader] = BinanceReader,
) -> dict[str, int]:
    """Record one instrument for some seconds from its first snapshot on; return counts: frames, dropped, gaps.

    `say(level, text)` tells people. Raises InputError, OSError.
    """
    return asyncio.run(recorded(instrument, endpoint, path, seconds, clock_ns, say, make))


async def recorded(
    instrument: Instrument,
    endpoint: Endpoint,
    path: str | Path,
    seconds: float,
    clock_ns: Callable[[], int],
    say: Callable[[str, str], None],
    make: Callable[..., Reader] = BinanceReader,
) -> dict[str, int]:
    """Do what `record` does, on the running loop."""
    if not seconds > 0:
        raise InputError(f"the time to record was {seconds} s; wanted more than zero.")
    begun = asyncio.Event()

    def emit(rows: np.ndarray) -> None:
        if not begun.is_set() and (rows["kind"] == CLEAR).any():
            begun.set()

    with Recorder(path, (instrument,)) as recorder:
        reader = make((instrument,), endpoint, clock_ns, recorder=recorder)
        running = asyncio.ensure_future(reader.run(emit, say))
        timing = asyncio.ensure_future(_after(begun, seconds))
        await asyncio.wait({running, timing}, return_when=asyncio.FIRST_COMPLETED)
        timing.cancel()
        if not running.done():
            running.cancel()
        await asyncio.gather(timing, return_exceptions=True)
        try:
            await running
        except asyncio.CancelledError:
            say("info", f"{instrument.name}: {recorder.frames:,} frames recorded.")
    return {"frames": recorder.frames, "dropped": recorder.dropped, "gaps": sum(stream.gaps for stream in reader.streams)}


async def _after(begun: asyncio.Event, seconds: float) -> None:
    await begun.wait()
    await asyncio.sleep(seconds)


def _named(path: Path, one: Instrument, *, alone: bool) -> Path:
    if alone:
        return path
    stem, _, kind = path.name.partition(".")
    return path.with_name(f"{stem}.{native_symbol(one)}" + (f".{kind}" if kind else ""))
