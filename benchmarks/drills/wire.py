"""A recording of Binance's frames to be played round after round: what leaves are its own bytes, but for ids and stamps that go on.

A round begins where the recorded snapshot and the diff that straddles it have made the book exact. Between two rounds one diff leads
from the last book back to the first one, so that neither a client nor its book sees a seam.
"""

import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from hftlab.errors import FormatError
from hftlab.types import BBO, DEPTH, TRADE

Side = dict[str, str]  # size by price, as the venue writes them
Levels = list[tuple[str, str]]

_NUMBER = re.compile(rb'"(?:E|T|U|u|pu|t)":(\d+)')
# What each kind of frame carries, in order: stamps are those of the moment, ids go on.
_ORDERS = {DEPTH: (b"E", b"T", b"U", b"u", b"pu"), BBO: (b"u", b"T", b"E"), TRADE: (b"E", b"T", b"t")}
_KINDS = {b"@depth": DEPTH, b"@bookTicker": BBO, b"@trade": TRADE}


class _Snapshot(msgspec.Struct):
    lastUpdateId: int  # noqa: N815 # the venue's name
    bids: Levels
    asks: Levels


class _Diff(msgspec.Struct):
    b: Levels
    a: Levels


class _Wrapped(msgspec.Struct):
    data: _Diff


_SNAPSHOT, _WRAPPED = msgspec.json.Decoder(_Snapshot), msgspec.json.Decoder(_Wrapped)


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame. `at_ns` since the first one of the round, `ids` as recorded: (U, u, pu), (u,) or (t,); `levels` of a diff."""

    at_ns: int
    kind: int
    text: bytes  # with a %d where a number was
    ids: tuple[int, ...]
    levels: int

    @property
    def last_id(self) -> int:
        """Return the id by which rows name it."""
        return self.ids[1] if self.kind == DEPTH else self.ids[0]

    def bytes_at(self, ms: int, shift: int) -> bytes:
        """Return what leaves at a time in milliseconds, with ids moved on by `shift`."""
        if self.kind == DEPTH:
            first, last, previous = self.ids
            return self.text % (ms, ms, first + shift, last + shift, previous + shift)
        number = self.ids[0] + shift
        return self.text % ((number, ms, ms) if self.kind == BBO else (ms, ms, number))

    def changes(self) -> _Diff:
        """Return the levels of a diff."""
        return _WRAPPED.decode(self.text.replace(b"%d", b"0")).data


class Sides:
    """A book as texts."""

    def __init__(self, bids: Side, asks: Side) -> None:
        self.bids, self.asks = bids, asks

    def copy(self) -> "Sides":
        """Return another one like it."""
        return Sides(dict(self.bids), dict(self.asks))

    def take(self, diff: _Diff) -> None:
        """Apply the levels of a diff."""
        for side, levels in ((self.bids, diff.b), (self.asks, diff.a)):
            for price, size in levels:
                if float(size):
                    side[price] = size
                else:
                    side.pop(price, None)

    def best(self, levels: int) -> tuple[Levels, Levels]:
        """Return the best levels of each side."""
        bids = sorted(self.bids.items(), key=lambda one: -float(one[0]))[:levels]
        return bids, sorted(self.asks.items(), key=lambda one: float(one[0]))[:levels]


class Recording:
    """Frames of one market of USDⓈ-M after its first snapshot. Raises FormatError for a file without one."""

    def __init__(self, path: Path) -> None:
        self.start, rest = _begun(path)
        self.base_id = next(rest).last_id
        self.frames = list(rest)
        first_ns = self.frames[0].at_ns
        self.length_ns = self.frames[-1].at_ns - first_ns
        self.first_ns = first_ns
        self.ids = {kind: np.array([one.last_id for one in self.frames if one.kind == kind]) for kind in _ORDERS}
        self.levels = np.array([one.levels for one in self.frames if one.kind == DEPTH])
        updates = np.concatenate([self.ids[DEPTH], self.ids[BBO], [self.base_id]])
        updates_span, prints = int(updates.max() - updates.min()) + 1, self.ids[TRADE]
        self.spans = {DEPTH: updates_span, BBO: updates_span, TRADE: int(prints[-1] - prints[0]) + 1}
        self.seam = self._seam()

    def _seam(self) -> Frame:
        """Return the diff that leads from the last book to the first one."""
        end = self.start.copy()
        for one in self.frames:
            if one.kind == DEPTH:
                end.take(one.changes())
        sides = []
        for old, new in ((end.bids, self.start.bids), (end.asks, self.start.asks)):
            gone = {price: "0" for price in old if price not in new}
            sides.append(list((gone | {price: size for price, size in new.items() if old.get(price) != size}).items()))
        previous = int(self.ids[DEPTH][-1]) - self.spans[DEPTH]
        text = b'{"stream":"btcusdt@depth@0ms","data":{"e":"depthUpdate","E":%%d,"T":%%d,"s":"BTCUSDT","U":%%d,"u":%%d,"pu":%%d,"b":%s,"a":%s}}'
        levels = len(sides[0]) + len(sides[1])
        body = text % (msgspec.json.encode(sides[0]), msgspec.json.encode(sides[1]))
        return Frame(self.first_ns, DEPTH, body, (previous + 1, self.base_id, previous), levels)

    def round(self, number: int) -> Iterator[Frame]:
        """Yield the frames of a round; all but the first one begin with the seam."""
        if number:
            yield self.seam
        yield from self.frames

    def sent(self, kind: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return ids and numbers of levels (0 for what is no diff) of the first `count` frames of a kind, as they are sent."""
        ids, span = self.ids[kind], self.spans[kind]
        levels = self.levels if kind == DEPTH else np.zeros(len(ids), np.int64)
        parts, sizes, have, number = [], [], 0, 0
        while have < count:
            seam = kind == DEPTH and number > 0
            parts.append(np.concatenate([[self.base_id], ids] if seam else [ids]) + number * span)
            sizes.append(np.concatenate([[self.seam.levels], levels] if seam else [levels]))
            have, number = have + len(parts[-1]), number + 1
        empty = [np.zeros(0, np.int64)]
        return np.concatenate(empty + parts)[:count], np.concatenate(empty + sizes)[:count]


