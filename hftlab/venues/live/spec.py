"""A real venue as a person names it: where its data come from, and in which of three modes its orders are played."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hftlab.assumptions import Fees, Latency, Queue
from hftlab.errors import InputError, UnknownName, did_you_mean
from hftlab.instrument import Instrument
from hftlab.params import UNLIMITED, Limits
from hftlab.strict import keywords, number

MODES = ("paper", "shadow", "live")
SCOPES = ("own orders", "the whole account")
REAL, TESTNET = "real", "testnet"
AMENDS_IN_PLACE = ("binance", "binanceusdm")
_PROXY_NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "WSS_PROXY")


@keywords
@dataclass(frozen=True)
class LiveFeed:
    """The venue's own streams. `instrument` is one or several; each names its venue ("binanceusdm:BTC/USDT:USDT").

    `server` is "real", "testnet", or the address of a loopback exchange (`hftlab venue` prints it). `record` keeps every raw
    frame in the run directory, in the form that `hl.load` reads. `proxy` and `ca_file` lead to a loopback exchange that plays the
    real addresses; with them a session is never taken for a real one. Every `audit_s` the whole book is held against a new snapshot
    (Binance), so that a level which should have gone is found out. `backup` has the same streams read a second time, and goes on with
    them where the first ones are down, silent or wrong (`Failover`): the word of `server` once more for a second connection to the same
    place, or the address of a second loopback exchange. Orders go to `server` alone, and only its frames are recorded.
    """

    instrument: Instrument | Sequence[Instrument]
    server: str = REAL
    record: bool = False
    proxy: str = ""
    ca_file: str = ""
    audit_s: float = 60.0
    seed: int = 1
    backup: str = ""

    speed = 1.0

    def __post_init__(self) -> None:
        for one in self.instruments:
            if not isinstance(one, Instrument):
                raise InputError(f"the instrument was {one!r}; wanted hl.Instrument.bundled('binanceusdm:BTC/USDT:USDT') or the like.")
        check_server(self.server)
        if self.backup:
            _check_backup(self.backup, self.server)
        number(self.audit_s, "audit_s", 1)

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """Return what this feed trades."""
        return (self.instrument,) if isinstance(self.instrument, Instrument) else tuple(self.instrument)

    @property
    def real(self) -> bool:
        """Say whether this is the venue where money is real."""
        return self.server == REAL and not self.proxy

    def to_dict(self) -> dict[str, Any]:
        """Return plain values from which `live_feed_from_dict` makes the same feed."""
        return {
            "type": "LiveFeed",
            "instruments": [one.to_dict() for one in self.instruments],
            "server": self.server,
            "record": self.record,
            "proxy": self.proxy,
            "ca_file": self.ca_file,
            "audit_s": self.audit_s,
            "seed": self.seed,
            "backup": self.backup,
        }


@keywords
@dataclass(frozen=True)
class LiveVenue:
    """The venue of a LiveFeed in one of three modes; from one to the next only `mode` and `confirm` change.

    "paper": fills are modelled (`latency`, `queue`, `fees`), nothing is sent. "shadow": the same, and every request is kept as the
    bytes that live would have sent, and fills are modelled three ways side by side. "live": orders go to the venue; where money
    is real, `confirm` must be the words that `words(venue)` gives. `scope` says what a halt cancels. `dead_man_s` is how long the
    venue waits for us before it cancels everything (where it has such a switch; 0: none), `reconcile_s` how often it is asked.
    """

    mode: str = "paper"
    confirm: str = ""
    scope: str = "own orders"
    dead_man_s: float = 60.0
    reconcile_s: float = 30.0
    fees: Fees = field(default_factory=Fees)
    latency: Latency = field(default_factory=lambda: Latency(order_ms=5.0))
    queue: Queue | str = "power"

    def __post_init__(self) -> None:
        for value, known, name in ((self.mode, MODES, "mode"), (self.scope, SCOPES, "scope")):
            if value not in known:
                raise InputError(f"{name} was {value!r}; wanted one of {', '.join(map(repr, known))}.{did_you_mean(str(value), known)}")
        Queue.of(self.queue).code()
        if number(self.dead_man_s, "dead_man_s", 0) and self.dead_man_s < 5:
            raise InputError(f"dead_man_s was {self.dead_man_s}; wanted at least 5 s (venues refuse less), or 0 for none.")
        number(self.reconcile_s, "reconcile_s", 1)

    def matched(self, feed: object) -> bool:
        """Say whether fills come from outside the core: only in live mode. Raises InputError for a feed without a venue."""
        if not isinstance(feed, LiveFeed):
            raise InputError(f"LiveVenue needs the streams of its venue, hl.LiveFeed(…); the feed was a {type(feed).__name__}.")
        return self.mode == "live"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values from which `live_venue_from_dict` makes the same venue."""
        return {
            "type": "LiveVenue",
            "mode": self.mode,
            "confirm": self.confirm,
            "scope": self.scope,
            "dead_man_s": self.dead_man_s,
            "reconcile_s": self.reconcile_s,
            "fees": self.fees.to_dict(),
            "latency": self.latency.to_dict(),
            "queue": Queue.of(self.queue).to_dict(),
        }


