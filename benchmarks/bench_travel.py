"""Time travel over an hour of a busy market: are the states the very bytes of a plain run, how long is a seek, what does the cache cost.

Three runs: a backtest of the hour (the first call runs it again and keeps its rows), the hour as the journal of a session with saved
states beside it, and the 345 s recording. A seek is `hl.at(run, event)` at random events, each in another place than the one before, with
the states saved. `cold` is the first call of a process that finds the saved states of the journal on the disk. A live part lets an engine
run in its own process and compares the bytes of what it published, whenever we looked, with the state at that row of its journal.
"""

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import hftlab as hl
from benchmarks.desk import RECORDING
from hftlab.backtesting.run import prepare
from hftlab.backtesting.timers import with_timers
from hftlab.backtesting.travels.open import course_of, forget
from hftlab.data.journal import Journal
from hftlab.data.synth import synth_rows
from hftlab.engine.spec import RunSpec, load_spec

SECONDS, COPIES, SEED = 600, 6, 5
EVENTS, SEEKS = 100, 300
PAUSE_NS = 1_000_000_000  # between two copies of the tape: each begins with a book of its own
GOAL_P95_S = 1.0
QUOTER = hl.AvellanedaStoikov(risk_aversion=0.1, order_qty="0.01")
LIMITS = hl.Limits(position_qty_max="0.05", loss_quote_max=1e9, drawdown_frac_max=1e6, capital_quote=1e9)


def run() -> dict[str, object]:
    """Return agreement of the digests, seconds of seeks, and size and time of the saved states."""
    seconds, copies = int(os.environ.get("TRAVEL_SECONDS", SECONDS)), int(os.environ.get("TRAVEL_COPIES", COPIES))
    tape = busy(seconds, copies)
    found: dict[str, Any] = {"span_s": round(tape.span_s), "goal_seek_p95_s": GOAL_P95_S, "backtest": backtested(tape, LIMITS)}
    with tempfile.TemporaryDirectory() as folder:
        found["journal"] = journaled(tape, Path(folder) / "hour")
        found["live"] = live(Path(folder) / "live")
    found["recording"] = recorded()
    return found


def busy(seconds: int, copies: int) -> hl.Tape:
    """Return a simulated market, `copies` times on end."""
    btc = hl.Instrument.bundled("sim:BTC/USDT")
    rows = synth_rows(btc, seconds, SEED, latency_ns=1_500_000, jitter_ns=400_000)
    every_ns = int(rows["ts_recv_ns"][-1] - rows["ts_exch_ns"][0]) + PAUSE_NS
    tiled = np.tile(rows, copies)
    for name in ("ts_exch_ns", "ts_recv_ns"):
        tiled[name] += np.repeat(np.arange(copies) * every_ns, len(rows))
    return hl.Tape(tiled, (btc,), "busy")


def backtested(tape: hl.Tape, limits: hl.Limits) -> dict[str, Any]:
    """Return the figures of a backtest's report."""
    report = hl.backtest(tape, None, QUOTER, limits, latency=hl.Latency(order_ms=20))
    began = time.perf_counter()
    course = course_of(report)
    count = course.count()
    build_s = time.perf_counter() - began
    events = np.random.default_rng(1).integers(0, count + 1, EVENTS)
    ready = prepare(tape, dict(report.origin.call))  # type: ignore[union-attr]  # a backtest's report has an origin
    equal = agree(report, ready.state, ready.run, ready.chunks, events)
    kept = {"rows": count, "tape_rows": report.rows, "backtest_s": round(report.took_s or 0, 2), "first_pass_s": round(build_s, 2)}
    return kept | {"digests_equal": equal, **seeks(report, count), **states(course)}


