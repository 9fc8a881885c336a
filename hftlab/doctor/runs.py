"""Checks of run directories: engines that run, and what dead ones left behind."""

import json
from collections.abc import Iterator
from pathlib import Path

from hftlab.data.run_files import CLEAN, FILE, read_values
from hftlab.doctor.finding import OK, WARN, Finding
from hftlab.doctor.world import World
from hftlab.engine.jsonl import last_objects
from hftlab.engine.view import View
from hftlab.errors import DataError


def runs(world: World) -> Iterator[Finding]:
    """Every folder under the runs."""
    if not world.runs.is_dir():
        yield Finding("runs", OK, f"{world.runs} is not there: nothing was run from here yet")
        return
    folders = sorted(path for path in world.runs.iterdir() if path.is_dir())
    running = [path for path in folders if world.alive(path)]
    names = f": {', '.join(path.name for path in running)}" if running else ""
    yield Finding("runs", OK, f"{len(folders)} in {world.runs}, {len(running)} running{names}")
    for path in folders:
        if path not in running:
            yield from _left(path)


def _left(path: Path) -> Iterator[Finding]:
    name = f"run {path.name}"
    if not (path / FILE).is_file():
        yield Finding(name, WARN, f"holds no {FILE}", "run directories only", f"look what {path} is, and move it elsewhere")
        return
    try:
        values = read_values(path)
    except DataError as error:
        yield Finding(name, "fail", str(error), "a spec that can be read", "it cannot be resumed; keep its journal, or remove it")
        return
    if (path / CLEAN).exists():
        return
    if not (path / "lock").exists():
        yield Finding(
            name, WARN, "was written and never started", "a run that ran", f"start it with hl.resume({path.name!r}), or remove it"
        )
        return
    live = values["venue"].get("mode") == "live"
    seen_ns = _seen_ns(path)  # a sweep of before that was of an earlier death
    swept = any(line.get("text") == "swept" and line.get("ts_ns", 0) >= seen_ns for line in last_objects(path / "watchdog.jsonl", 5))
    if live and not swept:
        yield Finding(
            name,
            "fail",
            "its engine died with orders in the market, and no watchdog has confirmed that they are gone",
            "a clean stop, or the word of the watchdog",
            f"look at the venue; hl.resume({path.name!r}) reconciles, `hftlab stop {path}` then ends it",
        )
        return
    control = _control_pid(path)
    left = f"; a control file of process {control} is left" if control else ""
    yield Finding(
        name,
        WARN,
        f"its engine ended without a clean stop{left}",
        "a clean stop",
        f"hl.resume({path.name!r}) goes on with it; or remove it",
    )


def _seen_ns(path: Path) -> int:
    """Return when the engine published its last frame, 0 where there is none to read."""
    try:
        return View(path).frame().published_ns
    except (DataError, OSError):
        return 0


def _control_pid(path: Path) -> int:
    try:
        return int(json.loads((path / "control.json").read_text())["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0
