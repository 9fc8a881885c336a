"""`check_lookahead`: does a quoter or strategy use what it could not have known? Asked of the program, not of its text.

The run is made on the whole tape and again on tapes that end early. Whatever was asked of the exchange before the end must be
the same, byte for byte: a request that changes when the future is cut off was made with the future.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from hftlab.assumptions import Fees, Latency, Queue, latency_rows
from hftlab.backtesting.attempt import quoters_of, small_order, wide_limits
from hftlab.backtesting.run import instruments_of, play
from hftlab.backtesting.strategist import Strategist
from hftlab.backtesting.timers import row_starts, with_timers
from hftlab.data.state import build
from hftlab.data.tape import Tape
from hftlab.errors import InputError, UserCodeError
from hftlab.instrument import Instrument
from hftlab.kernels import core
from hftlab.params import Limits, Quoter, UserQuoter, WorkTarget
from hftlab.strict import keywords
from hftlab.types import AMEND, CANCEL, EVENT, KIND_NAMES, LAST, SUBMIT, TIMER
from hftlab.usercode.functions import PARAMETERS, decide_of, family, helper, used
from hftlab.usercode.run import runner

if TYPE_CHECKING:
    import pandas as pd

_DATA_LEN = 16  # a container longer than this is data, and data may hold the future


@dataclass(frozen=True)
class Cut:
    """One tape that ends at `ts_ns`: requests until then of the whole run and of this one; what is different first, and when."""

    ts_ns: int
    whole: int
    short: int
    difference: str = ""
    first_ns: int | None = None
    left_out: str = ""


@dataclass(frozen=True, repr=False)
class Lookahead:
    """What the check found. `ok`: no request changed. `first_ns`: the time of the first that did, None when none did."""

    ok: bool
    text: str
    cuts: tuple[Cut, ...]
    first_ns: int | None = None

    def frame(self) -> "pd.DataFrame":
        """Return one row a cut: its time, the requests before it in both runs, the first difference."""
        import pandas as pd

        rows = [(c.ts_ns, c.whole, c.short, c.difference or c.left_out or "the same") for c in self.cuts]
        table = pd.DataFrame(rows, columns=["ts", "requests_whole", "requests_short", "result"])
        return table.assign(ts=pd.to_datetime(table["ts"], utc=True))

    def __repr__(self) -> str:
        return f"<Lookahead {'ok' if self.ok else 'NOT ok'}: {self.text}>"

    def _repr_html_(self) -> str:
        colour = "#1a7f37" if self.ok else "#cf222e"
        rows = "".join(
            f"<tr><td>{_time(c.ts_ns)}</td><td>{c.whole}</td><td>{c.short}</td>"
            f"<td style='text-align:left'>{escape(c.difference or c.left_out or 'the same')}</td></tr>"
            for c in self.cuts
        )
        head = "<tr><th>tape ends (UTC)</th><th>requests, whole tape</th><th>cut tape</th><th>before the end</th></tr>"
        return f"<p><b style='color:{colour}'>{'No look-ahead found' if self.ok else 'Look-ahead'}</b>: {escape(self.text)}</p><table>{head}{rows}</table>"


@keywords
def check_lookahead(
    make: Any,
    tape: Tape,
    instrument: Instrument | Sequence[Instrument] | None = None,
    limits: Limits | None = None,
    *,
    quoter: Quoter | None = None,
    cuts: int | Sequence[float] = 16,
    queue: Queue | str = "power",
    latency: Latency | None = None,
    fees: Fees | None = None,
    timer_ms: float = 100.0,
    bar_s: float = 10.0,
) -> Lookahead:
    """Say whether requests change when the tape ends early, at `cuts` places (a number, or seconds after the first row).

    `make` is a decide, a quoter, or a strategy (worked by `quoter`, default WorkTarget); or a function `make(tape)` that returns
    one of them, or (quoter, strategy), and is called again for each cut tape: needed by everything that computed something from
    the tape before the run. Most cuts lie right after a request, so that the nearest future is missing where it was used.
    Raises InputError for data that a cut could not reach, UserCodeError where the run on the whole tape fails.
    """
    check = _Check(make, tape, instruments_of(tape, instrument), limits, quoter, queue, latency, fees, bar_s)
    extra = latency_rows((latency or Latency(),) * len(check.instruments))
    rows = np.concatenate(list(with_timers(iter((tape.merge().rows,)), int(timer_ms * 1e6), extra=extra)))
    starts = row_starts(rows)
    whole = check.requests(tape, rows)
    if not len(whole):
        return Lookahead(ok=False, text="nothing was asked of the exchange on this tape, so there is nothing to compare.", cuts=())
    found = tuple(_compare(check, whole, ts_ns, rows[: int(np.searchsorted(starts, ts_ns))]) for ts_ns in _ends(tape, whole, cuts))
    return _result(found, whole, check.given)


def _result(cuts: tuple[Cut, ...], whole: np.ndarray, given: list[str]) -> Lookahead:
    fixed = f" Taken as given, not made again from the cut tapes: {', '.join(given)}." if given else ""
    bad = sorted((cut.first_ns, cut.ts_ns, cut.difference) for cut in cuts if cut.first_ns is not None)
    compared = [cut for cut in cuts if not cut.left_out]
    if bad:
        _, end_ns, difference = bad[0]
        text = f"{len(bad)} of {len(cuts)} cut tapes give other requests before their end. The first: {difference}; that tape ends at {_time(end_ns)}."
    elif compared:
        n = sum(cut.whole for cut in compared)
        text = f"every request before {len(compared)} cuts is the same as on the whole tape ({len(whole):,} requests, {n:,} comparisons)."
    else:
        text = f"nothing could be compared: {cuts[0].left_out if cuts else 'there is no cut'}."
    return Lookahead(ok=bool(compared) and not bad, text=text + fixed, cuts=cuts, first_ns=bad[0][0] if bad else None)


def _ends(tape: Tape, whole: np.ndarray, cuts: int | Sequence[float]) -> list[int]:
    """Return the times at which the tapes end: two thirds right after a request, the others evenly spread."""
    start, span = tape.start_ns, int(tape.rows["ts_recv_ns"][-1]) - tape.start_ns
    if not isinstance(cuts, int):
        outside = [s for s in cuts if not 0 < s * 1e9 <= span]
        if outside:
            raise InputError(f"cuts held {outside[0]}; wanted seconds after the first row, up to {span / 1e9:.3f}.")
        return sorted({start + int(s * 1e9) for s in cuts})
    if cuts < 1:
        raise InputError(f"cuts was {cuts}; wanted one or more.")
    asked = np.unique(whole["ts_recv_ns"])
    after = asked[np.linspace(0, len(asked) - 1, min(len(asked), max(1, 2 * cuts // 3))).astype(int)] + 1
    even = start + np.linspace(0, span, cuts - len(after) + 2).astype(np.int64)[1:-1]
    return sorted({int(t) for t in (*after, *even) if start < t <= start + span})


def _compare(check: "_Check", whole: np.ndarray, ts_ns: int, rows: np.ndarray) -> Cut:
    """Run the tape that ends at `ts_ns` and hold its requests against those of the whole run."""
    tape = check.tape
    # A copy: compiled code that reads past the end of a slice would find the future there.
    short = Tape(tape.rows[: int(np.searchsorted(tape.rows["ts_recv_ns"], ts_ns))].copy(), tape.instruments, tape.source, tape.notes)
    before = whole[whole["ts_recv_ns"] < ts_ns]
    # What is on its way comes in when time goes on, and on the cut tape nothing else says that it does.
    end = np.zeros(1, EVENT)
    end["ts_exch_ns"] = end["ts_recv_ns"] = ts_ns
    end["kind"], end["flags"] = TIMER, LAST
    rows = np.append(rows, end)
    try:
        got = check.requests(short, rows)
    except _NotMade as error:
        return Cut(ts_ns, len(before), 0, left_out=f"left out: it could not be made from this tape ({error})")
    except UserCodeError as error:
        return Cut(ts_ns, len(before), 0, f"it fails on the cut tape only: {' '.join(str(error).split())}", ts_ns)
    got = got[got["ts_recv_ns"] < ts_ns]
    same = min(len(before), len(got))
    different = np.flatnonzero(before[:same] != got[:same])
    if not len(different) and len(before) == len(got):
        return Cut(ts_ns, len(before), len(got))
    at = int(different[0]) if len(different) else same
    one, other = (part[at] if at < len(part) else None for part in (before, got))
    first = min(int(r["ts_recv_ns"]) for r in (one, other) if r is not None)
    words = f"{_words(one, tape)} on the whole tape, {_words(other, tape)} on the cut one"
    return Cut(ts_ns, len(before), len(got), words, first)


def _words(row: Any, tape: Tape) -> str:
    """Return a request in words."""
    if row is None:
        return "no request"
    one = tape.instruments[int(row["instrument"])]
    side = "bid" if row["side"] > 0 else "ask"
    amount = f"{one.qty(int(row['qty_lots']))} at {one.price_text(int(row['price_ticks']))}"
    return f"{KIND_NAMES[int(row['kind'])]} {side} {amount} at {_time(int(row['ts_recv_ns']))}"


def _time(ts_ns: int) -> str:
    return str(np.datetime64(ts_ns, "ns").astype("datetime64[us]")).partition("T")[2]


class _NotMade(Exception):
    """The user's function could not make its quoter from a cut tape."""


