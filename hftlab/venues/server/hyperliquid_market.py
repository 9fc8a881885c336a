"""The public side of the loopback Hyperliquid: its coins, books, prints, candles and contexts, as the venue shows them."""

from decimal import Decimal
from typing import Any

from hftlab.types import BID, NO_PRICE
from hftlab.venues.server.hyperliquid_state import CASH, HyperliquidState
from hftlab.venues.server.hyperliquid_text import plain, side_text, tx_hash
from hftlab.venues.server.model import DepthDiff, Print

_INTERVALS_S = {"1m": 60, "3m": 180, "5m": 300, "15m": 900, "30m": 1800, "1h": 3600, "2h": 7200, "4h": 14400, "8h": 28800, "1d": 86400}
_CANDLES_MAX = 5000
_PRINTS_MAX = 100_000
_NOBODY = "0x" + "0" * 40

Level = tuple[int, int]
INTERVALS = tuple(_INTERVALS_S)


class _Running:
    """One candle, prices in ticks."""

    def __init__(self, begin_ms: int, first_ticks: int) -> None:
        self.begin_ms, self.lots, self.count = begin_ms, 0, 0
        self.open_ticks = self.high_ticks = self.low_ticks = self.close_ticks = first_ticks

    def add(self, one: Print) -> None:
        """Add a trade."""
        price = one.price_ticks
        self.close_ticks, self.high_ticks, self.low_ticks = price, max(price, self.high_ticks), min(price, self.low_ticks)
        self.lots += one.qty_lots
        self.count += 1


