"""A session's journal through the backtester's own loop: its requests, byte for byte, and the state that it left."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hftlab.analytics.divergence.tape import own_rows, strip_own
from hftlab.backtesting.run import play
from hftlab.data import journal as jn
from hftlab.data.frame import Frame
from hftlab.data.snapshot import SnapshotReader
from hftlab.data.state import State
from hftlab.data.tape import Tape
from hftlab.engine.process import attach
from hftlab.engine.spec import RunSpec, load_spec
from hftlab.engine.view import View
from hftlab.errors import DataError
from hftlab.types import ACCEPTED, AT_DESK, AT_EXCHANGE, CANCEL, DEACTIVATE, EVENT, FEE, PAUSE, PAYMENT, SUBMIT, TIMER


@dataclass(frozen=True, repr=False)
class Replay:
    """A session replayed. Arrays are EVENT rows.

    `requests`: what the session sent, in its order; `own`: these with the venue's reports, in the desk's order of time (a modelled
    exchange's reports stand here too); `fees`: the FEE of each fill of `own`; `steering`: the timers and commands; `published`: whether desk and markets are the bytes of the last frame that the session
    published, None where it published none that can be read.
    """

    directory: Path
    spec: RunSpec
    state: State
    requests: np.ndarray
    own: np.ndarray
    rows: int
    took_s: float
    published: bool | None
    fees: np.ndarray
    steering: np.ndarray = field(repr=False)

    @property
    def digest(self) -> str:
        """Return the digest of desk, markets and exchanges after the last row."""
        return self.state.digest()

    @property
    def modelled(self) -> bool:
        """Say whether a modelled exchange filled the orders: then they never were in the public book."""
        return bool(self.state.exchanges["active"].any())

    def chunks(self) -> Iterator[np.ndarray]:
        """Yield the journal's rows, segment by segment."""
        return jn.parts(self.directory / "journal")

    def market(self) -> np.ndarray:
        """Return the market rows as we received them, our own orders still in them."""
        return np.concatenate([np.zeros(0, EVENT), *(_received(rows) for rows in self.chunks())])

    @property
    def one_clock(self) -> bool:
        """Say whether the exchange that filled the orders saw each row when we did: a modelled one on a feed that plays live."""
        marks = next(
            (rows["flags"][rows["kind"] < TIMER] for rows in self.chunks() if (rows["kind"] < TIMER).any()), np.zeros(0, np.uint16)
        )
        return self.modelled and not (marks & (AT_EXCHANGE | AT_DESK)).any()

    def tape(self, *, hold_s: float = 1.0) -> Tape:
        """Return the market data of the session without our own orders; see `strip_own`. Raises DataError, TapeError.

        Where `one_clock` holds, its exchange times are its receive times: on this tape the orders were filled.
        """
        in_book = self.state.markets["spec"]["own_in_book"] != 0
        rows = self.market()
        if self.one_clock:
            rows["ts_exch_ns"] = rows["ts_recv_ns"]
        shown = tuple(bool(one) for one in in_book)
        return strip_own(rows, self.own, self.spec.instruments, shown=shown, hold_s=hold_s, source=str(self.directory))

    def __repr__(self) -> str:
        agrees = {True: "as published", False: "NOT as published", None: "nothing published to compare"}[self.published]
        return f"<Replay {self.directory.name}: {self.rows:,} rows, {len(self.requests):,} requests, {agrees}, {self.digest}>"


def replay(run: str | Path | View) -> Replay:
    """Run a session's journal again and return its requests and its state. `run` is a run's name or directory, or its View.

    A journal holds all that came in and nothing that was decided: the decisions are made again, by the same loop that a backtest
    runs. Raises DataError for what is no run, KernelFault.
    """
    directory = run.directory if isinstance(run, View) else attach(run).directory
    spec = load_spec(directory)
    state = spec.state()
    source = _Source(directory, _frame(directory, spec), state)
    written: list[np.ndarray] = []
    took_s = play(state, spec.run(), source, None, lambda rows: written.append(kept(rows)))
    source.compare()
    made = np.concatenate([np.zeros(0, EVENT), *written])
    requests = made[(made["kind"] >= SUBMIT) & (made["kind"] <= CANCEL)]
    fees = made[made["kind"] == FEE]
    own = made[made["kind"] != FEE] if state.exchanges["active"].any() else own_rows(source.reports, source.told_ns, requests)
    steering = np.concatenate(source.steering)
    return Replay(directory, spec, state, requests, own, int(state.desk["rows"][0]), took_s, source.published, fees, steering)


class _Source:
    """The journal in pieces. One cut is where the last frame was published, so that its bytes can be compared there."""

    def __init__(self, directory: Path, frame: Frame | None, state: State) -> None:
        self._directory, self._frame, self._state = directory, frame, state
        self._at = 0 if frame is None else int(frame.desk["rows"])
        self._now_ns = 0
        self._reports, self._told_ns = [np.zeros(0, EVENT)], [np.zeros(0, np.int64)]
        self.steering = [np.zeros(0, EVENT)]
        self.published: bool | None = None

    def __iter__(self) -> Iterator[np.ndarray]:
        done = 0
        for rows in jn.parts(self._directory / "journal"):
            self._read(rows)
            cut = self._at - done if self._frame is not None and self.published is None else -1
            done += len(rows)
            if 0 <= cut < len(rows):
                yield rows[:cut]
                self.compare()
            yield rows[max(cut, 0) :] if cut < len(rows) else rows

    def compare(self) -> None:
        """Hold the state against the published frame when it is of this row; called again it changes nothing."""
        if self._frame is not None and self.published is None:
            at = int(self._state.desk["rows"][0]) == self._at
            parts: tuple[tuple[Any, Any], ...] = ((self._state.desk, self._frame.desk), (self._state.markets, self._frame.markets))
            self.published = at and all(ours.tobytes() == theirs.tobytes() for ours, theirs in parts)

    def _read(self, rows: np.ndarray) -> None:
        """Keep what is not market data, and when the desk's clock read what."""
        market = rows["kind"] < TIMER
        theirs = market & ((rows["flags"] & (AT_EXCHANGE | AT_DESK)) == AT_EXCHANGE)
        desk_ns = (
            np.maximum(np.maximum.accumulate(np.where(theirs, 0, rows["ts_recv_ns"])), self._now_ns) if len(rows) else np.zeros(0, np.int64)
        )
        if len(rows):
            self._now_ns = int(desk_ns[-1])
        told = (rows["kind"] >= ACCEPTED) & (rows["kind"] <= PAYMENT)
        self._reports.append(rows[told])
        self._told_ns.append(desk_ns[told])
        self.steering.append(rows[(rows["kind"] == TIMER) | ((rows["kind"] >= PAUSE) & (rows["kind"] <= DEACTIVATE))])

    @property
    def reports(self) -> np.ndarray:
        """Return the venue's reports in the journal."""
        return np.concatenate(self._reports)

    @property
    def told_ns(self) -> np.ndarray:
        """Return the desk's time at each report."""
        return np.concatenate(self._told_ns)


def _frame(directory: Path, spec: RunSpec) -> Frame | None:
    try:
        return SnapshotReader(directory / "snapshot.bin", spec.instruments).frame()
    except DataError:
        return None  # killed before its first frame: the journal is no less whole for that


def kept(rows: np.ndarray) -> np.ndarray:
    """Return the requests, reports and fees among the rows that a step wrote."""
    kinds = rows["kind"]
    return rows[((kinds >= ACCEPTED) & (kinds <= PAYMENT)) | ((kinds >= SUBMIT) & (kinds <= CANCEL)) | (kinds == FEE)]


def _received(rows: np.ndarray) -> np.ndarray:
    """Return the market rows as the desk got them: where both copies are journaled, ours."""
    marks = rows["flags"] & (AT_EXCHANGE | AT_DESK)
    market = rows[(rows["kind"] < TIMER) & (marks != AT_EXCHANGE)]
    market["flags"] &= ~np.uint16(AT_EXCHANGE | AT_DESK)
    return market
