"""The line that each backtest leaves with its data: what the rule was, told apart by what it does and not by how it was written."""

import dataclasses
import hashlib
import math
import numbers
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from functools import cache
from types import CodeType
from typing import Any

import numpy as np

from hftlab.analytics.report import Report
from hftlab.analytics.report_returns import pnl_curve
from hftlab.analytics.runs_file import Place, counting
from hftlab.analytics.runs_ledger import Counted, Span, count_run
from hftlab.engine.clock import wall_now_ns
from hftlab.kernels.jit import cache_dir
from hftlab.usercode.functions import family, used

RULE = ("quoter", "limits", "strategy", "timer_ms", "timer_start", "bar_s")
"""The arguments of a backtest that somebody who trades chooses; the others say what the market and the venue are assumed to do."""


@dataclasses.dataclass(frozen=True)
class Rule:
    """What was chosen (`rule`), everything that was asked for (`call`), both digests, and the rule in a few words."""

    rule: str
    call: str
    said: str


def rule_of(call: Mapping[str, Any]) -> Rule | None:
    """Return the rule of a backtest's arguments, None where runs are not counted. To be asked before the run: a strategy changes in it."""
    if not counting():
        return None
    try:
        chosen = "; ".join(f"{name}={text(call[name])}" for name in RULE)
        asked = "; ".join(f"{name}={text(value)}" for name, value in call.items())
        named = call["quoter"] if call.get("strategy") is None else call["strategy"]
        return Rule(_digest(chosen), _digest(asked), text(named)[:160])
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
            call=rule.call or report.digest,
            code=fingerprint(),
            said=rule.said,
            fills=len(report.fills),
        )
    except Exception as error:  # why: whatever goes wrong with the count, the run is done and its report is wanted
        said = f"this run was not counted ({type(error).__name__}: {error})."
        made = Counted({"id": "", "when_ns": 0, "sharpe": None}, Place("unnamed"), Span(0, 0, ()), said)
    return replace(report, origin=replace(report.origin, counted=made))


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
    if dataclasses.is_dataclass(value):
        named = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if getattr(value, f.name) is not f.default}
        return f"{type(value).__name__}({', '.join(f'{name}={text(one)}' for name, one in named.items())}){_methods(type(value))}"
    fields = value.to_dict() if hasattr(value, "to_dict") else {name: one for name, one in vars(value).items() if _plain(one)}
    return f"{type(value).__name__}({text(fields)}){_methods(type(value))}"


def _number(value: Any) -> str:
    """Return 0.010, "0.01" and Decimal("0.01") as the same text; a text that is no number as it is."""
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return str(value)
    return str(found.normalize()) if found.is_finite() else str(value)


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | str | numbers.Number | Decimal | np.generic)


def _methods(kind: type) -> str:
    """Return a digest of the methods of a class of the user's, nothing for one of ours: its code has a name already."""
    if kind.__module__.split(".")[0] == "hftlab":
        return ""
    code = [part for one in vars(kind).values() if hasattr(one, "__code__") for part in _code(one.__code__)]
    return f"#{_digest(repr(code))}"


def _function(value: Any) -> str:
    """Return the name of a user's function and a digest of its code, and of all that it uses: the same source, the same text."""
    parts: list[str] = []
    for function in family(value):
        parts += [repr(part) for part in _code(function.__code__)]
        parts += [f"{name}={_number(found)}" for name, found in sorted(used(function).found.items()) if _plain(found)]
    return f"{getattr(value, 'py_func', value).__name__}#{_digest(' '.join(parts))}"


def _code(code: CodeType) -> Iterator[Any]:
    """Yield what a function does: its instructions, names and constants, without where it stands."""
    yield code.co_code
    yield code.co_names
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield from _code(one)
        elif not (isinstance(one, float) and math.isnan(one)):
            yield one


def _digest(value: str) -> str:
    return hashlib.blake2b(value.encode(), digest_size=8).hexdigest()
