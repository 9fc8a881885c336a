"""Launching engines and attaching to them. An engine outlives the notebook kernel that started it."""

import fcntl
import itertools
import json
import os
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, overload

from hftlab.engine.compiling import Compiling
from hftlab.engine.settings import settings_from
from hftlab.engine.spec import RunSpec, load_spec
from hftlab.engine.view import Session, View, engine_alive, log_tail
from hftlab.errors import EngineDied, InputError, RunInUse
from hftlab.params import Limits, Quoter
from hftlab.strict import keywords, spread
from hftlab.usercode.functions import decide_of
from hftlab.usercode.run import runner
from hftlab.usercode.travel import capture
from hftlab.venues.feeds import Feed, Venue
from hftlab.venues.live.spec import LiveFeed, LiveVenue, check_live
from hftlab.venues.sources import feed_instruments

START_S = 240.0
COLD_S = 1800.0  # an engine that finds no compiled kernels compiles them first: minutes, on a busy machine ten and more
RUNS = Path("runs")


@keywords
def start(
    feed: Feed,
    venue: Venue,
    quoter: Quoter | Sequence[Quoter],
    limits: Limits | Sequence[Limits],
    *,
    run: str | Path | None = None,
    strategy: Any = None,
    replace: bool = False,
    timer_ms: float = 100.0,
    sample_ms: float = 250.0,
    bar_s: float = 10.0,
    settings: Mapping[str, Any] | None = None,
) -> Session:
    """Launch an engine in its own process and return the handle that commands it.

    `run` names the run directory (under ./runs, or a path); without it a free name is taken. An existing run is refused,
    unless `replace` is true and no engine runs in it. `settings` are the sections alerts, door and log of hftlab.config, over which
    the environment and .env lay theirs. Raises RunInUse, EngineDied with the engine's last words, InputError.
    """
    for value, kind, what in ((feed, Feed, "feed"), (venue, Venue, "venue")):
        if not isinstance(value, kind):
            raise InputError(f"the {what} was {value!r}; wanted e.g. {'hl.SynthFeed(…)' if what == 'feed' else 'hl.PaperVenue()'}.")
    instruments = feed_instruments(feed)
    quoters, all_limits = spread(quoter, len(instruments), "quoters"), spread(limits, len(instruments), "limits")
    if isinstance(feed, LiveFeed) and isinstance(venue, LiveVenue):
        check_live(feed, venue, all_limits)
    decide = decide_of(quoters)
    settings_from(settings, "settings")  # for its errors: here they reach the caller
    spec = RunSpec(
        feed=feed,
        venue=venue,
        instruments=instruments,
        quoters=quoters,
        limits=all_limits,
        code=None if decide is None else capture(decide),
        strategy=strategy.to_dict() if strategy is not None else None,
        timer_ms=timer_ms,
        sample_ms=sample_ms,
        bar_s=bar_s,
        tag=secrets.token_hex(3),
        settings=dict(settings or {}),
    )
    spec.state()  # every parameter is checked here, before anything is written
    if decide is not None:
        runner(decide)  # for its errors: here they reach the cell that wrote it
    directory = _directory(run)
    _make(directory, replace=replace)
    spec.save(directory)
    return _launch(directory)


def resume(run: str | Path) -> Session:
    """Start the engine of an existing run again: its journal is replayed, a halt stays a halt. Raises RunInUse, DataError."""
    directory = _directory(run)
    if engine_alive(directory):
        raise RunInUse(f"an engine runs in {directory}; attach to it with hl.attach({str(run)!r}, control=True).")
    load_spec(directory)
    return _launch(directory)


@overload
def attach(run: str | Path, *, control: Literal[True]) -> Session: ...


@overload
def attach(run: str | Path, *, control: bool = False, wait: bool = False) -> View: ...


def attach(run: str | Path, *, control: bool = False, wait: bool = False) -> View:
    """Return a read-only View of a run, or with `control=True` the Session that may command it.

    With `wait`, a View of a run that need not exist yet: its dashboard says so and shows the run once it is there. Raises
    DataError when there is no such run, for a Session EngineDied when no engine runs in it.
    """
    directory = _directory(run)
    if control:
        return Session(directory)
    view = View(directory)
    if not wait:
        _ = view.instruments
    return view


