"""A wire that is open to the loopback exchange, what it told, and what really is."""

import asyncio
import contextlib
import time
from itertools import count

from hftlab.instrument import Instrument
from hftlab.types import BID, POST_ONLY, SUBMIT
from hftlab.venues.live.connect import make_wire
from hftlab.venues.live.endpoints import endpoint
from hftlab.venues.live.keys import Keys
from hftlab.venues.live.model import Answer, OrderRequest, OrderState, StreamDown, StreamUp, VenueFill

PATIENCE_S = 60
PRICE = 100_000
NAMES = {"binance": "binance:BTC/USDT", "binanceusdm": "binanceusdm:BTC/USDT:USDT", "hyperliquid": "hyperliquid:BTC/USDC:USDC"}
SYMBOLS = {"binance": "BTCUSDT", "binanceusdm": "BTCUSDT", "hyperliquid": "BTC"}


class Rig:
    """One wire over one venue. `events` is everything it told, in order."""

    numbers = count(1)  # client order ids are never used twice at one venue

    def __init__(self, venue, name, *, through="url", through_ccxt=False, **options):
        self.venue, self.name, self.instrument = venue, name, Instrument.bundled(NAMES[name])
        place = endpoint(name, venue.url) if through == "url" else endpoint(name, proxy=venue.proxy_url, ca_file=venue.ca_file)
        self.keys = Keys.from_ccxt(venue.keys(name))
        self.wire = make_wire(place, (self.instrument,), self.keys, time.time_ns, through_ccxt=through_ccxt)
        for option, value in options.items():
            assert hasattr(self.wire, option)
            setattr(self.wire, option, value)
        self.events = []
        self.wire.on_event = self.events.append
        self.mid = self.instrument.ticks(PRICE)
        self.lots = self.instrument.lots("0.01")

    # --- asking ---
    def request(self, kind=SUBMIT, **changes):
        number = next(self.numbers)
        usual = {"side": BID, "price_ticks": self.mid - 5, "qty_lots": self.lots, "flags": POST_ONLY, "venue_id": "", "instrument": 0}
        return OrderRequest(number=number, kind=kind, **{"client_id": self.new_id(number), **usual, **changes})

    def new_id(self, number=None):
        number = next(self.numbers) if number is None else number
        return f"0x{number:032x}" if self.name == "hyperliquid" else f"habcdef-{number}"

    async def does(self, kind=SUBMIT, **changes):
        """Send one request and return its answer."""
        request = self.request(kind, **changes)
        self.wire.send(request)
        return await self.answer(request.number)

    async def answer(self, number):
        return await self.told(lambda event: isinstance(event, Answer) and event.number == number)

    async def told(self, wanted, since=0):
        """Wait for the first event from `since` on that is wanted, and return it."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                for event in self.events[since:]:
                    if wanted(event):
                        return event
                await asyncio.sleep(0.005)

    async def order_is(self, client_id, status, since=0):
        """Wait until the user stream says where an order stands."""
        return await self.told(lambda e: isinstance(e, OrderState) and e.client_id == client_id and e.status == status, since)

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    # --- truth ---
    def orders(self):
        """Return the true orders of our account by client order id."""
        truth = self.venue.truth(self.name)
        return {row["client_id"]: row for row in truth["orders"] if row["account"] == self.venue.account(self.name)}

    def leaves(self):
        return {client_id for client_id, row in self.orders().items() if row["status"] in {"NEW", "PARTIALLY_FILLED"}}


@contextlib.asynccontextmanager
async def opened(venue, name, **options):
    """Open a wire, and leave neither it nor an order of it behind."""
    rig = Rig(venue, name, **options)
    async with asyncio.timeout(PATIENCE_S):
        await rig.wire.open()
    try:
        yield rig
    finally:
        await rig.wire.close()
        for row in [row for row in rig.orders().values() if row["status"] in {"NEW", "PARTIALLY_FILLED"}]:
            venue.do("cancel_order", skin=name, symbol=SYMBOLS[name], order_id=row["order_id"])


def up_again(event):
    return isinstance(event, StreamUp)


def down(event):
    return isinstance(event, StreamDown)


def is_fill(event):
    return isinstance(event, VenueFill)
