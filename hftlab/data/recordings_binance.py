"""Captures of Binance combined streams (spot, USDⓈ-M, COIN-M) as EVENT rows.

How diffs join a snapshot is in `binance_chain`. A recorder asks for the snapshot over REST while the stream runs, so diffs newer than
the snapshot often stand *before* it in the file. They are replayed right after it, at the time the snapshot arrived: before that
nobody could use them.
"""

import re
from collections import deque
from dataclasses import dataclass, field

import msgspec

from hftlab.data.binance_chain import BEGINS, GAPPED, INSIDE, REPEATED, Chain
from hftlab.data.binance_messages import Diff, Envelope, Level, Mark, Print, Ticker
from hftlab.data.capture_lines import ns_per_unit
from hftlab.data.markets import Markets
from hftlab.data.notes import Notes, say_rounded
from hftlab.data.rows import Grid, RowBuilder, SizeGrid, funding_rate, nearest_ticks, price_grid
from hftlab.types import ASK, BBO, BID, CLEAR, DEPTH, FUNDING, GAP, LAST, SNAPSHOT, TRADE

_COIN_M = re.compile(r"USD_(PERP|\d{6})$")
_RECENT = 4096  # diffs kept to be replayed after a snapshot: minutes of the fastest stream, snapshots take under a second


@dataclass
class _Market:
    index: int
    prices: Grid
    sizes: SizeGrid
    chain: Chain
    exch_ns: int = 0  # newest exchange time
    depth_ns: int = 0  # newest exchange time among the rows of the book
    raised: int = 0  # diffs whose exchange time went back and was raised to the one before
    snapshot_row: int = -1  # where the first snapshot stands
    mark: Mark | None = None  # the newest with a funding time
    recent: deque[Diff] = field(default_factory=lambda: deque(maxlen=_RECENT))


