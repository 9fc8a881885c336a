"""The fault table: each kind of fault, many seeds, a live session through it, and the venue's truth at the end.

A session quotes against a loopback venue while the faults of one seed strike. Meanwhile the engine's book is held against the
venue's at the same update id, again and again: a book that is wrong while the engine trusts it is an undetected gap. At the end the
session is halted; position, cash and open orders must be the venue's, and no order may have been sent twice.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.drills.desk import ALL_GUARDS, SYMBOLS, Desk, differences, fresh_environment, spec_of, truth_of
from hftlab.errors import InputError
from hftlab.venues.live.backoff import Dials
from hftlab.venues.server.config import VenueConfig
from hftlab.venues.server.drills import random_schedule
from hftlab.venues.server.faults import KINDS, Fault
from hftlab.venues.server.serve import LoopbackVenue

STRIKE_S = 4.0
LOOK_S = 0.15
RECOVER_S = 60.0
# These strike when a stream or a snapshot is opened: something must make the client open one.
PROVOKED = ("stale_snapshot", "replayed_fills", "delayed_visibility", "amnesia")


def schedule(name: str, seed: int) -> list[Fault]:
    """Return the faults of one run."""
    faults = random_schedule(name, seed, STRIKE_S)
    if name in PROVOKED:
        faults += [Fault("mass_disconnect", at_s=faults[0].at_s + 0.3)]
    return faults


def one(name: str, seed: int, skin: str, *, guarded: bool = False) -> dict[str, Any]:
    """Run one session through the faults of one seed; return what was seen."""
    folder = Path(tempfile.mkdtemp(prefix="hftlab-drill-"))
    Dials.forget()  # each session is a process of its own in life, with the venue's whole budget of dials
    try:
        with LoopbackVenue(VenueConfig(skins=(skin,), seed=seed, tls=False)) as venue:
            desk = Desk(folder / "run", spec_of(skin, venue.url, guards=ALL_GUARDS if guarded else None), skin).start()
            try:
                return _through(desk, venue, name, seed)
            finally:
                if desk.failure is None:
                    desk.end()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _through(desk: Desk, venue: Any, name: str, seed: int) -> dict[str, Any]:
    for fault in schedule(name, seed):
        venue.add_fault(fault)
    began = time.monotonic()
    compared = wrong = beyond = 0
    limit_lots = desk.spec.instruments[0].lots(desk.spec.limits[0].position_qty_max)
    well_s, away_s = began, 0.0
    while time.monotonic() - began < STRIKE_S:
        time.sleep(LOOK_S)
        desk.check()
        look = desk.look()
        if look.valid and look.working and not look.lost:
            well_s = time.monotonic()
        away_s = max(away_s, time.monotonic() - well_s)
        beyond += look.position + look.open_lots[0] > limit_lots or look.open_lots[1] - look.position > limit_lots
        agrees = book_agrees(desk, venue)
        compared += agrees is not None
        wrong += agrees is False
    struck = [one for one in venue.injected() if one["name"] == name]
    venue.clear_faults()
    desk.until(lambda: healthy(desk, venue), "it quotes again", RECOVER_S)
    away_s = max(away_s, time.monotonic() - well_s)
    desk.halt()
    desk.until(lambda: not differences(desk, venue), "engine and venue agree", 15.0)
    truth = truth_of(venue, desk.skin, desk.spec)
    return {
        "fault": name,
        "seed": seed,
        "struck": len(struck),
        "looks": compared,
        "wrong_while_trusted": wrong,
        "beyond_limit": beyond + int(truth.position_max > limit_lots),
        "recovered_s": round(away_s, 2),  # the longest time without trusted book, quotes, or certainty about an order
        "orders": truth.orders,
        "fills": truth.fills,
        "duplicates": truth.duplicates,
        "resting_after_halt": truth.open_orders,
        "differences": differences(desk, venue),
    }


def book_agrees(desk: Desk, venue: Any) -> bool | None:
    """Compare the books at the engine's update id; None when the engine does not trust its book, or has none of that venue's ids."""
    look = desk.look()
    if not look.valid or look.seq == 0:
        return None
    try:
        return bool(venue.book_hash(desk.skin, SYMBOLS[desk.skin], look.seq) == look.book)
    except InputError:
        return None  # the venue's clock of ids has not come so far: nothing to compare with


def healthy(desk: Desk, venue: Any) -> bool:
    """Say whether the session quotes with a right book, every fate known."""
    look = desk.look()
    if look.state != 0:
        desk.command("resume")  # a person's part, after an alarm that the fault deserved
        return False
    return look.valid and look.working >= 1 and look.lost == 0 and book_agrees(desk, venue) is not False


def batches(names: list[str], seeds: int, skin: str, jobs: int, *, guarded: bool) -> Iterator[dict[str, Any]]:
    """Yield the results of all runs; each kind of fault in a process of its own."""

    def batch(name: str) -> list[dict[str, Any]]:
        command = [sys.executable, "-m", "benchmarks.drills", "faults", "--one", name, "--seeds", str(seeds), "--skin", skin]
        command += ["--guards"] if guarded else []
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        if len(found) < seeds:
            found.append({"fault": name, "seed": -1, "error": (done.stderr or "ended early")[-800:]})
        return found

    with ThreadPoolExecutor(jobs) as pool:
        for results in pool.map(batch, names):
            yield from results


def table(results: list[dict[str, Any]]) -> str:
    """Return the fault table as text."""
    head = f"{'fault':22} {'runs':>4} {'struck':>6} {'wrong':>5} {'beyond':>6} {'dup':>4} {'rest':>4} {'differ':>6} {'fail':>4} {'recover s: median':>17} {'worst':>6}"
    lines = [head]
    for name in dict.fromkeys(one["fault"] for one in results):
        runs = [one for one in results if one["fault"] == name]
        good = [one for one in runs if "error" not in one]
        recovered = [one["recovered_s"] for one in good] or [float("nan")]
        lines.append(
            f"{name:22} {len(runs):4} {sum(one['struck'] for one in good):6} {sum(one['wrong_while_trusted'] for one in good):5} {sum(one['beyond_limit'] for one in good):6} "
            f"{sum(one['duplicates'] for one in good):4} {sum(one['resting_after_halt'] for one in good):4} "
            f"{sum(bool(one['differences']) for one in good):6} {len(runs) - len(good):4} {median(recovered):17.2f} {max(recovered):6.2f}"
        )
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Run the drill; prints a line of JSON a run, and the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drills faults")
    parser.add_argument("--kinds", nargs="*", default=sorted(KINDS))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--skin", default="binanceusdm", choices=list(SYMBOLS))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--guards", action="store_true", help="every limit of the desk is set, not only the usual ones")
    parser.add_argument("--one", help="run this kind in this process")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    fresh_environment()
    if options.one:
        for seed in range(options.first, options.first + options.seeds):
            print(json.dumps(_kept(options.one, seed, options.skin, guarded=options.guards)), flush=True)
        return 0
    results = []
    for result in batches(options.kinds, options.seeds, options.skin, options.jobs, guarded=options.guards):
        results.append(result)
        print(json.dumps(result), flush=True)
    print(table(results))
    if options.out:
        options.out.write_text(json.dumps(results, indent=1))
    return int(any("error" in one or one["differences"] or one["duplicates"] or one["beyond_limit"] for one in results))


def _kept(name: str, seed: int, skin: str, *, guarded: bool) -> dict[str, Any]:
    try:
        return one(name, seed, skin, guarded=guarded)
    except Exception as error:  # why: one run that fails is a row of the table, not the end of it
        return {"fault": name, "seed": seed, "error": f"{type(error).__name__}: {error}"[:600], "where": traceback.format_exc()[-700:]}
