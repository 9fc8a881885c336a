"""The lines of a live session: for each venue its reader, and in live mode the wire and the gateway for its orders."""

import dataclasses
import itertools
import json
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from hftlab.engine.clock import wall_now_ns
from hftlab.engine.spec import RunSpec, load_spec
from hftlab.instrument import Instrument
from hftlab.venues.live.connect import make_reader, make_wire
from hftlab.venues.live.endpoints import endpoint
from hftlab.venues.live.gateway import Gateway
from hftlab.venues.live.gateway_halt import sweep
from hftlab.venues.live.gateway_policy import Policy
from hftlab.venues.live.gateway_restart import Known
from hftlab.venues.live.keys import Keys, keys_for
from hftlab.venues.live.model import Endpoint, Reader, Wire
from hftlab.venues.live.reconcile import Kept
from hftlab.venues.live.record import Recorder
from hftlab.venues.live.spec import SCOPES, LiveFeed, LiveVenue

OWN = SCOPES[0]
PAYMENTS_LATE_NS = 120 * 10**9  # the engine before may have ended between two questions


class Engine(Protocol):
    """What a line needs of the driver."""

    spec: RunSpec

    def take(self, rows: np.ndarray) -> None:
        """Journal rows and run them."""
        ...

    def say(self, level: str, text: str) -> None:
        """Tell people."""
        ...

    def alarm(self, reason: str) -> None:
        """Stop quoting for a reason."""
        ...


def place_of(feed: LiveFeed, venue: str, server: str = "") -> Endpoint:
    """Return where a venue of a feed is reached; `server` for another one than the feed's own."""
    server = server or feed.server
    return endpoint(venue, None if server == "real" or feed.proxy else server, feed.proxy, feed.ca_file)


def keys_of(where: Endpoint) -> Keys:
    """Return the keys for an endpoint: from the environment, or the made-up ones of every loopback exchange."""
    if where.kind != "loopback":
        return keys_for(where)
    from hftlab.venues.server.config import VenueConfig

    made = VenueConfig().keys(where.venue)
    return Keys.of(made.get("apiKey", ""), made.get("secret", ""), "", made.get("walletAddress", ""), made.get("privateKey", ""))


