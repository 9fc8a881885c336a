"""The kill drill: the engine, its socket or the venue is killed at a random moment; what is left must be nothing, and nothing forgotten.

Per kill point: no order of ours rests once the watchdog has swept (without a resume), the resumed session has the venue's position and
money, and its risk state (daily loss, peak, halt) is what the killed one's journal says.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

import hftlab as hl
from benchmarks.drills.desk import fresh_environment, spec_of, truth_of
from hftlab.data import journal as jn
from hftlab.engine.process import start
from hftlab.engine.spec import load_spec
from hftlab.errors import HftlabError
from hftlab.venues.server.config import VenueConfig
from hftlab.venues.server.faults import Fault
from hftlab.venues.server.serve import LoopbackVenue

WHAT = ("engine", "engine halted", "socket", "venue")
RISK = ("day", "day_open_pnl_quote", "state", "halt_verdict")  # and the peak, which may only have risen
WAIT_S = 60.0


def until(condition: Any, what: str, timeout_s: float = WAIT_S) -> float:
    """Wait; return the seconds it took."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > timeout_s:
            raise TimeoutError(f"not within {timeout_s:g} s: {what}")
        time.sleep(0.02)
    return time.monotonic() - began


def one(seed: int, skin: str, what: str) -> dict[str, Any]:
    """One kill; returns the figures."""
    rng = random.Random(f"{what}/{seed}")
    folder = Path(tempfile.mkdtemp(prefix="hftlab-kill-"))
    try:
        with LoopbackVenue(VenueConfig(skins=(skin,), seed=seed, tls=False)) as venue:
            spec = spec_of(skin, venue.url)
            session = start(spec.feed, spec.venue, spec.quoters, spec.limits, run=folder / "run")
            try:
                session.wait(lambda frame: len(frame.orders()) > 0, WAIT_S)
                time.sleep(rng.uniform(0.0, 3.0))
                return {"seed": seed, "what": what} | _KILLS[what](session, venue, skin, rng)
            finally:
                _end(folder / "run")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _end(run: Path) -> None:
    try:
        hl.attach(run, control=True).stop()
    except HftlabError:
        return


def _kill_engine(session: Any, venue: Any, skin: str, rng: random.Random, *, halt: bool = False) -> dict[str, Any]:
    if halt:
        session.halt()
    run, spec = session.directory, load_spec(session.directory)
    os.kill(int(session.frame().engine["pid"]), signal.SIGKILL)
    until(lambda: not session.alive(), "the engine is dead")
    resumes_at_once = rng.random() < 0.5
    swept_s = float("nan")
    orphans = -1
    if not resumes_at_once:
        swept_s = until(lambda: _swept(run), "the watchdog has swept")
        orphans = truth_of(venue, skin, spec).open_orders
    before = _replayed(run, spec)
    again = hl.resume(run)
    after = again.frame()
    same = {name: before[name] == after.desk[name].item() for name in RISK}
    same["peak_pnl_quote"] = before["peak_pnl_quote"] <= after.desk["peak_pnl_quote"].item()
    if halt:
        assert after.state == "HALTED", after.state
        again.resume()
    recovered_s = _quotes(again)
    again.halt()
    return _compared(again, venue, skin, spec) | {
        "resumed_at_once": resumes_at_once,
        "swept_s": round(swept_s, 2),
        "orphans_after_sweep": max(orphans, 0),
        "risk_state_same": all(same.values()),
        "risk_state_differs": [name for name, ok in same.items() if not ok],
        "recovered_s": round(recovered_s, 2),
    }


def _swept(run: Path) -> bool:
    path = run / "watchdog.jsonl"
    return path.exists() and any('"swept"' in line for line in path.read_text().splitlines())


def _replayed(run: Path, spec: Any) -> dict[str, Any]:
    """Return the risk state in which the engine died: that of its journal."""
    state = spec.state()
    state.step(spec.run(), jn.read(run / "journal"))
    return {name: state.desk[name][0].item() for name in (*RISK, "peak_pnl_quote")}


