"""The lines that the points of a sweep leave with their data: each is a trial, and a sweep writes all of its own at once."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from hftlab.analytics.luck.ledger import Span, count_runs, line_of, runs, trials
from hftlab.analytics.luck.runs_file import Place
from hftlab.backtesting.counting import fingerprint, rule_of
from hftlab.backtesting.sweeps.cell import DONE, FAILED, Cell
from hftlab.backtesting.sweeps.shared import Shared
from hftlab.engine.clock import wall_now_ns

_FIXED: Mapping[str, Any] = {"strategy": None, "strategy_ms": 0.0, "jit": True}


def count_points(shared: Shared, cells: Sequence[Cell], arguments: Callable[[Cell], Mapping[str, Any]]) -> str:
    """Write one line a point that was run, to its end or not; return in words what stood in the way, or nothing.

    The rule of a line is that of hl.backtest with the same arguments: the report of a point is no new trial.
    """
    tape = shared.tape
    if tape is None:
        return ""
    span, when_ns = _span(shared), wall_now_ns()
    ts_ns, lines = shared.edges_ns[:-1] - 1, []
    for cell in cells:
        if cell.state == FAILED:
            continue
        rule = rule_of({"instrument": shared.instruments, **arguments(cell), **shared.options, **_FIXED})
        if rule is None:
            return ""
        whole = cell.state == DONE
        pnl = cell.equity_quote[:-1] if whole else np.zeros(0)
        fills = int(cell.figures.get("fills", 0))
        about: dict[str, Any] = {"when_ns": when_ns, "data": tape.data_digest, "code": fingerprint(), "said": rule.said, "fills": fills}
        lines.append(line_of(span, rule.rule or str(cell.figures.get("digest", "")), rule.assumed, ts_ns[: len(pnl)], pnl, **about))
    return count_runs(tape, lines)


def counted_trials(shared: Shared) -> int:
    """Return how many different rules were ever tried on this data."""
    return 0 if shared.tape is None else len(trials(runs(Place.of(shared.tape), _span(shared))))


def _span(shared: Shared) -> Span:
    assert shared.tape is not None  # both callers have asked
    return Span(shared.tape.start_ns, shared.tape.end_ns, tuple(one.name for one in shared.tape.instruments))
