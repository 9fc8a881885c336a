"""The validating way from a frame of Binance to rows: msgspec's own decoder and exact decimals, for what the compiled one declines."""

import re
from dataclasses import dataclass

import msgspec
import numpy as np

from hftlab.data.binance_messages import Diff, Envelope, Level, Mark, Print, Ticker
from hftlab.data.capture_lines import ns_per_unit
from hftlab.data.markets import native_symbol
from hftlab.data.rows import Grid, RowBuilder, SizeGrid, funding_rate, nearest_ticks, price_grid
from hftlab.errors import InputError
from hftlab.instrument import Instrument
from hftlab.types import ASK, BBO, BID, CLEAR, DEPTH, FUNDING, LAST, SNAPSHOT, TRADE

_KINDS = {"depth": DEPTH, "trade": TRADE, "bookTicker": BBO, "markPrice": FUNDING}
_EVENTS = {"depthUpdate": DEPTH, "trade": TRADE, "bookTicker": BBO, "markPriceUpdate": FUNDING}
_SYMBOL = re.compile(rb'"s":"([A-Z0-9_]+)"|"stream":"([a-z0-9_]+)@')


class _Bare(msgspec.Struct):
    """A message without a wrapper: what tells its kind."""

    e: str = ""
    u: int = -1
    B: str = ""


class Past(msgspec.Struct, gc=False):
    """One print as REST tells it."""

    id: int
    price: str
    qty: str
    time: int
    isBuyerMaker: bool  # noqa: N815  # the venue's word


@dataclass(slots=True)
class Message:
    """A message of the market: rows (EVENT), ids as in the frame (`last_id` is also a print's id), exchange time of the rows."""

    kind: int
    market: int
    rows: np.ndarray
    exch_ns: int
    last_id: int
    first_id: int = 0
    previous_id: int = -1


_CACHED_MAX = 1 << 12  # texts of prices, and of sizes, remembered of one market: a snapshot holds 2,000, a session lasts for days


class _Sizes(SizeGrid):
    """Sizes of a live stream: those between two lots are rounded, however many.

    Only frames that the compiled reader declines come here, those with such sizes first of all: their share says nothing of the instrument.
    """

    def check(self) -> None:
        """Raise nothing."""


@dataclass(slots=True)
class _Market:
    instrument: Instrument
    number: int
    prices: Grid
    sizes: _Sizes
    mark: Mark | None = None  # the newest with a funding time