def run_directory(run: str | Path) -> Path:
    """Return the directory of a run as it is named in a terminal: a path from here or from a folder in here; a bare name lies in runs.

    A terminal begins in the root of a project, and a run lies beside its notebook. Raises InputError for a name that is in several places.
    """
    path = Path(run)
    if path.exists() or path.is_absolute():
        return path.resolve()
    inside = _inside(path)
    found = [one.resolve() for one in (inside, *sorted(Path().glob(f"*/{inside}"))) if one.is_dir()]
    if len(found) > 1:
        raise InputError(f"there are several runs {str(run)!r}: {', '.join(map(str, found))}. Give the path of the one you mean.")
    return found[0] if found else _directory(path)


def _directory(run: str | Path | None) -> Path:
    if run is None:
        return next(path for n in itertools.count(1) if not (path := RUNS / f"run-{n:03d}").exists()).resolve()
    return _inside(Path(run)).resolve()


def _inside(path: Path) -> Path:
    """Return where a run lies, seen from here: a bare name lies under ./runs; anything with a folder in it is a path."""
    return path if path.is_absolute() or len(path.parts) > 1 else RUNS / path


def _make(directory: Path, *, replace: bool) -> None:
    if directory.exists():
        if engine_alive(directory):
            raise RunInUse(
                f"an engine runs in {directory}. hl.attach({directory.name!r}, control=True) gives it back; "
                "stop it first if you want another one there."
            )
        if not replace:
            raise RunInUse(
                f"{directory} holds an earlier run. hl.resume({directory.name!r}) goes on with it, another run=… starts beside it, "
                "replace=True deletes it."
            )
        if not (directory / "spec.yaml").exists():
            raise InputError(f"{directory} is no run directory; it is not deleted. Choose another run=….")
        if _withdrawing(directory):
            raise RunInUse(
                f"the engine of {directory} died, and its watchdog still withdraws its orders by what the run says; see its watchdog.jsonl. "
                "Try again when it is done, or choose another run=…."
            )
        shutil.rmtree(directory)
    directory.mkdir(parents=True)


def _withdrawing(directory: Path) -> bool:
    """Say whether a watchdog holds the lock, shared, as it does until it has withdrawn a dead engine's orders; viewers do for a moment."""
    path = directory / "lock"
    if not path.exists():
        return False
    fd = os.open(path, os.O_RDONLY)
    try:
        for _ in range(10):
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.02)
            else:
                return False
        return True
    finally:
        os.close(fd)


def _launch(directory: Path) -> Session:
    compiling = Compiling()
    patience_s = COLD_S if compiling.cold else START_S
    (directory / "control.json").unlink(missing_ok=True)
    with (directory / "stderr.txt").open("ab") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "hftlab.engine", str(directory)],
            stdin=subprocess.DEVNULL,
            stdout=stderr,
            stderr=stderr,
            start_new_session=True,  # an interrupt or the end of the kernel must not reach it
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
    reap(process)
    began_s = time.monotonic()
    while (waited_s := time.monotonic() - began_s) < patience_s:
        compiling.tell(waited_s)
        code = process.poll()
        if code is not None:
            raise EngineDied(f"the engine of {directory.name} ended at once (exit code {code}). Its last words:\n{log_tail(directory)}")
        if _ready(directory, process.pid):
            return Session(directory)
        time.sleep(0.01)
    process.kill()
    raise EngineDied(f"the engine of {directory.name} was not ready within {patience_s:g} s. Its last words:\n{log_tail(directory)}")


def reap(process: subprocess.Popen[bytes]) -> None:
    """Have the exit of a process collected when it comes, so that it leaves no zombie; nothing waits for it, and it may outlive us."""
    threading.Thread(target=process.wait, name=f"reaps {process.pid}", daemon=True).start()


def _ready(directory: Path, pid: int) -> bool:
    try:
        control = json.loads((directory / "control.json").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return False
    return int(control["pid"]) == pid
