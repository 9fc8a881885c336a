"""A session as a file: what `hftlab run FILE.yaml` and `hl.run_file` start.

    mode: paper                # then shadow, then live: this line and the next are all that changes
    confirm: ""                # live with real money: "I trade real money on binanceusdm"
    run: btc                   # name of the run directory
    feed: {instrument: "binanceusdm:BTC/USDT:USDT", server: real}
    venue: {dead_man_s: 60}    # any parameter of hl.LiveVenue
    quoter: {type: AvellanedaStoikov, risk_aversion: 0.1, order_qty: "0.002"}
    limits: {position_qty_max: "0.01", order_qty_max: "0.002", notional_quote_max: 2000, loss_quote_max: 50}
    alerts: {quiet_s: 300}     # as pace, door and log: see hftlab.config; each may be left out

A quoter of your own stands in a file beside this one, as FILE.py:FUNCTION:

    quoter: {type: UserQuoter, decide: "own_quoter.py:decide", order_qty: "0.002", values: {half_ticks: 2}}

Several instruments: a list under `feed.instrument`, and one quoter and one set of limits for all, or a list of each. A feed of
`type: SynthFeed` or `type: ReplayFeed` takes the parameters of hl.SynthFeed or hl.ReplayFeed, and the venue those of hl.PaperVenue. What
the environment and .env lay over a file, and in which order, is in `hftlab.config`. Keys of the venue are never in this file: they
come from there (see `hftlab.venues.live.keys`).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from hftlab.assumptions import Fees, Latency, Queue
from hftlab.config import Settings, each, load
from hftlab.engine.process import start
from hftlab.engine.settings import FEEDS, known_entries
from hftlab.engine.view import Session
from hftlab.errors import FormatError, InputError, UnknownName, did_you_mean
from hftlab.instrument import Instrument
from hftlab.params import Limits, Quoter, quoter_from_dict
from hftlab.usercode.from_file import decide_in
from hftlab.venues.feeds import Feed, PaperVenue, Venue
from hftlab.venues.live.spec import LiveFeed, LiveVenue

_NEEDED = ("mode", "feed", "quoter", "limits")
_PARTS: dict[str, Any] = {"fees": Fees, "latency": Latency, "queue": Queue}


def read_settings(path: str | Path, *, env_file: str | Path | None = ".env") -> Settings:
    """Return a file with .env and the environment laid over it. Raises FormatError, UnknownName, InputError."""
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise FormatError(f"{path} could not be read as YAML: {error}") from error
    if not isinstance(values, dict):
        raise FormatError(f"{path} holds {type(values).__name__}; wanted the lines {', '.join(_NEEDED)} (see hftlab.engine.config).")
    return load(values, env_file=env_file, known=known_entries(), source=str(path))


def read_config(path: str | Path, *, env_file: str | Path | None = ".env") -> dict[str, Any]:
    """Return the arguments of `hl.start` that a file describes. Raises FormatError, UnknownName, InputError."""
    settings = read_settings(path, env_file=env_file)
    missing = [name for name in _NEEDED if not getattr(settings, name)]
    if missing:
        raise InputError(f"{path} lacks {', '.join(missing)}; wanted {', '.join(_NEEDED)}.")
    feed = _feed(settings.feed)
    return {
        "feed": feed,
        "venue": _venue(settings.venue, settings.mode, settings.confirm, live=isinstance(feed, LiveFeed)),
        "quoter": _quoters(each(settings.quoter), Path(path).parent),
        "limits": _each(each(settings.limits), lambda one: Limits(**one)),
        "run": settings.run,
        "settings": settings.kept(),
    } | settings.pace.model_dump()


def run_file(path: str | Path, *, replace: bool = False) -> Session:
    """Start the session that a file describes and return its handle. Raises what `hl.start` and `read_config` raise."""
    return start(**read_config(path), replace=replace)


def _feed(values: Mapping[str, Any]) -> Feed:
    rest = dict(values)
    kind = rest.pop("type", "LiveFeed")
    if kind not in FEEDS:
        raise UnknownName(f"no feed {kind!r}.{did_you_mean(str(kind), FEEDS)}")
    if "instrument" not in rest and kind != "ReplayFeed":
        raise InputError("feed lacks instrument; wanted e.g. instrument: 'binanceusdm:BTC/USDT:USDT'.")
    names = rest.pop("instrument", None)
    if names is not None:
        instruments = tuple(Instrument.bundled(name) for name in ([names] if isinstance(names, str) else names))
        if kind != "LiveFeed" and len(instruments) != 1:
            raise InputError(f"{len(instruments)} instruments were given; a {kind} plays one.")
        rest["instrument"] = instruments if kind == "LiveFeed" else instruments[0]
    feed: Feed = FEEDS[kind](**rest)
    return feed


def _venue(values: Mapping[str, Any], mode: str, confirm: str, *, live: bool) -> Venue:
    for name in ("mode", "confirm"):
        if name in values:
            raise InputError(f"{name} stands under venue; wanted it at the top of the file, where one sees it.")
    made = {name: _PARTS[name](**one) if name in _PARTS and isinstance(one, dict) else one for name, one in values.items()}
    if live:
        return LiveVenue(mode, confirm, **made)
    if mode != "paper":
        raise InputError(f"mode was {mode!r} on a feed without a venue; wanted 'paper', or a feed of type LiveFeed.")
    return PaperVenue(**made)


def _quoters(values: Any, folder: Path) -> Quoter | tuple[Quoter, ...]:
    """Return what `quoter` describes; files that it names lie beside the session's file. One `decide` is read once: a desk has one."""
    read: dict[Any, Any] = {}

    def quoter(one: Mapping[str, Any]) -> Quoter:
        if "type" not in one:
            raise InputError("the quoter lacks type; wanted e.g. type: AvellanedaStoikov.")
        if one["type"] != "UserQuoter":
            return quoter_from_dict(one)
        named = str(one.get("decide"))
        if named not in read:
            read[named] = decide_in(one.get("decide"), folder)
        return quoter_from_dict(one, read[named])

    made: Quoter | tuple[Quoter, ...] = _each(values, quoter)
    return made


def _each(values: Any, make: Any) -> Any:
    return tuple(make(one) for one in values) if isinstance(values, list) else make(values)