class SlowReader:
    """Reads frames, snapshots and past prints of some instruments of one venue. `numbers` go into the rows."""

    def __init__(self, instruments: tuple[Instrument, ...], numbers: tuple[int, ...]) -> None:
        self._markets = [_Market(one, number, price_grid(one), _Sizes(one)) for one, number in zip(instruments, numbers, strict=True)]
        for market in self._markets:
            market.prices.cached_max = market.sizes.cached_max = _CACHED_MAX
        self._index = {native_symbol(one): i for i, one in enumerate(instruments)}
        self._envelope = msgspec.json.Decoder(Envelope).decode
        self._bare = msgspec.json.Decoder(_Bare).decode
        self._diff = msgspec.json.Decoder(Diff).decode
        self._print = msgspec.json.Decoder(Print).decode
        self._ticker = msgspec.json.Decoder(Ticker).decode
        self._mark = msgspec.json.Decoder(Mark).decode
        self._past = msgspec.json.Decoder(list[Past]).decode

    def read(self, payload: bytes, recv_ns: int, newest_ns: int) -> Message | None:
        """Return a message of one of our markets, else None (an answer, another symbol). `newest_ns` is for frames without a time.

        Raises msgspec.DecodeError for what is not JSON or lacks something, InputError for a number that is on no grid.
        """
        line = self._envelope(payload)
        data: bytes | msgspec.Raw = line.data if line.stream else payload
        kind = self._kind(line.stream, data)
        if kind == DEPTH:
            return self._read_diff(self._diff(data), recv_ns)
        if kind == TRADE:
            return self._read_print(self._print(data), recv_ns)
        if kind == BBO:
            return self._read_ticker(self._ticker(data), recv_ns, newest_ns)
        return self._read_mark(self._mark(data), recv_ns) if kind == FUNDING else None

    def guess(self, payload: bytes) -> int:
        """Return the market that an unreadable frame seems to be about, or -1."""
        found = _SYMBOL.search(payload)
        return self._index.get((found[1] or found[2].upper()).decode(), -1) if found else -1

    def symbol(self, market: int) -> str:
        """Return the venue's own name of a market."""
        return native_symbol(self._markets[market].instrument)

    def _kind(self, stream: str, data: bytes | msgspec.Raw) -> int:
        if stream:
            return _KINDS.get(stream.partition("@")[2].partition("@")[0], 0)
        bare = self._bare(data)
        if bare.e:
            return _EVENTS.get(bare.e, 0)
        return BBO if bare.u >= 0 and bare.B else 0

    def _read_diff(self, diff: Diff, recv_ns: int) -> Message | None:
        index = self._index.get(diff.s, -1)
        if index < 0:
            return None
        exch_ns = stamp_ns(diff.T or diff.E)
        rows = self._levels(self._markets[index], (exch_ns, recv_ns, diff.last_id), diff.b, diff.a, 0)
        return Message(DEPTH, index, rows, exch_ns, diff.last_id, diff.first_id, diff.previous_id)

    def snapshot(self, market: int, snapshot: Envelope, exch_ns: int, recv_ns: int) -> np.ndarray:
        """Return the rows of a snapshot: CLEAR, then its levels, the last one marked LAST. Raises InputError."""
        one, out = self._markets[market], RowBuilder()
        stamps = (exch_ns, recv_ns, snapshot.last_update_id)
        empty = not snapshot.bids and not snapshot.asks
        out.add(CLEAR, 0, SNAPSHOT | (LAST if empty else 0), stamps, one.number)
        return np.concatenate([_taken(out), self._levels(one, stamps, snapshot.bids, snapshot.asks, SNAPSHOT)])

    def past(self, body: bytes) -> list[Past]:
        """Return past prints as REST told them, by id. Raises msgspec.DecodeError."""
        return sorted(self._past(body), key=lambda one: one.id)

    def past_rows(self, market: int, prints: list[Past], recv_ns: int, flags: int) -> np.ndarray:
        """Return TRADE rows of past prints. Raises InputError."""
        one, out = self._markets[market], RowBuilder()
        for told in prints:
            price, lots = one.prices[told.price], one.sizes[told.qty]
            if price and lots:
                side = ASK if told.isBuyerMaker else BID
                out.add(TRADE, side, flags | LAST, (stamp_ns(told.time), recv_ns, told.id), one.number, (price,), (lots,))
        return _taken(out)

    @staticmethod
    def _levels(one: _Market, stamps: tuple[int, int, int], bids: list[Level], asks: list[Level], flags: int) -> np.ndarray:
        prices, sizes, out = one.prices, one.sizes, RowBuilder()
        for side, levels, end in ((BID, bids, 0 if asks else LAST), (ASK, asks, LAST)):
            if levels:
                out.add(DEPTH, side, flags | end, stamps, one.number, [prices[p] for p, _ in levels], [sizes[q] for _, q in levels])
        return _taken(out)

    def _read_print(self, trade: Print, recv_ns: int) -> Message | None:
        index = self._index.get(trade.s, -1)
        if index < 0:
            return None
        one, out, exch_ns = self._markets[index], RowBuilder(), stamp_ns(trade.T)
        price, lots = one.prices[trade.p], one.sizes[trade.q]
        if trade.X in {"", "MARKET"} and price and lots:
            out.add(TRADE, ASK if trade.m else BID, LAST, (exch_ns, recv_ns, trade.t), one.number, (price,), (lots,))
        return Message(TRADE, index, _taken(out), exch_ns, trade.t)

    def _read_ticker(self, ticker: Ticker, recv_ns: int, newest_ns: int) -> Message | None:
        index = self._index.get(ticker.s, -1)
        if index < 0:
            return None
        one, out, exch_ns = self._markets[index], RowBuilder(), stamp_ns(ticker.T) or newest_ns
        stamps = (exch_ns, recv_ns, ticker.u)
        out.add(BBO, BID, 0, stamps, one.number, (one.prices[ticker.b],), (one.sizes[ticker.B],))
        out.add(BBO, ASK, LAST, stamps, one.number, (one.prices[ticker.a],), (one.sizes[ticker.A],))
        return Message(BBO, index, _taken(out), exch_ns, ticker.u)

    def _read_mark(self, mark: Mark, recv_ns: int) -> Message | None:
        """Return one FUNDING row when the time of payment has passed: with the rate and the mark price announced last before it."""
        index = self._index.get(mark.s, -1)
        if index < 0 or not mark.T or not mark.r:
            return None
        one, out = self._markets[index], RowBuilder()
        before, one.mark = one.mark, mark
        if before is not None and before.T < mark.T and mark.E >= before.T:  # a payment put off is none
            paid = (nearest_ticks(before.p, one.instrument),), (funding_rate(before.r),)
            out.add(FUNDING, 0, LAST, (stamp_ns(before.T), recv_ns, 0), one.number, *paid)
        return Message(FUNDING, index, _taken(out), stamp_ns(mark.E), mark.E)


def stamp_ns(stamp: int) -> int:
    """Return an exchange stamp in ns: ms, or us on streams that were asked for it; 0 stays 0."""
    return stamp * ns_per_unit(stamp)


def _taken(out: RowBuilder) -> np.ndarray:
    """Return the rows of a builder. Raises InputError."""
    try:
        return out.take()
    except OverflowError as error:
        raise InputError("a message has a number of more than 64 bits; wanted times, ids, prices and sizes of a market.") from error
