"""Channels of alerts: each an address of apprise with a thread and a short queue of its own, so that none waits for another.

Nothing that is put in ever waits. A channel that hangs or fails loses its oldest messages, says how many with the first that goes
through again, and its state is told by the others.
"""

import logging
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import SecretStr

from hftlab.errors import InputError
from hftlab.secret import remember_address, scrub

QUEUE_MAX = 64
TRIES = 3
PAUSE_S = 2.0  # before the second try; the third waits twice as long

log = logging.getLogger("hftlab.alerts")


@dataclass(frozen=True, slots=True)
class Message:
    """What goes to a channel. `level` is info, warn or error."""

    title: str
    text: str
    level: str = "info"


class Sink(Protocol):
    """Where messages go. `send` says whether it was taken; it may raise and it may hang."""

    def send(self, message: Message) -> bool:
        """Send one message."""
        ...


class AppriseSink:
    """One address of apprise. Raises InputError when there is no apprise or it does not understand the address; it is not shown."""

    _TYPES = {"info": "info", "warn": "warning", "error": "failure"}  # noqa: RUF012  # constant

    def __init__(self, address: SecretStr) -> None:
        remember_address(address)
        try:
            import apprise
        except ImportError as error:
            raise InputError("alerts are to be sent, and apprise is not installed; run `pip install apprise`.") from error
        self._apprise: Any = apprise.Apprise()
        if not self._apprise.add(address.get_secret_value()):
            raise InputError(
                f"HFTLAB_ALERT_URLS: apprise does not understand an address of kind {kind_of(address)!r}; "
                "wanted e.g. tgram://TOKEN/CHAT or mailto://user:password@example.org."
            )

    def send(self, message: Message) -> bool:
        """Send one message."""
        return bool(self._apprise.notify(title=message.title, body=message.text, notify_type=self._TYPES[message.level]))


class Channel:
    """A sink with its queue and its thread. `lost` counts what never went out, `failing` says that the last try failed or goes on."""

    def __init__(self, name: str, sink: Sink, *, pause_s: float = PAUSE_S) -> None:
        self.name = name
        self.lost = 0
        self.sent = 0
        self._untold = 0
        self._lock = threading.Lock()  # over the two counts of what was lost: both sides of the queue lose
        self._busy_since: float | None = None
        self._failed = False
        self._sink = sink
        self._pause_s = pause_s
        self._queue: queue.Queue[Message | None] = queue.Queue(QUEUE_MAX)
        self._thread = threading.Thread(target=self._run, name=f"alerts {name}", daemon=True)
        self._thread.start()

    def put(self, message: Message | None) -> None:
        """Hand over a message and go on at once; when the queue is full the oldest is lost."""
        while True:
            try:
                self._queue.put_nowait(message)
            except queue.Full:
                try:
                    self._queue.get_nowait()
                except queue.Empty:
                    continue
                self._lose()
            else:
                return

    def trouble(self, slow_s: float = 15.0) -> str:
        """Return in words what is wrong with this channel, or an empty text."""
        since = self._busy_since
        if self._failed:
            return f"alerts do not get through on {self.name} ({self.lost} lost)"
        if since is not None and time.monotonic() - since > slow_s:
            return f"{self.name} takes no alerts: it has been busy with one for {time.monotonic() - since:.0f} s ({self.lost} lost)"
        return ""

    def close(self, timeout_s: float) -> bool:
        """Let what waits go out, for so long; say whether all did."""
        self.put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (message := self._queue.get()) is not None:
            untold = self._untold
            if untold:
                message = Message(message.title, f"{message.text}\n({untold} alerts before this one were lost)", message.level)
            self._busy_since = time.monotonic()
            delivered = self._deliver(message)
            self._busy_since = None
            self._failed = not delivered
            if delivered:
                self.sent += 1
                with self._lock:
                    self._untold -= untold
            else:
                self._lose()

    def _deliver(self, message: Message) -> bool:
        for attempt in range(TRIES):
            if attempt:
                time.sleep(self._pause_s * attempt)
            try:
                if self._sink.send(message):
                    return True
            except Exception as error:  # why: a channel is somebody else's code and service; whatever it does, alerts go on
                log.warning("%s: %s", self.name, scrub(f"{type(error).__name__}: {error}"))
        log.warning("%s: a message was not taken after %d tries", self.name, TRIES)
        return False

    def _lose(self) -> None:
        with self._lock:
            self.lost += 1
            self._untold += 1


def kind_of(address: SecretStr) -> str:
    """Return the kind of an address (json, tgram, mailto, …), which is no secret."""
    kind, found, _ = address.get_secret_value().partition("://")
    return kind if found else "unknown"


def channels_of(addresses: Sequence[SecretStr]) -> tuple[list[Channel], list[str]]:
    """Return a channel for each address that can be used, and in words what is wrong with the others."""
    made: list[Channel] = []
    wrong: list[str] = []
    for number, address in enumerate(addresses, 1):
        name = f"channel {number} ({kind_of(address)})"
        try:
            made.append(Channel(name, AppriseSink(address)))
        except InputError as error:
            wrong.append(f"{name}: {error}")
    return made, wrong