class Follower:
    """Makes the book at one update id after the other."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._diffs = [one for one in recording.frames if one.kind == DEPTH]
        self._round, self._next, self._book = -1, 0, recording.start

    def at(self, update_id: int) -> Sides:
        """Return the book at an update id that a diff ends with. Raises FormatError for another one."""
        recording = self._recording
        number, within = divmod(update_id - recording.base_id, recording.spans[DEPTH])
        last = int(np.searchsorted(recording.ids[DEPTH], within + recording.base_id, side="right"))
        if within and recording.ids[DEPTH][last - 1] != within + recording.base_id:
            raise FormatError(f"no diff of the recording ends at update id {update_id}; wanted one that does.")
        if number != self._round or last < self._next:
            self._round, self._next, self._book = number, 0, recording.start.copy()
        for one in self._diffs[self._next : last]:
            self._book.take(one.changes())
        self._next = last
        return self._book


def _begun(path: Path) -> tuple[Sides, Iterator[Frame]]:
    """Return the book that a round begins with, and an iterator: the diff that makes it exact first, then what follows."""
    with gzip.open(path) as file:
        lines = [(int(stamp), payload) for stamp, _, payload in (line.rstrip(b"\n").partition(b" ") for line in file)]
    at = next((i for i, (_, payload) in enumerate(lines) if payload.startswith(b'{"lastUpdateId"')), -1)
    if at < 0:
        raise FormatError(f"{path.name} holds no snapshot; wanted a recording that begins with one.")
    snapshot = _SNAPSHOT.decode(lines[at][1])
    book = Sides(dict(snapshot.bids), dict(snapshot.asks))
    # Diffs of before the snapshot may come after it, and the one that straddles it before.
    frames = [_frame(stamp, payload) for stamp, payload in lines if not payload.startswith(b'{"lastUpdateId"')]
    begin = next(i for i, one in enumerate(frames) if one.kind == DEPTH and one.last_id >= snapshot.lastUpdateId)
    book.take(frames[begin].changes())
    return book, iter(frames[begin:])


def _frame(stamp_ns: int, payload: bytes) -> Frame:
    kind = _KINDS[next(mark for mark in _KINDS if mark in payload[:40])]
    head, _, lists = payload.partition(b'"b":[') if kind == DEPTH else (payload, b"", b"")
    keys = tuple(found[0].split(b'"')[1] for found in _NUMBER.finditer(head))
    if keys != _ORDERS[kind]:
        raise FormatError(f"a frame carries {keys}; wanted {_ORDERS[kind]}: {payload[:200]!r}")
    numbers = [int(found[1]) for found in _NUMBER.finditer(head)]
    ids = tuple(number for key, number in zip(keys, numbers, strict=True) if key not in (b"E", b"T"))
    text = _NUMBER.sub(_as_hole, head) + (b'"b":[' + lists if kind == DEPTH else b"")
    return Frame(stamp_ns, kind, text, ids, lists.count(b'["'))


def _as_hole(found: re.Match[bytes]) -> bytes:
    return found[0][: found.start(1) - found.start()] + b"%d"
