"""The shipped quoters on 20 simulated markets of ten minutes, paired by seed: spread capture, uptime, requests a fill, inventory, losses included.

Parameters were frozen on other seeds (1000 to 1005): the symmetric quoter quotes the width that the Avellaneda-Stoikov quoters came out
with there (1.4 and 1.6 ticks a side), so that their inventories can be compared. Profit on a market that we made ourselves is no headline:
it stands here so that losses cannot hide. Where takers know more (`toxic`), every maker must lose: its edge, the half-spread at the match
less what the mid took back within 5 s, is below zero. What holding inventory made on top is luck, and wide where nothing leans against it.

Definitions: hftlab.analytics.costs.quality. Up: 0.005 BTC and more live on both sides within five ticks of the touch. Requests a fill are counted up to
as many fills of each quoter as the one with the fewest had on that seed. Capture is pooled over seeds (Σ kept / Σ quoted), the rest are
means over seeds; the inventory ratio is the geometric mean of the ratio on each seed. Intervals: 95 %, 10,000 bootstrap draws of seeds.

`python -m benchmarks.bench_quoters` prints the table.
"""

from collections.abc import Callable

import numpy as np

import hftlab as hl
from hftlab.analytics.costs import quality as q
from hftlab.analytics.facts.figures import inventory
from hftlab.data.synth import synth_rows
from hftlab.data.tape import Tape

SEEDS, SECONDS, DRAWS = 20, 600, 10_000
BTC = hl.Instrument.bundled("sim:BTC/USDT")
LIMITS = hl.Limits(
    position_qty_max="0.5", loss_quote_max=1e9, drawdown_frac_max=1e9, capital_quote=1e9, requests_per_s_max=1e3, requests_burst=1e3
)
QUOTERS = {
    "FixedSpread, leaning": hl.FixedSpread(order_qty="0.01", half_spread_ticks=1, skew_ticks_per_order=0.5),
    "symmetric (FixedSpread)": hl.FixedSpread(order_qty="0.01", half_spread_ticks=1),
    "Avellaneda-Stoikov, rolling": hl.AvellanedaStoikov(order_qty="0.01", risk_aversion=3),
    "Avellaneda-Stoikov, stationary": hl.AvellanedaStoikov(order_qty="0.01", risk_aversion=10, horizon="stationary"),
}
SYMMETRIC = "symmetric (FixedSpread)"
SCENARIOS: dict[str, dict[str, float]] = {"normal": {}, "toxic": {"toxic": 1.0}}
QTY_MIN, WITHIN_TICKS = "0.005", 5


def run() -> dict[str, object]:
    """Return by scenario and quoter the figures with intervals [value, low, high], and each inventory over the symmetric one's."""
    results: dict[str, object] = {"seeds": SEEDS, "seconds_each": SECONDS}
    for scenario, options in SCENARIOS.items():
        table = [_seed(seed, options) for seed in range(SEEDS)]
        results[scenario] = {name: _over_seeds([row[name] for row in table], [row[SYMMETRIC] for row in table]) for name in QUOTERS}
    return results


def _seed(seed: int, options: dict[str, float]) -> dict[str, dict[str, float]]:
    tape = Tape(synth_rows(BTC, SECONDS, seed, **options), (BTC,))
    reports = {
        name: hl.backtest(tape, BTC, quoter, LIMITS, latency=hl.Latency(order_ms=5), fees=hl.Fees(maker_bps=0.0))
        for name, quoter in QUOTERS.items()
    }
    matched = min(len(report.fills) for report in reports.values())
    return {name: _figures(report, matched) for name, report in reports.items()}


def _figures(report: hl.Report, matched: int) -> dict[str, float]:
    facts = report.facts
    money = report.pnl[0].total.quote(BTC.ticklot_quote)
    one, ten = q.capture(facts, 0, 1.0), q.capture(facts, 0, 10.0)
    return {
        "kept_1s": one["value"] * one["weight"] if one["fills"] else 0.0,
        "weight_1s": one["weight"],
        "kept_10s": ten["value"] * ten["weight"] if ten["fills"] else 0.0,
        "weight_10s": ten["weight"],
        "uptime_share": q.uptime(facts, 0, BTC, within_ticks=WITHIN_TICKS, qty_min=QTY_MIN),
        "order_to_trade": q.order_to_trade(facts, 0, matched),
        "pnl_quote": report.pnl_quote,
        "edge_quote": money["half_spread"] + money["adverse_selection"],
        "fills": float(len(report.fills)),
        "inventory_base_sd": inventory(report.fills, BTC, facts.start_ns, facts.end_ns)["position_base_sd"],
    }


def _over_seeds(rows: list[dict[str, float]], symmetric: list[dict[str, float]]) -> dict[str, list[float]]:
    by = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    logs = np.log(by["inventory_base_sd"] / np.array([row["inventory_base_sd"] for row in symmetric]))
    found = {
        f"spread_capture_{h}": _interval(lambda at, h=h: by[f"kept_{h}"][at].sum(-1) / by[f"weight_{h}"][at].sum(-1)) for h in ("1s", "10s")
    }
    for name in ("uptime_share", "order_to_trade", "edge_quote", "pnl_quote", "fills", "inventory_base_sd"):
        found[name] = _interval(lambda at, values=by[name]: values[at].mean(-1))
    found["inventory_over_symmetric"] = _interval(lambda at: np.exp(logs[at].mean(-1)))
    return found


def _interval(measure: Callable[[np.ndarray], np.ndarray]) -> list[float]:
    """Return a measure of all seeds and its percentile interval; `measure` takes indices of seeds, shape (…, seeds)."""
    drawn = np.random.default_rng(20).integers(0, SEEDS, (DRAWS, SEEDS))
    low, high = np.quantile(measure(drawn), (0.025, 0.975))
    return [float(measure(np.arange(SEEDS))), float(low), float(high)]


_COLUMNS = {
    "spread_capture_1s": ("capture 1 s", "{:.2f}"),
    "spread_capture_10s": ("capture 10 s", "{:.2f}"),
    "uptime_share": ("uptime", "{:.1%}"),
    "order_to_trade": ("requests a fill", "{:.1f}"),
    "edge_quote": ("edge, USDT", "{:+.2f}"),
    "pnl_quote": ("P&L, USDT", "{:+.2f}"),
    "inventory_base_sd": ("inventory sd, BTC", "{:.4f}"),
    "inventory_over_symmetric": ("… over symmetric", "{:.2f}"),
}


def markdown(results: dict[str, object]) -> str:
    """Return the results as a table of value [low, high]."""
    head = ["market", "quoter", *(title for title, _ in _COLUMNS.values())]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for scenario in SCENARIOS:
        by_quoter = results[scenario]
        assert isinstance(by_quoter, dict)
        for name, figures in by_quoter.items():
            cells = []
            for figure, (_, form) in _COLUMNS.items():
                value, low, high = (form.format(x) for x in figures[figure])
                cells.append(f"{value} [{low}, {high}]")
            lines.append("| " + " | ".join([scenario, name, *cells]) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(markdown(run()))