def _quotes(session: Any) -> float:
    began = time.monotonic()
    session.wait(lambda frame: len(frame.orders()) > 0 and frame.state == "ACTIVE", WAIT_S)
    return time.monotonic() - began


def _compared(session: Any, venue: Any, skin: str, spec: Any) -> dict[str, Any]:
    """Wait until the halted session and the venue agree; return what is left."""

    def drift() -> int:
        return int(session.frame().markets[0]["position_lots"]) - truth_of(venue, skin, spec).position

    until(
        lambda: drift() == 0 and truth_of(venue, skin, spec).open_orders == 0 and not session.frame().orders(),
        "engine and venue agree",
        20.0,
    )
    truth = truth_of(venue, skin, spec)
    return {"position_drift": drift(), "resting_after_halt": truth.open_orders, "duplicates": truth.duplicates, "fills": truth.fills}


def _kill_socket(session: Any, venue: Any, skin: str, rng: random.Random) -> dict[str, Any]:
    venue.add_fault(Fault("mass_disconnect", code=rng.choice([0, 1001])))
    time.sleep(0.3)
    recovered_s = _quotes(session)
    session.halt()
    return _compared(session, venue, skin, load_spec(session.directory)) | {"recovered_s": round(recovered_s, 2)}


def _kill_venue(session: Any, venue: Any, skin: str, rng: random.Random) -> dict[str, Any]:
    venue.down()
    time.sleep(rng.uniform(0.3, 3.0))
    venue.up()
    recovered_s = _quotes(session)
    session.halt()
    return _compared(session, venue, skin, load_spec(session.directory)) | {"recovered_s": round(recovered_s, 2)}


_KILLS: dict[str, Any] = {
    "engine": _kill_engine,
    "engine halted": lambda *all_of_it: _kill_engine(*all_of_it, halt=True),
    "socket": _kill_socket,
    "venue": _kill_venue,
}


def main(arguments: list[str]) -> int:
    """Run the drill; prints a line of JSON a kill, and a summary."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drills kills")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--skin", default="binanceusdm")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--one", action="store_true", help="run in this process")
    options = parser.parse_args(arguments)
    fresh_environment()
    if options.one:
        for seed in range(options.first, options.first + options.count):
            print(json.dumps(_guarded(seed, options.skin, WHAT[seed % len(WHAT)])), flush=True)
        return 0

    def part(job: int) -> list[dict[str, Any]]:
        each = options.count // options.jobs
        command = [sys.executable, "-m", "benchmarks.drills", "kills", "--one", "--skin", options.skin]
        command += ["--first", str(options.first + job * each), "--count", str(each)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    with ThreadPoolExecutor(options.jobs) as pool:
        results = [one for some in pool.map(part, range(options.jobs)) for one in some]
    for result in results:
        print(json.dumps(result))
    print(summary(results))
    return int(any("error" in one for one in results))


def summary(results: list[dict[str, Any]]) -> str:
    """Return the totals."""
    good = [one for one in results if "error" not in one]
    recovered = [one["recovered_s"] for one in good] or [float("nan")]
    engine = [one for one in good if "risk_state_same" in one]
    kinds = ", ".join(f"{sum(one['what'] == what for one in results)} {what}" for what in WHAT)
    return (
        f"{len(results)} kills ({kinds}), "
        f"{len(results) - len(good)} failed; orphans after a sweep {sum(one.get('orphans_after_sweep', 0) for one in good)}, "
        f"resting after a halt {sum(one['resting_after_halt'] for one in good)}, position drift {sum(abs(one['position_drift']) for one in good)} lots, "
        f"duplicates {sum(one['duplicates'] for one in good)}, risk state unchanged {sum(one['risk_state_same'] for one in engine)} of {len(engine)}; "
        f"quoting again after median {np.median(recovered):.2f} s, worst {max(recovered):.2f} s"
    )


def _guarded(seed: int, skin: str, what: str) -> dict[str, Any]:
    try:
        return one(seed, skin, what)
    except Exception as error:  # why: one kill that fails is a line of the result, not the end of it
        return {"seed": seed, "what": what, "error": f"{type(error).__name__}: {error}"[:600]}
