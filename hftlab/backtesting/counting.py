"""The line that each backtest leaves with its data: what the rule was, told apart by what it does and not by how it was written."""

import dataclasses
import hashlib
import math
import numbers
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from functools import cache, lru_cache
from types import CodeType
from typing import Any, cast

import numpy as np

from hftlab.analytics.luck.ledger import Counted, Span, count_run, count_runs, digest, line_of, span_of
from hftlab.analytics.luck.runs_file import Place, counting
from hftlab.analytics.report.report import Report
from hftlab.analytics.report.returns import pnl_curve
from hftlab.engine.clock import wall_now_ns
from hftlab.kernels.jit import cache_dir
from hftlab.limits import Limits
from hftlab.usercode.functions import family, used

RULE = ("quoter", "limits", "strategy", "timer_ms", "timer_start", "bar_s")
"""The arguments of a backtest that somebody who trades chooses; the others say what the market and the venue are assumed to do."""


@dataclasses.dataclass(frozen=True)
class Rule:
    """Digests of what was chosen (`rule`) and of what was assumed beside it (`assumed`), and the rule in a few words."""

    rule: str
    assumed: str
    said: str


def rule_of(call: Mapping[str, Any]) -> Rule | None:
    """Return the rule of a backtest's arguments, None where runs are not counted. To be asked before the run: a strategy changes in it."""
    if not counting():
        return None
    try:
        chosen = "; ".join(f"{name}={text(_alone(call[name]))}" for name in RULE)
        assumed = "; ".join(f"{name}={text(_alone(value))}" for name, value in sorted(call.items()) if name not in RULE)
        named = call["quoter"] if call.get("strategy") is None else call["strategy"]
        return Rule(digest(chosen), digest(assumed), text(_alone(named))[:160])
    except Exception as error:  # why: a strategy's own __repr__ or to_dict may raise anything, and counting fails no backtest
        return Rule("", "", f"not told apart: {type(error).__name__}: {error}"[:160])


def counted(report: Report, rule: Rule | None) -> Report:
    """Return the report with the line that was written of it."""
    if rule is None or report.origin is None:
        return report
    tape = report.origin.tape
    ts_ns, pnl = pnl_curve(report)
    try:
        made = count_run(
            tape,
            rule.rule or report.digest,  # a rule that cannot be told apart is what it did
            ts_ns,
            pnl,
            when_ns=wall_now_ns(),
            assumed=rule.assumed,
            code=fingerprint(),
            said=rule.said,
            fills=len(report.fills),
        )
    except Exception as error:  # why: whatever goes wrong with the count, the run is done and its report is wanted
        said = f"this run was not counted ({type(error).__name__}: {error})."
        made = Counted({"id": "", "when_ns": 0, "sharpe": None}, Place("unnamed"), Span(0, 0, ()), said)
    return replace(report, origin=replace(report.origin, counted=made))


def tried(tape: Any, rules: Iterable[Rule | None], report: Report) -> str:
    """Write a line of each rule that had only a part in a run: an arm that took turns, a quoter that came in on the way. Returns what stood in the way.

    Such a line is a trial like any other, and has no P&L: that of the run is not the rule's alone.
    """
    ts_ns, none = pnl_curve(report)[0], np.zeros(0)
    about: dict[str, Any] = {"when_ns": wall_now_ns(), "data": getattr(tape, "data_digest", ""), "code": fingerprint()}
    try:
        span = span_of(tape, ts_ns)
        known = [one for one in rules if one is not None]
        return count_runs(tape, [line_of(span, r.rule or digest(r.said), r.assumed, ts_ns[:0], none, said=r.said, **about) for r in known])
    except Exception as error:  # why: whatever goes wrong with the count, the run is done and its result is wanted
        return f"these rules were not counted ({type(error).__name__}: {error})."


def _alone(value: Any) -> Any:
    """Return the one value of a sequence of one: it means the same."""
    return value[0] if isinstance(value, list | tuple) and len(value) == 1 else value