class _Check:
    """Makes and runs the thing under test."""

    def __init__(
        self,
        make: Any,
        tape: Tape,
        instruments: tuple[Instrument, ...],
        limits: Limits | None,
        quoter: Quoter | None,
        queue: Queue | str,
        latency: Latency | None,
        fees: Fees | None,
        bar_s: float,
    ) -> None:
        self.tape, self._limits, self._quoter = tape, limits, quoter
        self._options = {"queue": queue, "latency": latency, "fees": fees, "bar_s": bar_s}
        self.instruments = instruments
        self._factory = _is_factory(make)
        self._make: Callable[[Tape], Any] = make if self._factory else _fixed(make)
        self.given: list[str] = [] if self._factory else _given(make)

    def requests(self, tape: Tape, rows: np.ndarray) -> np.ndarray:
        """Return the requests (EVENT) of a run over `rows`, with what is made from `tape`."""
        try:
            made = self._make(tape)
        except Exception as error:  # why: a user's function may raise anything
            if tape is self.tape:
                raise
            raise _NotMade(f"{type(error).__name__}: {error}") from None
        if made is None:
            raise UserCodeError("the function that makes it from a tape returned None; wanted a decide, a quoter or a strategy.")
        quoter, strategy = made if isinstance(made, tuple) else (made, None)
        if _is_strategy(quoter):
            quoter, strategy = None, quoter
        quoters: tuple[Quoter, ...] = (quoter,) * len(self.instruments)
        if quoter is None:
            sizes = (small_order(one, i, self.tape) for i, one in enumerate(self.instruments))
            quoters = tuple(self._quoter or WorkTarget(order_qty=size) for size in sizes)
        elif not isinstance(quoter, Quoter):
            quoters = quoters_of(quoter, self.instruments, self.tape)
        limits = tuple(self._limits or wide_limits(one) for one in quoters)
        state = build(self.instruments, quoters, limits, **self._options)  # type: ignore[arg-type]
        decide = decide_of(quoters)
        parts: list[np.ndarray] = []
        play(
            state,
            core.run if decide is None else runner(decide),
            (rows,),
            None if strategy is None else Strategist(state, strategy),
            parts.append,
        )
        written = np.concatenate(parts)
        return written[np.isin(written["kind"], (SUBMIT, AMEND, CANCEL))]


