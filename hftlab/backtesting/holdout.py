"""A part of a tape that is kept from everybody until the rule is chosen: opened once it tells the truth, opened twice it is data."""

import getpass
import os
from dataclasses import dataclass, field
from typing import Any

from hftlab.analytics.luck.ledger import Span, digest, runs
from hftlab.analytics.luck.runs_file import Place
from hftlab.data.tape import Tape
from hftlab.engine.clock import wall_now_ns
from hftlab.errors import InputError
from hftlab.strict import keywords, number


@dataclass(frozen=True, repr=False)
class Sealed:
    """The sealed part of a tape. It shows how long it is, and gives its rows to `open` only.

    Each opening is written down beside the data (hftlab.analytics.luck.runs_file says where): when, by whom, and why.
    """

    place: Place
    span: Span
    seal: str
    _tape: Tape = field(repr=False)

    @property
    def openings(self) -> list[dict[str, Any]]:
        """Return what was written down of each opening, oldest first: when_ns, who, why."""
        return [line for line in self.place.read() if line.get("kind") == "opened" and line.get("seal") == self.seal]

    @property
    def runs_seen(self) -> int:
        """Return how many counted runs have already seen this part, whether it was opened or the whole tape was run."""
        return len(runs(self.place, self.span))

    def open(self, *, why: str) -> Tape:
        """Write down that it is opened, and `why`, and return the tape. From the second time on every report of it says so.

        Raises InputError for an empty reason.
        """
        if not isinstance(why, str) or not why.strip():
            raise InputError(f"why was {why!r}; wanted a reason in words: it stands beside the data for whoever reads the result.")
        line = _line("opened", self.span, self.seal) | {"who": _who(), "why": why.strip()[:500]}
        self.place.write([line | {"id": digest(repr(sorted(line.items())))}])
        return self._tape

    def __repr__(self) -> str:
        times, seen = len(self.openings), self.runs_seen
        opened = "never opened" if not times else f"opened {times} time{'s' * (times > 1)}"
        runs_said = f", seen by {seen:,} run{'s' * (seen != 1)}" if seen else ""
        return f"<Sealed {self._tape.span_s:,.1f} s of {', '.join(self.span.instruments)}: {opened}{runs_said}>"


@keywords
def holdout(tape: Tape, *, share: float | None = None, from_ns: int | None = None) -> tuple[Tape, Sealed]:
    """Return the first part of a tape, to work on, and the rest sealed: its last `share` of the time, or all from `from_ns` (UTC) on.

    The cut falls between messages. The same cut of the same data is the same seal, in every notebook: its openings add up.
    Raises InputError for a cut that leaves one of the parts without rows.
    """
    if (share is None) == (from_ns is None):
        raise InputError("wanted either share=0.3, the last part of the time, or from_ns=…, where the sealed part begins.")
    if share is not None:
        from_ns = tape.end_ns - int(number(share, "share", 0.001, 0.999) * (tape.end_ns - tape.start_ns))
    at_s = (int(from_ns or 0) - tape.start_ns) / 1e9
    if not 0 < at_s <= tape.span_s:
        raise InputError(f"the cut is {at_s:,.3f} s after the first row; wanted one inside the tape, which spans {tape.span_s:,.3f} s.")
    first, rest = tape.slice(0.0, at_s), tape.slice(at_s)
    place = Place.of(tape)
    span = Span(rest.start_ns, rest.end_ns, tuple(one.name for one in tape.instruments))
    seal = digest(f"{span.start_ns} {span.end_ns} {span.instruments}")
    if not any(line.get("seal") == seal for line in place.read()):
        line = _line("sealed", span, seal)
        place.write([line | {"id": digest(repr(sorted(line.items())))}])
    return first, Sealed(place, span, seal, rest)


def _line(kind: str, span: Span, seal: str) -> dict[str, Any]:
    return {
        "v": 1,
        "kind": kind,
        "when_ns": wall_now_ns(),
        "from_ns": span.start_ns,
        "to_ns": span.end_ns,
        "instruments": list(span.instruments),
        "seal": seal,
    }


def _who() -> str:
    """Return the name of whoever runs this: what the system calls them, or their number where it has no name for them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return str(os.getuid())
