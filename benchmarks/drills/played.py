"""A recording played by a process of its own (`benchmarks.drills.playback`), and what a session must have made of it."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from benchmarks.drills.playback import NAMES
from benchmarks.drills.wire import Follower, Recording
from hftlab.data.journal import parts
from hftlab.instrument import Instrument
from hftlab.types import DEPTH, SNAPSHOT
from hftlab.venues.server.hashing import hash_levels


class Played:
    """A context manager; `url` is where a LiveFeed finds the server."""

    def __init__(self, path: Path, speed: float) -> None:
        self.recording = Recording(path)
        self._follower = Follower(self.recording)
        self._command = [sys.executable, "-m", "benchmarks.drills.playback", str(path), str(speed)]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self.url = f"http://127.0.0.1:{json.loads(self._process.stdout.readline())['port']}"
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.communicate(timeout=30)

    def stop(self) -> dict[str, Any]:
        """End the playing; return what was sent."""
        with urllib.request.urlopen(f"{self.url}/_stop", timeout=30) as reply:
            told: dict[str, Any] = json.loads(reply.read())
        return told

    def hash_at(self, update_id: int, instrument: Instrument, levels: int) -> str:
        """Return the hash of the best levels of the book at an update id."""
        bids, asks = self._follower.at(update_id).best(levels)
        return hash_levels(*([(instrument.ticks(price), instrument.lots(size)) for price, size in side] for side in (bids, asks)))

    def journal(self, directory: Path, sent: dict[str, int]) -> dict[str, Any]:
        """Hold a session's journal against what was sent: ids of each stream, each once and in order, and the levels of the diffs.

        Diffs count from the first one after the snapshot that the session began with.
        """
        found: dict[int, list[np.ndarray]] = {kind: [] for kind in NAMES}
        levels = 0
        for rows in parts(directory):
            for kind in NAMES:
                mine = rows[(rows["kind"] == kind) & (rows["flags"] & SNAPSHOT == 0)]
                found[kind].append(mine["seq"].astype(np.int64))
                levels += len(mine) if kind == DEPTH else 0
        result: dict[str, Any] = {"levels": [0, levels]}
        for kind, name in NAMES.items():
            told, sizes = self.recording.sent(kind, sent[name])
            ids = np.concatenate(found[kind])
            ids = ids[np.flatnonzero(np.diff(ids, prepend=-1))]  # the rows of a message follow each other
            if kind == DEPTH:
                counts = (told >= ids[0]) & (sizes > 0)
                told, result["levels"][0] = told[counts], int(sizes[counts].sum())
            result[name] = {"sent": len(told), "journaled": len(ids), "same": bool(np.array_equal(told, ids))}
        return result
