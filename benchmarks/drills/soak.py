"""The soak: the busiest recording at many times its pace into a live engine process, for minutes.

`--through wire` (the default): a server sends the recorded frames themselves over one WebSocket (about 5,450 a second at 20 times), and
the engine quotes on them in paper mode. Nothing may be lost: no gap, each frame sent counted by the reader, its ids and levels in the
journal, in order and once, and the book equal to one made apart of the same frames whenever asked.

`--through venue`: the recording drives the loopback venue, on which the engine trades. The venue says again what its matching made of
it, depth once in 100 ms, so there are fewer messages; no gap, the book equal to the venue's, position and orders equal at the end.

Memory must stay flat after the first minute; a line a minute tells what of it is anonymous and what belongs to files.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.desk import RECORDING
from benchmarks.drills.desk import SYMBOLS, fresh_environment, spec_of, truth_of
from benchmarks.drills.played import Played
from hftlab.data.frame import side_levels
from hftlab.engine.process import start
from hftlab.engine.spec import RunSpec, load_spec
from hftlab.engine.view import Session
from hftlab.errors import CommandRefused, HftlabError
from hftlab.types import ASK, BID, VALID
from hftlab.venues.server.hashing import hash_levels
from hftlab.venues.server.serve import LoopbackVenue

SKIN = "binanceusdm"
EACH_S = 5.0
START_S, QUIET_S = 180.0, 30.0
LEVELS = 200  # of each side: a snapshot ends after 1,000, and what lies beyond is known to nobody who asks for it
MEMORY = ("rss", "anon", "file")

Truth = Callable[[int], str | None]
"""The hash of the best LEVELS at an update id, None where it is not known any more."""


def main(arguments: list[str]) -> int:
    """Run it and print JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drills soak")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--speed", type=float, default=20.0)
    parser.add_argument("--through", choices=("wire", "venue"), default="wire")
    options = parser.parse_args(arguments)
    if not RECORDING.is_file():
        print(json.dumps({"skipped": f"../shared/data/{RECORDING.name} is not beside this clone"}))
        return 0
    fresh_environment()
    folder = Path(tempfile.mkdtemp(prefix="hftlab-soak-"))
    run = _wire if options.through == "wire" else _venue
    try:
        print(json.dumps(run(folder / "run", options.minutes, options.speed), indent=1))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _wire(run: Path, minutes: float, speed: float) -> dict[str, Any]:
    """Soak in the recorded frames."""
    with Played(RECORDING, speed) as played:
        spec = spec_of(SKIN, played.url, mode="paper", audit_s=EACH_S)
        with _session(spec, run) as session:
            looks = _looks(session, lambda update_id: played.hash_at(update_id, spec.instruments[0], LEVELS), minutes)
            told = played.stop()
            session.wait(lambda frame: sum(_messages(frame).values()) >= sum(told["sent"].values()), QUIET_S)
            messages = _messages(session.frame())
    return _summary(looks) | {"sent": told, "read": messages, "journal": played.journal(run / "journal", told["sent"])}


def _venue(run: Path, minutes: float, speed: float) -> dict[str, Any]:
    """Soak in what the loopback venue makes of the recording, and trade on it."""
    with LoopbackVenue.launch(skins=(SKIN,), tls=False, market=str(RECORDING), speed=speed, loop=True) as venue:

        def truth(update_id: int) -> str | None:
            try:
                return str(venue.book_hash(SKIN, SYMBOLS[SKIN], update_id, LEVELS))
            except CommandRefused:
                return None  # the venue has gone on further than it remembers

        spec = spec_of(SKIN, venue.url)
        with _session(spec, run) as session:
            looks = _looks(session, truth, minutes)
            session.halt()
            session.wait(lambda frame: not frame.orders(), QUIET_S)
            at_venue = truth_of(venue, SKIN, load_spec(session.directory))
            position = int(session.frame().markets[0]["position_lots"])
    return _summary(looks) | {"position": [position, at_venue.position], "fills": at_venue.fills, "resting": at_venue.open_orders}


@contextmanager
def _session(spec: RunSpec, run: Path) -> Iterator[Session]:
    """Run an engine; it is ended in any case, for it would go on without us."""
    session = start(spec.feed, spec.venue, spec.quoters, spec.limits, run=run)
    try:
        yield session
    finally:
        engine = psutil.Process(int(session.frame().engine["pid"]))
        try:
            session.stop()
        except HftlabError:
            engine.kill()
            raise


