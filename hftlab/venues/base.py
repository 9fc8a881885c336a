"""What the engine needs of a market: one object that gives rows and takes requests."""

from typing import Protocol

import numpy as np

from hftlab.instrument import Instrument


class Source(Protocol):
    """A running feed, with the venue behind it where the two are one thing.

    Times are session time: nanoseconds UTC of the market that is played, which is the wall clock only at speed 1.
    """

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """Return what it trades."""
        ...

    def open(self) -> np.ndarray:
        """Return the rows that begin the session: snapshots, after a restart also what became of our orders."""
        ...

    def advance(self, until_ns: int) -> np.ndarray:
        """Return the rows received after the last call and up to `until_ns`, in order."""
        ...

    def submit(self, requests: np.ndarray) -> None:
        """Take SUBMIT, AMEND and CANCEL rows on their way to the venue."""
        ...

    def done(self) -> bool:
        """Say whether nothing will come any more."""
        ...
