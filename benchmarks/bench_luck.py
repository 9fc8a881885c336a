"""How good luck looks: 500 random rules on a market without an edge, and what each measure says of the best of them.

`markets`: in each simulated market of ten minutes five sets of 500 rules hold positions drawn without a look at it, marked at the mid and
free of costs, so the true Sharpe ratio of every one is zero. A repetition is one set. `taken alone` is how often the best looks better than luck (p below 5 %) when nobody
counts, `deflated` how often its deflated p stays above 10 %. `backtests`: 100 such rules through hl.backtest on one tape, counted by the lab.
`size`: how often White's reality check and Hansen's SPA reject at 5 % where nothing is to be found. `hook_ms`: what counting costs a run.
"""

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import numpy as np

import hftlab as hl
from hftlab.analytics.luck.overfit import deflated_sharpe, probabilistic_sharpe, probability_of_overfitting
from hftlab.analytics.luck.reality_check import reality_check
from hftlab.analytics.returns.sharpe import moments, per_period, sharpe
from hftlab.backtesting.counting import counted, rule_of
from hftlab.data.synth import synth_rows
from hftlab.data.tape import Tape

MARKETS, SETS, RULES, SECONDS = 40, 5, 500, 600
BACKTESTS = 100
SIZE_REPEATS = 1000
BTC = hl.Instrument.bundled("sim:BTC/USDT")
FAR = hl.Limits(
    position_qty_max="0.5", loss_quote_max=1e9, drawdown_frac_max=1e9, capital_quote=1e9, requests_per_s_max=1e3, requests_burst=1e3
)


class RandomTargets:
    """A new position every few seconds, drawn without a look at the market."""

    every_s = 1.0

    def __init__(self, seed: int, hold_s: int) -> None:
        self.seed, self.hold_s = seed, hold_s
        self.positions = random_positions(np.random.default_rng(seed), SECONDS + 60, [hold_s])[:, 0]
        self.asked = 0

    def on_timer(self, frame: object) -> dict[int, float]:
        """Return the wished position in base units."""
        self.asked += 1
        return {0: float(self.positions[min(self.asked, len(self.positions)) - 1]) * 0.01}


