"""The payloads of Binance's public streams, spot and futures."""

from typing import Any

from hftlab.types import ASK
from hftlab.venues.server.binance_candles import Candle, Candles
from hftlab.venues.server.binance_common import House
from hftlab.venues.server.binance_market import DAY_MS, FUNDING_RATE, next_funding_ms
from hftlab.venues.server.model import DepthDiff, Print, Touch

Level = tuple[int, int]


class Frames:
    """Each method returns one event as JSON has it, its members in the venue's own order."""

    def __init__(self, house: House, candles: Candles) -> None:
        self.house, self.candles = house, candles

    def depth(self, diff: DepthDiff) -> dict[str, Any]:
        """A change of the book; `diff` may be the sum of many."""
        house, grid = self.house, self.house.grids[diff.symbol]
        event = {"e": "depthUpdate", "E": house.now_ms()}
        if not house.spot:
            event["T"] = house.ms(diff.ts_ns)
        event |= {"s": diff.symbol, "U": diff.first_id, "u": diff.last_id}
        if not house.spot:
            event["pu"] = diff.previous_id
        return {**event, "b": grid.levels(diff.bids), "a": grid.levels(diff.asks)}

    def partial(self, symbol: str, levels: int, previous_id: int) -> tuple[dict[str, Any], int]:
        """The best levels as they are, and the update id at which that was."""
        house, grid = self.house, self.house.grids[symbol]
        book = house.core.book(symbol, levels)
        if house.spot:
            return {"lastUpdateId": book.last_id, "bids": grid.levels(book.bids), "asks": grid.levels(book.asks)}, book.last_id
        return self.depth(DepthDiff(symbol, book.last_id, book.last_id, previous_id, book.ts_ns, book.bids, book.asks)), book.last_id

    def touch(self, touch: Touch) -> dict[str, Any]:
        """Best bid and ask."""
        house, grid = self.house, self.house.grids[touch.symbol]
        bid = {"b": grid.price(touch.bid_ticks), "B": grid.qty(touch.bid_lots)}
        event = {"u": touch.last_id, "s": touch.symbol, **bid, "a": grid.price(touch.ask_ticks), "A": grid.qty(touch.ask_lots)}
        return event if house.spot else {"e": "bookTicker", **event, "T": house.ms(touch.ts_ns), "E": house.now_ms()}

    def trade(self, one: Print) -> dict[str, Any]:
        """One trade."""
        house, grid = self.house, self.house.grids[one.symbol]
        what = {"t": one.trade_id, "p": grid.price(one.price_ticks), "q": grid.qty(one.qty_lots)}
        at, maker = house.ms(one.ts_ns), one.side == ASK
        if house.spot:
            return {"e": "trade", "E": house.now_ms(), "s": one.symbol, **what, "T": at, "m": maker, "M": True}
        return {"e": "trade", "E": house.now_ms(), "T": at, "s": one.symbol, **what, "X": "MARKET", "m": maker}

    def aggregate(self, group: list[Print]) -> dict[str, Any]:
        """Trades of one taker at one price, named by the first."""
        house, first = self.house, group[0]
        grid = house.grids[first.symbol]
        what = {"a": first.trade_id, "p": grid.price(first.price_ticks), "q": grid.qty(sum(one.qty_lots for one in group))}
        ids = {"f": first.trade_id, "l": group[-1].trade_id, "T": house.ms(first.ts_ns), "m": first.side == ASK}
        return {"e": "aggTrade", "E": house.now_ms(), "s": first.symbol, **what, **ids, **({"M": True} if house.spot else {})}

    def mini_ticker(self, symbol: str) -> dict[str, Any]:
        """The last 24 hours in short."""
        grid, now_ms = self.house.grids[symbol], self.house.now_ms()
        day = self.candles.day(symbol, now_ms)
        prices = {"c": grid.price(day.close), "o": grid.price(day.open), "h": grid.price(day.high), "l": grid.price(day.low)}
        return {"e": "24hrMiniTicker", "E": now_ms, "s": symbol, **prices, "v": grid.qty(day.lots), "q": grid.quote(day.ticklots)}

    def ticker(self, symbol: str) -> dict[str, Any]:
        """The last 24 hours."""
        grid, now_ms = self.house.grids[symbol], self.house.now_ms()
        day, touch = self.candles.day(symbol, now_ms), self.house.core.touch(symbol)
        change, percent, average = self.candles.change(grid, day)
        event: dict[str, Any] = {"e": "24hrTicker", "E": now_ms, "s": symbol, "p": change, "P": percent, "w": average}
        if self.house.spot:
            event |= {"x": grid.price(day.open), "b": grid.price(touch.bid_ticks), "B": grid.qty(touch.bid_lots)}
            event |= {"a": grid.price(touch.ask_ticks), "A": grid.qty(touch.ask_lots)}
        event |= {"c": grid.price(day.close), "Q": grid.qty(day.last_lots), "o": grid.price(day.open), "h": grid.price(day.high)}
        event |= {"l": grid.price(day.low), "v": grid.qty(day.lots), "q": grid.quote(day.ticklots), "O": now_ms - DAY_MS, "C": now_ms}
        return {**event, "F": day.first_id, "L": day.last_id, "n": day.count}

    def mark(self, symbol: str) -> dict[str, Any]:
        """The mark price and the coming funding."""
        now_ms, mark = self.house.now_ms(), f"{self.house.core.mark_price(symbol):.8f}"
        prices = {"p": mark, "i": mark, "P": mark}
        return {"e": "markPriceUpdate", "E": now_ms, "s": symbol, **prices, "r": FUNDING_RATE, "T": next_funding_ms(now_ms)}

    def kline(self, symbol: str, interval: str, span_ms: int, row: Candle, *, closed: bool) -> dict[str, Any]:
        """One candle."""
        grid = self.house.grids[symbol]
        when = {"t": row.start_ms, "T": row.start_ms + span_ms - 1, "s": symbol, "i": interval, "f": row.first_id, "L": row.last_id}
        prices = {"o": grid.price(row.open), "c": grid.price(row.close), "h": grid.price(row.high), "l": grid.price(row.low)}
        sums = {"v": grid.qty(row.lots), "n": row.count, "x": closed, "q": grid.quote(row.ticklots)}
        bought = {"V": grid.qty(row.bought_lots), "Q": grid.quote(row.bought_ticklots), "B": "0"}
        return {"e": "kline", "E": self.house.now_ms(), "s": symbol, "k": {**when, **prices, **sums, **bought}}
