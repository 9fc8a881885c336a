"""Rows among rows: times that go back, rows that come twice or never, streams that are not whole, grids that are too fine."""

from collections.abc import Sequence

import numpy as np

from hftlab.data.rows import Rows
from hftlab.data.validate_report import ERROR, INFO, WARNING, Finding
from hftlab.data.validate_rows import PRICED_KINDS, Mask, moment, name_of, of_instruments, some
from hftlab.instrument import Instrument
from hftlab.types import BBO, CLEAR, DEPTH, GAP, L3_ORDER, LAST, SNAPSHOT, TRADE

DENSE_FRAC = 0.999
"""A stream of ids whose steps are 1 in this part has no reason to leave one out."""

_DENSE_MIN = 20
_GRID_PRICES_MIN = 50  # different prices before a coarser grid is no chance
_GRID_FRAC = 0.999
_COARSE = (1000, 100, 50, 20, 10, 5, 4, 2)  # how many ticks real tick sizes were widened by


# --- order -----------------------------------------------------------------------------------------------------------
def recv_regressions(rows: Rows) -> Mask:
    """Return which rows were received before the row above."""
    return np.append(False, np.diff(rows["ts_recv_ns"]) < 0)[: len(rows)]


def exch_regressions(rows: Rows) -> Mask:
    """Return which rows happened before the one above in the same book; between books and prints exchange time may go back."""
    bad = np.zeros(len(rows), bool)
    book = np.isin(rows["kind"], (DEPTH, CLEAR, GAP))
    for _, mine in of_instruments(rows, book):
        bad[mine[1:]] = np.diff(rows["ts_exch_ns"][mine]) < 0
    return bad


def check_order(rows: Rows, back_recv: Mask, back_exch: Mask) -> list[Finding]:
    """Say where either clock goes back."""

    def back_ms(column: str, row: int) -> str:
        return f"{(int(rows[column][row - 1]) - int(rows[column][row])) / 1e6:,.3f} ms"

    times = "time" if np.count_nonzero(back_recv) == 1 else "times"
    return [
        *some(
            ERROR,
            "order",
            "ts_recv_ns",
            back_recv,
            lambda row: f"the receive time goes back {np.count_nonzero(back_recv):,} {times}, here by {back_ms('ts_recv_ns', row)}",
            "rows in the order in which they were received",
            "Load with sort=True to put them in order.",
        ),
        *some(
            WARNING,
            "order",
            "ts_exch_ns",
            back_exch,
            lambda _: f"exchange time goes back {np.count_nonzero(back_exch):,} times within a book: ordered by it, diffs change places",
            "times that do not go back within one book",
            "Backtests on the exchange's clock use such rows late; record again if they are many.",
        ),
    ]


# --- twice, or never -------------------------------------------------------------------------------------------------
def repeated_trades(rows: Rows) -> Mask:
    """Return which prints carry the id of an earlier print of their instrument; ids of 0 are none."""
    bad = np.zeros(len(rows), bool)
    for _, mine in of_instruments(rows, (rows["kind"] == TRADE) & (rows["seq"] != 0)):
        bad[mine] = True
        bad[mine[np.unique(rows["seq"][mine], return_index=True)[1]]] = False
    return bad


def check_trade_ids(rows: Rows, repeated: Mask) -> list[Finding]:
    """Say which trade ids come twice."""
    count = np.count_nonzero(repeated)
    return some(
        WARNING,
        "duplicates",
        "seq",
        repeated,
        lambda row: f"trade id {rows['seq'][row]} was there before: {count:,} trades repeat the id of another one",
        "each trade once",
        "Drop the repeats, or volumes and fills count them twice.",
    )


def check_repeats(rows: Rows) -> list[Finding]:
    """Find rows that equal an earlier one in every column but the flags (prints with an id are told by it)."""
    mix = np.zeros(len(rows), np.uint64)
    for place, column in enumerate(
        ("ts_exch_ns", "ts_recv_ns", "price_ticks", "qty_lots", "seq", "order_id", "kind", "side", "instrument")
    ):
        mix = (mix ^ rows[column].astype(np.int64).view(np.uint64)) * np.uint64(0x9E3779B97F4A7C15 + 2 * place)
        mix ^= mix >> np.uint64(29)  # high bits into the low ones: a product alone mixes upwards only
    candidates = np.isin(rows["kind"], (DEPTH, TRADE, BBO)) & ~((rows["kind"] == TRADE) & (rows["seq"] != 0))
    where = np.flatnonzero(candidates)
    order = where[np.argsort(mix[where], kind="stable")]
    bad = np.zeros(len(rows), bool)
    bad[order[1:]] = mix[order[1:]] == mix[order[:-1]]
    anonymous = bad & (rows["kind"] == TRADE)
    fix = "Drop the repeats: a message that was written twice is applied twice."
    return [
        *some(WARNING, "duplicates", "all columns", bad & ~anonymous, lambda _: "the row equals an earlier one", "each row once", fix),
        *some(INFO, "duplicates", "seq", anonymous, lambda _: "the print equals an earlier one, and none carries an id to tell them apart"),
    ]


