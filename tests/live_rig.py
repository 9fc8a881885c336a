"""Live sessions for tests: the drills' desk beside a loopback venue, a death without goodbye, and what is read of a journal afterwards."""

import itertools
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import hftlab as hl
from benchmarks.drills.desk import SYMBOLS, Desk, differences, spec_of, truth_of
from hftlab.data import journal as jn
from hftlab.engine.spec import RunSpec, load_spec
from hftlab.errors import InputError
from hftlab.types import ASK, BID, EVENT, LINK, SUBMIT
from hftlab.venues.live.ids import Ids, new_tag
from hftlab.venues.server.hashing import hash_levels
from hftlab.venues.server.model import NewOrder
from hftlab.venues.server.serve import LoopbackVenue

SKINS = tuple(SYMBOLS)
WAIT_S = 60.0
_strangers = itertools.count(1)  # an order has a name, as every client gives it one


class Died(BaseException):
    """What ends an engine that is to die."""


def session(folder: Path, venue: LoopbackVenue, skin: str, **options: Any) -> Desk:
    """Return a live session that quotes on a venue."""
    return Desk(folder, spec_of(skin, venue.url, **options), skin).start()


def again(desk: Desk, rows_before: int) -> Desk:
    """Start the engine of a run again, in a new Desk; returns when it knows that the line to the venue stands.

    `rows_before`: what its journal held when the last engine ended.
    """
    resumed = Desk(desk.folder, load_spec(desk.folder), desk.skin).start(quoting=False)
    resumed.until(lambda: len(_links(journal(desk.folder), rows_before)), "the line to the venue stands")
    return resumed


def _links(rows: np.ndarray, start: int) -> np.ndarray:
    """Return the places of the rows from `start` on that say that the line stands."""
    up = np.flatnonzero((rows["kind"] == LINK) & (rows["qty_lots"] > 0))
    return up[up >= start]


def die(desk: Desk) -> int:
    """End an engine as a kill does: nothing is cancelled and nothing said; its sockets close. Returns the rows that its journal holds."""

    async def nothing() -> None:
        pass

    def end() -> None:
        for line in desk.driver._lines:
            line.halt = nothing
        desk.driver._failure = Died()
        desk.driver._failed.set()

    desk.on_loop(end)
    desk._thread.join(WAIT_S)
    assert isinstance(desk.failure, Died)
    desk.driver._journal.close()
    desk.driver._snapshot.close()
    return len(jn.read(desk.folder / "journal"))


