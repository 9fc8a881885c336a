"""Where the door reads: the published frames of its own engine, as any viewer reads them. Nothing of the running records."""

import asyncio
import contextlib
from pathlib import Path

from hftlab.data.frame import Frame
from hftlab.data.snapshot import SnapshotReader
from hftlab.engine.audit import AuditLog
from hftlab.engine.clock import wall_now_ns
from hftlab.engine.door import answers, models
from hftlab.engine.door.gate import Tally
from hftlab.engine.door.health import health
from hftlab.engine.metrics import Rates, text_of
from hftlab.engine.spec import read_instruments, read_values
from hftlab.engine.view import slider
from hftlab.errors import DataError
from hftlab.params import QUOTERS

OVERVIEW_FILLS = 20
RATES_S = 1.0


class Board:
    """What a run has published, and the rates that follow from it. `watchers` counts the open streams."""

    def __init__(self, directory: Path, audit: AuditLog) -> None:
        self.directory = directory
        self.audit = audit
        self.spec = read_values(directory)
        self.watchers = 0
        self.tally = Tally()
        self.rates = Rates()
        self._reader = SnapshotReader(directory / "snapshot.bin", read_instruments(directory))
        self._text = ((0, 0), "")

    async def follow(self) -> None:
        """Look at a frame each second, for the rates."""
        while True:
            with contextlib.suppress(DataError):  # what cannot be read now is read in a second
                self.rates.see(self.frame())
            await asyncio.sleep(RATES_S)

    def frame(self) -> Frame:
        """Return the last published frame."""
        return self._reader.frame()

    def health(self) -> models.Health:
        """Return whether the machinery works."""
        return health(self.frame(), wall_now_ns(), audit_trouble=self.audit.trouble, watchers=self.watchers)

    def stats(self) -> models.Stats:
        """Return how much of everything, and how fast."""
        return answers.stats(self.frame(), self.rates)

    def strategies(self) -> list[models.Strategy]:
        """Return what quotes each market."""
        return answers.strategies(self.frame(), self.spec)

    def parameters(self) -> list[models.MarketParameters]:
        """Return the live parameters."""
        return answers.parameters(self.frame(), self.spec, {name: one.LIVE for name, one in QUOTERS.items()}, slider)

    def overview(self) -> models.Overview:
        """Return everything that a page of status shows."""
        frame = self.frame()
        return models.Overview(
            number=frame.number,
            published_ns=frame.published_ns,
            run=self.directory.name,
            health=self.health(),
            stats=self.stats(),
            risk=answers.risk(frame),
            positions=answers.positions(frame),
            orders=answers.orders(frame),
            fills=answers.fills(frame, OVERVIEW_FILLS),
            strategies=self.strategies(),
            messages=[models.Said(**{key: one[key] for key in ("ts_ns", "level", "text")}) for one in frame.engine.get("messages", [])],
        )

    def overview_text(self) -> str:
        """Return the overview as JSON; made once a frame, however many ask. Of an engine that stands still, once a second."""
        key = (self.frame().number, wall_now_ns() // 1_000_000_000)
        if key != self._text[0]:
            self._text = (key, self.overview().model_dump_json())
        return self._text[1]

    def metrics(self) -> bytes:
        """Return the text for Prometheus."""
        found = self.health()
        more = {
            "hftlab_up": 1.0,
            "hftlab_healthy": float(found.ok),
            "hftlab_frame_age_seconds": found.frame_age_ms / 1e3,
            "hftlab_watchers": float(self.watchers),
            "hftlab_audit_lines": float(self.audit.lines),
            "hftlab_door_refused": float(self.tally.refused),
        }
        return text_of(self.frame(), more)
