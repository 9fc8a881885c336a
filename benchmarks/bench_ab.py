"""A/B of two parameter sets: how often equal arms are called different, and how often a spread that is 20 % wider is found.

Simulated market, the maker's half-spread 0.5 ticks in arm A. `aa_switched_quiet`: share of 100 repetitions of equal arms that take turns
(60 pairs of 10 s, on a market three times as busy as usual: 20 minutes) without any call; `aa_both_quiet`: of 100 repetitions of equal
arms that both run over ten minutes, 12 stretches, with another jitter of latency (without it they are one and the same run).
`wider_…`: arm B at 0.6 ticks, 20 repetitions each: the share in which anything is called, and that of each measure.
"""

import numpy as np

from hftlab.assumptions import Latency
from hftlab.backtesting.ab_tests.ab import Schedule, ab, of_switched
from hftlab.backtesting.ab_tests.result import AB, MEASURES, measures
from hftlab.backtesting.run import backtest
from hftlab.data.synth import synth_rows
from hftlab.data.tape import Tape
from hftlab.instrument import Instrument
from hftlab.params import FixedSpread, Limits

TAPES, AA, FOUND = 5, 100, 20
PAIRS, BLOCK_S, WASHOUT_S, BUSY = 60, 10.0, 1.0, 3.0
SHORT_S, STRETCHES = 600, 12
BTC = Instrument.bundled("sim:BTC/USDT")
FREE = Limits(
    position_qty_max="0.5", loss_quote_max=1e9, drawdown_frac_max=1e9, capital_quote=1e9, requests_per_s_max=1e3, requests_burst=1e3
)
A = FixedSpread(order_qty="0.01", half_spread_ticks=0.5, skew_ticks_per_order=0.5)
WIDER = {"half_spread_ticks": 0.6}


def _latency(seed: int) -> Latency:
    return Latency(order_ms=10, jitter_ms=10, seed=seed)


def _long(seed: int) -> Tape:
    return Tape(synth_rows(BTC, 2 * PAIRS * BLOCK_S + 30, 100 + seed, activity=BUSY), (BTC,))


def _shares(found: list[AB]) -> dict[str, float]:
    tables = [one.table()["found"] for one in found]
    return {"any": float(np.mean([table.any() for table in tables]))} | {
        name: float(np.mean([table[name] for table in tables])) for name in MEASURES
    }


def _aa_switched(tape: Tape, repetitions: int, first: int) -> list[AB]:
    """Equal arms that take turns are one run: only the draw of the turns differs between repetitions."""
    report = backtest(tape, None, A, FREE, latency=_latency(0))
    made = []
    for n in range(repetitions):
        schedule = Schedule(PAIRS, BLOCK_S, WASHOUT_S, first + n)
        starts_ns, ends_ns = schedule.stretches(tape.start_ns)
        made.append(of_switched(report, schedule.arms(), starts_ns, ends_ns, 0, PAIRS, 0.95, "equal arms"))
    return made


def _aa_both(seed: int) -> AB:
    tape = Tape(synth_rows(BTC, SHORT_S, 500 + seed), (BTC,))
    one, two = (backtest(tape, None, A, FREE, latency=_latency(arm)) for arm in (1, 2))
    edges = np.linspace(tape.start_ns, tape.end_ns, STRETCHES + 1).astype(np.int64)
    a, b = (measures(report, 0, edges[:-1], edges[1:]) for report in (one, two))
    return AB(a, b, STRETCHES, 0.95, "equal arms")


def run(aa: int = AA, found: int = FOUND, tapes: int = TAPES) -> dict[str, object]:
    """Return shares of repetitions."""
    quiet: list[AB] = []
    turns: list[AB] = []
    for n in range(tapes):
        tape = _long(n)
        quiet += _aa_switched(tape, aa // tapes, 1000 * n)
        for seed in range(found // tapes):
            schedule = Schedule(PAIRS, BLOCK_S, WASHOUT_S, seed)
            turns.append(ab(tape, WIDER, quoter=A, limits=FREE, schedule=schedule, design="switched", latency=_latency(0)))
    both = [ab(Tape(synth_rows(BTC, SHORT_S, 800 + n), (BTC,)), WIDER, quoter=A, limits=FREE, latency=_latency(0)) for n in range(found)]
    return {
        "repetitions": aa,
        "aa_switched_quiet": 1 - _shares(quiet)["any"],
        "aa_both_quiet": 1 - _shares([_aa_both(n) for n in range(aa)])["any"],
        "pairs_switched": PAIRS,
        "wider_switched_found": _shares(turns),
        "stretches_both": STRETCHES,
        "wider_both_found": _shares(both),
    }
