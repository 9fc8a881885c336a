"""Streams that fall silent while the socket lives: told by their counts of messages, so that the frames pay nothing for it."""

from collections.abc import Mapping
from dataclasses import dataclass

from hftlab.venues.live.model import StreamStatus

GROWTH, SILENCE_S_MAX = 2.0, 600.0


@dataclass(slots=True)
class _Watched:
    status: StreamStatus
    limit_s: float  # grows while new connections bring nothing: then the market is quiet, not the stream broken
    first_limit_s: float
    seen: int = 0
    since_s: float = 0.0


class Watch:
    """Watches streams by a key of the caller's. Times are the loop's."""

    def __init__(self, streams: Mapping[tuple[int, int], StreamStatus], silence_s: Mapping[int, float], now_s: float) -> None:
        self._watched = {
            key: _Watched(status, silence_s[key[1]], silence_s[key[1]], since_s=now_s)
            for key, status in streams.items()
            if key[1] in silence_s
        }

    def silent(self, now_s: float) -> list[tuple[int, int]]:
        """Look at the counts; return the keys of streams that are silent for too long. Each is told once, then after twice as long."""
        found = []
        for key, one in self._watched.items():
            if one.status.messages != one.seen or not one.status.up:
                if one.status.up:
                    one.limit_s = one.first_limit_s
                one.seen, one.since_s = one.status.messages, now_s
            elif now_s - one.since_s >= one.limit_s:
                one.since_s, one.limit_s = now_s, min(one.limit_s * GROWTH, SILENCE_S_MAX)
                found.append(key)
        return found

    def spoke(self, key: tuple[int, int], within_s: float, now_s: float) -> bool:
        """Say whether a stream has spoken in the last seconds."""
        one = self._watched.get(key)
        return one is not None and one.seen > 0 and now_s - one.since_s < within_s
