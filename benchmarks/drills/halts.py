"""The halt drill: from each thing that takes our orders away until the venue itself knows of none, and whether a restart forgets it.

Five causes: a loss limit that is passed, the HALT button of a dashboard, the control door over HTTP, the watchdog after kill -9, and a
feed that falls silent while its socket lives. Each run is an engine of its own that quotes at a loopback venue. Then the engine is killed
and resumed: what was halted must still be halted and send nothing; at a dead feed, which is no halt, nothing may be sent before there is a
book. After the watchdog's sweep a resumed engine quotes again: nothing is asked of it here.
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
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np

import hftlab as hl
from benchmarks.drills.desk import fresh_environment, spec_of, truth_of
from benchmarks.drills.kills import until
from hftlab.engine.process import start
from hftlab.engine.spec import load_spec
from hftlab.errors import HftlabError
from hftlab.venues.server.config import VenueConfig
from hftlab.venues.server.faults import Fault
from hftlab.venues.server.serve import LoopbackVenue

STALE_S = 0.5
QUIET_S = 0.5  # for so long nothing of ours may appear again
LATCHED = ("limit", "button", "api")


def _limit(session: Any, venue: Any) -> Callable[[], object]:
    """Pass a loss limit: it is drawn below the loss that is there, as if the loss had grown."""
    session.wait(lambda frame: float(frame.desk["pnl_quote"]) < -1e-6, 60.0)
    return lambda: session.set_limits(loss_quote_max=1e-9)


def _button(session: Any, venue: Any) -> Callable[[], object]:
    board = hl.dashboard(session)
    return lambda: board.health.bar._hear(None, {"k": "halt"}, [])  # what the page's button sends


def _api(session: Any, venue: Any) -> Callable[[], object]:
    control = json.loads((session.directory / "control.json").read_text())
    client = httpx.Client(trust_env=False, headers={"authorization": f"Bearer {control['token']}"})
    return lambda: client.post(control["url"] + "/trading/halt", json={"who": "drill", "why": "halt drill"}).raise_for_status()


def _watchdog(session: Any, venue: Any) -> Callable[[], object]:
    pid = int(session.frame().engine["pid"])
    return lambda: os.kill(pid, signal.SIGKILL)


def _dead_feed(session: Any, venue: Any) -> Callable[[], object]:
    return lambda: venue.add_fault(Fault("stall", s=3600.0, kind="md"))


CAUSES: dict[str, Callable[[Any, Any], Callable[[], object]]] = {
    "limit": _limit,
    "button": _button,
    "api": _api,
    "watchdog": _watchdog,
    "dead feed": _dead_feed,
}


def one(seed: int, skin: str, cause: str) -> dict[str, Any]:
    """One run; returns its figures."""
    rng = random.Random(f"{cause}/{seed}")
    folder = Path(tempfile.mkdtemp(prefix="hftlab-halt-"))
    try:
        with LoopbackVenue(VenueConfig(skins=(skin,), seed=seed, tls=False)) as venue:
            spec = spec_of(skin, venue.url, guards={"stale_s_max": STALE_S})
            session = start(spec.feed, spec.venue, spec.quoters, spec.limits, run=folder / "run")
            try:
                session.wait(lambda frame: len(frame.orders()) >= 2, 60.0)
                time.sleep(rng.uniform(0.0, 1.0))
                return {"cause": cause, "seed": seed} | _through(session, venue, skin, cause)
            finally:
                _end(folder / "run")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _through(session: Any, venue: Any, skin: str, cause: str) -> dict[str, Any]:
    spec = load_spec(session.directory)

    def resting() -> int:
        return truth_of(venue, skin, spec).open_orders

    act = CAUSES[cause](session, venue)
    until(lambda: resting() > 0, "something rests")
    before = resting()
    with ThreadPoolExecutor(1) as pool:
        began = time.monotonic()
        acted = pool.submit(act)
        last_s = _last_seen_s(resting, began)
        acted.result(60.0)
    placed = truth_of(venue, skin, spec).orders
    if cause != "watchdog":
        os.kill(int(session.frame().engine["pid"]), signal.SIGKILL)
    until(lambda: not session.alive(), "the engine is dead")
    again = hl.resume(session.directory)
    time.sleep(1.0)
    state = again.frame().state
    kept = (state == "HALTED" or cause not in LATCHED) and (cause == "watchdog" or truth_of(venue, skin, spec).orders == placed)
    return {"resting_before": before, "zero_after_ms": round(1000 * last_s, 1), "state_after_restart": state, "kept": kept}


def _last_seen_s(resting: Callable[[], int], began: float) -> float:
    """Return when the venue last knew of an order of ours, after which there was none for a while."""
    last_s = began
    while time.monotonic() - last_s < QUIET_S or resting():
        if resting():
            last_s = time.monotonic()
        if time.monotonic() - began > 60.0:
            raise TimeoutError("orders still rest after 60 s")
        time.sleep(0.002)
    return last_s - began


def _end(run: Path) -> None:
    try:
        hl.attach(run, control=True).stop()
    except HftlabError:
        return


def main(arguments: list[str]) -> int:
    """Run the drill; prints a line of JSON a run, and the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drills halts")
    parser.add_argument("--runs", type=int, default=100, help="of each cause")
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--causes", nargs="*", default=list(CAUSES))
    parser.add_argument("--skin", default="binanceusdm")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--one", help="run this cause in this process")
    options = parser.parse_args(arguments)
    fresh_environment()
    if options.one:
        for seed in range(options.first, options.first + options.runs):
            print(json.dumps(_guarded(seed, options.skin, options.one)), flush=True)
        return 0
    block = 5

    def part(what: tuple[str, int]) -> list[dict[str, Any]]:
        cause, first = what
        command = [sys.executable, "-m", "benchmarks.drills", "halts", "--one", cause, "--skin", options.skin]
        command += ["--first", str(first), "--runs", str(min(block, options.first + options.runs - first))]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    parts = [(cause, first) for cause in options.causes for first in range(options.first, options.first + options.runs, block)]
    results = []
    with ThreadPoolExecutor(options.jobs) as pool:
        for some in pool.map(part, parts):
            for result in some:
                print(json.dumps(result), flush=True)
                results.append(result)
    print(table(results))
    return int(any("error" in one or not one["kept"] for one in results))


def table(results: list[dict[str, Any]]) -> str:
    """Return the table of times as text."""
    lines = [f"{'cause':10} {'runs':>4} {'fail':>4} {'zero resting after ms: p50':>26} {'p95':>7} {'worst':>7} {'kept over a restart':>20}"]
    for cause in dict.fromkeys(one["cause"] for one in results):
        runs = [one for one in results if one["cause"] == cause]
        good = [one for one in runs if "error" not in one]
        ms = np.array([one["zero_after_ms"] for one in good] or [np.nan])
        lines.append(
            f"{cause:10} {len(runs):4} {len(runs) - len(good):4} {np.median(ms):26.0f} {np.quantile(ms, 0.95):7.0f} {ms.max():7.0f} "
            f"{sum(one['kept'] for one in good):12} of {len(good)}"
        )
    return "\n".join(lines)


def _guarded(seed: int, skin: str, cause: str) -> dict[str, Any]:
    try:
        return one(seed, skin, cause)
    except Exception as error:  # why: one run that fails is a line of the result, not the end of it
        return {"seed": seed, "cause": cause, "error": f"{type(error).__name__}: {error}"[:600]}