def check_gaps(rows: Rows, instruments: Sequence[Instrument]) -> list[Finding]:
    """Say where the reader found updates missing."""
    gap = rows["kind"] == GAP
    return some(
        WARNING,
        "gaps",
        "seq",
        gap,
        lambda row: (
            f"{np.count_nonzero(gap):,} gaps: updates were lost, here before update {rows['seq'][row]} of "
            f"{name_of(instruments, int(rows['instrument'][row]))} ({moment(rows, row)}), and each book is not to be trusted until its next snapshot"
        ),
        "every update of the sequence",
        "Nothing brings them back: backtest between the gaps (Tape.slice), or record again.",
    )


def check_skipped_ids(rows: Rows, instruments: Sequence[Instrument], dropped: int = 0) -> list[Finding]:
    """Find trade ids that are left out where they are dense. Update ids of books are not: the reader follows their chain.

    `dropped` is how many prints the reader left out on purpose: that many missing ids are only a remark.
    """
    found: list[Finding] = []
    for index, mine in of_instruments(rows, (rows["kind"] == TRADE) & (rows["seq"] != 0)):
        steps = np.diff(rows["seq"][mine])
        forward = steps[steps > 0]
        if len(forward) < _DENSE_MIN or np.mean(forward == 1) < min(DENSE_FRAC, 1 - 1.5 / len(forward)):
            continue
        skips = np.zeros(len(rows), bool)
        skips[mine[1:]] = steps > 1
        lost = int(np.sum(forward - 1))
        text = f"trade ids of {name_of(instruments, index)} leave out {lost:,}, first before "
        found += some(
            INFO if lost <= dropped else WARNING,
            "gaps",
            "seq",
            skips,
            lambda row, text=text: f"{text}{rows['seq'][row]} ({moment(rows, row)})",  # type: ignore[misc]
            "ids that go up by one, as nearly all do here",
            f"Prints are missing there; {dropped:,} were left out by the reader on purpose (see dropped)."
            if dropped
            else "Prints are missing: volumes are too small there.",
        )
    return found


def check_whole(rows: Rows, instruments: Sequence[Instrument]) -> list[Finding]:
    """Find books that begin without a snapshot, and a recording that ends within a message."""
    found: list[Finding] = []
    for index, depths in of_instruments(rows, rows["kind"] == DEPTH):
        if not rows["flags"][depths[0]] & SNAPSHOT:
            found.append(
                Finding(
                    WARNING,
                    f"{name_of(instruments, index)}: no snapshot before the first update. The book begins empty; levels that no update touched are missing",
                    "CLEAR and the rows of a snapshot",
                    "Trust the touch after some seconds, deep levels never; record from a snapshot on.",
                    "snapshot",
                    int(depths[0]),
                    "flags",
                )
            )
    if len(rows) and not rows["flags"][-1] & LAST:
        fix = "The recorder was stopped, or the file was cut: drop the rows after the last LAST, or fetch the file again."
        found.append(Finding(WARNING, "the tape ends within a message", "LAST on its final row", fix, "partial", len(rows) - 1, "flags"))
    return found


def check_book_there(rows: Rows) -> list[Finding]:
    """Say when there is no book at all."""
    if np.any(np.isin(rows["kind"], (DEPTH, L3_ORDER))):
        return []
    text = "no book: the tape holds no DEPTH rows"
    return [Finding(WARNING, text, "a book", "Record the depth stream too: prints alone fill no quote.", "book", column="kind")]


def check_grid(rows: Rows, instruments: Sequence[Instrument]) -> list[Finding]:
    """Find prices that all stand on a coarser grid than the instrument's, and the few that leave one all others keep."""
    found: list[Finding] = []
    for index, mine in of_instruments(rows, np.isin(rows["kind"], PRICED_KINDS) & (rows["price_ticks"] != 0)):
        prices = rows["price_ticks"][mine]
        distinct = np.unique(prices)
        if len(distinct) < _GRID_PRICES_MIN:
            continue
        name = name_of(instruments, index)
        size = f" of {instruments[index].tick_size}" if index < len(instruments) else ""
        whole = int(np.gcd.reduce(distinct))
        if whole > 1:
            text = f"all {len(distinct):,} different prices of {name} are multiples of {whole} ticks{size}"
            fix = f"The likely cause is a wrong instrument: a tick size {whole} times as large fits the recording."
            found.append(Finding(WARNING, text, "prices on every tick", fix, "grid", int(mine[0]), "price_ticks", len(mine)))
            continue
        coarse = next((step for step in _COARSE if np.mean(distinct % step == 0) >= 0.9 and np.mean(prices % step == 0) >= _GRID_FRAC), 1)
        if coarse > 1:
            off = np.zeros(len(rows), bool)
            off[mine] = prices % coarse != 0
            found += some(
                WARNING,
                "grid",
                "price_ticks",
                off,
                lambda row, coarse=coarse, name=name: (  # type: ignore[misc]
                    f"price {rows['price_ticks'][row]} ticks of {name} is off the grid of {coarse} ticks that nearly all others keep"
                ),
                f"a multiple of {coarse} ticks",
                "The row is damaged, or the tick size changed there.",
            )
    return found