def random_positions(rng: np.random.Generator, n: int, holds: list[int]) -> np.ndarray:
    """Return positions of -3 to 3, shape (n, rules): rule k draws a new one every holds[k] seconds."""
    return np.stack([np.repeat(rng.integers(-3, 4, -(-n // hold)), hold)[:n] for hold in holds], axis=1).astype(float)


def mids(seed: int, seconds: int = SECONDS) -> np.ndarray:
    """Return the mid of a simulated market without informed trades, once a second, as a maker's backtest saw it."""
    tape = Tape(synth_rows(BTC, seconds, seed, informed=0.0), (BTC,))
    watcher = hl.FixedSpread(order_qty="0.01", half_spread_ticks=10_000)
    report = hl.backtest(tape, BTC, watcher, FAR, sample_ms=1000, timer_ms=1000)
    fair = report.samples["price_ticks"].view(np.float64)
    return fair[np.isfinite(fair)]


def best_of(moves: np.ndarray) -> dict[str, float]:
    """Return what the measures say of the best of rules whose P&L a step is `moves` (n, rules); p-values are chances of luck."""
    ratios = np.array([per_period(column) for column in moves.T])
    best, n = int(np.nanargmax(ratios)), len(moves)
    skew, kurtosis = moments(moves[:, best])
    variance = float(np.nanvar(ratios, ddof=1))
    return {
        "sharpe": float(ratios[best]),
        "alone_p": 1 - probabilistic_sharpe(float(ratios[best]), n, skew, kurtosis),
        "deflated_p": 1 - deflated_sharpe(float(ratios[best]), n, skew, kurtosis, trials=moves.shape[1], trials_variance=variance),
    }


def random_rules(prices: np.ndarray, seed: int, rules: int = RULES) -> np.ndarray:
    """Return the P&L a second of `rules` random rules on a path of prices, f8 (n, rules)."""
    rng = np.random.default_rng(seed)
    holds = rng.choice([1, 2, 5, 10, 30], rules).tolist()
    return random_positions(rng, len(prices) - 1, holds) * np.diff(prices)[:, None]


def _markets(count: int, sets: int = SETS) -> dict[str, object]:
    found, overfit, white = [], [], []
    for seed, prices in ((market * sets + k, path) for market in range(count) for path in (mids(market),) for k in range(sets)):
        moves = random_rules(prices, seed)
        found.append(best_of(moves))
        overfit.append(probability_of_overfitting(moves, blocks=10).probability)
        white.append(reality_check(moves, replicates=300, seed=seed).spa)
    alone, deflated = (np.array([one[name] for one in found]) for name in ("alone_p", "deflated_p"))
    ratio = np.array([one["sharpe"] for one in found])
    return {
        "markets": count,
        "repetitions": len(found),
        "rules_each": RULES,
        "best_sharpe_per_hour_median": float(np.median(ratio) * 60),
        "best_sharpe_per_year_if_annualised": float(np.median(ratio) * np.sqrt(365 * 86_400)),
        "taken_alone_below_5_percent_share": float((alone < 0.05).mean()),
        "taken_alone_p_median": float(np.median(alone)),
        "deflated_p_median": float(np.median(deflated)),
        "deflated_p_above_10_percent_share (goal 0.9)": float((deflated > 0.1).mean()),
        "deflated_p_above_10_percent_error": float((deflated > 0.1).std() / np.sqrt(len(found))),
        "spa_p_above_10_percent_share (0.9 is exact)": float((np.array(white) > 0.1).mean()),
        "probability_of_overfitting_mean (0.5 is no skill)": float(np.mean(overfit)),
    }


def _backtests(rules: int) -> dict[str, object]:
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, {"HFTLAB_COUNT_RUNS": "on"}):
        path = Tape(synth_rows(BTC, SECONDS, 0, informed=0.0), (BTC,)).save(Path(folder) / "no_edge.npz")
        tape, began = hl.load(path), time.perf_counter()
        quoter, moves = hl.WorkTarget(order_qty="0.06", taking=True), []
        for seed in range(rules):
            rule = RandomTargets(seed, int(rng.choice([2, 5, 10, 30])))
            report = hl.backtest(tape, BTC, quoter, FAR, strategy=rule, fees=hl.Fees(), latency=hl.Latency(order_ms=2), sample_ms=1000)
            moves.append(_without_costs(report))
        n = min(map(len, moves))
        lines = (path.with_name(path.name + ".runs.jsonl")).read_text().count("\n")
        return {
            "runs": rules,
            "lines_beside_the_tape": lines,
            "seconds": round(time.perf_counter() - began, 1),
            "best_free_of_costs": best_of(np.stack([one[:n] for one in moves], axis=1)),
            "the_lab_says": str(report.luck()),
        }


def _without_costs(report: hl.Report) -> np.ndarray:
    """Return the P&L a second of a taker with the half-spread and the fees that he paid given back, f8 (n,)."""
    rows, fills = report.samples, report.frame()
    signed = np.where(fills["side"] == "buy", fills["qty"], -fills["qty"])
    paid = np.cumsum(signed * (fills["price"] - fills["fair"]) + fills["fee_quote"])
    before = np.searchsorted(report.fills["learned_ns"], rows["ts_recv_ns"], side="right")
    return np.diff(rows["leaves_lots"].view(np.float64) + np.concatenate([[0.0], paid])[before])


def null_returns(rng: np.random.Generator, kind: str, n: int = 250, rules: int = 20) -> np.ndarray:
    """Return returns without a mean, f8 (n, rules), half of their variance common to all rules: "normal", "heavy" (t of 4) or "ar" (0.3)."""
    draw = rng.standard_t(4, (n, rules + 1)) if kind == "heavy" else rng.normal(size=(n, rules + 1))
    if kind == "ar":
        for t in range(1, n):
            draw[t] += 0.3 * draw[t - 1]
    return draw[:, :rules] + draw[:, rules:]


def size(repeats: int, kind: str, *, replicates: int = 500) -> dict[str, float]:
    """Return how often the tests reject at 5 %."""
    rng = np.random.default_rng(1)
    found = [reality_check(null_returns(rng, kind), replicates=replicates, seed=i) for i in range(repeats)]
    return {
        "white": float(np.mean([one.white < 0.05 for one in found])),
        "spa": float(np.mean([one.spa < 0.05 for one in found])),
        "block": float(np.mean([one.block for one in found])),
    }


def _coverage(repeats: int) -> Iterator[tuple[str, float]]:
    rng = np.random.default_rng(2)
    for method in ("moments", "normal", "hac"):
        inside = 0
        for _ in range(repeats):
            one = sharpe(0.1 + rng.standard_t(8, 500) / np.sqrt(8 / 6), None, method=method)
            inside += one.low <= 0.1 <= one.high
        yield method, inside / repeats


def _hook_ms(repeats: int) -> float:
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, {"HFTLAB_COUNT_RUNS": "on"}):
        tape = hl.load(hl.sample().save(Path(folder) / "sample.npz"))
        report = hl.backtest(tape, None, hl.AvellanedaStoikov(risk_aversion=0.2, order_qty="0.01"), hl.Limits(position_qty_max="0.05"))
        assert report.origin is not None
        taken = []
        for _ in range(repeats):
            began = time.perf_counter()
            counted(report, rule_of(report.origin.call))
            taken.append(time.perf_counter() - began)
    return float(np.median(taken) * 1e3)


def run(markets: int = MARKETS, backtests: int = BACKTESTS, repeats: int = SIZE_REPEATS) -> dict[str, object]:
    """Return all figures; smaller numbers for a quick look."""
    return {
        "markets": _markets(markets),
        "backtests": _backtests(backtests),
        "size_at_5_percent (goal 0.05 +- 0.015 on independent returns)": {kind: size(repeats, kind) for kind in ("normal", "heavy", "ar")},
        "coverage_of_95_percent_intervals": dict(_coverage(repeats)),
        "hook_ms (goal 1)": _hook_ms(500),
    }