class Line:
    """One venue of a session. `places` are its instruments' places on the desk."""

    def __init__(self, engine: Engine, venue: str, places: list[int], directory: Path) -> None:
        feed, terms = engine.spec.feed, engine.spec.venue
        assert isinstance(feed, LiveFeed)
        assert isinstance(terms, LiveVenue)
        self.venue, self.places = venue, places
        self._engine, self._terms = engine, terms
        self._desk_index = np.array(places, np.uint32)
        self._line_index = {place: i for i, place in enumerate(places)}
        self._straight = places == list(range(len(engine.spec.instruments)))
        self._where = place_of(feed, venue)
        instruments = self.instruments
        self._kept_file = directory / f"account-{venue}.json"
        self._kept: Kept | None = None
        self.recorder = Recorder(_free_name(directory, venue), instruments) if feed.record else None
        self.reader = self._make_reader(feed)
        self.wire: Wire | None = make_wire(self._where, instruments, keys_of(self._where), wall_now_ns) if terms.mode == "live" else None
        self.gateway: Gateway | None = None

    def _make_reader(self, feed: LiveFeed) -> Reader:
        """Return the reader of the venue's streams; with a backup, two in one."""
        reader = make_reader(self._where, self.instruments, wall_now_ns, feed.seed, self.recorder, feed.audit_s)
        if not feed.backup:
            return reader
        from hftlab.venues.live.failover import Failover

        where = place_of(feed, self.venue, feed.backup)
        return Failover([reader, make_reader(where, self.instruments, wall_now_ns, feed.seed + 1, None, feed.audit_s)], wall_now_ns)

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """Return what this venue trades of the desk."""
        return tuple(self._engine.spec.instruments[place] for place in self.places)

    async def start(self, markets: Any, reports: np.ndarray, since_ns: int | None, began_ns: int) -> None:
        """Sign in and reconcile, before anything is quoted; paper and shadow need nothing. Raises what the venue says.

        `markets`: MARKET[m] of the desk; `reports`: the journal's FILL, PAYMENT and AMENDED rows; `since_ns`: its last time; `began_ns`:
        when the desk began, 0 before it did.
        """
        if self.wire is None:
            return
        policy = Policy(
            scope="own" if self._terms.scope == OWN else "account",
            reconcile_s=self._terms.reconcile_s,
            dead_man_s=self._terms.dead_man_s,
        )
        self.gateway = Gateway(
            self.wire,
            self.instruments,
            self._engine.spec.tag,
            markets[self.places],
            emit=self._emit,
            say=self._say,
            on_alarm=self._alarm,
            clock_ns=wall_now_ns,
            policy=policy,
            known=Known.of([self._mine(reports)]),
            kept=self._load_kept(),
        )
        if since_ns is not None and began_ns:  # funding of the time in which nobody ran; some venues are asked for it once a minute
            self.wire.payments_since_ns = max(since_ns - PAYMENTS_LATE_NS, began_ns)
        await self.gateway.start(since_ns)

    def _load_kept(self) -> Kept | None:
        try:
            return Kept(**json.loads(self._kept_file.read_text()))
        except FileNotFoundError:
            return None

    def save_kept(self) -> None:
        """Write down what the next gateway needs beside the journal, when it has changed. Atomic: a torn file would be believed."""
        kept = self.gateway.kept if self.gateway is not None else None
        if kept is None or kept == self._kept:
            return
        self._kept = kept
        beside = self._kept_file.with_suffix(".new")
        beside.write_text(json.dumps(dataclasses.asdict(kept)))
        beside.replace(self._kept_file)

    def _mine(self, rows: np.ndarray) -> np.ndarray:
        """Return copies of the rows of this venue, with its own places."""
        mine = rows[np.isin(rows["instrument"], self._desk_index)].copy()
        mine["instrument"] = [self._line_index[i] for i in mine["instrument"].tolist()]
        return mine

    def tasks(self) -> list[tuple[str, Coroutine[Any, Any, None]]]:
        """Return what runs as long as the session."""
        found: list[tuple[str, Coroutine[Any, Any, None]]] = [(f"{self.venue} reader", self.reader.run(self._emit, self._say))]
        if self.gateway is not None:
            found.append((f"{self.venue} gateway", self.gateway.run()))
        return found

    def submit(self, requests: np.ndarray) -> None:
        """Send those of the requests that are for this venue."""
        if self.gateway is None:
            return
        if self._straight:
            self.gateway.submit(requests)
            return
        mine = self._mine(requests)
        if len(mine):
            self.gateway.submit(mine)

    def _emit(self, rows: np.ndarray) -> None:
        if not self._straight:
            rows["instrument"] = self._desk_index[rows["instrument"]]
        self._engine.take(rows)

    def _say(self, level: str, text: str) -> None:
        self._engine.say(level, text if text.startswith(self.venue) else f"{self.venue}: {text}")

    def _alarm(self, reason: str) -> None:
        self._engine.alarm(f"{self.venue}: {reason}")

    async def halt(self) -> None:
        """Cancel what is ours and have the venue confirm that nothing of it rests."""
        if self.gateway is not None:
            cleared = await self.gateway.halt()
            self._say("info", f"confirmed that nothing of ours rests ({len(cleared.found)} rested, {cleared.seconds:.2f} s)")

    def reopen(self) -> None:
        """Let new orders leave again after a halt."""
        if self.gateway is not None:
            self.gateway.reopen()

    async def close(self, *, clean: bool) -> None:
        """Disconnect; after a clean stop the venue's own switch is disarmed."""
        if self.gateway is not None and clean:
            await self.gateway.stop()
        elif self.gateway is not None:
            await self.gateway.close()
        if self.recorder is not None:
            self.recorder.close()
        self.save_kept()

    def streams(self) -> list[dict[str, Any]]:
        """Return the health of the streams, for screens."""
        return [dataclasses.asdict(status) for status in self.reader.streams]

    def status(self) -> dict[str, Any]:
        """Return how the gateway stands, for screens."""
        return {"venue": self.venue} | (self.gateway.status() if self.gateway is not None else {})


def _free_name(directory: Path, venue: str) -> Path:
    """Return the first name of a recording that no file begins with: each start of the engine records anew."""
    taken = {path.name.split(".")[0] for path in directory.glob(f"{venue}-*")}
    return directory / f"{next(f'{venue}-{n:03d}' for n in itertools.count() if f'{venue}-{n:03d}' not in taken)}.gz"


def lines_of(engine: Engine, directory: Path) -> list[Line]:
    """Return the lines of a session, one a venue, in the order of its instruments."""
    venues: dict[str, list[int]] = {}
    for place, instrument in enumerate(engine.spec.instruments):
        venues.setdefault(instrument.venue, []).append(place)
    return [Line(engine, venue, places, directory) for venue, places in venues.items()]


async def sweep_run(directory: Path) -> int:
    """Cancel every order of a run at its venues, and verify. Returns how many there were. For a run whose engine is dead.

    Raises VenueDown when a venue cannot be reached, DataError for a run that cannot be read.
    """
    spec = load_spec(directory)
    assert isinstance(spec.feed, LiveFeed)
    found = 0
    for venue in dict.fromkeys(one.venue for one in spec.instruments):
        where = place_of(spec.feed, venue)
        wire = make_wire(where, tuple(one for one in spec.instruments if one.venue == venue), keys_of(where), wall_now_ns)
        found += len((await sweep(wire, spec.tag)).found)
    return found
