"""What can go wrong at a venue, by name: when it happens, to whom, how often and how badly.

A fault is a description and does nothing by itself; `schedule.Schedule` counts events against it and decides. Every fault belongs to
one point of the venue: a frame on its way out, a request, a book diff or snapshot, the moment before a match, the key of a user
stream; or it is a spell, which begins at a moment and lasts for `s` seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, ClassVar, cast

from hftlab.errors import InputError, UnknownName, did_you_mean

FRAME, HELLO, REQUEST, DIFF, SNAPSHOT = "frame", "hello", "request", "diff", "snapshot"
BEFORE, KEY, SPELL = "before", "key", "spell"
BOOKS = "*@depth*|*@l2Book"
MOMENTS = ("order", "amend", "cancel", "query", "account", "market", "md", "user", "fill", "dial")  # what a spell can begin on
TIMEOUTS = ("silence", "unknown", "gateway")

Value = int | float | str | bool


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault: where it acts, what it does, its parameters with their defaults, and whom it strikes unless told otherwise."""

    point: str
    doc: str
    params: Mapping[str, Value] = field(default_factory=dict)
    where: Mapping[str, str] = field(default_factory=dict)


KINDS: dict[str, Kind] = {
    # --- frames ---
    "gap": Kind(FRAME, "k frames of one stream of one connection are not sent", {"k": 1}, {"kind": "md", "stream": BOOKS}),
    "duplicate": Kind(FRAME, "a frame is sent 1 + k times", {"k": 1}, {"kind": "md", "stream": BOOKS}),
    "reorder": Kind(FRAME, "a frame is sent after the k next ones of its stream", {"k": 1}, {"kind": "md", "stream": BOOKS}),
    "garbage": Kind(FRAME, "a frame is cut off (truncate), overwritten (noise) or sent as bytes (binary)", {"how": "truncate"}, {"kind": "md"}),
    "duplicate_fill": Kind(FRAME, "a fill is told 1 + k times on the user stream", {"k": 1}, {"kind": "user", "moment": "fill"}),
    "late_fill": Kind(FRAME, "a fill is told ms later, after what happened next", {"ms": 300}, {"kind": "user", "moment": "fill"}),
    "replayed_fills": Kind(HELLO, "the next user stream to be opened is told the last k fills again", {"k": 5}, {"kind": "user"}),
    # --- requests ---
    "accept_then_timeout": Kind(REQUEST, "the venue acts and the answer is lost: silence for s and a reset, unknown (-1007), gateway (504)", {"s": 5.0, "say": "silence"}, {"kind": "order|amend|cancel"}),
    "reject_then_timeout": Kind(REQUEST, "the venue never sees it and there is no answer either", {"s": 5.0, "say": "silence"}, {"kind": "order|amend|cancel"}),
    "reset_before": Kind(REQUEST, "the connection is reset before the venue acts", {}, {"kind": "order|amend|cancel"}),
    "reset_after": Kind(REQUEST, "the venue acts and the connection is reset before the answer", {}, {"kind": "order|amend|cancel"}),
    # --- books ---
    "crossed_book": Kind(DIFF, "a diff tells everybody a bid of `lots`, `ticks` above the best ask", {"ticks": 3, "lots": 1}),
    "missing_deletion": Kind(DIFF, "k deletions are left out of a diff: stale levels stay in everybody's book", {"k": 1}),
    "stale_snapshot": Kind(SNAPSHOT, "a book snapshot is k diffs old and comes ms later", {"k": 20, "ms": 0}),
    # --- before a match ---
    "cancel_fill_race": Kind(BEFORE, "somebody takes `share` of the order while its cancel is on the way", {"share": 1.0}, {"kind": "cancel"}),
    "post_only_race": Kind(BEFORE, "the market moves through the price of a post-only order before it arrives", {"lots": 10}, {"kind": "order"}),
    "amend_race": Kind(BEFORE, "the market moves through the new price of an amend before it arrives", {"lots": 10}, {"kind": "amend"}),
    # --- keys ---
    "key_expiry": Kind(KEY, "the key of a user stream expires, with its event or without a word", {"event": True}),
    # --- spells ---
    "stall": Kind(SPELL, "streams fall silent while their socket lives; pings are answered unless pong is false", {"s": 5.0, "pong": True}, {"kind": "md"}),
    "mass_disconnect": Kind(SPELL, "every connection ends: by reset (code 0) or with a close frame", {"code": 0}),
    "refuse_dials": Kind(SPELL, "every connection is reset and new ones are refused for s", {"s": 3.0}),
    "day_close": Kind(SPELL, "connections are closed as after 24 hours", {"code": 1001}),
    "server_shutdown": Kind(SPELL, "serverShutdown is announced and connections are closed s later", {"s": 2.0}),
    "delayed_visibility": Kind(SPELL, "for s, queries do not see an order before it is ms old", {"s": 10.0, "ms": 1000}),
    "amnesia": Kind(SPELL, "for s, queries do not see `share` of the orders at all", {"s": 5.0, "share": 1.0}),
    "filter_change": Kind(SPELL, "filters change: ticks and lots must be multiples, quantities bounded; s = 0 is for good", {"s": 0.0, "price_step": 1, "qty_step": 1, "qty_lots_min": 0, "notional_quote_min": 0.0}),
    "clock_offset": Kind(SPELL, "the venue's clock is ms ahead for s", {"s": 10.0, "ms": 1500}),
    "clock_step": Kind(SPELL, "the venue's clock jumps by ms for good", {"ms": 1500}),
    "clock_drift": Kind(SPELL, "the venue's clock gains ppm millionths for s", {"s": 60.0, "ppm": 500.0}),
    "rate_limit": Kind(SPELL, "429 for s; who asks k more times in it is banned with 418 for ban_s", {"s": 2.0, "k": 5, "ban_s": 3.0}),
    "order_limit": Kind(SPELL, "new orders and amends are refused with -1015 for s", {"s": 2.0}, {"kind": "order|amend"}),
    "maintenance": Kind(SPELL, "503 / -1016 for s; `kind` says for what, e.g. cancel for disabled cancels", {"s": 5.0}),
    "symbol_break": Kind(SPELL, "trading in a symbol is halted for s; open orders stay", {"s": 5.0}),
    "latency": Kind(SPELL, "for s, frames or requests of one kind take ms more, plus an exponential of mean jitter_ms", {"s": 5.0, "ms": 200, "jitter_ms": 0}, {"kind": "order"}),
}  # fmt: skip

