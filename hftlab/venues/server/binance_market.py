"""Public REST: books, trades, candles and tickers of both Binance skins."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from hftlab.types import ASK
from hftlab.venues.server.binance_candles import INTERVALS_MS, Candle, Candles
from hftlab.venues.server.binance_common import Call, Denied, Grid, House, Params, Route, Routes
from hftlab.venues.server.binance_limits import Weight
from hftlab.venues.server.binance_orders import page, within
from hftlab.venues.server.model import Print

DAY_MS, FUNDING_MS = 86_400_000, 28_800_000
FUNDING_RATE, INTEREST_RATE = "0.00010000", "0.00010000"
PRINTS_MAX = 5000
FUTURES_LIMITS = (5, 10, 20, 50, 100, 500, 1000)


def merged(prints: Iterable[Print]) -> list[list[Print]]:
    """Return trades as the venue aggregates them: one taker's fills at one price."""
    groups: list[list[Print]] = []
    for one in prints:
        if groups and same_aggregate(groups[-1][-1], one):
            groups[-1].append(one)
        else:
            groups.append([one])
    return groups


def same_aggregate(one: Print, other: Print) -> bool:
    """Say whether two trades in a row belong to one aggregate trade."""
    return (one.ts_ns, one.price_ticks, one.side) == (other.ts_ns, other.price_ticks, other.side)