def live_rule(instrument: Instrument) -> Instrument:
    """Return the instrument as it is traded by a LiveVenue.

    Where the only amend is a replacement (Hyperliquid, and most venues of ccxt), what the old order fills unseen while it is replaced comes
    on top of the new one's full size: more than the engine counts with at worst. There it cancels, and submits anew.
    """
    return instrument if instrument.venue in AMENDS_IN_PLACE else Instrument(**(instrument.to_dict() | {"amend": "never"}))


def check_server(server: str) -> None:
    """Raise InputError for a server that is neither a venue nor on this machine."""
    local = server.startswith(("http://127.0.0.1:", "http://localhost:"))
    if server not in (REAL, TESTNET) and not local:
        raise InputError(
            f"server was {server!r}; wanted 'real', 'testnet', or the address of a loopback exchange such as http://127.0.0.1:8787."
        )


def _check_backup(backup: str, server: str) -> None:
    """Raise InputError for a backup that shows another market than the server: the book would become another one in the middle of a session."""
    check_server(backup)
    names = (REAL, TESTNET)
    if backup != server and (backup in names or server in names):
        raise InputError(
            f"backup was {backup!r} and server {server!r}: two different markets. Wanted backup={server!r}, a second connection to the same one."
        )


def words(venue: str) -> str:
    """Return what a person must type before orders go where money is real."""
    return f"I trade real money on {venue}"


def check_live(feed: LiveFeed, venue: LiveVenue, limits: Sequence[Limits], environ: Mapping[str, str] | None = None) -> None:
    """Refuse to go live without limits, without the typed words, or with a proxy in between. Raises InputError; else nothing."""
    if venue.mode != "live":
        return
    for instrument, one in zip(feed.instruments, limits, strict=True):
        open_ended = [n for n in ("order_qty_max", "notional_quote_max") if getattr(one, n) in (None, UNLIMITED)]
        if open_ended:
            raise InputError(
                f"live needs limits in full: {', '.join(open_ended)} of {instrument.name} was not given. "
                "An order size and a notional that nobody chose are no limits."
            )
    if not feed.real:
        return
    environ = os.environ if environ is None else environ
    proxies = sorted(name for name in environ if name.upper() in _PROXY_NAMES and environ[name])
    if proxies:
        raise InputError(
            f"{', '.join(proxies)} is set: a proxy stands between us and the venue, so this may not be the real one, and it must not see "
            "real keys. Unset it, or name the loopback exchange in server= or proxy=."
        )
    for name in sorted({one.venue for one in feed.instruments}):
        if venue.confirm != words(name):
            raise InputError(f"orders would go to {name} with real money; confirm was {venue.confirm!r}, wanted confirm={words(name)!r}.")


def live_feed_from_dict(values: Mapping[str, Any]) -> LiveFeed:
    """Return the feed that `to_dict` described."""
    rest = {k: v for k, v in values.items() if k not in ("type", "instruments")}
    return LiveFeed(tuple(Instrument(**one) for one in values["instruments"]), **rest)


def live_venue_from_dict(values: Mapping[str, Any]) -> LiveVenue:
    """Return the venue that `to_dict` described."""
    rest = {k: v for k, v in values.items() if k not in ("type", "fees", "latency", "queue")}
    if values["type"] != "LiveVenue":
        raise UnknownName(f"no venue {values['type']!r}.{did_you_mean(values['type'], ['LiveVenue', 'PaperVenue'])}")
    return LiveVenue(fees=Fees(**values["fees"]), latency=Latency(**values["latency"]), queue=Queue(**values["queue"]), **rest)
