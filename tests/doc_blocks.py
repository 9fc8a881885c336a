"""Runs the python blocks of a page of docs as they stand there: top to bottom, in one namespace, in an empty folder.

Three comments, which no reader of the page sees, stand on their own lines before a block:

    <!-- given: report, quoter -->      names that the page takes for granted, made by GIVEN below (`hl` is always there)
    <!-- run: assert len(report.fills) > 0 -->      code that is run at that place and not shown; it may have several lines
    <!-- not run: needs an account -->      the next block is not run, and why
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import hftlab as hl

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"

PIECE = re.compile(
    r"^<!-- (?P<word>given|run|not run): (?P<said>.*?)-->[ \t]*$|^```python[ \t]*\n(?P<code>.*?)^```[ \t]*$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """A piece of python in a page: its first line there, its code, and the reason when it is not run."""

    line: int
    code: str
    given: tuple[str, ...] = ()
    hidden: bool = False
    not_run: str = ""


def blocks(text: str) -> Iterator[Block]:
    """Yield the python of a page in its order, hidden pieces too."""
    given: tuple[str, ...] = ()
    not_run = ""
    for found in PIECE.finditer(text):
        said = (found["said"] or "").strip()
        if found["word"] == "given":
            given = tuple(name.strip() for name in said.split(","))
        elif found["word"] == "not run":
            not_run = said
        else:
            start = found.start("code") if found["code"] is not None else found.start("said")
            code = found["code"] if found["code"] is not None else said
            yield Block(text.count("\n", 0, start) + 1, code, given, found["code"] is None, not_run)
            given, not_run = (), ""


def run_page(page: Path) -> int:
    """Run the blocks of `page` in the working directory, and return how many of those that a reader sees were run.

    A line that raises is named by the page and its line there.
    """
    names: dict[str, object] = {"hl": hl, "__name__": "page"}
    count = 0
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.not_run:
            continue
        names.update({name: GIVEN[name]() for name in block.given})
        exec(compile("\n" * (block.line - 1) + block.code, str(page), "exec"), names)
        count += not block.hidden
    return count


def btc() -> hl.Instrument:
    return hl.Instrument.bundled("binance:BTC/USDT")


def quoter() -> hl.FixedSpread:
    return hl.FixedSpread(order_qty="0.01", half_spread_ticks=0.5, skew_ticks_per_order=0.5)


def limits() -> hl.Limits:
    return hl.Limits(position_qty_max="0.1", loss_quote_max=200)


@cache
def tape() -> hl.Tape:
    """Return the shipped sample."""
    return hl.sample()


@cache
def report() -> hl.Report:
    """Return one backtest on the sample, made once for all pages."""
    return hl.backtest(tape(), None, quoter(), limits())


GIVEN = {"btc": btc, "quoter": quoter, "limits": limits, "tape": tape, "report": report}
