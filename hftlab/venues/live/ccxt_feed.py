"""Market data of any venue through ccxt.pro, for venues without a reader of ours.

ccxt applies the venue's updates to a book of its own and shows that book, several updates at a time when they come fast: rows are the
differences between two looks. Every look is right; what happened between two is merged, and queue models see less than there was.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from ccxt.base import errors as wrong

from hftlab.data.rows import RowBuilder, SizeGrid, price_grid
from hftlab.errors import VenueRefused
from hftlab.instrument import Instrument
from hftlab.types import ASK, BID, CLEAR, DEPTH, GAP, LAST, SNAPSHOT, TRADE
from hftlab.venues.live.ccxt_decode import number_of
from hftlab.venues.live.ccxt_exchange import SOCKET_FELL, exchange_for, markets_of, shortened
from hftlab.venues.live.model import Endpoint, StreamStatus

DEPTH_LEVELS = 50
STALE_S = 30.0  # a book that has not moved for so long is dialled anew
DELAY_S_MIN, DELAY_S_MAX = 0.2, 15.0
_PASSING = (wrong.NetworkError, wrong.InvalidNonce, *SOCKET_FELL)  # a gap in the sequence is a ChecksumError, which is an InvalidNonce

Emit = Callable[[np.ndarray], None]
Say = Callable[[str, str], None]


class BookRows:
    """Turns looks at a book into EVENT rows: the first one whole, behind a CLEAR, then what differs from the one before."""

    def __init__(self, instrument: Instrument, number: int, depth: int = DEPTH_LEVELS) -> None:
        self._number, self._depth = number, depth
        self._ticks, self._lots = price_grid(instrument), SizeGrid(instrument)
        self._last: tuple[dict[float, float], dict[float, float]] | None = None

    def forget(self) -> None:
        """Have the next look be a whole one again."""
        self._last = None

    def rows(self, bids: Sequence[Sequence[float]], asks: Sequence[Sequence[float]], stamps: tuple[int, int, int]) -> np.ndarray:
        """Return the rows of one look, none when nothing differs. `bids`, `asks`: [price, quantity, …], best first."""
        now = ({row[0]: row[1] for row in bids[: self._depth]}, {row[0]: row[1] for row in asks[: self._depth]})
        builder, before = RowBuilder(), self._last
        flags = SNAPSHOT if before is None else 0
        if before is None:
            builder.add(CLEAR, 0, SNAPSHOT, stamps, self._number)
        for side, old, new in zip((BID, ASK), before or ({}, {}), now, strict=True):
            changed = {price: 0.0 for price in old if price not in new} | {
                price: qty for price, qty in new.items() if old.get(price) != qty
            }
            if changed:
                ticks, lots = [self._ticks[repr(float(p))] for p in changed], [self._lots[repr(float(q))] for q in changed.values()]
                builder.add(DEPTH, side, flags, stamps, self._number, ticks, lots)
        self._last = now
        rows = builder.rows()
        if len(rows):
            rows["flags"][-1] |= LAST
        return rows


class CcxtReader:
    """`Reader` over ccxt.pro."""

    def __init__(
        self, place: Endpoint, instruments: tuple[Instrument, ...], clock_ns: Callable[[], int], seed: int = 1, stale_s: float = STALE_S
    ) -> None:
        self.instruments = instruments
        self._books = [StreamStatus(f"{i.symbol} book") for i in instruments]
        self._trades = [StreamStatus(f"{i.symbol} trades") for i in instruments]
        self.streams: Sequence[StreamStatus] = (*self._books, *self._trades)
        self._place, self._clock_ns, self._stale_s = place, clock_ns, stale_s
        self._jitter = random.Random(seed)
        self._exchange: Any = None

    async def run(self, emit: Emit, say: Say) -> None:
        """Follow until cancelled. Raises VenueRefused for what trying again does not mend."""
        self._exchange = exchange_for(self._place)
        self._exchange.timeout_on_exit = 0
        try:
            await markets_of(self._exchange)
            say("info", f"{self._place.venue} is read through ccxt: updates that come close together are merged into one.")
            async with asyncio.TaskGroup() as group:
                for number, instrument in enumerate(self.instruments):
                    group.create_task(self._follow_book(number, instrument, emit, say))
                    group.create_task(self._follow_trades(number, instrument, emit, say))
        finally:
            await self._exchange.close()

    async def _follow_book(self, number: int, instrument: Instrument, emit: Emit, say: Say) -> None:
        status, rows_of, delay_s = self._books[number], BookRows(instrument, number), DELAY_S_MIN
        while True:
            try:
                while True:
                    async with asyncio.timeout(self._stale_s):
                        book = await self._exchange.watch_order_book(instrument.symbol)
                    rows = rows_of.rows(book["bids"], book["asks"], self._stamps(book, status))
                    self._heard(status)
                    delay_s = DELAY_S_MIN
                    if len(rows):
                        emit(rows)
            except _PASSING as error:
                why = f"no update for {self._stale_s:g} s" if isinstance(error, TimeoutError) else shortened(error)
                self._lost(status, number, emit, say, why)
                rows_of.forget()
                if isinstance(error, TimeoutError):  # the socket may stand and be silent: ccxt would go on listening
                    await self._exchange.close_ws_clients()
            except wrong.BaseError as error:
                raise VenueRefused(f"{instrument.name} book: {type(error).__name__}: {shortened(error)}") from error
            delay_s = await self._wait(delay_s)

    async def _follow_trades(self, number: int, instrument: Instrument, emit: Emit, say: Say) -> None:
        status, delay_s = self._trades[number], DELAY_S_MIN
        ticks, lots = price_grid(instrument), SizeGrid(instrument)
        while True:
            try:
                while True:
                    trades = await self._exchange.watch_trades(instrument.symbol)
                    self._heard(status)
                    delay_s = DELAY_S_MIN
                    builder, now_ns = RowBuilder(), self._clock_ns()
                    for trade in trades:
                        stamps = (int(trade["timestamp"]) * 1_000_000, now_ns, number_of(str(trade["id"] or status.messages)))
                        price, qty = [ticks[repr(float(trade["price"]))]], [lots[repr(float(trade["amount"]))]]
                        builder.add(TRADE, BID if trade["side"] == "buy" else ASK, LAST, stamps, number, price, qty)
                    emit(builder.rows())
            except _PASSING as error:
                status.up, status.note = False, shortened(error)
                status.reconnects += 1
                say("warn", f"{status.name}: {status.note}; connecting again.")
            except wrong.BaseError as error:
                raise VenueRefused(f"{instrument.name} trades: {type(error).__name__}: {shortened(error)}") from error
            delay_s = await self._wait(delay_s)

    def _stamps(self, book: Any, status: StreamStatus) -> tuple[int, int, int]:
        now_ns = self._clock_ns()
        told_ms = book.get("timestamp")
        return (int(told_ms) * 1_000_000 if told_ms else now_ns, now_ns, int(book.get("nonce") or status.messages))

    def _heard(self, status: StreamStatus) -> None:
        status.up, status.note = True, ""
        status.last_ns = self._clock_ns()
        status.messages += 1

    def _lost(self, status: StreamStatus, number: int, emit: Emit, say: Say, why: str) -> None:
        """Say that the book is not to be trusted until the next whole look."""
        was_up, status.up, status.note = status.up, False, why
        status.reconnects += 1
        say("warn", f"{status.name}: {why}; connecting again.")
        if was_up:
            status.gaps += 1
            now_ns, builder = self._clock_ns(), RowBuilder()
            builder.add(GAP, 0, LAST, (now_ns, now_ns, 0), number)
            emit(builder.rows())

    async def _wait(self, delay_s: float) -> float:
        """Wait a jittered delay and return the next one."""
        await asyncio.sleep(delay_s * (0.5 + 0.5 * self._jitter.random()))
        return min(2 * delay_s, DELAY_S_MAX)