def _is_strategy(value: Any) -> bool:
    """Say whether `value` is an object with `on_timer`; here it need not be able to travel."""
    return hasattr(value, "on_timer") and not isinstance(value, type)


def _is_factory(make: Any) -> bool:
    """Say whether `make` is a function of a tape, and no decide, quoter or strategy."""
    if isinstance(make, Quoter) or _is_strategy(make) or hasattr(make, "py_func") or not callable(make):
        return False
    needed = [p for p in inspect.signature(make).parameters.values() if p.default is inspect.Parameter.empty]
    return len(needed) < len(PARAMETERS)


def _fixed(make: Any) -> Callable[[Tape], Any]:
    """Return a function that gives the same thing for each tape, a strategy as it was before it ran."""
    import copy

    for owner, values in _holdings(make):
        for name, value in values.items():
            if hasattr(value, "__len__") and not isinstance(value, str) and len(value) > _DATA_LEN:
                raise InputError(
                    f"{owner} holds {name}, a {type(value).__name__} of {len(value):,}: made before the check, it would still know the "
                    "future when the tape is cut. Pass a function that makes it from a tape: hl.check_lookahead(lambda tape: …, tape)."
                )
    return lambda _: copy.deepcopy(make) if _is_strategy(make) else make


def _holdings(make: Any) -> list[tuple[str, dict[str, Any]]]:
    """Return what a decide reads from outside, or a strategy keeps in itself, by owner."""
    if _is_strategy(make):
        return [(type(make).__name__, vars(make))]
    decide = make.decide if isinstance(make, UserQuoter) else make
    return [(one.__name__, used(one).found) for one in family(decide)] if helper(decide) is not None else []


def _given(make: Any) -> list[str]:
    """Return the names of the numbers that a cut tape does not change."""
    numbers = [name for _, values in _holdings(make) for name, value in values.items() if isinstance(value, int | float)]
    return sorted({*numbers, *(dict(make.values) if isinstance(make, UserQuoter) else ())})  # no table: a mapping