WHEN: dict[str, Value] = {"at_s": 0.0, "at_event": 0, "every": 0, "jitter": 0, "every_s": 0.0, "p": 0.0, "on": "", "times": 1}
WHERE: dict[str, Value] = {"skin": "*", "kind": "*", "stream": "*", "symbol": "*", "path": "*", "text": "", "moment": "", "connection": 0}


class Fault:
    """One fault: `Fault("gap", at_event=500, k=3, stream="btcusdt@depth*")`.

    When: `at_s` seconds after it was added (0: at once), and from then on at the `at_event`-th event of its point, at every `every`
    ± `jitter` of them, or with probability `p`; `times` in all (0: no end). A spell begins on the clock, again after `every_s`, or
    on events named by `on` (order, amend, cancel, query, account, market, md, user, fill, dial), counted in the same way.

    Where: `skin`, `kind`, `stream`, `symbol`, `path` are globs, "|" between alternatives; `text` must occur in the frame or request;
    `connection` is a number (0: all). The rest are the parameters of its kind: see `Fault.NAMES`, `Fault.params`.
    Raises UnknownName for a misspelt fault or option, InputError for a value that makes no sense.
    """

    NAMES: ClassVar[dict[str, str]] = {name: kind.doc for name, kind in KINDS.items()}

    def __init__(self, name: str, **options: Value) -> None:
        if name not in KINDS:
            raise UnknownName(f"no fault is called {name!r}.{did_you_mean(name, KINDS)}")
        self.name, self.spec = name, KINDS[name]
        known: dict[str, Value] = {**WHEN, **WHERE, **self.spec.where, **self.spec.params}
        for option, value in options.items():
            if option not in known:
                raise UnknownName(f"fault {name} has no option {option!r}.{did_you_mean(option, known)}")
            known[option] = _as(type(known[option]), value, f"{name}: {option}")
        self.options: dict[str, Any] = known
        self._told = dict(options)
        self._check()

    def __getattr__(self, option: str) -> Any:
        try:
            return self.__dict__["options"][option]
        except KeyError:
            raise AttributeError(option) from None

    def __repr__(self) -> str:
        return f"Fault({', '.join([repr(self.name), *(f'{key}={value!r}' for key, value in self._told.items())])})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fault) and (self.name, self.options) == (other.name, other.options)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Fault":
        """Make a fault from `{"fault": name, option: value, …}`, as files and the control port have it."""
        if "fault" not in data:
            raise InputError(f"a fault was {dict(data)}; wanted its name under 'fault', e.g. {{'fault': 'gap', 'at_event': 500}}.")
        return cls(data["fault"], **{key: value for key, value in data.items() if key != "fault"})

    def to_dict(self) -> dict[str, Value]:
        """Return what `from_dict` takes."""
        return {"fault": self.name, **self._told}

    def concerns(self, **target: Any) -> bool:
        """Say whether a target is within the scope; what is not told of a target is not asked for."""
        options = self.options
        if options["connection"] and target.get("connection") not in {None, options["connection"]}:
            return False
        if options["text"] and options["text"] not in target.get("text", ""):
            return False
        if options["moment"] and target.get("moment") != options["moment"]:
            return False
        return all(matches(options[name], target[name]) for name in ("skin", "kind", "stream", "symbol", "path") if name in target)

    def _check(self) -> None:
        options = self.options
        if sum(bool(options[name]) for name in ("at_event", "every", "p", "every_s")) > 1:
            raise InputError(f"{self!r} has more than one of at_event, every, p, every_s; wanted one.")
        if self.spec.point != SPELL and (options["on"] or options["every_s"]):
            raise InputError(f"{self!r}: on and every_s are for spells; {self.name} strikes each {self.spec.point} it is meant for.")
        if self.spec.point == SPELL and not options["on"] and (options["at_event"] or options["every"] or options["p"]):
            raise InputError(f"{self!r}: at_event, every and p count events, and a spell needs to be told which: on='order', say.")
        if options["on"] and options["on"] not in MOMENTS:
            raise UnknownName(f"{self!r}: on was {options['on']!r}.{did_you_mean(options['on'], MOMENTS)}")
        if "say" in options and options["say"] not in TIMEOUTS:
            raise UnknownName(f"{self!r}: say was {options['say']!r}.{did_you_mean(options['say'], TIMEOUTS)}")
        if not 0 <= options["p"] <= 1 or min(options[name] for name in ("at_s", "at_event", "every", "jitter", "every_s", "times")) < 0:
            raise InputError(f"{self!r}: p lies between 0 and 1, times and counts are not negative.")


def matches(globs: str, value: str) -> bool:
    """Say whether a value matches one of the globs, which "|" separates."""
    return globs == "*" or any(fnmatchcase(value, glob) for glob in globs.split("|"))


def _as(kind: type, value: Any, name: str) -> Value:
    """Return an option's value as the type of its default; numbers may be written without a point."""
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise InputError(f"{name} was {value!r}; wanted {kind.__name__}.")
    return cast("Value", value)


def moment_of(kind: str, text: str | bytes) -> str:
    """Return "fill" for a user frame that tells an execution, else its kind. Both of Binance's formats, and Hyperliquid's."""
    if kind != "user" or isinstance(text, bytes):
        return kind
    tells = '"x":"TRADE"' in text or ('"channel":"userFills"' in text and '"isSnapshot":true' not in text)
    return "fill" if tells else kind
