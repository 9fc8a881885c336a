"""Column by column: values that cannot be."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from hftlab.data.capture_lines import ns_per_unit
from hftlab.data.rows import Rows
from hftlab.data.validate_report import ERROR, INFO, Finding
from hftlab.instrument import Instrument
from hftlab.types import ASK, BBO, BID, CLEAR, DEPTH, FUNDING, GAP, KIND_NAMES, L3_ORDER, TRADE

Mask = npt.NDArray[np.bool_]

MARKET_KINDS = (DEPTH, TRADE, CLEAR, GAP, BBO, FUNDING, L3_ORDER)
PRICED_KINDS = (DEPTH, TRADE, BBO)

EARLIEST_NS = 946_684_800_000_000_000  # 2000-01-01: nothing electronic was recorded in ns before
LATEST_NS = 4_102_444_800_000_000_000  # 2100-01-01

NEGATIVE_LEGAL_FRAC = 0.01
"""With more than this part of prices at or below zero, the market is one where they are legal (spreads, oil in April 2020)."""


def some(
    severity: str, check: str, column: str, bad: Mask, found: Callable[[int], str], wanted: str = "", fix: str = "", *, shift: int = 0
) -> list[Finding]:
    """Return one finding for the rows where `bad` is true: it names the first and counts the others; none without any."""
    rows = np.flatnonzero(bad)
    if not len(rows):
        return []
    first = int(rows[0])
    more = f" (and {len(rows) - 1:,} more rows like it)" if len(rows) > 1 else ""
    return [Finding(severity, found(first) + more, wanted, fix, check, first + shift, column, len(rows))]


def name_of(instruments: Sequence[Instrument], index: int) -> str:
    """Return the name of an instrument, or its number where none is known."""
    return instruments[index].name if index < len(instruments) else f"instrument {index}"


def of_instruments(rows: Rows, which: Mask | None = None) -> list[tuple[int, npt.NDArray[np.int64]]]:
    """Return each instrument that occurs, and its rows: all of them, or those in `which`."""
    every = np.arange(len(rows)) if which is None else np.flatnonzero(which)
    index = rows["instrument"][every]
    if not len(every) or np.all(index == index[0]):
        return [(int(index[0]), every)] if len(every) else []
    return [(int(i), every[index == i]) for i in np.unique(index)]


def moment(rows: Rows, row: int) -> str:
    """Return how many seconds after the first row a row was received, as text."""
    return f"{(int(rows['ts_recv_ns'][row]) - int(rows['ts_recv_ns'][0])) / 1e9:.3f} s in"


# --- values ----------------------------------------------------------------------------------------------------------
def check_times(rows: Rows) -> list[Finding]:
    """Find stamps before 2000 or after 2100: most are ms or us where ns were wanted."""
    return [
        finding
        for column, title in (("ts_recv_ns", "receive"), ("ts_exch_ns", "exchange"))
        for finding in bad_stamps(rows[column], column, f"{title} time")
    ]


def bad_stamps(stamps: npt.NDArray[np.int64], column: str, title: str) -> list[Finding]:
    """Return a finding for stamps that are no ns of this century; the text says which unit they look like."""
    names = {1: "ns", 1_000: "us", 1_000_000: "ms", 1_000_000_000: "s"}

    def found(row: int) -> str:
        stamp = int(stamps[row])
        scale = ns_per_unit(stamp) or (1_000_000_000 if 10**8 <= stamp < 10**11 else 1)
        try:
            when = str(np.datetime64(stamp, "ns").astype("datetime64[s]"))
        except (OverflowError, ValueError):
            when = "no date"
        unit = f"; it looks like {names[scale]}, {scale:,} times too small" if scale > 1 else ""
        return f"the {title} is {stamp}, read as ns {when}{unit}"

    bad = (stamps < EARLIEST_NS) | (stamps > LATEST_NS)
    return some(ERROR, "times", column, bad, found, "ns since 1970, between 2000 and 2100", "Multiply the column, or write the file again.")


def check_kinds(rows: Rows) -> list[Finding]:
    """Find event kinds that are no market data, and sides that are none."""
    kind, side = rows["kind"], rows["side"]
    two_sided = np.isin(kind, (DEPTH, BBO, L3_ORDER))
    known = ", ".join(f"{KIND_NAMES[one]} {one}" for one in MARKET_KINDS)
    return [
        *some(
            ERROR,
            "kinds",
            "kind",
            ~np.isin(kind, MARKET_KINDS),
            lambda row: f"event kind {kind[row]} ({KIND_NAMES.get(int(kind[row]), 'unknown')}) is no market data",
            known,
            "Take the rows out, or convert the file again with a version of the converter that knows them.",
        ),
        *some(
            ERROR,
            "sides",
            "side",
            (two_sided & (side != BID) & (side != ASK)) | (np.abs(side.astype(int)) > 1),
            lambda row: f"side {side[row]} of a {KIND_NAMES.get(int(kind[row]), kind[row])} row",
            "1 (bid, buy) or -1 (ask, sell)",
            "Mend the converter: without a side the row cannot be placed.",
        ),
        *some(
            INFO,
            "sides",
            "side",
            (kind == TRADE) & (side == 0),
            lambda _: "a print without an aggressor",
            "1 or -1",
            "Measures by side leave it out.",
        ),
    ]


def check_instruments(rows: Rows, instruments: Sequence[Instrument]) -> list[Finding]:
    """Find rows whose instrument is not among those of the tape."""
    return some(
        ERROR,
        "instruments",
        "instrument",
        rows["instrument"] >= len(instruments),
        lambda row: f"the row names instrument {rows['instrument'][row]}, but {len(instruments)} were given",
        f"a number below {len(instruments)}",
        "Give all instruments in the order of their numbers, or mend the column.",
    )


def check_values(rows: Rows, instruments: Sequence[Instrument]) -> list[Finding]:
    """Find prices at or below zero where the market knows none, negative quantities, and prints of nothing."""
    kind, price, lots = rows["kind"], rows["price_ticks"], rows["qty_lots"]
    priced = np.isin(kind, PRICED_KINDS) & ~((kind == BBO) & (lots == 0))
    low = priced & (price <= 0)
    legal = np.count_nonzero(low) > NEGATIVE_LEGAL_FRAC * np.count_nonzero(priced)

    def number(row: int, ticks: int) -> str:
        index = int(rows["instrument"][row])
        return instruments[index].price_text(ticks) if index < len(instruments) else f"{ticks} ticks"

    return [
        *some(
            INFO if legal else ERROR,
            "prices",
            "price_ticks",
            low,
            lambda row: f"the price of a {KIND_NAMES[int(kind[row])]} row is {number(row, int(price[row]))} ({price[row]} ticks)",
            "more than zero",
            "Such prices are frequent here: believed." if legal else "Drop the row, or mend the sign: no other price here is like it.",
        ),
        *some(
            ERROR,
            "quantities",
            "qty_lots",
            priced & (lots < 0),
            lambda row: f"the quantity of a {KIND_NAMES[int(kind[row])]} row is {lots[row]} lots",
            "zero or more",
            "Drop the row: a level that goes has quantity 0, and the side says the direction.",
        ),
        *some(
            ERROR,
            "quantities",
            "qty_lots",
            (kind == TRADE) & (lots == 0),
            lambda _: "a print of no quantity",
            "more than zero",
            "Drop the row.",
        ),
    ]
