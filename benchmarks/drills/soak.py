"""The soak: the busiest recording at many times its pace through the loopback venue into a live engine process, for minutes.

Nothing may be lost (no gap, the book equal to the venue's whenever asked, money equal at the end), memory must stay flat after the first
minute, and the processor use of the engine is told. Messages are those the engine's reader took.
"""

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.desk import RECORDING
from benchmarks.drills.desk import SYMBOLS, fresh_environment, spec_of, truth_of
from hftlab.data.frame import side_levels
from hftlab.engine.process import start
from hftlab.engine.spec import load_spec
from hftlab.errors import CommandRefused
from hftlab.types import ASK, BID, VALID
from hftlab.venues.server.hashing import hash_levels
from hftlab.venues.server.serve import LoopbackVenue

SKIN = "binanceusdm"
EACH_S = 5.0
LEVELS = 200


def main(arguments: list[str]) -> int:
    """Run it and print JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drills soak")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--speed", type=float, default=20.0)
    options = parser.parse_args(arguments)
    fresh_environment()
    folder = Path(tempfile.mkdtemp(prefix="hftlab-soak-"))
    with LoopbackVenue.launch(skins=(SKIN,), tls=False, market=str(RECORDING), speed=options.speed, loop=True) as venue:
        spec = spec_of(SKIN, venue.url)
        session = start(spec.feed, spec.venue, spec.quoters, spec.limits, run=folder / "run")
        session.wait(lambda frame: len(frame.orders()) > 0, 60.0)
        engine = psutil.Process(int(session.frame().engine["pid"]))
        looks = [_look(session, venue, engine)]
        began = time.monotonic()
        while time.monotonic() - began < 60 * options.minutes:
            time.sleep(EACH_S)
            looks.append(_look(session, venue, engine))
        session.halt()
        session.wait(lambda frame: not frame.orders(), 30.0)
        truth = truth_of(venue, SKIN, load_spec(session.directory))
        position = int(session.frame().markets[0]["position_lots"])
        session.stop()
    shutil.rmtree(folder, ignore_errors=True)
    print(
        json.dumps(_summary(looks) | {"position": [position, truth.position], "fills": truth.fills, "resting": truth.open_orders}, indent=1)
    )
    return 0


def _look(session: Any, venue: Any, engine: psutil.Process) -> dict[str, Any]:
    frame = session.frame()
    market, streams = frame.markets[0], frame.engine["streams"]
    book, agrees = market["book"], None
    if int(market["validity"]) == VALID:
        try:
            # The venue's snapshot ends after 1,000 levels; what lies beyond is known to nobody who asks for it.
            mine = hash_levels(side_levels(book, BID, LEVELS), side_levels(book, ASK, LEVELS))
            agrees = mine == venue.book_hash(SKIN, SYMBOLS[SKIN], int(book["seq"]), LEVELS)
        except CommandRefused:
            agrees = None  # the venue has gone on further than it remembers
    return {
        "at_s": time.monotonic(),
        "messages": sum(one["messages"] for one in streams),
        "gaps": sum(one["gaps"] for one in streams),
        "resyncs": sum(one["resyncs"] for one in streams),
        "rows": int(frame.desk["rows"]),
        "agrees": agrees,
        "rss_mb": engine.memory_info().rss / 1e6,
        "cpu_s": sum(engine.cpu_times()[:2]),
        "lag_ms": frame.engine.get("feed_lag_ms"),
        "state": frame.state,
    }


def _summary(looks: list[dict[str, Any]]) -> dict[str, Any]:
    first, last = looks[0], looks[-1]
    seconds = last["at_s"] - first["at_s"]
    settled = [one for one in looks if one["at_s"] - first["at_s"] > min(60.0, seconds / 4)]
    minutes = np.array([one["at_s"] for one in settled]) / 60.0
    slope = float(np.polyfit(minutes, [one["rss_mb"] for one in settled], 1)[0]) if len(settled) > 2 else float("nan")
    return {
        "seconds": round(seconds, 1),
        "messages_per_s": round((last["messages"] - first["messages"]) / seconds, 1),
        "rows_per_s": round((last["rows"] - first["rows"]) / seconds, 1),
        "gaps": last["gaps"],
        "resyncs": last["resyncs"],
        "books_compared": sum(one["agrees"] is not None for one in looks),
        "books_wrong": sum(one["agrees"] is False for one in looks),
        "rss_mb": [round(first["rss_mb"], 1), round(settled[0]["rss_mb"], 1), round(last["rss_mb"], 1)],
        "rss_mb_per_minute": round(slope, 2),
        "engine_cpu_share": round((last["cpu_s"] - first["cpu_s"]) / seconds, 3),
        "states": sorted({one["state"] for one in looks}),
    }