@cache
def fingerprint() -> str:
    """Return the version of the program and the name of exactly its kernels."""
    return f"{sys.modules['hftlab'].__version__} {cache_dir().name}"


def text(value: Any) -> str:
    """Return a value in words that are the same wherever it means the same: numbers by value, defaults left out, functions by their code."""
    if value is None or isinstance(value, bool):
        return str(value)
    if isinstance(value, Decimal | str | numbers.Number | np.generic):
        return _number(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {text(one)}" for name, one in sorted(value.items(), key=lambda item: str(item[0]))) + "}"
    if isinstance(value, np.ndarray):
        return f"array {value.shape} {hashlib.blake2b(np.ascontiguousarray(value).tobytes(), digest_size=8).hexdigest()}"
    if isinstance(value, Sequence):
        return "[" + ", ".join(map(text, value)) + "]"
    if callable(getattr(value, "py_func", value)) and hasattr(getattr(value, "py_func", value), "__code__"):
        return _function(value)
    if isinstance(value, Limits) and not isinstance(value.hard, Mapping):
        return _limits(value)
    if dataclasses.is_dataclass(value):
        return _fields(value)
    fields = value.to_dict() if hasattr(value, "to_dict") else {name: one for name, one in vars(value).items() if _plain(one)}
    return f"{type(value).__name__}({text(fields)}){_methods(type(value))}"


def _fields(value: Any) -> str:
    """Return a dataclass with those of its fields that are not the defaults."""
    named = ((name, text(getattr(value, name)), default) for name, default in _defaults(value.__class__))
    inside = ", ".join(f"{name}={one}" for name, one, default in named if one != default)
    return f"{type(value).__name__}({inside}){_methods(type(value))}"


# A sweep gives the same limits to every run, and they have many fields. They hold numbers only: equal ones have the same text.
_limits = lru_cache(maxsize=64)(_fields)


@cache
def _defaults(kind: type) -> tuple[tuple[str, str | None], ...]:
    """Return the fields of a dataclass with the texts of their defaults, None where there is none."""
    found = []
    for f in dataclasses.fields(cast("Any", kind)):
        default = f.default_factory() if f.default_factory is not dataclasses.MISSING else f.default
        found.append((f.name, None if default is dataclasses.MISSING else text(default)))
    return tuple(found)


def _number(value: Any) -> str:
    """Return 0.010, "0.01" and Decimal("0.01") as the same text; a text that is no number as it is."""
    if type(value) is float or type(value) is int:
        return repr(float(value)) if abs(value) < 1 << 53 else repr(value)
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return str(value)
    return repr(float(found)) if found == Decimal(repr(float(found))) else str(found.normalize())


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | str | numbers.Number | Decimal | np.generic)


def _methods(kind: type) -> str:
    """Return a digest of the methods of a class of the user's, nothing for one of ours: its code has a name already."""
    if kind.__module__.split(".")[0] == "hftlab":
        return ""
    code = [part for one in vars(kind).values() if hasattr(one, "__code__") for part in _code(one.__code__)]
    return f"#{digest(repr(code))}"


def _function(value: Any) -> str:
    """Return the name of a user's function and a digest of its code, and of all that it uses: the same source, the same text."""
    parts: list[str] = []
    for function in family(value):
        parts += [repr(part) for part in _code(function.__code__)]
        parts += [f"{name}={_number(found)}" for name, found in sorted(used(function).found.items()) if _plain(found)]
    return f"{getattr(value, 'py_func', value).__name__}#{digest(' '.join(parts))}"


def _code(code: CodeType) -> Iterator[Any]:
    """Yield what a function does: its instructions, names and constants, without where it stands."""
    yield code.co_code
    yield code.co_names
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield from _code(one)
        elif not (isinstance(one, float) and math.isnan(one)):
            yield one
