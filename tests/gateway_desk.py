"""A gateway over the fake venue, without an engine: requests by hand, and the rows that were told."""

import numpy as np
from fake_wire import FakeWire, Faults, now_ns

from hftlab.assumptions import Fees
from hftlab.data.state import build
from hftlab.instrument import Instrument
from hftlab.params import FixedSpread, Limits
from hftlab.types import BID, EVENT, KIND_NAMES, ORDERS, PAYMENT, POST_ONLY
from hftlab.venues.live.gateway import Gateway
from hftlab.venues.live.gateway_policy import Policy

BTC = Instrument.bundled("binanceusdm:BTC/USDT:USDT")
TAG = "abc123"


def order_id(number: int) -> int:
    return number * ORDERS + number % 7


def client_id(number: int) -> str:
    return f"h{TAG}-{order_id(number)}"


def request(kind: int, number: int, price: int = 1000, lots: int = 10, side: int = BID, flags: int = POST_ONLY) -> np.ndarray:
    return np.array([(0, now_ns(), price, lots, 0, order_id(number), number, kind, side, flags, 0)], dtype=EVENT)


class Desk:
    """A gateway over a fake venue, and the rows it told."""

    def __init__(self, policy: Policy | None = None, instrument: Instrument = BTC, fees: Fees | None = None, **options) -> None:
        self.wire = FakeWire((instrument,), **options)
        self.told: list[np.ndarray] = []
        self.said: list[tuple[str, str]] = []
        self.alarms: list[str] = []
        quoter = FixedSpread(order_qty=instrument.lot_size * 10, half_spread_ticks=5)
        self.state = build([instrument], [quoter], [Limits(position_qty_max="1")], fees=fees, simulate=False)
        self.gateway = Gateway(
            self.wire,
            (instrument,),
            TAG,
            self.state.markets,
            emit=self.told.append,
            say=lambda *words: self.said.append(words),
            on_alarm=self.alarms.append,
            clock_ns=now_ns,
            policy=policy,
        )

    def send(self, *args, **more) -> None:
        """Send one request row."""
        self.gateway.submit(request(*args, **more))

    @property
    def rows(self) -> np.ndarray:
        """What was told of orders and money."""
        rows = np.concatenate([np.zeros(0, EVENT), *self.told])
        return rows[rows["kind"] <= PAYMENT]

    @property
    def kinds(self) -> list[str]:
        """The names of what was told of orders."""
        return [KIND_NAMES[kind] for kind in self.rows["kind"].tolist() if kind != PAYMENT]

    def errors(self) -> list[str]:
        """What was said as an error."""
        return [text for level, text in self.said if level == "error"]


async def desk(faults: Faults | None = None, **options) -> Desk:
    """Return a desk that has begun; what goes wrong begins after that."""
    made = Desk(**options)
    await made.gateway.start()
    made.wire.faults = faults or Faults()
    return made
