"""Errors of hftlab. Each message says what was found, what was wanted, and what to do.

HftlabError
├── InputError (ValueError)          a value that cannot be used
│   ├── OffGridPrice                 a price between two ticks
│   ├── OffGridQuantity              a quantity between two lots, zero or negative
│   ├── UnknownInstrument            a name that is not in the catalogue
│   ├── UnknownName                  a misspelt keyword or parameter
│   └── UserCodeError                a quoter or strategy written by the user failed
├── AccountingError                  money or lots that do not add up to the last unit
├── DataError                        a file or a stream
│   ├── FormatError                  not the format it should be
│   ├── TruncatedFile                ends in the middle
│   ├── TapeError                    read, but not fit for use (order, gaps, crosses, clock)
│   └── BundleError                  a bundle that was changed, or that does not come out the same when run again
├── EngineError                      the engine process
│   ├── RunInUse                     another engine owns the run directory
│   ├── EngineDied                   it ended; the message carries the end of its log
│   ├── EngineUnreachable            no answer at its door
│   └── CommandRefused               it answered, and said no
│       └── CommandOvertaken         a halt or a stop came after the command and went first
├── VenueError                       a venue that was asked something
│   ├── VenueDown                    no answer, or "later": it may be tried again
│   └── VenueRefused                 it said no, and will say no again
└── KernelFault                      the compiled core met something it must not pass over
DataWarning (UserWarning)            data that can be used, but not trusted blindly
"""

import difflib
from collections.abc import Iterable
from typing import Any


class HftlabError(Exception):
    """Root of every exception that hftlab raises on purpose."""


class InputError(HftlabError, ValueError):
    """A value that cannot be used."""


class OffGridPrice(InputError):
    """A price that lies between two ticks."""


class OffGridQuantity(InputError):
    """A quantity that lies between two lots, or is zero or negative where a size is wanted."""


class UnknownInstrument(InputError):
    """An instrument name that is not in the catalogue."""


class UnknownName(InputError, TypeError):
    """A misspelt keyword or parameter."""


class UserCodeError(InputError):
    """A quoter or strategy written by the user failed; names the user's line.

    `line`: its number; `details`: the original exception. Out of a run also `row` of the tape, `ts_ns` of the desk, `written`
    (EVENT rows until then) and `report`, the Report of the part that was run.
    """

    line: int | None = None
    details: BaseException | None = None
    row: int | None = None
    ts_ns: int | None = None
    written: Any = None
    report: Any = None


class DataError(HftlabError):
    """A file or stream that cannot be used."""


class FormatError(DataError):
    """A file, or one line of it, is not in the format it should be."""


class TruncatedFile(DataError):
    """A file that ends in the middle."""


class TapeError(DataError):
    """Data that was read but is not fit for use: order, gaps, crosses, clock."""


class BundleError(DataError):
    """A bundle that was changed, or whose run does not come out the same again."""


class AccountingError(HftlabError):
    """Money or lots that do not add up to the last unit."""


class EngineError(HftlabError):
    """The engine process."""


class RunInUse(EngineError):
    """Another engine owns the run directory."""


class EngineDied(EngineError):
    """The engine process ended by itself."""


class EngineUnreachable(EngineError):
    """The engine's door gave no answer."""


class CommandRefused(EngineError):
    """The engine answered a command with a refusal."""


class CommandOvertaken(CommandRefused):
    """A halt or a stop that came after the command went first, so the command was not done; it is no fault of it."""


class VenueError(HftlabError):
    """A venue was asked something, and there is no good answer."""


class VenueDown(VenueError):
    """A venue gave no answer, or asked to come back later: it may be tried again, not before `retry_after_s`."""

    def __init__(self, text: str, retry_after_s: float = 0.0) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s


class VenueRefused(VenueError):
    """A venue said no, and will say no again. `reason` is one of the words of hftlab.venues.live.model.Reject."""

    def __init__(self, text: str, reason: str = "other") -> None:
        super().__init__(text)
        self.reason = reason


class KernelFault(HftlabError):
    """The compiled core met something it must not pass over."""


class DataWarning(UserWarning):
    """Data that can be used, but not trusted blindly."""


def did_you_mean(found: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the nearest known name, or a list of what is known."""
    known = sorted(known)
    near = difflib.get_close_matches(str(found), known, n=1, cutoff=0.5)
    return f" Did you mean {near[0]!r}?" if near else f" Known: {', '.join(known)}."
