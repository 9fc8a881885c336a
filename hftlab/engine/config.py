"""A session as a file: what `hftlab run FILE.yaml` and `hl.run_file` start.

    mode: paper                # then shadow, then live: this line and the next are all that changes
    confirm: ""                # live with real money: "I trade real money on binanceusdm"
    run: btc                   # name of the run directory
    feed: {instrument: "binanceusdm:BTC/USDT:USDT", server: real}
    venue: {dead_man_s: 60}    # any parameter of hl.LiveVenue
    quoter: {type: AvellanedaStoikov, risk_aversion: 0.1, order_qty: "0.002"}
    limits: {position_qty_max: "0.01", order_qty_max: "0.002", notional_quote_max: 2000, loss_quote_max: 50}

Several instruments: a list under `feed.instrument`, and one quoter and one set of limits for all, or a list of each. Keys of the venue
are never in this file: they come from the environment or a .env file (see `hftlab.venues.live.keys`).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from hftlab.assumptions import Fees, Latency, Queue
from hftlab.engine.process import start
from hftlab.engine.view import Session
from hftlab.errors import FormatError, InputError, UnknownName, did_you_mean
from hftlab.instrument import Instrument
from hftlab.params import Limits, Quoter, quoter_from_dict
from hftlab.venues.live.spec import LiveFeed, LiveVenue

_KEYS = ("mode", "confirm", "run", "feed", "venue", "quoter", "limits")
_NEEDED = ("mode", "feed", "quoter", "limits")
_PARTS: dict[str, Any] = {"fees": Fees, "latency": Latency, "queue": Queue}


def read_config(path: str | Path) -> dict[str, Any]:
    """Return the arguments of `hl.start` that a file describes. Raises FormatError, UnknownName, InputError."""
    try:
        values = yaml.safe_load(Path(path).read_text())
    except (OSError, yaml.YAMLError) as error:
        raise FormatError(f"{path} could not be read as YAML: {error}") from error
    if not isinstance(values, dict):
        raise FormatError(f"{path} holds {type(values).__name__}; wanted the lines {', '.join(_NEEDED)} (see hftlab.engine.config).")
    for name in values:
        if name not in _KEYS:
            raise UnknownName(f"{path}: no entry {name!r}.{did_you_mean(str(name), _KEYS)}")
    missing = [name for name in _NEEDED if name not in values]
    if missing:
        raise InputError(f"{path} lacks {', '.join(missing)}; wanted {', '.join(_NEEDED)}.")
    return {
        "feed": _feed(values["feed"]),
        "venue": _venue(values.get("venue") or {}, values["mode"], values.get("confirm") or ""),
        "quoter": _each(values["quoter"], _quoter),
        "limits": _each(values["limits"], lambda one: Limits(**one)),
        "run": values.get("run"),
    }


def run_file(path: str | Path, *, replace: bool = False) -> Session:
    """Start the session that a file describes and return its handle. Raises what `hl.start` and `read_config` raise."""
    return start(**read_config(path), replace=replace)


def _feed(values: Mapping[str, Any]) -> LiveFeed:
    rest = dict(values)
    if "instrument" not in rest:
        raise InputError("feed lacks instrument; wanted e.g. instrument: 'binanceusdm:BTC/USDT:USDT'.")
    names = rest.pop("instrument")
    instruments = tuple(Instrument.bundled(name) for name in ([names] if isinstance(names, str) else names))
    return LiveFeed(instruments, **rest)


def _venue(values: Mapping[str, Any], mode: str, confirm: str) -> LiveVenue:
    for name in ("mode", "confirm"):
        if name in values:
            raise InputError(f"{name} stands under venue; wanted it at the top of the file, where one sees it.")
    made = {name: _PARTS[name](**one) if name in _PARTS and isinstance(one, dict) else one for name, one in values.items()}
    return LiveVenue(mode, confirm, **made)


def _quoter(values: Mapping[str, Any]) -> Quoter:
    if "type" not in values:
        raise InputError("the quoter lacks type; wanted e.g. type: AvellanedaStoikov.")
    return quoter_from_dict(values)


def _each(values: Any, make: Any) -> Any:
    return tuple(make(one) for one in values) if isinstance(values, list) else make(values)
