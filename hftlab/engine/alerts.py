"""`python -m hftlab.engine.alerts RUN_DIRECTORY`: the process of alerts. It reads what the engine publishes, like any viewer.

A process of its own, for two reasons: encryption, imports and slow libraries of channels hold the interpreter for longer than a loop of
trades may stand still; and it is there to tell that the engine is dead. The engine holds the other end of its standard input and
nothing else: what happens here cannot slow it.
"""

import json
import logging
import os
import select
import signal
import sys
import time
from pathlib import Path

from hftlab.config import Settings
from hftlab.data.run_files import CLEAN, read_instruments, read_values
from hftlab.data.snapshot import SnapshotReader
from hftlab.engine.alert_book import Alert, Book
from hftlab.engine.alert_channels import Channel, Message, channels_of
from hftlab.engine.alert_rules import Condition, Rules
from hftlab.engine.clock import wall_now_ns
from hftlab.engine.jsonl import last_objects
from hftlab.engine.log import JsonLines
from hftlab.engine.settings import settings_of
from hftlab.errors import DataError, HftlabError
from hftlab.secret import scrub

FILE = "alerts.jsonl"
LOOK_S = 0.25
_DISK_LOOK_S = 30.0
_DRAIN_S = 30.0
_SWEEP_S = 200.0  # as long as a watchdog tries
_NICE = 10

log = logging.getLogger("hftlab.alerts")


class AlertFollower:
    """Follows one run: frames in, alerts out."""

    def __init__(self, directory: Path, settings: Settings, channels: list[Channel]) -> None:
        self.directory = directory
        self._section = settings.alerts
        self._channels = channels
        self._rules, self._book = Rules(settings.alerts), Book(settings.alerts)
        self._reader = SnapshotReader(directory / "snapshot.bin", read_instruments(directory))
        self._seen_ns = wall_now_ns() - int(60e9)  # when the engine published last: what was swept since is swept
        self._disk_looked = float("-inf")
        self._disk: list[Condition] = []

    def look(self) -> None:
        """Look once, and tell what is to be told."""
        now_ns = wall_now_ns()
        try:
            frame = self._reader.frame()
            self._seen_ns = max(self._seen_ns, frame.published_ns)
            found = self._rules.look(frame, now_ns)
        except DataError as error:
            found = [Condition("frame", "health", "error", f"what the engine publishes cannot be read: {error}")]
        self.tell([*found, *self._troubles(), *self._disk_space()], now_ns)

    def tell(self, conditions: list[Condition], now_ns: int) -> None:
        """Write alerts down and hand them to the channels. Raises FileNotFoundError when the run's directory is gone."""
        for alert in self._book.update(conditions, now_ns):
            self._write(alert)
            if alert.sent:
                self._send(alert)

    def _troubles(self) -> list[Condition]:
        return [Condition(channel.name, "health", "warn", text) for channel in self._channels if (text := channel.trouble())]

    def _disk_space(self) -> list[Condition]:
        if time.monotonic() - self._disk_looked >= _DISK_LOOK_S:
            self._disk_looked = time.monotonic()
            stat = os.statvfs(self.directory)
            free_gb = stat.f_bavail * stat.f_frsize / 1e9
            low = free_gb < self._section.disk_gb_min
            self._disk = [Condition("disk", "health", "error", f"{free_gb:.2f} GB are free for the journal")] if low else []
        return self._disk

    def _write(self, alert: Alert) -> None:
        """Write an alert down. A disk that takes nothing more, which may be what it tells of, must not keep it from the channels."""
        try:
            with (self.directory / FILE).open("a", encoding="utf-8") as file:
                file.write(scrub(json.dumps(alert.to_dict())) + "\n")
        except FileNotFoundError:
            raise  # the run was deleted
        except OSError as error:
            log.warning("an alert could not be written down (%s): %s", error, alert.text)

    def _send(self, alert: Alert) -> None:
        title = f"hftlab {self.directory.name}: {'over' if alert.resolved else alert.level} ({alert.kind})"
        for channel in self._channels:
            channel.put(Message(title, alert.text, alert.level))

    # --- the end ---
    def ended(self, *, live: bool) -> None:
        """Tell that the engine is dead, if it is; with real orders also what its watchdog has done about them."""
        if (self.directory / CLEAN).exists():
            return
        words = [line["text"] for line in last_objects(self.directory / "log.jsonl", 20) if line.get("level") == "error"]
        why = f" Its last error: {words[-1]}" if words else ""
        self._finally("engine", "error", f"the engine of {self.directory.name} ended without a clean stop.{why}")
        if live:
            self._finally("sweep", *self._swept())

    def _finally(self, key: str, level: str, text: str) -> None:
        alert = Alert(wall_now_ns(), level, "health", key, text, sent=True)  # past every quiet time: nothing comes after it
        self._write(alert)
        self._send(alert)

    def _swept(self) -> tuple[str, str]:
        """Wait for the watchdog's word on this death, not on an earlier one; return level and text."""
        end = time.monotonic() + _SWEEP_S
        while time.monotonic() < end:
            for line in last_objects(self.directory / "watchdog.jsonl", 5):
                if line.get("text") == "swept" and line.get("ts_ns", 0) >= self._seen_ns:
                    return "warn", f"its watchdog has withdrawn its orders ({line.get('cancelled')} rested)"
            time.sleep(LOOK_S)
        return "error", "its watchdog has not confirmed that its orders are withdrawn: look at the venue yourself"


def follow(directory: Path, settings: Settings) -> int:
    """Follow a run until its engine ends. Returns 0, or 1 when messages did not go out."""
    channels, wrong = channels_of(settings.alert_urls)
    for text in wrong:
        log.error("%s", text)
    follower = AlertFollower(directory, settings, channels)
    follower.tell([Condition(text.split(":")[0], "health", "error", text) for text in wrong], wall_now_ns())
    while not select.select([sys.stdin], [], [], LOOK_S)[0]:
        follower.look()
    follower.ended(live=read_values(directory)["venue"].get("mode") == "live")
    end = time.monotonic() + _DRAIN_S
    left = [channel for channel in channels if not channel.close(max(0.0, end - time.monotonic()))]
    return 1 if left else 0


def main() -> int:
    """Follow the run named on the command line."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)  # whoever ends the engine's group must not silence what tells of it
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    os.nice(_NICE)
    directory = Path(sys.argv[1]).resolve()
    try:
        return follow(directory, settings_of(directory))
    except (HftlabError, FileNotFoundError) as error:  # the latter: the run was deleted
        print(scrub(f"alerts: {type(error).__name__}: {error}"), file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
