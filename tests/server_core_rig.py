"""An exchange with a clock in hand, everything it has told, and the laws that must hold after every call."""

from decimal import Decimal

import numpy as np

from hftlab.kernels.world import OUT_ROWS, snapshot_world
from hftlab.types import ASK, BID, DEPTH, EVENT
from hftlab.venues.server.core import Exchange
from hftlab.venues.server.hashing import hash_levels
from hftlab.venues.server.market import StillMarket, SynthMarket
from hftlab.venues.server.model import OPEN, DepthDiff, NewOrder, OrderEvent, Print, Refused, Status
from hftlab.venues.server.rules import bundled_instruments

START = 1_767_571_200_000_000_000
MS = 1_000_000
SYMBOLS = {"binance": "BTCUSDT", "binanceusdm": "BTCUSDT", "hyperliquid": "BTC"}
MONEY = {"BTC": 1000, "USDT": 50_000_000, "USDC": 50_000_000}
BIDS, ASKS = {100: 10, 99: 20, 98: 30}, {101: 10, 102: 20, 103: 30}


class Rig:
    """One venue with one symbol; `events` is all it has told."""

    def __init__(self, venue="binance", market=None, accounts=("a", "b"), money=MONEY, **fees):
        self.now_ns = START
        self.venue, self.symbol = venue, SYMBOLS[venue]
        self.instrument = bundled_instruments(venue)[self.symbol]
        market = StillMarket(self.instrument) if market is None else market
        self.ex = Exchange(venue, {self.symbol: market}, clock_ns=lambda: self.now_ns, **fees)
        self.ex.set_filters(self.symbol, notional_quote_min=Decimal(0))
        self.first_book = self.ex.book(self.symbol, 10**6)
        self.events = []
        self.ex.listen(self.events.append)
        self.start = dict(money)
        for key in accounts:
            self.ex.add_account(key, balances=money)

    @classmethod
    def ladder(cls, venue="binance", bids=BIDS, asks=ASKS, **options):
        """Best bid 100, best ask 101 (ticks), sizes in lots."""
        instrument = bundled_instruments(venue)[SYMBOLS[venue]]
        rig = cls(venue, StillMarket(instrument, bids=bids, asks=asks), **options)
        rig.ex.set_filters(rig.symbol, band_frac=1e9)
        return rig

    @classmethod
    def crowd(cls, venue="binance", seed=1, **options):
        return cls(venue, SynthMarket(bundled_instruments(venue)[SYMBOLS[venue]], seed=seed), **options)

    def wait(self, ms=1):
        self.now_ns += int(ms * MS)
        self.ex.advance()

    def place(self, side, qty, price=None, account="a", **wish):
        return self.ex.place(account, NewOrder(self.symbol, side, qty, price, **wish))

    def refused(self, call, *args, **named):
        """Return the Refused that a call raises, having changed no order but its own."""
        try:
            call(*args, **named)
        except Refused as refused:
            return refused
        raise AssertionError("it was not refused")

    def amend(self, order, price, qty):
        return self.ex.amend(order.account, self.symbol, price, qty, order_id=order.order_id)

    def cancel(self, order):
        return self.ex.cancel(order.account, self.symbol, order_id=order.order_id)

    def told(self, order):
        """Return what was told of an order, in order."""
        return [event.what for event in self.events if isinstance(event, OrderEvent) and event.order.order_id == order.order_id]

    def lots(self, side, price):
        """Return what the public sees at a price."""
        book = self.ex.book(self.symbol, 10**6)
        return dict(book.bids if side == BID else book.asks).get(price, 0)

    # --- laws --------------------------------------------------------------------------------------------------------
    def check(self):
        self.check_book()
        self.check_rest()
        self.check_fills()
        (self.check_spot if self.venue == "binance" else self.check_perps)()

    def check_book(self):
        """Diffs have no hole and lead from the first book to the present one, which is the matching engine's."""
        sides = {BID: dict(self.first_book.bids), ASK: dict(self.first_book.asks)}
        last = self.first_book.last_id
        hashes = [(last, hash_levels(self.first_book.bids, self.first_book.asks))]
        for diff in (event for event in self.events if isinstance(event, DepthDiff)):
            assert diff.previous_id == last
            assert diff.first_id == last + 1
            assert diff.last_id - last == len(diff.bids) + len(diff.asks) > 0
            last = diff.last_id
            for side, levels in ((BID, diff.bids), (ASK, diff.asks)):
                for price, lots in levels:
                    assert sides[side].get(price, 0) != lots, "a level that did not change was counted"
                    sides[side][price] = lots
            hashes.append((last, None))
        book = self.ex.book(self.symbol, 10**6)
        bids, asks = ({p: n for p, n in sides[side].items() if n} for side in (BID, ASK))
        assert (book.last_id, dict(book.bids), dict(book.asks)) == (last, bids, asks)
        assert [p for p, _ in book.bids] == sorted(bids, reverse=True)
        assert [p for p, _ in book.asks] == sorted(asks)
        assert not bids or not asks or max(bids) < min(asks)
        assert self.ex.book_hash(self.symbol, last) == hash_levels(bids.items(), asks.items())
        assert self.ex.book_hash(self.symbol, hashes[0][0]) == hashes[0][1]
        listing, out = self.ex.listing(self.symbol), np.zeros(OUT_ROWS, EVENT)
        rows = out[: snapshot_world(listing.world, out, 0, 0)]
        engine = {(int(r["side"]), int(r["price_ticks"])): int(r["qty_lots"]) for r in rows[rows["kind"] == DEPTH]}
        for order in listing.waiting.values():
            engine[order.side, order.price_ticks] = engine.get((order.side, order.price_ticks), 0) + order.leaves_lots
        assert engine == {(BID, p): n for p, n in bids.items()} | {(ASK, p): n for p, n in asks.items()}

    def check_rest(self):
        """What the core calls open is exactly what rests in the matching engine, or waits outside its window."""
        listing = self.ex.listing(self.symbol)
        slots = listing.world["lob"]["orders"][0]
        slots = slots[(slots["side"] != 0) & (slots["owner"] > 0)]
        resting = {(int(o["order_id"]), int(o["side"]), int(o["price_ticks"]), int(o["leaves_lots"])) for o in slots}
        resting |= {(o.order_id, o.side, o.price_ticks, o.leaves_lots) for o in listing.waiting.values()}
        mine = [order for account in self.ex.accounts() for order in self.ex.open_orders(account.key)]
        assert resting == {(o.order_id, o.side, o.price_ticks, o.leaves_lots) for o in mine}
        assert all(o.leaves_lots > 0 for o in mine)

    def check_fills(self):
        """Every fill has its print, and orders add up from their fills."""
        prints = {event.trade_id: event for event in self.events if isinstance(event, Print)}
        assert list(prints) == list(range(1, len(prints) + 1))
        traded, named = {}, set()
        for account in self.ex.accounts():
            for fill in self.ex.fills(account.key):
                trade = prints[fill.trade_id]
                assert (trade.price_ticks, trade.qty_lots, trade.ts_ns) == (fill.price_ticks, fill.qty_lots, fill.ts_ns)
                assert (fill.trade_id, fill.maker) not in named, "one trade has one maker and one taker"
                named.add((fill.trade_id, fill.maker))
                assert fill.side == (-trade.side if fill.maker else trade.side)
                lots, ticklots = traded.get(fill.order_id, (0, 0))
                traded[fill.order_id] = (lots + fill.qty_lots, ticklots + fill.qty_lots * fill.price_ticks)
            for order in self.ex.orders(account.key, self.symbol):
                assert (order.filled_lots, order.filled_ticklots) == traded.get(order.order_id, (0, 0))
                assert (order.status is Status.FILLED) == (order.filled_lots == order.qty_lots)
                assert order.filled_lots <= order.qty_lots
                if order.status in OPEN:
                    assert (order.status is Status.PARTIALLY_FILLED) == (order.filled_lots > 0)

    def check_spot(self):
        one = self.instrument
        for account in self.ex.accounts():
            fills, key = self.ex.fills(account.key), account.key
            fees = {asset: sum((f.fee for f in fills if f.fee_asset == asset), Decimal(0)) for asset in (one.base, one.quote)}
            base = Decimal(self.start["BTC"]) + sum((f.side * one.qty(f.qty_lots) for f in fills), Decimal(0)) - fees[one.base]
            quote = Decimal(self.start["USDT"]) - sum((f.side * one.money_quote(f.qty_lots * f.price_ticks) for f in fills), Decimal(0))
            assert account.balances["BTC"] == base
            assert account.balances["USDT"] == quote - fees[one.quote]
            assert all((f.fee_asset == one.base) == (f.side == BID) for f in fills)
            open_orders = self.ex.open_orders(key)
            locked = {
                one.base: sum((one.qty(o.leaves_lots) for o in open_orders if o.side == ASK), Decimal(0)),
                one.quote: sum((one.money_quote(o.leaves_lots * o.price_ticks) for o in open_orders if o.side == BID), Decimal(0)),
            }
            for asset, lock in locked.items():
                assert self.ex.free(key, asset) + lock == account.balances[asset]
                assert self.ex.money.locked(key, asset) == lock
                assert self.ex.free(key, asset) >= 0

    def check_perps(self):
        one = self.instrument
        for account in self.ex.accounts():
            fills, position = self.ex.fills(account.key), self.ex.position(account.key, self.symbol)
            assert position.lots == sum(f.side * f.qty_lots for f in fills)
            paid = sum(f.side * f.qty_lots * f.price_ticks for f in fills)
            assert position.realized == sum((f.realized for f in fills), Decimal(0)) == one.money_quote(position.entry_ticklots - paid)
            fees = sum((f.fee for f in fills), Decimal(0))
            assert account.balances[one.settle] == self.start[one.settle] + position.realized - fees
            assert (position.lots == 0) == (position.entry_ticklots == 0) or position.lots != 0
            for side in (BID, ASK):
                reducing = sum(o.leaves_lots for o in self.ex.open_orders(account.key) if o.reduce_only and o.side == side)
                assert reducing <= max(0, -side * position.lots)
