"""An unmodified ccxt.pro against the loopback venue: three skins, two routes, a cell for every call, each held against the venue's truth.

Routes: `url` (other addresses, plain) and `proxy` (the venue's real addresses, led here by a CONNECT proxy with a throw-away
certificate; ccxt then raises the classes that it raises in life). A cell is ok, – (there is no such thing) or ✗ and what differed.
ccxt is given options of its own where it would otherwise ask for currencies, margins and kinds of markets that are not there, and its
limiter is off (`LoopbackVenue.ccxt_options`); one row is of a client without any. No method of it is replaced.
Both routes of a skin run at once, each with an account of its own, in a market that moves. A second table is of clients that are not ccxt.
"""

import argparse
import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import ccxt.pro

from benchmarks.drills.conform import account, errors, limits, market, others, trading
from benchmarks.drills.conform.desk import MARKETS, Absent, Desk, Differs, Witness
from benchmarks.drills.desk import WAIT_S, fresh_environment
from hftlab.venues.server.config import VenueConfig
from hftlab.venues.server.serve import LoopbackVenue

ROUTES = ("url", "proxy")
CELL_S = 40.0
Cells = dict[str, str]


async def cell(work: Any) -> str:
    """Return what became of one call."""
    try:
        async with asyncio.timeout(CELL_S):
            note = await work
    except Absent as why:
        return f"– {why}"
    except Differs as error:
        return f"✗ {error}"
    except TimeoutError:
        return f"✗ nothing within {CELL_S:.0f} s"
    except Exception as error:  # why: a call that raises is a cell of the table, not the end of it
        return f"✗ {type(error).__name__}: {error}"
    return f"ok: {note}" if note else "ok"


async def session(venue: Any, skin: str, through: str, witness: Witness) -> Cells:
    """Run one client through everything; return its cells."""
    number = ROUTES.index(through)
    ex = getattr(ccxt.pro, skin)(venue.ccxt_options(skin, through, number))
    d, cells = Desk(venue, skin, through, number, witness, ex), Cells()
    d.books, d.ears = market.Books(d), account.Ears(d)
    watching: Any = None
    try:
        async with asyncio.timeout(WAIT_S):
            while not witness.prints[d.own]:  # noqa: ASYNC110 # before the first trade a ticker has no last price
                await asyncio.sleep(0.02)
        for name, call in market.PUBLIC[:1]:
            cells[name] = await cell(call(d))
        watching = asyncio.ensure_future(d.books.watch())
        for name, call in market.PUBLIC[1:]:
            cells[name] = await cell(call(d))
        cells["user streams open"] = await cell(d.ears.open())
        for name, call in trading.ORDERS:
            cells[name] = await cell(call(d))
        for case in errors.CASES:
            cells[case[0]] = await cell(errors.refused(d, case))
        for name, call in (*trading.AFTER, *trading.HEARD):
            cells[name] = await cell(call(d))
        cells["watch_order_book = the true book"] = await cell(_watched(d, watching))
    finally:
        d.ears.close()
        if watching is not None:
            watching.cancel()
        await ex.close()
    return cells


async def _watched(d: Desk, watching: Any) -> str:
    if watching.done():
        watching.result()
    return await market.watch_order_book(d)


async def everything(venue: Any) -> dict[tuple[str, str], Cells]:
    """Run both routes of each skin at once, then the sessions that use up a budget."""
    witnesses = {skin: venue.call(lambda skin=skin: Witness(venue.cores[skin])) for skin in MARKETS}
    found: dict[tuple[str, str], Cells] = {}
    for skin in MARKETS:
        cells = await asyncio.gather(*(session(venue, skin, through, witnesses[skin]) for through in ROUTES))
        found |= {(skin, through): some for through, some in zip(ROUTES, cells, strict=True)}
    for one in found:
        found[one] |= await limits.rates(*one)
    return found


def table(found: dict[tuple[str, str], Cells]) -> str:
    """Return the cells as a table in Markdown."""
    rows = list(dict.fromkeys(name for cells in found.values() for name in cells))
    head = ["call", *(f"{skin} {through}" for skin, through in found)]
    lines = [head, ["---"] * len(head)]
    lines += [[name, *(_text(cells.get(name, "✗ not reached")) for cells in found.values())] for name in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _text(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")[:300]


def summary(found: dict[tuple[str, str], Cells]) -> tuple[str, int]:
    """Return a sentence of counts, and how many cells differ."""
    cells = [text for some in found.values() for text in some.values()]
    good, none = (sum(text.startswith(mark) for text in cells) for mark in ("ok", "–"))
    bad = len(cells) - good - none
    return f"{len(cells)} cells: {good} ok, {bad} differ, {none} of things that ccxt or the venue does not have", bad


def main(arguments: list[str]) -> int:
    """Run the drill, print the tables; 1 when anything differs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drills conformance")
    parser.add_argument("--markdown", type=Path, help="write the tables to this file too")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--clients", type=Path, default=others.CLIENTS, help="where the environments of the other clients are")
    options = parser.parse_args(arguments)
    fresh_environment()
    began_s = time.monotonic()
    wide = {"hyperliquid": {"weight_per_min": 10**6}, "binance": {"weight_max": 10**6}, "binanceusdm": {"weight_max": 10**6}}
    with LoopbackVenue(VenueConfig(seed=options.seed, accounts=3, limits=wide)) as venue:
        first = asyncio.run(everything(venue))
        second = others.run(venue, options.clients)
    said, bad = summary(first)
    said_others, bad_others = summary(second)
    text = (
        f"# Real clients at the loopback venue\n\nWritten by `python -m benchmarks.drills conformance --markdown FILE`, seed {options.seed}.\n"
        f"{(__doc__ or '').split(chr(10), 1)[1]}\n## ccxt.pro {ccxt.pro.__version__}, unmodified\n\n{said}.\n\n{table(first)}\n\n"
        f"## Clients that are not ccxt\n\n{others.ABOUT}\n\n{said_others}.\n\n{table(second)}\n"
    )
    print(text)
    print(f"{time.monotonic() - began_s:.0f} s", file=sys.stderr)
    if options.markdown:
        options.markdown.write_text(text, encoding="utf-8")
    return int(bad + bad_others > 0)
