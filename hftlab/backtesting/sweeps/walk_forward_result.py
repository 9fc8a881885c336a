"""What a walk forward found: what was chosen for each fold, what it made there, and what choosing is worth."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from hftlab.analytics.drawing.pictures import amount
from hftlab.analytics.luck.overfit import Overfitting, probability_of_overfitting
from hftlab.analytics.stats.bands import drawn_band, mean_bands
from hftlab.analytics.stats.stationary import block_length, weights
from hftlab.backtesting.sweeps.cell import DONE, Cell
from hftlab.backtesting.sweeps.grid import label
from hftlab.backtesting.sweeps.luck import BLOCKS
from hftlab.backtesting.sweeps.result import SMALLER_IS_BETTER, value_of
from hftlab.svg import MARK, Chart

if TYPE_CHECKING:
    import pandas as pd

REPLICATES = 2000


@dataclass(frozen=True)
class Step:
    """One fold: the point that was best in the past, its score there, and what it made here.

    `rank` is its place among all points here, 0 the best to 1 the worst; `best_quote` and `median_quote` are the others'.
    """

    fold: int
    start_s: float
    end_s: float
    point: int
    params: dict[str, Any]
    past: float
    pnl_quote: float
    past_pnl_quote: float
    rank: float
    best_quote: float
    median_quote: float
    moves_quote: np.ndarray


def step_of(fold: int, span_s: tuple[float, float], past: Sequence[Sequence[Cell]], here: Sequence[Cell], by: str) -> Step | None:
    """Return what is chosen on the sweeps of the past and what it makes in the sweep here; None where no point came to its end in all."""
    scores = _scores(past, by)
    done = {cell.number: cell for cell in here if cell.state == DONE}
    candidates = sorted(
        (number for number in scores if number in done), key=lambda n: (scores[n] if by in SMALLER_IS_BETTER else -scores[n], n)
    )
    if not candidates:
        return None
    chosen = done[candidates[0]]
    made = np.array([value_of(done[number], "pnl_quote") for number in candidates])
    mine = value_of(chosen, "pnl_quote")
    before = [value_of(cell, "pnl_quote") for cells in past for cell in cells if cell.number == chosen.number]
    return Step(
        fold=fold,
        start_s=span_s[0],
        end_s=span_s[1],
        point=chosen.number,
        params={name: label(value) for name, value in chosen.params.items()},
        past=scores[chosen.number],
        pnl_quote=mine,
        past_pnl_quote=float(np.mean(before)),
        rank=float((made > mine).sum() / max(1, len(made) - 1)),
        best_quote=float(made.max()),
        median_quote=float(np.median(made)),
        moves_quote=np.diff(chosen.equity_quote, prepend=0.0),
    )


def _scores(past: Sequence[Sequence[Cell]], by: str) -> dict[int, float]:
    """Return the mean score of each point over the past folds, for those that have one in all of them."""
    found: dict[int, list[float]] = {}
    for cells in past:
        for cell in cells:
            value = value_of(cell, by)
            if cell.state == DONE and not math.isnan(value):
                found.setdefault(cell.number, []).append(value)
    return {number: float(np.mean(values)) for number, values in found.items() if len(values) == len(past)}


@dataclass(frozen=True)
class Outcome:
    """All folds together, in the settlement currency `money`; intervals are 95 %.

    `pnl_quote` [`low`, `high`]: what the chosen points made out of sample; stationary bootstrap (Politis & Romano 1994) over the parts of
    the folds, of the mean block length that Politis & White (2004) choose. `worse_quote` [..]: how much less than in the past, a fold,
    Student's t over the folds. `overfitting`: of all points over all folds, None where there are too few.
    """

    steps: tuple[Step, ...]
    pnl_quote: float
    low: float
    high: float
    block: float
    worse_quote: float
    worse_low: float
    worse_high: float
    overfitting: Overfitting | None
    money: str

    def text(self) -> str:
        """Return it in words."""
        n, money = len(self.steps), self.money
        words = [f"Out of sample, {n} folds: {amount(self.pnl_quote)} [{amount(self.low)}, {amount(self.high)}] {money}."]
        worse = f"A fold made {amount(-self.worse_quote)} {money} against what was chosen for it had made before"
        words.append(f"{worse} [{amount(-self.worse_high)}, {amount(-self.worse_low)}].")
        rank = float(np.mean([step.rank for step in self.steps]))
        words.append(f"Its rank there was {rank:.0%} on average (0 % is the best of the points, 50 % is what blind choice has).")
        if self.overfitting is not None:
            words.append(f"Probability of overfitting: {self.overfitting.probability:.0%}.")
        return " ".join(words)


def outcome_of(steps: Sequence[Step], folds: Sequence[Sequence[Cell]], money: str) -> Outcome:
    """Return the folds together; `folds` are the sweeps of all of them, those that were only the past included."""
    moves = np.concatenate([step.moves_quote for step in steps])
    length = block_length(moves)
    sums = np.concatenate([picks @ moves for picks in weights(len(moves), length, REPLICATES, seed=0)])
    low, high = drawn_band(sums)
    worse = np.array([[step.past_pnl_quote - step.pnl_quote] for step in steps])
    mean, worse_low, worse_high = (
        (float(one[0]) for one in mean_bands(worse)) if len(worse) > 1 else (float(worse[0, 0]), math.nan, math.nan)
    )
    return Outcome(tuple(steps), float(moves.sum()), low, high, length, mean, worse_low, worse_high, _overfitting(folds), money)


def _overfitting(folds: Sequence[Sequence[Cell]]) -> Overfitting | None:
    """Return the probability of overfitting over all folds, of the points that came to their end in each."""
    whole = set.intersection(*({cell.number for cell in cells if cell.state == DONE} for cells in folds))
    if len(whole) < 2:
        return None
    parts = [np.stack([np.diff(c.equity_quote, prepend=0.0) for c in cells if c.number in whole], axis=1) for cells in folds]
    return probability_of_overfitting(np.concatenate(parts), blocks=BLOCKS)


def table(steps: Sequence[Step]) -> "pd.DataFrame":
    """Return one row a fold: from and to in seconds of the tape, what was chosen, and what it made in the past and here."""
    import pandas as pd

    names = ("start_s", "end_s", "point", "past", "past_pnl_quote", "pnl_quote", "rank", "best_quote", "median_quote")
    rows = [
        {name: getattr(step, name) for name in names[:3]} | step.params | {name: getattr(step, name) for name in names[3:]}
        for step in steps
    ]
    return pd.DataFrame(rows, index=pd.Index([step.fold for step in steps], name="fold"))


def picture(outcome: Outcome) -> str:
    """Return SVG: the P&L of what was chosen, fold after fold, each from flat; lines stand where a fold begins."""
    total, seconds, values = 0.0, [0.0], [0.0]
    for step in outcome.steps:
        n = len(step.moves_quote)
        seconds += [step.start_s + (step.end_s - step.start_s) * (k + 1) / n for k in range(n)]
        values += (total + np.cumsum(step.moves_quote)).tolist()
        total = values[-1]
    seconds[0] = outcome.steps[0].start_s
    low, high = min(0.0, *values), max(0.0, *values)
    chart = Chart(
        f"P&L out of sample ({outcome.money}): each fold traded with what was best before it",
        x=(seconds[0], seconds[-1]),
        y=(low, high),
        x_unit="s",
        x_label="time on the tape",
        y_label="P&L",
        y_unit=outcome.money,
        width=620,
        height=212,
    )
    for step in outcome.steps:
        chart.line(np.array([step.start_s, step.start_s]), np.array([low, high]), MARK, dashed=True)
    return chart.line(np.array(seconds), np.array(values)).svg()


def page(outcome: Outcome) -> str:
    """Return the folds as HTML."""
    cell = "style='text-align:right;padding:1px 8px'"
    names = [*outcome.steps[0].params]
    head = "".join(
        f"<th {cell}>{escape(one)}</th>" for one in ("fold", *names, "made before", "made here", "rank here", "best here", "median here")
    )
    body = ""
    for step in outcome.steps:
        values = [str(step.fold), *(f"{v:.4g}" if isinstance(v, float) else str(v) for v in step.params.values())]
        values += [
            amount(step.past_pnl_quote),
            amount(step.pnl_quote),
            f"{step.rank:.0%}",
            amount(step.best_quote),
            amount(step.median_quote),
        ]
        body += f"<tr>{''.join(f'<td {cell}>{escape(value)}</td>' for value in values)}</tr>"
    return f"<div>{picture(outcome)}</div><table style='border-collapse:collapse;font-size:12px'><tr>{head}</tr>{body}</table><div>{escape(outcome.text())}</div>"
