"""Feeds that run: a simulated market, and a recording on its own clock."""

import warnings
from typing import Any

import numpy as np

from hftlab.data.recordings import load
from hftlab.data.tape import Tape
from hftlab.errors import DataWarning
from hftlab.instrument import Instrument
from hftlab.types import AT_DESK, AT_EXCHANGE, CANCELED, EVENT, FREE, GAP, LAST, TIMER
from hftlab.venues.feeds import Feed, PaperVenue, ReplayFeed, SynthFeed
from hftlab.venues.simulated import SimulatedMarket

_LOOKED_AT_S = 5.0


class SynthSource:
    """A simulated market as a Source. With `matched`, requests go to its matching engine."""

    def __init__(self, feed: SynthFeed, venue: PaperVenue, start_ns: int, *, epoch: int = 0, price: str | None = None) -> None:
        self.instruments = feed.instruments
        self._matched = venue.matched(feed)
        entry_ns, response_ns = venue.latency.ns()
        self._market = SimulatedMarket(
            feed.instrument,
            seed=feed.seed + epoch,
            start_ns=start_ns,
            price=price or feed.price,
            entry_ns=entry_ns,
            response_ns=response_ns,
            **dict[str, Any](feed.options),
        )

    def open(self) -> np.ndarray:
        """Return the opening book."""
        return self._market.snapshot()

    def advance(self, until_ns: int) -> np.ndarray:
        """Let the crowd act."""
        return self._market.advance(until_ns)

    def submit(self, requests: np.ndarray) -> None:
        """Send requests to the matching engine; without `matched` the modelled exchange of the core has them already."""
        if self._matched:
            self._market.submit(requests)

    def done(self) -> bool:
        """A crowd never ends."""
        return False


class ReplaySource:
    """A tape as a Source: the exchange's copy and ours of each row, at their times, from row `cursor` on."""

    def __init__(self, tape: Tape, cursor: int = 0) -> None:
        self.instruments = tape.instruments
        self._rows = tape.merge().rows
        both = (self._rows["flags"] & (AT_DESK | AT_EXCHANGE)) == AT_EXCHANGE
        self._times = np.maximum.accumulate(np.where(both, self._rows["ts_exch_ns"], self._rows["ts_recv_ns"]))
        self._cursor = cursor
        self.start_ns = int(self._times[min(cursor, len(self._times) - 1)])

    def open(self) -> np.ndarray:
        """Return nothing: the tape begins with its own snapshot."""
        return np.zeros(0, EVENT)

    def advance(self, until_ns: int) -> np.ndarray:
        """Return the rows that have come due."""
        end = int(np.searchsorted(self._times, until_ns, side="right"))
        rows = self._rows[self._cursor : end]
        self._cursor = max(end, self._cursor)
        return rows

    def submit(self, requests: np.ndarray) -> None:
        """Take nothing: a recording has no venue; the modelled exchange of the core has the requests already."""

    def done(self) -> bool:
        """Say whether the recording is at its end."""
        return self._cursor >= len(self._rows)


def feed_instruments(feed: Feed) -> tuple[Instrument, ...]:
    """Return what a feed trades; of a recording, what its first seconds hold. Raises what `hl.load` raises."""
    if not isinstance(feed, ReplayFeed):
        return feed.instruments
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # the engine reads the whole file, and says it there
        return load(feed.path, feed.instrument, clock=feed.clock, end_s=_LOOKED_AT_S, partial=True).instruments


def load_tape(feed: Feed) -> Tape | None:
    """Return the tape behind a ReplayFeed, None for other feeds. Raises what `hl.load` raises."""
    return load(feed.path, feed.instrument, clock=feed.clock) if isinstance(feed, ReplayFeed) else None


def market_rows(journal: np.ndarray) -> int:
    """Return how many of these journaled rows came from the feed; their sum is where a recording goes on."""
    return int(np.count_nonzero(journal["kind"] < TIMER))


def lost_orders(markets: np.ndarray, now_ns: int) -> np.ndarray:
    """Return the rows that a restart of the simulated exchange means: a gap, and our orders cancelled with it."""
    rows: list[tuple[int, ...]] = []
    for i, market in enumerate(markets):
        rows.append((now_ns, now_ns, 0, 0, 0, 0, 0, GAP, 0, LAST, i))
        for o in market["orders"][market["orders"]["status"] != FREE]:
            leaves = int(o["leaves_lots"])
            rows.append(
                (now_ns, now_ns, int(o["price_ticks"]), int(o["qty_lots"]), leaves, int(o["order_id"]), 0, CANCELED, int(o["side"]), 0, i)
            )
    return np.array(rows, dtype=EVENT)