def agree(run_of: Any, state: Any, run: Any, chunks: Any, events: np.ndarray) -> str:
    """Return at how many of the events time travel gives the digest that a plain run forward has there."""
    truth, done, wanted = {}, 0, np.unique(events).tolist()
    for rows in chunks:
        at = done
        for event in [one for one in wanted if done <= one < done + len(rows)]:
            state.step(run, rows[at - done : event - done])
            truth[event], at = state.digest(), event
        state.step(run, rows[at - done :])
        done += len(rows)
    truth[done] = state.digest()
    same = sum(hl.at(run_of, int(event)).digest == truth[int(event)] for event in events)
    return f"{same} of {len(events)}"


def seeks(run_of: Any, count: int) -> dict[str, float]:
    """Return how long going to random events takes, in seconds."""
    took = []
    for event in np.random.default_rng(2).integers(0, count + 1, SEEKS):
        began = time.perf_counter()
        hl.at(run_of, int(event))
        took.append(time.perf_counter() - began)
    return {f"seek_{name}_s": round(float(np.percentile(took, q)), 4) for name, q in (("p50", 50), ("p95", 95), ("max", 100))}


def states(course: Any) -> dict[str, float]:
    """Return how many states are saved, and what they take."""
    return {
        "saved_states": len(course.store),
        "saved_mb": round(course.store.size_bytes / 1e6, 2),
        "rows_between": course.store.spacing_rows,
    }


def journaled(tape: hl.Tape, folder: Path) -> dict[str, Any]:
    """Return the figures of the same market as the journal of a session: rows as they came, timers, a modelled exchange."""
    folder.mkdir()
    venue = hl.PaperVenue(fills="modelled", latency=hl.Latency(order_ms=20))
    spec = RunSpec(hl.SynthFeed(tape.instruments[0], seed=SEED), venue, tape.instruments, (QUOTER,), (LIMITS,))
    spec.save(folder)
    journal = Journal(folder / "journal")
    count = 0
    for rows in with_timers(tape.chunks(1 << 18), 100_000_000):
        journal.append(rows)
        count += len(rows)
    journal.close()
    began = time.perf_counter()
    course_of(folder).passed()
    build_s = time.perf_counter() - began
    events = np.random.default_rng(3).integers(0, count + 1, EVENTS)
    again = load_spec(folder)
    equal = agree(folder, again.state(), again.run(), _pieces(folder), events)
    kept = {"rows": count, "first_pass_s": round(build_s, 2), "digests_equal": equal, **seeks(folder, count), **states(course_of(folder))}
    forget()
    began = time.perf_counter()
    hl.at(folder, count * 3 // 4)
    return kept | {"cold_seek_s": round(time.perf_counter() - began, 3), "cold_read_rows": course_of(folder).marks.rows}


def _pieces(folder: Path) -> Any:
    from hftlab.data import journal as jn

    return jn.parts(folder / "journal")


def live(folder: Path) -> dict[str, Any]:
    """Return how many published frames of a running engine are the bytes of its journal at their rows."""
    btc = hl.Instrument.bundled("sim:BTC/USDT")
    session = hl.start(hl.SynthFeed(btc, seed=7, speed=5.0), hl.PaperVenue(btc), QUOTER, LIMITS, run=folder)
    try:
        frames = []
        while len(frames) < 25:
            last = frames[-1].number if frames else 0
            frames.append(session.wait(lambda frame, last=last: frame.number > last + 3, timeout_s=60))
        same = sum(
            (here.desk.tobytes(), here.markets.tobytes()) == (frame.desk.tobytes(), frame.markets.tobytes())
            for frame in frames
            for here in [hl.at(session, int(frame.desk["rows"]))]
        )
    finally:
        session.stop()
    return {"published_frames_equal": f"{same} of {len(frames)}", "rows": hl.at(folder, 1.0).event}


def recorded() -> dict[str, Any]:
    """Return the figures of the recording."""
    if not RECORDING.is_file():
        return {"skipped": "the recordings are not beside this clone (../shared)"}
    tape = hl.load(RECORDING, clock="correct")
    return {"span_s": round(tape.span_s)} | backtested(tape, hl.Limits(position_qty_max="0.05", loss_quote_max=1e9))