class MarketData:
    """Public endpoints. `candles` is fed by the skin with every public trade."""

    def __init__(self, house: House, candles: Candles) -> None:
        self.house, self.candles = house, candles

    def routes(self) -> Routes:
        """Return the endpoints with the weights of the venue's pages."""
        if self.house.spot:
            both = self._both("/api/v3", 25, 4, 2)
            more = {
                ("GET", "/api/v3/uiKlines"): Route(self.klines, 2),
                ("GET", "/api/v3/avgPrice"): Route(self.average_price, 2),
                ("GET", "/api/v3/ticker/24hr"): Route(self.ticker, Weight(2, 80)),
                ("GET", "/api/v3/ticker/price"): Route(self.prices, Weight(2, 4)),
                ("GET", "/api/v3/ticker/bookTicker"): Route(self.touches, Weight(2, 4)),
            }
            return both | more
        both = self._both("/fapi/v1", 5, 20, _klines_weight)
        return both | {
            ("GET", "/fapi/v1/premiumIndex"): Route(self.premium_index, Weight(1, 10)),
            ("GET", "/fapi/v1/openInterest"): Route(self.open_interest),
            ("GET", "/fapi/v1/ticker/24hr"): Route(self.ticker, Weight(1, 40)),
            ("GET", "/fapi/v1/ticker/price"): Route(self.prices, Weight(1, 2)),
            ("GET", "/fapi/v2/ticker/price"): Route(self.prices, Weight(1, 2)),
            ("GET", "/fapi/v1/ticker/bookTicker"): Route(self.touches, Weight(2, 5)),
        }

    def _both(self, base: str, trades: int, aggregates: int, klines: Any) -> Routes:
        return {
            ("GET", f"{base}/depth"): Route(self.depth, self._depth_weight),
            ("GET", f"{base}/trades"): Route(self.trades, trades),
            ("GET", f"{base}/historicalTrades"): Route(self.trades, trades),
            ("GET", f"{base}/aggTrades"): Route(self.aggregates, aggregates),
            ("GET", f"{base}/klines"): Route(self.klines, klines),
        }

    # --- the book ---
    def _depth_limit(self, params: Params) -> int:
        if self.house.spot:
            return params.limit(100, 5000)
        limit = params.integer("limit", 500)
        if limit not in FUTURES_LIMITS:
            raise Denied(-4021, f"{limit} is not valid depth limit.")
        return limit

    def _depth_weight(self, params: Params) -> int:
        limit = self._depth_limit(params)
        steps = ((100, 5), (500, 25), (1000, 50), (5000, 250)) if self.house.spot else ((50, 2), (100, 5), (500, 10), (1000, 20))
        return next(weight for most, weight in steps if limit <= most)

    def depth(self, call: Call) -> dict[str, Any]:
        """Return a snapshot of the book; a fault may make it old."""
        house, symbol = self.house, self.house.symbol(call.params)
        book = house.core.book(symbol, self._depth_limit(call.params), house.faults.snapshot_back(symbol))
        grid = house.grids[symbol]
        times = {} if house.spot else {"E": house.now_ms(), "T": house.ms(book.ts_ns)}
        return {"lastUpdateId": book.last_id, **times, "bids": grid.levels(book.bids), "asks": grid.levels(book.asks)}

    def touches(self, call: Call) -> Any:
        """Return best bid and ask of one symbol or all."""
        rows = []
        for symbol in self.house.symbols(call.params):
            touch, grid = self.house.core.touch(symbol), self.house.grids[symbol]
            bid = {"bidPrice": grid.price(touch.bid_ticks), "bidQty": grid.qty(touch.bid_lots)}
            ask = {"askPrice": grid.price(touch.ask_ticks), "askQty": grid.qty(touch.ask_lots)}
            more = {} if self.house.spot else {"time": self.house.ms(touch.ts_ns), "lastUpdateId": touch.last_id}
            rows.append({"symbol": symbol, **bid, **ask, **more})
        return _one_or_all(call, rows)

    # --- trades ---
    def _prints(self, call: Call) -> list[Print]:
        return list(self.house.core.prints(self.house.symbol(call.params), PRINTS_MAX))

    def trades(self, call: Call) -> list[dict[str, Any]]:
        """Return public trades: the newest, or from `fromId` on."""
        prints, grid = page(call, self._prints(call), lambda one: one.trade_id, "fromId", 1000), self._grid(call)
        match = {"isBestMatch": True} if self.house.spot else {}
        return [
            {
                "id": one.trade_id,
                "price": grid.price(one.price_ticks),
                "qty": grid.qty(one.qty_lots),
                "quoteQty": grid.quote(one.price_ticks * one.qty_lots),
                "time": self.house.ms(one.ts_ns),
                "isBuyerMaker": one.side == ASK,
                **match,
            }
            for one in prints
        ]

    def aggregates(self, call: Call) -> list[dict[str, Any]]:
        """Return aggregate trades; each is named by its first trade."""
        grid = self._grid(call)
        groups = [group for group in merged(self._prints(call)) if within(call, self.house.ms(group[0].ts_ns))]
        return [
            {
                "a": group[0].trade_id,
                "p": grid.price(group[0].price_ticks),
                "q": grid.qty(sum(one.qty_lots for one in group)),
                "f": group[0].trade_id,
                "l": group[-1].trade_id,
                "T": self.house.ms(group[0].ts_ns),
                "m": group[0].side == ASK,
                **({"M": True} if self.house.spot else {}),
            }
            for group in page(call, groups, lambda group: group[0].trade_id, "fromId", 1000)
        ]

    def _grid(self, call: Call) -> Grid:
        return self.house.grids[self.house.symbol(call.params)]

    # --- candles and tickers ---
    def klines(self, call: Call) -> list[list[Any]]:
        """Return candles of an interval, oldest first."""
        symbol, interval = self.house.symbol(call.params), call.params.need("interval")
        if interval not in INTERVALS_MS:
            raise Denied(-1120, "Invalid interval.")
        rows = [row for row in self.candles.rows(symbol, interval, self.house.now_ms()) if within(call, row.start_ms)]
        limit, span = call.params.limit(500, 1000 if self.house.spot else 1500), INTERVALS_MS[interval]
        rows = rows[:limit] if call.params.get("startTime") else rows[-limit:]
        return [self._kline(self.house.grids[symbol], row, span) for row in rows]

    def _kline(self, grid: Grid, row: Candle, span_ms: int) -> list[Any]:
        prices = [grid.price(ticks) for ticks in (row.open, row.high, row.low, row.close)]
        bought = [grid.qty(row.bought_lots), grid.quote(row.bought_ticklots)]
        end = row.start_ms + span_ms - 1
        return [row.start_ms, *prices, grid.qty(row.lots), end, grid.quote(row.ticklots), row.count, *bought, "0"]

    def average_price(self, call: Call) -> dict[str, Any]:
        """Return the average price: the mark, for want of five minutes of history at the start."""
        symbol = self.house.symbol(call.params)
        return {"mins": 5, "price": f"{self.house.core.mark_price(symbol):.8f}", "closeTime": self.house.now_ms()}

    def ticker(self, call: Call) -> Any:
        """Return the last 24 hours of one symbol or all."""
        return _one_or_all(call, [self._day(symbol) for symbol in self.house.symbols(call.params)])

    def _day(self, symbol: str) -> dict[str, Any]:
        grid, now_ms = self.house.grids[symbol], self.house.now_ms()
        day = self.candles.day(symbol, now_ms)
        change, percent, average = self.candles.change(grid, day)
        row = {
            "symbol": symbol,
            "priceChange": change,
            "priceChangePercent": percent,
            "weightedAvgPrice": average,
            "lastPrice": grid.price(day.close),
            "lastQty": grid.qty(day.last_lots),
            "openPrice": grid.price(day.open),
            "highPrice": grid.price(day.high),
            "lowPrice": grid.price(day.low),
            "volume": grid.qty(day.lots),
            "quoteVolume": grid.quote(day.ticklots),
            "openTime": now_ms - DAY_MS,
            "closeTime": now_ms,
            "firstId": day.first_id,
            "lastId": day.last_id,
            "count": day.count,
        }
        if self.house.spot:
            touch = self.house.core.touch(symbol)
            row |= {"bidPrice": grid.price(touch.bid_ticks), "bidQty": grid.qty(touch.bid_lots)}
            row |= {"askPrice": grid.price(touch.ask_ticks), "askQty": grid.qty(touch.ask_lots), "prevClosePrice": row["openPrice"]}
        return row

    def prices(self, call: Call) -> Any:
        """Return last prices."""
        rows = []
        for symbol in self.house.symbols(call.params):
            prints = self.house.core.prints(symbol, 1)
            text = self.house.grids[symbol].price(prints[-1].price_ticks if prints else None)
            rows.append({"symbol": symbol, "price": text, **({} if self.house.spot else {"time": self.house.now_ms()})})
        return _one_or_all(call, rows)

    def premium_index(self, call: Call) -> Any:
        """Return mark prices and the coming funding."""
        return _one_or_all(call, [self._premium(symbol) for symbol in self.house.symbols(call.params)])

    def _premium(self, symbol: str) -> dict[str, Any]:
        mark, now_ms = f"{self.house.core.mark_price(symbol):.8f}", self.house.now_ms()
        prices = {"markPrice": mark, "indexPrice": mark, "estimatedSettlePrice": mark}
        rates = {"lastFundingRate": FUNDING_RATE, "interestRate": INTEREST_RATE, "nextFundingTime": next_funding_ms(now_ms)}
        return {"symbol": symbol, **prices, **rates, "time": now_ms}

    def open_interest(self, call: Call) -> dict[str, Any]:
        """Return the open interest, which this exchange does not count."""
        symbol = self.house.symbol(call.params)
        return {"symbol": symbol, "openInterest": f"{Decimal(0):.3f}", "time": self.house.now_ms()}


def next_funding_ms(now_ms: int) -> int:
    """Return when funding is next exchanged: every eight hours of the UTC day."""
    return (now_ms // FUNDING_MS + 1) * FUNDING_MS


def _klines_weight(params: Params) -> int:
    limit = params.limit(500, 1500)
    return 1 if limit < 100 else 2 if limit < 500 else 5 if limit <= 1000 else 10


def _one_or_all(call: Call, rows: list[dict[str, Any]]) -> Any:
    return rows[0] if call.params.get("symbol") else rows
