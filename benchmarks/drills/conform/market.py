"""The public calls: each answer must be one that was true while it was on its way."""

from typing import Any

import ccxt.pro as ccxt

from benchmarks.drills.conform.desk import LEVELS, MS, Absent, Desk, Differs, known, same

BOOK_IDS = 25
MINUTE_MS = 60_000


async def load_markets(d: Desk) -> str:
    await d.ex.load_markets()
    market, one, filters = d.ex.market(d.symbol), d.instrument, d.ask(lambda: d.core.filters(d.own))
    same("market id", _own_name(d, market), d.own)
    same("amount step", market["precision"]["amount"], float(one.lot_size))
    if not d.hyperliquid:  # its rule is one of significant figures, of which ccxt makes a step for the price of the moment
        same("price step", market["precision"]["price"], float(one.tick_size))
        same("least amount", market["limits"]["amount"]["min"], d.qty(filters.qty_lots_min))
    same("least value", market["limits"]["cost"]["min"], float(filters.notional_quote_min))
    same("active, spot, linear", (market["active"], market["spot"], bool(market["linear"])), (filters.trading, d.spot, d.perp))
    same("listed", {_own_name(d, one) for one in d.ex.markets.values()}, set(d.core.instruments))
    return ""


def _own_name(d: Desk, market: Any) -> str:
    return str(market["info"]["name"] if d.hyperliquid else market["id"])


async def nothing_configured(d: Desk) -> str:
    """A client that is told the proxy and its keys, and no option at all."""
    if d.through == "url":
        raise Absent("its addresses are options")
    # In life one key is good for spot and futures; here each venue has its own, and ccxt's futures class asks the spot one for currencies.
    keys = {} if d.skin == "binanceusdm" else d.venue.keys(d.skin, d.account)
    options = {"httpsProxy": d.venue.proxy_url, "wssProxy": d.venue.proxy_url, "cafile": d.venue.ca_file}
    ex = getattr(ccxt, d.skin)({**keys, **options})
    try:
        book = await ex.watch_order_book(d.symbol)
        true = d.books_at(book["timestamp"]) if d.hyperliquid else {d.venue.book_hash(d.skin, d.own, book["nonce"])}
        known("book", d.hash_of(book), true)
        return f"{len(ex.markets)} markets{'' if keys else ', no keys'}"
    finally:
        await ex.close()


async def fetch_time(d: Desk) -> str:
    before = d.ask(d.core.now_ns) // MS
    found = await d.ex.fetch_time()
    if not before <= found <= d.ask(d.core.now_ns) // MS:
        raise Differs(f"time {found}, at the venue between {before} and later")
    return ""


def _same_ticker(d: Desk, ticker: Any, prints: int, touches: int) -> str:
    """A ticker tells the last print, or at Hyperliquid the mid; and bid and ask where it has them."""
    seen = d.witness.touches[d.own][touches:]
    pairs = {(d.price(one.bid_ticks), d.price(one.ask_ticks)) for one in seen}
    if d.hyperliquid:
        known("last", ticker["last"], {round((bid + ask) / 2, 8) for bid, ask in pairs})
    else:
        known("last", ticker["last"], {d.price(one.price_ticks) for one in d.witness.prints[d.own][prints:]})
        if ticker["bid"] is not None:
            known("bid and ask", (ticker["bid"], ticker["ask"]), pairs)
    return ""


def _mark(d: Desk) -> tuple[int, int]:
    """Return how far back in the witness an answer may lie that is asked for now."""
    return max(0, len(d.witness.prints[d.own]) - 1), max(0, len(d.witness.touches[d.own]) - 1)


async def fetch_ticker(d: Desk) -> str:
    mark = _mark(d)
    return _same_ticker(d, await d.ex.fetch_ticker(d.symbol), *mark)


async def fetch_bids_asks(d: Desk) -> str:
    if d.hyperliquid:
        raise Absent("not in ccxt")
    _, mark = _mark(d)
    found = (await d.ex.fetch_bids_asks([d.symbol]))[d.symbol]
    return _same_touch(d, found, mark)


def _same_touch(d: Desk, found: Any, mark: int) -> str:
    names = ("bid", "bidVolume", "ask", "askVolume")
    true = {
        (d.price(one.bid_ticks), d.qty(one.bid_lots), d.price(one.ask_ticks), d.qty(one.ask_lots))
        for one in d.witness.touches[d.own][mark:]
    }
    known("touch", tuple(found[name] for name in names), true)
    return ""


async def fetch_order_book(d: Desk) -> str:
    levels = LEVELS if d.hyperliquid else 100
    book = await d.ex.fetch_order_book(d.symbol, levels)
    if d.hyperliquid:
        known("book", d.hash_of(book), d.books_at(book["timestamp"]))
        return f"{levels} levels by time"
    same("book", d.hash_of(book), d.ask(lambda: d.core.book_hash(d.own, book["nonce"], levels)))
    return f"{levels} levels by id"


