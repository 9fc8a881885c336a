"""A signal study: its time on a million rows, and how often it calls what is not there.

`seconds` are those of the five built-in signals together, `one_seconds` of one. `false_calls`: shuffled signals over 400 repetitions,
five signals at five horizons each, called at 5 % after correction; `false_calls_persistent`: signals that hang together in time (an
autoregression with a memory of 20 s) instead. `planted_found`: a signal that is the next second's move with noise of ten times its size.
"""

import numpy as np

from benchmarks.timing import durations
from hftlab.analytics.signals import study as ss
from hftlab.analytics.signals.player import frame_of, mid_ticks
from hftlab.analytics.signals.study_stats import Blocks, blocks_for, sign_flips
from hftlab.data.synth import synth_rows
from hftlab.data.tape import Tape
from hftlab.instrument import Instrument

REPETITIONS, SECONDS = 400, 1_900
HORIZONS_S = (0.1, 0.5, 1.0, 5.0, 10.0)
PLANTED = 50
BTC = Instrument.bundled("sim:BTC/USDT")


def _called(study: ss._Study, signals: list[np.ndarray]) -> bool:
    """Say whether anything is called at 5 % among several signals: the part of `study_signal` after the rows were played."""
    parts = [study.one(str(n), one) for n, one in enumerate(signals)]
    scores = np.stack([one.scores for part in parts for one in part.rank], axis=1)
    return bool((sign_flips(scores, seed=int(abs(signals[0][0]) * 1e9))[1] <= 0.05).any())


def _persistent(rng: np.random.Generator, n: int) -> np.ndarray:
    keep = float(np.exp(-0.1 / 20))
    noise = rng.normal(size=n)
    out = np.empty(n)
    level = 0.0
    for i in range(n):
        level = keep * level + noise[i]
        out[i] = level
    return out


def run(repetitions: int = REPETITIONS, seconds: int = SECONDS) -> dict[str, object]:
    """Return times in seconds and rates of calls."""
    tape = Tape(synth_rows(BTC, seconds, 5), (BTC,))
    five = {name: name for name in ss.SIGNALS}
    all_took = durations(lambda: ss.study_signal(tape, five), repeats=3)
    one_took = durations(lambda: ss.study_signal(tape, "imbalance"), repeats=3)
    short = tape.slice(0, min(600, seconds))
    market = ss._Market(short, 0, 0.1, 1.0)
    ts_ns = market.samples["ts_ns"]
    blocks = Blocks.of(int(ts_ns[0]), market.end_ns, blocks_for(market.end_ns - int(ts_ns[0]), int(HORIZONS_S[-1] * 1e9)))
    study = ss._Study(market, blocks, HORIZONS_S, 0.95)
    study._made = {}  # the markouts are not judged here
    frame = frame_of(market.samples)
    real = [np.nan_to_num(frame[name].to_numpy()) for name in ss.SIGNALS]
    rng = np.random.default_rng(11)
    shuffled = [_called(study, [rng.permutation(one) for one in real]) for _ in range(repetitions)]
    persistent = [_called(study, [_persistent(rng, len(ts_ns)) for _ in real]) for _ in range(repetitions // 4)]
    move = np.nan_to_num(market.mid_at(ts_ns + 1_000_000_000) - mid_ticks(market.samples))
    planted = [
        _called(study, [move + 10 * move.std() * rng.normal(size=len(move)), *(rng.permutation(one) for one in real[1:])])
        for _ in range(PLANTED)
    ]
    return {
        "rows": len(tape),
        "samples": int(ss.study_signal(tape, "ofi").samples),
        "seconds": all_took.median,
        "seconds_a_million_rows": round(all_took.median / len(tape) * 1e6, 3),
        "one_seconds_a_million_rows": round(one_took.median / len(tape) * 1e6, 3),
        "best_seconds_a_million_rows": round(all_took.best / len(tape) * 1e6, 3),
        "repetitions": repetitions,
        "false_calls": float(np.mean(shuffled)),
        "false_calls_persistent": float(np.mean(persistent)),
        "planted_found": float(np.mean(planted)),
    }
