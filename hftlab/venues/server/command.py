"""`hftlab venue`: its options as a VenueConfig, and a venue that runs until it is told to end."""

import argparse
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import yaml

from hftlab.errors import HftlabError
from hftlab.venues.server.config import VenueConfig
from hftlab.venues.server.schedule import load_faults
from hftlab.venues.server.serve import LoopbackVenue


def config_of(options: argparse.Namespace) -> VenueConfig:
    """Return the config that the options ask for. Raises InputError, UnknownName, OSError."""
    data: dict[str, Any] = yaml.safe_load(options.config.read_text(encoding="utf-8")) if options.config else {}
    names = ("market", "speed", "loop", "seed", "skins", "symbols", "accounts", "tls", "state")
    data |= {name: value for name in names if (value := getattr(options, name)) is not None}
    ports = {name: port for name in ("plain", "tls", "proxy", "control") if (port := getattr(options, f"port_{name}")) is not None}
    data["ports"] = {**data.get("ports", {}), **ports}
    if options.faults:
        faults, seed = load_faults(options.faults)
        data |= {"faults": [one.to_dict() for one in faults], "fault_seed": seed}
    return VenueConfig.from_dict(data)


def run(options: argparse.Namespace) -> int:
    """Run a venue until Ctrl-C, SIGTERM, its own door's `stop`, or the end of the process that launched it."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    try:
        with LoopbackVenue(config_of(options)) as venue:
            if options.ready:
                _tell(options.ready, venue.ports)
                threading.Thread(target=_until_stdin_ends, args=(ended,), daemon=True).start()
            else:
                print(venue.welcome(), "", "Ctrl-C ends it.", sep="\n", flush=True)
            while venue.running and not ended.wait(0.2):
                pass
    except HftlabError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


def _tell(path: Path, ports: dict[str, int]) -> None:
    """Write the ports, whole or not at all."""
    unfinished = path.with_suffix(".part")
    unfinished.write_text(json.dumps(ports), encoding="utf-8")
    unfinished.replace(path)


def _until_stdin_ends(ended: threading.Event) -> None:
    while os.read(0, 4096):
        pass
    ended.set()
