"""The commands that meet a venue: `hftlab run`, `hftlab record`."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

Add = Callable[[str, Callable[[argparse.Namespace], int]], argparse.ArgumentParser]


def run(options: argparse.Namespace) -> int:
    """Start the session that a YAML file describes (mode: paper, shadow or live), detached; it goes on when this command ends."""
    from hftlab.engine.config import run_file
    from hftlab.errors import HftlabError

    try:
        session = run_file(options.file, replace=options.replace)
    except HftlabError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    name = session.directory
    print(f"{session}\nwatch it: hftlab serve {name}, or hl.dashboard(hl.attach({str(name)!r}))\nend it:   hftlab stop {name}")
    return 0


def record(options: argparse.Namespace) -> int:
    """Record a venue's raw market data with receive times, in the form that hl.load reads."""
    from hftlab.engine.clock import wall_now_ns
    from hftlab.errors import HftlabError
    from hftlab.instrument import Instrument
    from hftlab.venues.live.connect import recording_reader
    from hftlab.venues.live.endpoints import endpoint
    from hftlab.venues.live.record import record as recorded

    try:
        instrument = Instrument.bundled(options.instrument)
        where = endpoint(instrument.venue, None if options.server == "real" else options.server)
        counts = recorded(instrument, where, options.out, options.seconds, wall_now_ns, _tell, recording_reader)
    except HftlabError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(f"{options.out}: {counts['frames']:,} frames, {counts['dropped']} left out, {counts['gaps']} gaps")
    return 0


def _tell(level: str, text: str) -> None:
    print(f"{level}: {text}", file=sys.stderr)


def add_live_commands(add: Add) -> None:
    """Add the commands to the parser of `hftlab`."""
    runner = add("run", run)
    runner.add_argument("file", type=Path, help="the session as YAML (see hftlab.engine.config)")
    runner.add_argument("--replace", action="store_true", help="delete an earlier run of the same name")
    recorder = add("record", record)
    recorder.add_argument("instrument", help="for example binanceusdm:BTC/USDT:USDT")
    recorder.add_argument(
        "--for", dest="seconds", type=float, required=True, metavar="SECONDS", help="how long, from the first snapshot on"
    )
    recorder.add_argument("-o", "--out", type=Path, required=True, help="a new file, e.g. day.gz")
    recorder.add_argument("--server", default="real", help="real, testnet, or the address of a loopback exchange")
