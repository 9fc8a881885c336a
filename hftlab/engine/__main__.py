"""`python -m hftlab.engine RUN_DIRECTORY`: the engine process. It owns its directory by a lock and ends by a stop command."""

import fcntl
import gc
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from hftlab.config import LogSection, Settings
from hftlab.engine.alerts_process import AlertProcess
from hftlab.engine.clock import wall_now_ns
from hftlab.engine.figures import Figures
from hftlab.engine.inbox import Command
from hftlab.engine.log import open_log
from hftlab.engine.session import Driver
from hftlab.engine.settings import settings_of
from hftlab.engine.spec import CLEAN, RunSpec, load_spec
from hftlab.engine.view import engine_alive
from hftlab.errors import HftlabError, RunInUse
from hftlab.secret import scrub
from hftlab.venues.feeds import SynthFeed
from hftlab.venues.live.spec import REAL, LiveFeed, LiveVenue

LOCK_S = 60.0

log = logging.getLogger("hftlab.engine")


def lock(directory: Path) -> int:
    """Take the run directory for this process. Raises RunInUse when another engine has it."""
    fd = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    end = time.monotonic() + LOCK_S
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            # The watchdog of an engine that died holds the lock, shared, until it has withdrawn that engine's orders.
            if engine_alive(directory) or time.monotonic() > end:
                raise RunInUse(f"another engine runs in {directory}; attach to it with hl.attach, or stop it first.") from error
            time.sleep(0.05)
        else:
            return fd


def watch(directory: Path) -> None:
    """Start the process that withdraws this engine's orders should it end without a clean stop."""
    with (directory / "stderr.txt").open("ab") as stderr:
        subprocess.Popen(
            [sys.executable, "-m", "hftlab.engine.watchdog", str(directory)],
            stdin=subprocess.DEVNULL,
            stdout=stderr,
            stderr=stderr,
            start_new_session=True,
        )


def figures_of(spec: RunSpec) -> Figures:
    """Return fresh figures with what does not change about a run."""
    return Figures(
        mode=spec.venue.mode if isinstance(spec.venue, LiveVenue) else "paper",
        feed=type(spec.feed).__name__,
        venue=_venue_text(spec),
        speed=spec.feed.speed if spec.feed.speed != float("inf") else "flat out",
        seed=spec.feed.seed if isinstance(spec.feed, SynthFeed) else None,
        pid=os.getpid(),
        started_ns=wall_now_ns(),
    )


def _venue_text(spec: RunSpec) -> str:
    """Return in words who plays the exchange."""
    if isinstance(spec.venue, LiveVenue) and spec.venue.mode == "live":
        names = ", ".join(sorted({one.venue for one in spec.instruments}))
        server = spec.feed.server if isinstance(spec.feed, LiveFeed) and spec.feed.server != REAL else "real money"
        return f"{names} ({server})"
    mode = spec.venue.mode if isinstance(spec.venue, LiveVenue) else "paper"
    return f"{mode}, {'matched' if spec.venue.matched(spec.feed) else 'modelled'} fills"


def driver_of(spec: RunSpec, directory: Path) -> Driver:
    """Return the driver that a spec needs: one with sockets for a venue's own streams."""
    if not isinstance(spec.feed, LiveFeed):
        return Driver(spec, directory, figures_of(spec))
    from hftlab.engine.live import LiveDriver

    return LiveDriver(spec, directory, figures_of(spec))


def keep_pace(speed: float) -> None:
    """Ask the system to wake the loop at once, also when every core is busy. Call it in the thread of the loop.

    Without the privilege (root, or a limit for real-time priority) the loop runs like any process: late by milliseconds at times.
    """
    # A request at the door holds the interpreter for at most this long when the loop wants to turn; the default is 5 ms.
    sys.setswitchinterval(0.0005)
    # Faster than real time the loop may never rest; at a real-time priority it would take a whole core from everyone.
    if speed > 1.0 or not hasattr(os, "sched_setscheduler"):
        return
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    except PermissionError:
        log.info("no real-time priority: not permitted to this user")
    else:
        log.info("the loop runs at real-time priority")


def serve(directory: Path, settings: Settings) -> None:
    """Run the engine of a directory until it is stopped."""
    from hftlab.engine.door.server import Door
    from hftlab.engine.worker import Worker

    spec = load_spec(directory)
    (directory / CLEAN).unlink(missing_ok=True)
    if isinstance(spec.venue, LiveVenue) and spec.venue.mode == "live":
        watch(directory)
    driver = driver_of(spec, directory)
    driver.publish(wall_now_ns())
    door = Door(driver, directory, settings.door.port)
    door.open()
    signal.signal(signal.SIGTERM, lambda *_: driver.inbox.put(Command("stop", 0, {}, "SIGTERM")))
    worker = Worker(spec, directory, driver) if spec.strategy else None
    alerts = AlertProcess(directory, driver.say) if settings.alerts.on else None
    # What start-up made lives as long as the process; the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    keep_pace(spec.feed.speed)
    try:
        driver.loop()
        (directory / CLEAN).touch()
    except BaseException as error:  # why: the last frame must say why the engine ends, whatever it was; it is raised again
        log.exception("the engine stopped on an error")
        driver.fail(f"engine stopped: {type(error).__name__}: {error}")
        raise
    finally:
        if worker is not None:
            worker.close()
        if alerts is not None:
            alerts.close()
        door.close()


def main() -> int:
    """Run the engine of the directory named on the command line."""
    directory = Path(sys.argv[1]).resolve()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt of the notebook's kernel is not meant for us
    try:
        settings = settings_of(directory)
    except HftlabError as error:
        open_log(directory, LogSection())
        return _refuse(error)
    open_log(directory, settings.log)
    try:
        fd = lock(directory)
        serve(directory, settings)
        os.close(fd)
    except HftlabError as error:
        return _refuse(error)
    return 0


def _refuse(error: HftlabError) -> int:
    log.error("the engine could not run", exc_info=error)
    print(scrub(f"{type(error).__name__}: {error}"), file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
