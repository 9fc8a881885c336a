"""The bars of a synthetic order book as a table: what was wanted, what was measured, whether it is met.

`python -m hftlab.analytics.theory.stylized [--seeds 5] [--hours 3]` makes the table of docs/synthetic_market.md: medians over seeds of the
default market, and the day's shape from a market with `day_depth` whose day is an hour long.
"""

import argparse
import json
from typing import Any

import numpy as np
import pandas as pd

from hftlab.analytics.theory import stylized_facts as facts
from hftlab.data.synth import synth_rows
from hftlab.instrument import Instrument

LAGS = (1, 10, 50)
DAY_DEPTH, DAY_S = 0.6, 3600.0

BARS: dict[str, tuple[float, float]] = {
    "P(spread = 1 tick)": (0.6, 0.95),
    "autocorrelation of 60 s returns, lag 1": (-0.1, 0.1),
    "signature V(300 s)/V(1 s)": (0.6, 1.3),
    "kurtosis of 10 s returns": (4.0, np.inf),
    "kurtosis 10 s - kurtosis 60 s": (0.0, np.inf),
    "autocorrelation of |10 s return|, lag 1": (0.15, 1.0),
    "autocorrelation of |10 s return|, lag 10": (0.08, 1.0),
    "autocorrelation of |10 s return|, lag 50": (0.0, 1.0),
    "CV of waiting times between trades": (1.5, np.inf),
    "Fano factor of trades per second": (2.0, np.inf),
    "sign autocorrelation exponent": (0.3, 0.8),
    "OFI R2 at 10 s": (0.4, 1.0),
    "OFI R2 - trade imbalance R2": (0.0, 1.0),
    "P(up | imbalance > .8)": (0.7, 1.0),
    "response after 1 trade [ticks]": (0.0, np.inf),
    "response after 10 trades [ticks]": (0.0, np.inf),
    "response after 100 trades [ticks]": (0.0, np.inf),
    "response concavity: (R100-R10)/90 over (R10-R1)/9": (-np.inf, 1.0),
    "trade size tail exponent": (1.3, 2.0),
    "limit changes per cancel": (0.8, 1.25),
    "limit changes per trade": (10.0, np.inf),
    "metaorder impact exponent": (0.4, 0.7),
    "activity, ends of day over noon": (1.5, np.inf),
}
"""Low and high of each bar; see `hftlab.analytics.theory.stylized_facts` for the formulas."""


def measure(rows: np.ndarray, *, day_s: float = 0.0) -> dict[str, float]:
    """Return every bar that `rows` (EVENT, snapshot first) allow: no impact without revealed metaorders, no day unless `day_s`."""
    m = facts.market(rows)
    r60, r10 = np.diff(m.grid(60.0)), np.abs(np.diff(m.grid(10.0)))
    kurtosis = facts.kurtosis(m, 10)
    ofi, imbalance = facts.flow_r2(m)
    r1, r10t, r100 = facts.response(m)
    cv, fano = facts.clustering(m)
    values = [
        facts.spread_one(m),
        facts.autocorrelation(r60, 1),
        facts.signature(m),
        kurtosis,
        kurtosis - facts.kurtosis(m, 60),
        *(facts.autocorrelation(r10, lag) for lag in LAGS),
        cv,
        fano,
        facts.sign_exponent(m),
        ofi,
        ofi - imbalance,
        facts.up_given_imbalance(m),
        r1,
        r10t,
        r100,
        (r100 - r10t) / 90 / ((r10t - r1) / 9),
        facts.size_exponent(m),
        m.limits / m.cancels,
        m.limits / len(m.trade_at),
        facts.impact_exponent(m),
        facts.day_ratio(m, day_s) if day_s else np.nan,
    ]
    return dict(zip(BARS, values, strict=True))


def table(*runs: np.ndarray | dict[str, float]) -> pd.DataFrame:
    """Return bar, wanted, measured (median over `runs`: rows, or results of `measure`), low, high, met.

    A bar that the rows do not show is left out, rather than called met.
    """
    measured = pd.DataFrame([run if isinstance(run, dict) else measure(run) for run in runs]).dropna(axis=1, how="all")
    frame = pd.DataFrame(
        {
            "bar": list(measured),
            "wanted": [_wanted(*BARS[name]) for name in measured],
            "measured": measured.median().to_numpy(),
            "lowest": measured.min().to_numpy(),
            "highest": measured.max().to_numpy(),
        }
    )
    frame["met"] = [low < value < high for value, (low, high) in zip(frame["measured"], (BARS[n] for n in measured), strict=True)]
    return frame


def _wanted(low: float, high: float) -> str:
    if high in (np.inf, 1.0) and low >= 0:
        return f"> {low:g}"
    return f"< {high:g}" if low == -np.inf else f"{low:g} to {high:g}"


def simulate(seeds: int = 5, hours: float = 3.0, name: str = "sim:BTC/USDT", **options: Any) -> list[dict[str, float]]:
    """Return `measure` of one default market a seed, with the day's shape of its U-shaped twin."""
    instrument = Instrument.bundled(name)
    runs = []
    for seed in range(1, seeds + 1):
        run = measure(synth_rows(instrument, hours * 3600, seed, **({"reveal": 1.0} | options)))
        day: dict[str, Any] = {
            "day_depth": DAY_DEPTH,
            "day_s": DAY_S,
            "activity_sd": 0.3,
        }  # a calm clock, or one short day shows mostly its noise
        twin = facts.market(synth_rows(instrument, DAY_S, seed, start_ns=0, **(options | day)))
        runs.append(run | {"activity, ends of day over noon": facts.day_ratio(twin, DAY_S)})
    return runs


def main() -> None:
    """Print the table over seeds, as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument("--instrument", default="sim:BTC/USDT")
    parser.add_argument("--options", type=json.loads, default={}, help='flow options as JSON, such as {"toxic": 0.5}')
    given = parser.parse_args()
    frame = table(*simulate(given.seeds, given.hours, given.instrument, **given.options))
    print("| bar | wanted | median | lowest | highest | met |\n|---|---|---|---|---|---|")
    for row in frame.itertuples():
        print(f"| {row.bar} | {row.wanted} | {row.measured:.3g} | {row.lowest:.3g} | {row.highest:.3g} | {'yes' if row.met else 'NO'} |")


if __name__ == "__main__":
    main()
