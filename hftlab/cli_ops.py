"""The commands of operations: `hftlab doctor`, `hftlab alert`, `hftlab latency`."""

import argparse
import json
import sys
from pathlib import Path

from hftlab.cli_live import Add


def alert(_options: argparse.Namespace) -> int:
    """Send a test message to every channel of HFTLAB_ALERT_URLS, and say which took it."""
    from hftlab.engine.alert_channels import AppriseSink, Message, kind_of
    from hftlab.engine.settings import settings_from
    from hftlab.errors import HftlabError, InputError
    from hftlab.secret import scrub

    try:
        addresses = settings_from(None, "the session").alert_urls
        if not addresses:
            raise InputError("no channel is set; wanted addresses of apprise in HFTLAB_ALERT_URLS, in the environment or in .env.")
    except HftlabError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    failed = 0
    for number, address in enumerate(addresses, 1):
        name = f"channel {number} ({kind_of(address)})"
        try:
            taken = AppriseSink(address).send(Message("hftlab: a test", "This is a test of the channel. Nothing has happened.", "info"))
        except Exception as error:  # why: a channel is somebody else's code; what it says is shown, and the next is tried
            taken = False
            print(scrub(f"{name}: {type(error).__name__}: {error}"), file=sys.stderr)
        print(f"{name}: {'taken' if taken else 'NOT TAKEN'}")
        failed += not taken
    return 1 if failed else 0


def doctor(options: argparse.Namespace) -> int:
    """Say what is wrong with this machine, environment, ports, keys, clock, versions, browser assets and run directories."""
    from hftlab.doctor import FAIL, OK, WARN, examine, this_world

    findings = examine(this_world(options.runs, options.clock_of))
    counts = {level: sum(one.level == level for one in findings) for level in (OK, WARN, FAIL)}
    if options.json:
        print(json.dumps({"findings": [one.to_dict() for one in findings], "counts": counts}, indent=1))
        return 1 if counts[FAIL] else 0
    width = max(len(one.name) for one in findings)
    for one in findings:
        if one.level != OK or not options.quiet:
            print(f"{one.name:<{width}}  {one.level:<4}  {one.found}")
        if one.level != OK:
            print(f"{'':<{width}}        wanted: {one.wanted}\n{'':<{width}}        do: {one.todo}")
    print(f"{counts[OK]} ok, {counts[WARN]} to know, {counts[FAIL]} to repair")
    return 1 if counts[FAIL] else 0


def latency(options: argparse.Namespace) -> int:
    """Show where the time goes between the market and a run's orders, and what can be done about it."""
    import math

    from hftlab.analytics.costs.advice import advise, this_machine
    from hftlab.engine.view import View
    from hftlab.errors import HftlabError

    try:
        view = View(options.run)
        frame = view.frame()
        table = view.report().latency() if options.journal else None
    except HftlabError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    pid = int(frame.engine.get("pid") or 0)
    machine = this_machine(pid if view.alive() else 0)
    print(f"{view.name}: {machine.cores} cores, load {machine.load:.1f}, {'running' if view.alive() else 'its last frame'}")
    for one in advise(frame, machine):
        times = "  ".join(
            f"{name} {'–' if math.isnan(ms) else f'{ms:.3g} ms':>9}" for name, ms in (("p50", one.p50_ms), ("p99", one.p99_ms))
        )
        print(f"{one.stage:<22}{times}  {one.share:>4.0%}  {one.what_to_do}")
    if table is not None:
        print(f"\nby the journal, ms:\n{table.round(3).to_string()}")
    return 0


def add_ops_commands(add: Add) -> None:
    """Add the commands to the parser of `hftlab`."""
    sender = add("alert", alert)
    sender.add_argument("what", choices=["test"], help="send a test message")
    looker = add("doctor", doctor)
    looker.add_argument("--json", action="store_true", help="the findings as JSON")
    looker.add_argument("--quiet", action="store_true", help="only what is not in order")
    looker.add_argument("--runs", type=Path, help="the folder of run directories (./runs)")
    looker.add_argument(
        "--clock-of", default="", metavar="ADDRESS", help="ask this server for its Date, and compare; without it nobody is asked"
    )
    timer = add("latency", latency)
    timer.add_argument("run", help="a run directory")
    timer.add_argument("--journal", action="store_true", help="also replay its journal: order by order, from decision to fill")