def until(condition: Any, what: str, timeout_s: float = WAIT_S) -> None:
    """Wait for a condition."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, f"not within {timeout_s:g} s: {what}"
        time.sleep(0.02)


def calm(desk: Desk, venue: LoopbackVenue) -> None:
    """Have a session rest one bid and one ask far apart, and leave them where they are."""
    desk.command("set", half_spread_ticks=400.0)

    def far() -> bool:
        prices = sorted(order.price_ticks for order in open_orders(desk, venue))
        return len(prices) == 2 and prices[1] - prices[0] > 500

    desk.until(far, "the quotes are wide")
    desk.command("set", hysteresis_ticks=1e6)
    desk.until(lambda: far() and desk.look().working == 2, "two orders rest")


def trade(desk: Desk, venue: LoopbackVenue, fills: int, skin: str = "") -> None:
    """Let the crowd trade with both sides until the venue (of a desk at several: `skin`) has so many more fills of the session."""
    skin = skin or desk.skin
    wanted = truth_of(venue, skin, desk.spec).fills + fills
    lots = venue.cores[skin].instruments[SYMBOLS[skin]].lots("0.5")

    def enough() -> bool:
        for side in (BID, ASK):
            venue.do("nudge", skin=skin, symbol=SYMBOLS[skin], side=side, lots=lots)
        return truth_of(venue, skin, desk.spec).fills >= wanted

    desk.until(enough, f"{fills} fills")


def agree(desk: Desk, venue: LoopbackVenue) -> None:
    """Wait until a halted session and the venue agree in position, money and orders."""
    desk.until(lambda: not differences(desk, venue), "engine and venue agree", 15.0)


def book_is_true(desk: Desk, venue: LoopbackVenue) -> bool | None:
    """Say whether the engine's book is the venue's at the same update id; None while it trusts none, or the venue has not come so far.

    Hyperliquid has no update ids: there it must be twenty levels a side that the venue had, not long ago.
    """
    look, symbol, core = desk.look(), SYMBOLS[desk.skin], venue.cores[desk.skin]
    if not look.valid:
        return None
    if look.seq:
        try:
            return venue.book_hash(desk.skin, symbol, look.seq) == look.book
        except InputError:
            return None

    def had() -> bool:
        books = (core.book(symbol, 20, back) for back in range(1000))
        return any(hash_levels(book.bids, book.asks) == look.book for book in books)

    return venue.call(had)


def open_orders(desk: Desk, venue: LoopbackVenue) -> list[Any]:
    """Return what rests of a session at its venue."""
    account, symbol = venue.account(desk.skin), SYMBOLS[desk.skin]
    ids = Ids(desk.skin, desk.spec.tag)
    found = venue.call(lambda: venue.cores[desk.skin].open_orders(account, symbol))
    return [order for order in found if ids.parse(order.client_id) is not None]


def place(venue: LoopbackVenue, skin: str, side: int, qty: str, *, tif: str = "GTC", below: float = 0.0, client_id: str = "") -> Any:
    """Place an order of the account behind the session's back: a taker where `tif` says so, else far `below` the bid (a share of it)."""
    core, account, symbol = venue.cores[skin], venue.account(skin), SYMBOLS[skin]
    client_id = client_id or f"0x{next(_strangers):032x}"

    def act() -> Any:
        lots, touch = core.instruments[symbol].lots(qty), core.touch(symbol)
        price = int(touch.bid_ticks * below) if below else touch.ask_ticks + 100 if side == BID else touch.bid_ticks - 100
        return core.place(account, NewOrder(symbol, side, lots, price, client_id, tif))

    return venue.call(act)


def held_lots(venue: LoopbackVenue, skin: str) -> int:
    """Return the position of the account at a venue of perpetuals."""
    core, account = venue.cores[skin], venue.account(skin)
    return venue.call(lambda: core.position(account, SYMBOLS[skin]).lots)


def journal(folder: Path) -> np.ndarray:
    """Return the rows of a run's journal."""
    return jn.read(folder / "journal")


def submits_before_link(folder: Path, rows_before: int) -> int:
    """Return how many orders an engine that was started again wanted to send before it knew that the line to the venue stands."""
    rows, spec = journal(folder), load_spec(folder)
    first = int(_links(rows, rows_before)[0])
    state, run = spec.state(), spec.run()
    state.step(run, rows[:rows_before])
    return int((state.step(run, rows[rows_before:first])["kind"] == SUBMIT).sum())


def kept_requests(desk: Desk) -> list[np.ndarray]:
    """Have every request of a session that has not begun kept; returns the list that fills."""
    kept: list[np.ndarray] = [np.zeros(0, EVENT)]
    submit = desk.driver.submit

    def keep(requests: np.ndarray) -> None:
        kept.append(requests.copy())
        submit(requests)

    desk.driver.submit = keep
    return kept


def two_venues(url: str, skins: tuple[str, ...]) -> RunSpec:
    """Return a run with an instrument at each of several venues."""
    parts = [spec_of(skin, url) for skin in skins]
    return replace(
        parts[0],
        feed=hl.LiveFeed(tuple(one.instruments[0] for one in parts), server=url),
        instruments=tuple(one.instruments[0] for one in parts),
        quoters=tuple(one.quoters[0] for one in parts),
        limits=tuple(one.limits[0] for one in parts),
        tag=new_tag(),
    )


def secrets_of(venue: LoopbackVenue) -> list[bytes]:
    """Return the texts that must never be written down: API keys and secrets, and private keys without their prefix."""
    found = [text for skin in SKINS for name, text in venue.keys(skin).items() if name != "walletAddress"]
    return [text.removeprefix("0x").encode() for text in found]


def files_with_secrets(folder: Path, venue: LoopbackVenue) -> list[str]:
    """Return which files of a run, text or binary, hold a key or a secret of the venue."""
    secrets = secrets_of(venue)
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    assert files
    return [path.name for path in files if any(secret in path.read_bytes() for secret in secrets)]