def _same_trades(d: Desk, trades: Any) -> str:
    """Trades one by one, or as Binance aggregates them: from trade f to trade l."""
    true = {one.trade_id: one for one in d.witness.prints[d.own]}
    if not trades:
        raise Differs("no trades")
    for found in trades:
        first, last = (int(found["info"].get(name, found["id"])) for name in ("f", "l"))
        if not {first, last} <= true.keys():
            raise Differs(f"public trade {found['id']}, which the venue does not know")
        lots = sum(true[number].qty_lots for number in range(first, last + 1))
        one = true[first]
        wanted = (d.price(one.price_ticks), d.qty(lots), "buy" if one.side > 0 else "sell", one.ts_ns // MS)
        same(f"public trade {found['id']}", (found["price"], found["amount"], found["side"], found["timestamp"]), wanted)
    return f"{len(trades)}"


async def fetch_trades(d: Desk) -> str:
    if d.hyperliquid:  # ccxt asks for userFills here, which are not the public's
        same("trades", await d.ex.fetch_trades(d.symbol), [])
        return "own fills"
    return _same_trades(d, await d.ex.fetch_trades(d.symbol))


def _same_candle(d: Desk, candle: Any) -> str:
    """A candle is that of its minute's prints up to some moment."""
    prints = [one for one in d.witness.prints[d.own] if one.ts_ns // MS // MINUTE_MS * MINUTE_MS == candle[0]]
    lots = 0
    for count, one in enumerate(prints, 1):
        lots += one.qty_lots
        if abs(d.qty(lots) - candle[5]) < 1e-9:
            prices = [d.price(one.price_ticks) for one in prints[:count]]
            same("candle", list(candle[1:5]), [prices[0], max(prices), min(prices), prices[-1]])
            return ""
    if not prints and candle[5] == 0:
        return ""
    raise Differs(f"a candle of volume {candle[5]} at {candle[0]}, which its minute never had: {d.qty(lots)}")


async def fetch_ohlcv(d: Desk) -> str:
    candles = await d.ex.fetch_ohlcv(d.symbol, "1m")
    for candle in candles[-2:]:
        _same_candle(d, candle)
    return f"{len(candles)}"


async def watch_order_book(d: Desk) -> str:
    """Compare the book that ccxt keeps, while this account trades in it, at many update ids."""
    seen, wrong = d.books.seen, d.books.wrong
    await d.agrees(lambda: d.books.enough())
    if wrong:
        raise Differs(f"{len(wrong)} of {len(seen)} books differ, first at {wrong[0]}")
    return f"{len(seen)} {'blocks' if d.hyperliquid else 'ids'}"


class Books:
    """Watches the book from the first to the last call of a story, comparing each time that ccxt hands it out."""

    def __init__(self, d: Desk) -> None:
        self.d, self.seen, self.wrong = d, set[int](), list[Any]()

    def enough(self) -> None:
        if len(self.seen) < BOOK_IDS:
            raise Differs(f"only {len(self.seen)} books came")

    async def watch(self) -> None:
        d = self.d
        while True:
            book = await d.ex.watch_order_book(d.symbol)
            name = book["timestamp"] if d.hyperliquid else book["nonce"]
            true = d.books_at(name) if d.hyperliquid else {d.venue.book_hash(d.skin, d.own, name)}
            self.seen.add(name)
            if d.hash_of(book) not in true:
                self.wrong.append(name)


async def watch_trades(d: Desk) -> str:
    return _same_trades(d, await d.ex.watch_trades(d.symbol))


async def watch_ticker(d: Desk) -> str:
    return _same_ticker(d, await d.ex.watch_ticker(d.symbol), 0, 0)


async def watch_bids_asks(d: Desk) -> str:
    if d.hyperliquid:
        raise Absent("not in ccxt")
    return _same_touch(d, (await d.ex.watch_bids_asks([d.symbol]))[d.symbol], 0)


async def watch_ohlcv(d: Desk) -> str:
    return _same_candle(d, (await d.ex.watch_ohlcv(d.symbol, "1m"))[-1])


PUBLIC = (
    ("load_markets", load_markets),
    ("load_markets, watch_order_book, no options", nothing_configured),
    ("fetch_time", fetch_time),
    ("fetch_ticker", fetch_ticker),
    ("fetch_bids_asks", fetch_bids_asks),
    ("fetch_order_book", fetch_order_book),
    ("fetch_trades", fetch_trades),
    ("fetch_ohlcv", fetch_ohlcv),
    ("watch_trades", watch_trades),
    ("watch_ticker", watch_ticker),
    ("watch_bids_asks", watch_bids_asks),
    ("watch_ohlcv", watch_ohlcv),
)