def _messages(frame: Any) -> dict[str, int]:
    """Return how many messages the reader took, by stream."""
    streams = {one["name"].split("@")[1]: one["messages"] for one in frame.engine["streams"]}
    streams.pop("markPrice", None)  # the recording has none
    return streams


def _looks(session: Session, truth: Truth, minutes: float) -> list[dict[str, Any]]:
    session.wait(lambda frame: len(frame.orders()) > 0, START_S)
    engine = psutil.Process(int(session.frame().engine["pid"]))
    looks = [_look(session, truth, engine)]
    while looks[-1]["at_s"] - looks[0]["at_s"] < 60 * minutes:
        time.sleep(EACH_S)
        looks.append(_look(session, truth, engine))
        _tell(looks)
    return looks


def _look(session: Session, truth: Truth, engine: psutil.Process) -> dict[str, Any]:
    frame = session.frame()
    market, streams = frame.markets[0], frame.engine["streams"]
    book, agrees = market["book"], None
    if int(market["validity"]) == VALID:
        mine = hash_levels(side_levels(book, BID, LEVELS), side_levels(book, ASK, LEVELS))
        theirs = truth(int(book["seq"]))
        agrees = None if theirs is None else mine == theirs
    return {
        "at_s": time.monotonic(),
        "messages": sum(one["messages"] for one in streams),
        "gaps": sum(one["gaps"] for one in streams),
        "resyncs": sum(one["resyncs"] for one in streams),
        "reconnects": sum(one["reconnects"] for one in streams),
        "rows": int(frame.desk["rows"]),
        "agrees": agrees,
        "cpu_s": sum(engine.cpu_times()[:2]),
        "lag_ms": frame.engine.get("feed_lag_ms"),
        "state": frame.state,
    } | _memory(engine.pid)


def _memory(pid: int) -> dict[str, float]:
    """Return megabytes that a process holds: all, its own (Python, numpy, what the allocator keeps), and pages of files (code, the snapshot)."""
    names = {"VmRSS": "rss", "RssAnon": "anon", "RssFile": "file"}
    lines = (line.partition(":") for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {names[name]: int(value.split()[0]) * 1024 / 1e6 for name, _, value in lines if name in names}


def _tell(looks: list[dict[str, Any]]) -> None:
    """Print a line for each minute that is over."""
    last, first = looks[-1], looks[0]
    if int((last["at_s"] - first["at_s"]) // 60) > int((looks[-2]["at_s"] - first["at_s"]) // 60):
        seconds = last["at_s"] - first["at_s"]
        rate = (last["messages"] - first["messages"]) / seconds
        memory = ", ".join(f"{name} {last[name]:.1f}" for name in MEMORY)
        print(f"{seconds / 60:5.1f} min: {rate:,.0f} messages/s, gaps {last['gaps']}, MB {memory}", file=sys.stderr, flush=True)


def _summary(looks: list[dict[str, Any]]) -> dict[str, Any]:
    first, last = looks[0], looks[-1]
    seconds = last["at_s"] - first["at_s"]
    settled = [one for one in looks if one["at_s"] - first["at_s"] > min(60.0, seconds / 4)]
    late = [one for one in looks if one["at_s"] - first["at_s"] > seconds / 2]
    lags = [one["lag_ms"] for one in looks if one["lag_ms"] is not None]
    return {
        "seconds": round(seconds, 1),
        "messages_per_s": round((last["messages"] - first["messages"]) / seconds, 1),
        "rows_per_s": round((last["rows"] - first["rows"]) / seconds, 1),
        "gaps": last["gaps"],
        "resyncs": last["resyncs"],
        "reconnects": last["reconnects"],
        "books_compared": sum(one["agrees"] is not None for one in looks),
        "books_wrong": sum(one["agrees"] is False for one in looks),
        "memory_mb": {name: [round(one[name], 1) for one in (first, settled[0], last)] for name in MEMORY},
        "mb_per_minute_after_the_first": {name: _slope(settled, name) for name in MEMORY},
        "mb_per_minute_second_half": {name: _slope(late, name) for name in MEMORY},
        "engine_cpu_share": round((last["cpu_s"] - first["cpu_s"]) / seconds, 3),
        "feed_lag_ms_median": round(float(np.median(lags)), 2) if lags else None,
        "states": sorted({one["state"] for one in looks}),
    }


def _slope(looks: list[dict[str, Any]], name: str) -> float | None:
    """Return the slope of a straight line through what was held, None for too few looks."""
    if len(looks) < 3:
        return None
    return round(float(np.polyfit([one["at_s"] / 60 for one in looks], [one[name] for one in looks], 1)[0]), 3)