class BinanceReader:
    """Turns payloads into rows. One reader reads all files of a tape, so a chain goes on from one file to the next."""

    def __init__(self, markets: Markets, out: RowBuilder, notes: Notes, *, bbo: bool) -> None:
        self._markets = markets
        self._out = out
        self._notes = notes
        self._bbo = bbo
        self._envelope = msgspec.json.Decoder(Envelope).decode
        self._known: dict[tuple[str, str], _Market | None] = {}
        self._here: list[_Market | None] = []  # markets of the current file
        self._by_stream: dict[str, _Market | None] = {}
        self._kinds: dict[str, str] = {}
        self._orphan: tuple[int, Envelope] | None = None
        self.first_ns = 0  # when the first row came that will surely stay
        decode = msgspec.json.Decoder
        self._decode_diff = decode(Diff).decode
        self._decode_print = decode(Print).decode
        self._decode_ticker = decode(Ticker).decode
        self._decode_mark = decode(Mark).decode

    def start_file(self) -> None:
        """Forget which markets the stream names stand for: spot and futures use the same names."""
        self._here, self._by_stream, self._orphan = [], {}, None

    def read(self, recv_ns: int, payload: bytes) -> None:
        """Add the rows of one line. Raises msgspec.DecodeError, InputError."""
        line = self._envelope(payload)
        if not line.stream:
            self._bare(recv_ns, line)
            return
        kind = self._kinds.get(line.stream)
        if kind is None:
            kind = self._kinds[line.stream] = _kind(line.stream)
        if kind == "depth":
            diff = self._decode_diff(line.data)
            market = self._market(line.stream, diff.s, futures=diff.previous_id >= 0)
            if market is not None:
                self._diff(market, recv_ns, diff)
        elif kind == "trade":
            trade = self._decode_print(line.data)
            market = self._market(line.stream, trade.s, futures=trade.X != "")
            if market is not None:
                self._trade(market, recv_ns, trade)
        elif kind == "bookTicker" and self._bbo:
            ticker = self._decode_ticker(line.data)
            market = self._market(line.stream, ticker.s, futures=ticker.e != "")
            if market is not None:
                self._ticker(market, recv_ns, ticker)
        elif kind == "markPrice" and (mark := self._decode_mark(line.data)).T and mark.r:
            market = self._market(line.stream, mark.s, futures=True)
            if market is not None:
                self._mark(market, recv_ns, mark)
        else:
            self._notes.ignored[kind] += 1

    def snapshots(self) -> dict[int, int]:
        """Return, by instrument, the row where the first snapshot stands; -1 without one."""
        return {market.index: market.snapshot_row for market in self._known.values() if market is not None}

    def finish(self) -> None:
        """Report what was rounded and raised."""
        for market in self._known.values():
            if market is None:
                continue
            say_rounded(market.sizes, self._notes)
            if market.raised:
                name = self._markets.instruments[market.index].name
                self._notes.say(
                    "warning",
                    f"{name}: the exchange time of {market.raised:,} diffs went back within the book and was raised to the one before: "
                    "sorted by it, the diffs would change places.",
                )

    # --- markets -----------------------------------------------------------------------------------------------------
    def _market(self, stream: str, symbol: str, *, futures: bool) -> _Market | None:
        if stream in self._by_stream:
            return self._by_stream[stream]
        venue = "binance" if not futures else "binancecoinm" if _COIN_M.search(symbol) else "binanceusdm"
        key = (venue, symbol)
        if key not in self._known:
            index = self._markets.index(venue, symbol)
            self._known[key] = self._new_market(index, futures=futures) if index >= 0 else None
        market = self._by_stream[stream] = self._known[key]
        if market not in self._here:
            self._here.append(market)
        if self._orphan is not None:
            recv_ns, snapshot = self._orphan
            self._orphan = None
            self._bare(recv_ns, snapshot)
        return market

    def _new_market(self, index: int, *, futures: bool) -> _Market:
        instrument = self._markets.instruments[index]
        return _Market(index, price_grid(instrument), SizeGrid(instrument), Chain(futures))

    def _bare(self, recv_ns: int, line: Envelope) -> None:
        """Take a line without a stream name: a snapshot, or an answer to a subscription."""
        if line.last_update_id < 0:
            self._notes.ignored["(no stream name)"] += 1
        elif not self._here:
            self._orphan = (recv_ns, line)
        elif len(self._here) > 1:
            raise msgspec.ValidationError("a snapshot that does not name its symbol, in a capture of several: record one symbol a file")
        elif self._here[0] is not None:
            self._snapshot(self._here[0], recv_ns, line)

    # --- messages ----------------------------------------------------------------------------------------------------
    def _snapshot(self, market: _Market, recv_ns: int, line: Envelope) -> None:
        last = line.last_update_id
        self.first_ns = self.first_ns or recv_ns
        # Never earlier than what the book already holds, so that sorting by exchange time cannot pull it apart.
        market.depth_ns = max(market.depth_ns, _ns(line.T))
        market.exch_ns = max(market.exch_ns, market.depth_ns)
        first = market.snapshot_row < 0
        if first:
            market.snapshot_row = self._out.count
        stamps = (market.depth_ns, recv_ns, last)
        empty = not line.bids and not line.asks
        self._out.add(CLEAR, 0, SNAPSHOT | (LAST if empty else 0), stamps, market.index)
        self._levels(market, stamps, line.bids, line.asks, SNAPSHOT)
        market.chain.restart(last)
        waiting = [diff for diff in market.recent if market.chain.after(last, diff.last_id)]
        if first:
            self._notes.dropped["diff inside the snapshot"] += len(market.recent) - len(waiting)
        market.recent.clear()
        for diff in waiting:
            self._diff(market, recv_ns, diff, replayed=True)

    def _diff(self, market: _Market, recv_ns: int, diff: Diff, *, replayed: bool = False) -> None:
        found = market.chain.take(diff.first_id, diff.last_id, diff.previous_id)
        if found in (INSIDE, REPEATED):
            self._notes.dropped["diff inside the snapshot" if found == INSIDE else "diff repeated"] += 1
            return
        market.recent.append(diff)
        exch_ns = _ns(diff.T or diff.E)
        if exch_ns < market.depth_ns:
            if not replayed:
                market.raised += 1
            exch_ns = market.depth_ns
        market.depth_ns = exch_ns
        market.exch_ns = max(market.exch_ns, exch_ns)
        stamps = (exch_ns, recv_ns, diff.last_id)
        if found == BEGINS:
            self._out.add(CLEAR, 0, 0 if diff.b or diff.a else LAST, stamps, market.index)
        elif found == GAPPED:
            self._out.add(GAP, 0, LAST, stamps, market.index)
        self._levels(market, stamps, diff.b, diff.a, SNAPSHOT if replayed else 0)

    def _levels(self, market: _Market, stamps: tuple[int, int, int], bids: list[Level], asks: list[Level], flags: int) -> None:
        prices, sizes, add = market.prices, market.sizes, self._out.add
        if bids:
            end = 0 if asks else LAST
            add(DEPTH, BID, flags | end, stamps, market.index, [prices[p] for p, _ in bids], [sizes[q] for _, q in bids])
        if asks:
            add(DEPTH, ASK, flags | LAST, stamps, market.index, [prices[p] for p, _ in asks], [sizes[q] for _, q in asks])

    def _trade(self, market: _Market, recv_ns: int, trade: Print) -> None:
        market.exch_ns = max(market.exch_ns, _ns(trade.T))
        if trade.X not in ("", "MARKET"):
            self._notes.dropped[f"trade that is no market print ({trade.X})"] += 1
            return
        price, lots = market.prices[trade.p], market.sizes[trade.q]
        if price == 0 or lots == 0:
            self._notes.dropped["trade of zero price or size"] += 1
            return
        # m: the buyer was the maker, so a seller took.
        side = ASK if trade.m else BID
        self.first_ns = self.first_ns or recv_ns
        self._out.add(TRADE, side, LAST, (_ns(trade.T), recv_ns, trade.t), market.index, (price,), (lots,))

    def _mark(self, market: _Market, recv_ns: int, mark: Mark) -> None:
        """Add one FUNDING row when the time of payment has passed: with the rate and the mark price announced last before it."""
        before, market.mark = market.mark, mark
        if before is None or mark.T <= before.T or mark.E < before.T:  # a payment put off is none
            return
        instrument = self._markets.instruments[market.index]
        self.first_ns = self.first_ns or recv_ns
        paid = (nearest_ticks(before.p, instrument),), (funding_rate(before.r),)
        self._out.add(FUNDING, 0, LAST, (_ns(before.T), recv_ns, 0), market.index, *paid)

    def _ticker(self, market: _Market, recv_ns: int, ticker: Ticker) -> None:
        exch_ns = _ns(ticker.T) or market.exch_ns
        market.exch_ns = max(market.exch_ns, exch_ns)
        self.first_ns = self.first_ns or recv_ns
        stamps = (exch_ns, recv_ns, ticker.u)
        prices, sizes = market.prices, market.sizes
        self._out.add(BBO, BID, 0, stamps, market.index, (prices[ticker.b],), (sizes[ticker.B],))
        self._out.add(BBO, ASK, LAST, stamps, market.index, (prices[ticker.a],), (sizes[ticker.A],))


def _kind(stream: str) -> str:
    """Return what a stream carries: btcusdt@depth@100ms -> depth; btcusdt@depth20@100ms -> depth20; !miniTicker@arr -> !miniTicker."""
    name, _, rest = stream.partition("@")
    # Those of all symbols at once carry arrays, which are no market data of ours: their name keeps its mark.
    return name if name.startswith("!") else rest.partition("@")[0] or stream


def _ns(stamp: int) -> int:
    """Return an exchange stamp in ns: ms, or us on streams that were asked for it; 0 stays 0."""
    return stamp * 1_000_000 if 10**11 <= stamp < 10**14 else stamp * ns_per_unit(stamp)