class HyperliquidMarket:
    """Makes the messages and replies about the market."""

    def __init__(self, state: HyperliquidState) -> None:
        self._state = state
        self._wrong: dict[str, dict[tuple[int, int], int]] = {}  # coin -> (side, ticks) -> lots that a fault shows instead
        self._volume = {coin: [0, 0] for coin in state.coins}  # lots, ticklots
        self._first_ticks: dict[str, int] = {}
        self._candles: dict[tuple[str, str], _Running] = {}

    # --- what happens ---
    def on_print(self, one: Print) -> None:
        """Count a public trade."""
        volume = self._volume[one.symbol]
        volume[0] += one.qty_lots
        volume[1] += one.qty_lots * one.price_ticks
        self._first_ticks.setdefault(one.symbol, one.price_ticks)
        time_ms = self._state.ms(one.ts_ns)
        for interval, span_s in _INTERVALS_S.items():
            begin = time_ms - time_ms % (span_s * 1000)
            running = self._candles.get((one.symbol, interval))
            if running is None or running.begin_ms != begin:
                running = self._candles[one.symbol, interval] = _Running(begin, one.price_ticks)
            running.add(one)

    def on_diff(self, diff: DepthDiff) -> None:
        """Let a fault corrupt the book: the venue sends no diffs, so what it changes of one shows in the next frame, once."""
        sent = self._state.faults.diffs(diff)
        if sent == [diff]:
            return
        wrong = self._wrong.setdefault(diff.symbol, {})
        told = {(side, ticks): lots for one in sent for side, levels in ((1, one.bids), (-1, one.asks)) for ticks, lots in levels}
        true = {(side, ticks): lots for side, levels in ((1, diff.bids), (-1, diff.asks)) for ticks, lots in levels}
        before = self._state.core.book(diff.symbol, back=1)
        was = {(side, ticks): lots for side, levels in ((1, before.bids), (-1, before.asks)) for ticks, lots in levels}
        wrong.update({key: lots for key, lots in told.items() if true.get(key) != lots})
        wrong.update({key: was.get(key, 0) for key in true if key not in told})

    # --- books ---
    def book(self, coin: str) -> dict[str, Any]:
        """Return the book of a coin, or an old one when a fault says so."""
        back = self._state.faults.snapshot_back(coin)
        time_ms = self._brought_ms()
        book = self._state.core.book(coin, self._state.rules.book_levels, back)
        time_ms = self._state.ms(book.ts_ns) if back else time_ms
        return {"coin": coin, "time": time_ms, "levels": [self._levels(coin, book.bids), self._levels(coin, book.asks)]}

    def _brought_ms(self) -> int:
        """Bring the market to this moment and return it: a book of an earlier one must not bear its time."""
        now_ns = self._state.core.now_ns()
        self._state.core.advance(now_ns)
        return self._state.ms(now_ns)

    def frame(self, coin: str) -> dict[str, Any]:
        """Return the book for an l2Book frame: with the levels that a fault corrupted since the last one."""
        frame = self.book(coin)
        wrong = self._wrong.pop(coin, None)
        if wrong:
            book = self._state.core.book(coin, self._state.rules.book_levels)
            for place, (side, levels) in enumerate(((1, book.bids), (-1, book.asks))):
                now = dict(levels) | {ticks: lots for (of, ticks), lots in wrong.items() if of == side}
                ordered = sorted(((ticks, lots) for ticks, lots in now.items() if lots), reverse=side == BID)
                frame["levels"][place] = self._levels(coin, tuple(ordered[: self._state.rules.book_levels]))
        return frame

    def _levels(self, coin: str, levels: tuple[Level, ...]) -> list[dict[str, Any]]:
        return [self._level(coin, ticks, lots) for ticks, lots in levels]

    def _level(self, coin: str, ticks: int, lots: int) -> dict[str, Any]:
        instrument = self._state.instrument(coin)
        # `n` counts the orders of a level; the core tells only their sum.
        return {"px": plain(instrument.price(ticks)), "sz": plain(instrument.qty(lots)), "n": 1}

    def touch(self, coin: str) -> dict[str, Any]:
        """Return best bid and ask of a coin, as `bbo` has them."""
        time_ms, touch = self._brought_ms(), self._state.core.touch(coin)
        sides = ((touch.bid_ticks, touch.bid_lots), (touch.ask_ticks, touch.ask_lots))
        bbo = [None if ticks == NO_PRICE else self._level(coin, ticks, lots) for ticks, lots in sides]
        return {"coin": coin, "time": time_ms, "bbo": bbo}

    def mids(self) -> dict[str, str]:
        """Return the mid price of every coin."""
        return {coin: plain(self._mid(coin)) for coin in self._state.coins}

    def _mid(self, coin: str) -> Decimal:
        touch, instrument = self._state.core.touch(coin), self._state.instrument(coin)
        if NO_PRICE in {touch.bid_ticks, touch.ask_ticks}:
            return self._state.core.mark_price(coin)
        return (instrument.price(touch.bid_ticks) + instrument.price(touch.ask_ticks)) / 2

    # --- prints ---
    def trade(self, one: Print) -> dict[str, Any]:
        """Return a public trade."""
        instrument = self._state.instrument(one.symbol)
        return {
            "coin": one.symbol,
            "side": side_text(one.side),
            "px": plain(instrument.price(one.price_ticks)),
            "sz": plain(instrument.qty(one.qty_lots)),
            "time": self._state.ms(one.ts_ns),
            "hash": tx_hash(one.trade_id),
            "tid": one.trade_id,
            "users": [_NOBODY, _NOBODY],
        }

    def trades(self, coin: str, limit: int) -> list[dict[str, Any]]:
        """Return the newest public trades, oldest first."""
        return [self.trade(one) for one in self._state.core.prints(coin, limit)] if limit else []

    def candles(self, coin: str, interval: str, start_ms: int, end_ms: int | None) -> list[dict[str, Any]]:
        """Return the candles that begin in a span, oldest first, made of the prints that are still known; [] for an unknown interval."""
        span_ms = _INTERVALS_S.get(interval, 0) * 1000
        if not span_ms or coin not in self._state.coins:
            return []
        candles: dict[int, _Running] = {}
        for one in self._state.core.prints(coin, _PRINTS_MAX):
            begin = self._state.ms(one.ts_ns) // span_ms * span_ms
            if start_ms <= begin and (end_ms is None or begin <= end_ms):
                candles.setdefault(begin, _Running(begin, one.price_ticks)).add(one)
        return [self._candle(coin, interval, one) for one in list(candles.values())[-_CANDLES_MAX:]]

    def candle(self, coin: str, interval: str) -> dict[str, Any] | None:
        """Return the candle of the newest trade, or None where there was none yet."""
        running = self._candles.get((coin, interval))
        return None if running is None else self._candle(coin, interval, running)

    def _candle(self, coin: str, interval: str, one: _Running) -> dict[str, Any]:
        instrument = self._state.instrument(coin)
        prices = {"o": one.open_ticks, "c": one.close_ticks, "h": one.high_ticks, "l": one.low_ticks}
        return {
            "t": one.begin_ms,
            "T": one.begin_ms + _INTERVALS_S[interval] * 1000 - 1,
            "s": coin,
            "i": interval,
            **{name: plain(instrument.price(value)) for name, value in prices.items()},
            "v": plain(instrument.qty(one.lots)),
            "n": one.count,
        }

    # --- what there is ---
    def meta(self) -> dict[str, Any]:
        """Return the coins in the order of their asset numbers."""
        most = self._state.rules.leverage_max
        coins = [
            {"szDecimals": self._state.instrument(coin).qty_decimals, "name": coin, "maxLeverage": most, "marginTableId": most}
            for coin in self._state.coins
        ]
        tiers = {"description": "", "marginTiers": [{"lowerBound": "0.0", "maxLeverage": most}]}
        return {"universe": coins, "marginTables": [[most, tiers]], "collateralToken": 0}

    def spot_meta(self) -> dict[str, Any]:
        """Return the tokens: the cash, and no pairs (this exchange trades perpetuals)."""
        cash = {"name": CASH, "szDecimals": 8, "weiDecimals": 8, "index": 0, "isCanonical": True, "evmContract": None, "fullName": None}
        return {"tokens": [cash | {"tokenId": "0x6d1e7cde53ba9467b783cb7c530ce054"}], "universe": []}

    def context(self, coin: str) -> dict[str, Any]:
        """Return the context of a coin. There is no oracle apart from the mark, and no funding but what is booked by hand."""
        instrument = self._state.instrument(coin)
        mid, mark = self._mid(coin), plain(self._state.core.mark_price(coin))
        lots, ticklots = self._volume[coin]
        first = self._first_ticks.get(coin)
        return {
            "funding": "0.0",
            "openInterest": "0.0",
            "prevDayPx": mark if first is None else plain(instrument.price(first)),
            "dayNtlVlm": plain(instrument.money_quote(ticklots)),
            "premium": "0.0",
            "oraclePx": mark,
            "markPx": mark,
            "midPx": plain(mid),
            "impactPxs": [plain(mid), plain(mid)],
            "dayBaseVlm": plain(instrument.qty(lots)),
        }
