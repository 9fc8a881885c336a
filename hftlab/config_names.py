"""The names of the variables: which there are, what each says, and what a wrong one is answered with."""

import dataclasses
import difflib
import re
from collections.abc import Iterable, Mapping

from hftlab.assumptions import Fees, Latency, Queue
from hftlab.errors import InputError, UnknownName, did_you_mean
from hftlab.instrument import bundled_names
from hftlab.params import QUOTERS, Limits

PREFIX = "HFTLAB_"

# Read before any file is, or by a process that reads no .env.
ENVIRONMENT_ONLY = {
    "HFTLAB_CACHE_DIR": "the folder of the compiled kernels",
    "HFTLAB_CAGE": "what a page of `hftlab serve` may touch; the launcher sets it for its viewers",
    "HFTLAB_COUNT_RUNS": "off: runs on a data set are not counted beside it",
    "HFTLAB_GALLERY": "the kept backtests that a page shows; the launcher sets it for its viewers",
    "HFTLAB_PAGES_TOKEN": "the token of the pages that a lab shows through its proxy; the lab sets it (secret)",
    "HFTLAB_STATE_DIR": "the folder where runs are counted on data that have no file, or one beside which nothing can be written",
}
TOP = {
    "HFTLAB_MODE": "paper, shadow or live",
    "HFTLAB_CONFIRM": 'for live with real money: the words "I trade real money on …"',
    "HFTLAB_RUN": "the name of the run directory; for a dashboard, the run that it shows",
    "HFTLAB_ALERT_URLS": "channels of alerts, as addresses of apprise with white space between them (secret)",
}
KEY_PARTS = ("KEY", "SECRET", "PASSWORD", "WALLET", "PRIVATE_KEY")
_KEYS = re.compile(rf"{PREFIX}([A-Z0-9]+)_(?:TESTNET_)?(?:{'|'.join(KEY_PARTS)})")

# Names of other programs' .env files. Each had a meaning there, so none is passed over in silence.
OLD_NAMES = {
    "TRADING_MODE": "HFTLAB_MODE (paper, shadow or live)",
    "TRADING_PAIR": "HFTLAB_FEED__INSTRUMENT (for example binanceusdm:BTC/USDT:USDT)",
    "BASE_CAPITAL": "HFTLAB_LIMITS__CAPITAL_QUOTE",
    "MAX_POSITION_SIZE": "HFTLAB_LIMITS__POSITION_QTY_MAX (in base units, not in money)",
    "MAX_RISK_PER_TRADE": "HFTLAB_LIMITS__RISK_PER_TRADE_FRAC_MAX (with HFTLAB_LIMITS__STOP_BPS)",
    "MAX_DAILY_LOSS": "HFTLAB_LIMITS__LOSS_QUOTE_MAX (in money) or HFTLAB_LIMITS__LOSS_FRAC_MAX",
    "MAX_ORDERS_PER_SECOND": "HFTLAB_LIMITS__REQUESTS_PER_S_MAX",
    "API_HOST": "nothing: the door listens on the loopback address only",
    "API_PORT": "HFTLAB_DOOR__PORT",
    "ENVIRONMENT": "HFTLAB_MODE",
    "DEBUG": "HFTLAB_LOG__LEVEL=debug",
    "LOG_LEVEL": "HFTLAB_LOG__LEVEL",
    "LOG_FORMAT": "nothing: the log is always one JSON object a line",
    "ALPACA_API_KEY": "HFTLAB_ALPACA_KEY",
    "ALPACA_SECRET_KEY": "HFTLAB_ALPACA_SECRET",
    "ALPACA_BASE_URL": "HFTLAB_FEED__SERVER (real or testnet)",
}
# These mean a limit or a mode wherever they stand; the others are common names, and another program's business outside our .env.
_NEVER = (
    "TRADING_MODE",
    "TRADING_PAIR",
    "BASE_CAPITAL",
    "MAX_POSITION_SIZE",
    "MAX_RISK_PER_TRADE",
    "MAX_DAILY_LOSS",
    "MAX_ORDERS_PER_SECOND",
)


def variable(*path: str) -> str:
    """Return the name of the variable of an entry: ("limits", "loss_quote_max") -> HFTLAB_LIMITS__LOSS_QUOTE_MAX."""
    return PREFIX + "__".join(path).upper()


def known_variables(sections: Mapping[str, Iterable[str]]) -> set[str]:
    """Return every variable there is: of `sections` {section: entries}, of quoters, limits and their parts, and TOP; keys come on top."""
    parts = {"fees": Fees, "latency": Latency, "queue": Queue}
    paths: list[tuple[str, ...]] = [(section, entry) for section, entries in sections.items() for entry in entries]
    paths += [("limits", f.name) for f in dataclasses.fields(Limits)]
    paths += [("quoter", f.name) for quoter in QUOTERS.values() for f in dataclasses.fields(quoter) if f.name != "decide"]
    paths += [("quoter", "type")]
    paths += [("limits", "hard", f.name) for f in dataclasses.fields(Limits) if f.name != "hard"]
    nested = [("venue", part, f.name) for part, made in parts.items() for f in dataclasses.fields(made)]
    whole = [(section,) for section in (*sections, "limits", "quoter")]
    return {variable(*path) for path in (*paths, *nested, *whole)} | TOP.keys() | ENVIRONMENT_ONLY.keys()


def check_names(given: Iterable[str], where: str, sections: Mapping[str, Iterable[str]]) -> None:
    """Raise UnknownName for a variable that begins as ours and is none, InputError for a name of another program that had a meaning."""
    known = known_variables(sections)
    of_environment = where == "the environment"
    for name in given:
        upper = name.upper()
        if upper in OLD_NAMES and (upper in _NEVER or not of_environment):
            raise InputError(f"{name} stands in {where} and is not read here; its place is taken by {OLD_NAMES[upper]}.")
        if upper in ENVIRONMENT_ONLY and not of_environment:
            raise InputError(f"{name} stands in {where}, which is read too late for it; set it in the environment.")
        if upper.startswith(PREFIX) and upper not in known:
            _check_key(name, upper, where, known)


def _check_key(name: str, upper: str, where: str, known: set[str]) -> None:
    """Pass the key of a venue; a venue that is nearly one we know is a slip."""
    venues = sorted({one.split(":")[0].upper() for one in bundled_names()})
    found = _KEYS.fullmatch(upper)
    if found is None:
        examples = {f"{PREFIX}{venue}_{part}" for venue in venues for part in KEY_PARTS}
        near = did_you_mean(upper, known | examples)
        raise UnknownName(f"{where}: no variable {name}.{near if 'Did you mean' in near else ' docs/operations.md lists them.'}")
    slips = difflib.get_close_matches(found[1], venues, n=1, cutoff=0.85)
    if found[1] not in venues and slips:
        raise UnknownName(f"{where}: no variable {name}. Did you mean {upper.replace(found[1], slips[0], 1)!r}?")
