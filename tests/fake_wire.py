"""A venue in memory that misbehaves on purpose, from a seed, in virtual time; and a loop whose clock jumps to what comes next.

It keeps the truth (orders, fills, position, cash) so that a test can ask whether the engine ended up with it.
"""

import asyncio
import random
import selectors
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from hftlab.errors import VenueDown
from hftlab.instrument import Instrument
from hftlab.types import BID, CANCEL, FOK, IOC, MARKET_ORDER, POST_ONLY, SUBMIT
from hftlab.venues.live.model import Answer, OrderRequest, OrderState, Outcome, Payment, Reject, StreamDown, StreamUp, VenueFill

START_NS = 1_800_000_000_000_000_000


# --- time ------------------------------------------------------------------------------------------------------------------


class _Selector(selectors.SelectSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout=None):
        assert timeout is not None, "nothing will ever happen again: a test waits for ever"
        self.now_s += max(timeout, 0.0)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop that never sleeps: time is what its timers say."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now_s


def run(story: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run a story in virtual time. An exception that nobody took fails it."""
    missed: list[dict[str, Any]] = []
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.get_loop().set_exception_handler(lambda _, context: missed.append(context))
        result = runner.run(story())
    assert not missed, missed
    return result


async def until(condition: Callable[[], object], within_s: float = 300.0) -> None:
    """Wait, in virtual time, until something is so."""
    end_s = asyncio.get_running_loop().time() + within_s
    while not condition():  # the condition is about a venue, which tells nobody
        assert asyncio.get_running_loop().time() < end_s, "it did not come to be so in time"
        await asyncio.sleep(0.001)


def now_ns() -> int:
    """Return the virtual time of day."""
    return START_NS + round(asyncio.get_running_loop().time() * 1e9)


# --- what goes wrong ---------------------------------------------------------------------------------------------------------


@dataclass
class Faults:
    """How often what goes wrong, 0..1 of the requests or reports it can happen to; times in seconds."""

    lost_before: float = 0.0  # the request never arrives, and no answer comes but a time-out
    lost_after: float = 0.0  # it happens, and no answer comes but a time-out
    late: float = 0.0  # a time-out is told first, then it happens
    silent: float = 0.0  # it happens, and nothing is ever said of the request
    not_sent: float = 0.0
    limited: float = 0.0  # 429
    down: float = 0.0  # a question gets no answer
    duplicate: float = 0.0  # of reports and fills
    reorder: float = 0.0
    dropped: float = 0.0  # a stream message that never comes although the stream stands
    timeout_s: float = 1.0
    late_s: float = 2.5
    latency_s: float = 0.005
    visible_s: float = 0.0  # what happened is seen by questions up to so much later


@dataclass
class Order:
    """An order at the fake venue."""

    client_id: str
    venue_id: str
    instrument: int
    side: int
    price_ticks: int
    qty_lots: int
    flags: int
    filled_lots: int = 0
    status: str = "open"
    reason: Reject | None = None
    history: list[tuple[float, OrderState]] = field(default_factory=list)  # (visible from, state)


class FakeWire:
    """The Wire of an in-memory venue. Fills happen on command: `trade`, `fill`."""

    dead_man = True

    def __init__(
        self,
        instruments: tuple[Instrument, ...],
        *,
        seed: int = 0,
        faults: Faults | None = None,
        venue: str = "binanceusdm",
        amends: str = "in_place",
        fee_bps: str = "2.5",
        fee_asset: str = "",
        fill_names: bool = True,
        bare: bool = False,
    ) -> None:
        self.instruments, self.venue, self.amends = instruments, venue, amends
        self.rng = random.Random(seed)
        self.faults = faults or Faults()
        self.loop = asyncio.get_running_loop()
        self.on_event: Callable[[Any], None] = lambda event: None
        self.sizes: dict[str, tuple[float, float]] = {"orders_10s": (1e9, 10.0)}
        self.fee_bps, self.fee_asset, self.fill_names = Decimal(fee_bps), fee_asset, fill_names
        self.bare = bare  # answers say yes or no and nothing else
        self.orders: dict[str, Order] = {}
        self.all_fills: list[tuple[float, VenueFill]] = []
        self.position = [0] * len(instruments)
        self.cash = Decimal(0)  # settlement currency: fees in it are in it
        self.fees: dict[str, Decimal] = defaultdict(Decimal)
        self.touch = [(0, 1 << 40) for _ in instruments]  # best bid and ask of the others
        self.requests: list[OrderRequest] = []
        self.counts: Counter[str] = Counter()
        self.stream = False
        self.outage = False
        self.cancels_closed = False
        self.armed_s: float | None = None
        self.clock_offset_ns = 0
        self.on_change: Callable[[], None] = lambda: None  # called whenever the truth has changed
        self._submitted: set[str] = set()
        self._resting: dict[str, Order] = {}
        self._numbers = 0
        self._recent: list[Any] = []

    # --- the Wire ---
    async def open(self) -> None:
        self.up()

    async def close(self) -> None:
        self.stream = False

    def send(self, request: OrderRequest) -> bytes:
        self.requests.append(request)
        if request.kind == SUBMIT:
            self.counts["duplicates sent"] += request.client_id in self._submitted
            self._submitted.add(request.client_id)
        f, dice = self.faults, self.rng.random()
        if self.outage:
            self._answer_in(f.latency_s, Answer(request.number, Outcome.NOT_SENT, text="no connection"))
            return b""
        for name in ("lost_before", "lost_after", "late", "silent", "not_sent", "limited"):
            dice -= getattr(f, name)
            if dice < 0:
                self.counts[name] += 1
                getattr(self, "_" + name)(request)
                return b""
        self.loop.call_later(self._latency(), self._arrive, request, True)
        return b""

    def encode(self, request: OrderRequest) -> bytes:
        return repr(request).encode()

    async def query(self, instrument: int, client_id: str) -> OrderState | None:
        await self._ask("queries")
        order = self.orders.get(client_id)
        seen = [state for at, state in order.history if at <= self.loop.time()] if order else []
        await asyncio.sleep(self._latency())
        return seen[-1] if seen else None

    async def open_orders(self) -> list[OrderState]:
        await self._ask("open orders")
        states = []
        for order in self.orders.values():
            if order.status != "open" and order.history[-1][0] <= self.loop.time():
                continue
            seen = [state for at, state in order.history if at <= self.loop.time()]
            if seen and seen[-1].status == "open":
                states.append(seen[-1])
        await asyncio.sleep(self._latency())
        return states

    async def fills(self, instrument: int, since_ns: int) -> list[VenueFill]:
        await self._ask("fills")
        now_s = self.loop.time()
        found = [fill for at, fill in self.all_fills if at <= now_s and fill.instrument == instrument and fill.ts_ns >= since_ns]
        await asyncio.sleep(self._latency())
        return found if self.fill_names else [replace(fill, client_id="") for fill in found]

    async def positions(self) -> list[int | None]:
        await self._ask("positions")
        return list(self.position)

    async def cancel_all(self, instrument: int) -> None:
        await self._ask("cancel all")
        for order in list(self.orders.values()):
            if order.instrument == instrument and order.status == "open":
                self._end(order, "canceled")

    async def arm(self, seconds: float) -> None:
        await self._ask("arms")
        self.armed_s = seconds

    async def server_time_ns(self) -> int:
        await self._ask("times")
        return now_ns() + self.clock_offset_ns

    def costs(self, request: OrderRequest):
        return {"orders_10s": 1.0}

    def budgets(self):
        return self.sizes

    # --- what goes wrong with a request ---
    def _lost_before(self, request: OrderRequest) -> None:
        self._answer_in(self.faults.timeout_s, Answer(request.number, Outcome.UNSURE, text="timed out"))

    def _lost_after(self, request: OrderRequest) -> None:
        self.loop.call_later(self._latency(), self._arrive, request, False)
        self._lost_before(request)

    def _late(self, request: OrderRequest) -> None:
        self.loop.call_later(self.faults.timeout_s + self.rng.random() * self.faults.late_s, self._arrive, request, False)
        self._lost_before(request)

    def _silent(self, request: OrderRequest) -> None:
        self.loop.call_later(self._latency(), self._arrive, request, False)

    def _not_sent(self, request: OrderRequest) -> None:
        self._answer_in(self.faults.latency_s, Answer(request.number, Outcome.NOT_SENT, text="503"))

    def _limited(self, request: OrderRequest) -> None:
        self._answer_in(self.faults.latency_s, Answer(request.number, Outcome.NOT_SENT, Reject.RATE, "429", retry_after_s=0.5))

    def _answer_in(self, seconds: float, answer: Answer) -> None:
        self.loop.call_later(seconds, lambda: self.on_event(answer))

    def _latency(self) -> float:
        return self.faults.latency_s * (0.5 + self.rng.random())

    async def _ask(self, what: str) -> None:
        self.counts[what] += 1
        await asyncio.sleep(self._latency())
        if self.outage or self.rng.random() < self.faults.down:
            raise VenueDown(f"no answer to {what}")

    # --- the venue ---
    def _arrive(self, request: OrderRequest, answered: bool) -> None:
        """Let a request happen."""
        if request.kind == SUBMIT:
            answer = self._submit(request)
        else:
            order = self.orders.get(request.client_id)
            if order is None or order.status != "open":
                answer = Answer(request.number, Outcome.REJECTED, Reject.UNKNOWN_ORDER, "-2011")
            elif request.kind == CANCEL:
                if self.cancels_closed:
                    answer = Answer(request.number, Outcome.REJECTED, Reject.CLOSED, "maintenance")
                else:
                    answer = Answer(request.number, Outcome.DONE, state=self._end(order, "canceled"))
            else:
                answer = self._amend(request, order)
        if self.bare:
            answer = replace(answer, state=None, fills=())
        if answered:
            for _ in range(1 + (self.rng.random() < self.faults.duplicate)):
                self._answer_in(self._latency(), answer)
        self.on_change()

    def _submit(self, r: OrderRequest) -> Answer:
        if r.client_id in self.orders:
            return Answer(r.number, Outcome.REJECTED, Reject.DUPLICATE_ID, "duplicate order sent")
        bid, ask = self.touch[r.instrument]
        crossing = r.price_ticks >= ask if r.side == BID else r.price_ticks <= bid
        if crossing and r.flags & POST_ONLY:
            return Answer(r.number, Outcome.REJECTED, Reject.WOULD_TAKE, "would take")
        self._numbers += 1
        order = Order(r.client_id, f"v{self._numbers}", r.instrument, r.side, r.price_ticks, r.qty_lots, r.flags)
        self.orders[r.client_id] = order
        self._note(order)
        fills = (self._execute(order, ask if r.side == BID else bid, r.qty_lots, maker=False),) if crossing else ()
        if order.status == "open" and r.flags & (IOC | FOK | MARKET_ORDER):
            self._end(order, "canceled")
        return Answer(r.number, Outcome.DONE, state=self.state(order), fills=fills)

    def _amend(self, r: OrderRequest, order: Order) -> Answer:
        bid, ask = self.touch[r.instrument]
        crossing = r.price_ticks >= ask if r.side == BID else r.price_ticks <= bid
        if self.amends == "replace":
            self._end(order, "canceled")
            if crossing:
                return Answer(r.number, Outcome.REJECTED, Reject.ENDED_BY_AMEND, "cancelled, the new one was refused", self.state(order))
            self._numbers += 1
            lots = r.qty_lots - r.filled_lots
            new = Order(r.new_client_id, f"v{self._numbers}", r.instrument, r.side, r.price_ticks, lots, r.flags)
            self.orders[new.client_id] = new
            self._note(new)
            return Answer(r.number, Outcome.DONE, state=self.state(new))
        if (r.price_ticks, r.qty_lots) == (order.price_ticks, order.qty_lots):
            return Answer(r.number, Outcome.REJECTED, Reject.NO_CHANGE, "no change")
        if r.qty_lots <= order.filled_lots or crossing:
            return Answer(r.number, Outcome.DONE, state=self._end(order, "canceled"))
        order.price_ticks, order.qty_lots = r.price_ticks, r.qty_lots
        self._note(order)
        return Answer(r.number, Outcome.DONE, state=self.state(order))

    def state(self, order: Order) -> OrderState:
        o = order
        return OrderState(
            o.client_id, o.venue_id, o.instrument, o.side, o.price_ticks, o.qty_lots, o.filled_lots, o.status, now_ns(), o.reason
        )

    def _end(self, order: Order, status: str) -> OrderState:
        order.status = status
        return self._note(order)

    def _note(self, order: Order) -> OrderState:
        """Write a change of an order into its history, and tell the stream."""
        state = self.state(order)
        if order.status == "open":
            self._resting[order.client_id] = order
        else:
            self._resting.pop(order.client_id, None)
        order.history.append((self.loop.time() + self.rng.random() * self.faults.visible_s, state))
        self._tell(state)
        return state

    def _execute(self, order: Order, price_ticks: int, lots: int, *, maker: bool) -> VenueFill:
        instrument = self.instruments[order.instrument]
        order.filled_lots += lots
        if order.filled_lots == order.qty_lots:
            order.status = "filled"
        notional = instrument.money_quote(price_ticks * lots)
        fee = (notional * self.fee_bps / 10_000).quantize(Decimal("1e-8"), ROUND_HALF_EVEN)
        asset = self.fee_asset or instrument.settle
        self._numbers += 1
        fill = VenueFill(
            self._numbers, order.client_id, order.venue_id, order.instrument, order.side, price_ticks, lots, maker, fee, asset, now_ns()
        )
        self.position[order.instrument] += order.side * lots
        self.cash -= order.side * notional + (fee if asset == instrument.settle else 0)
        self.fees[asset] += fee
        self.all_fills.append((self.loop.time() + self.rng.random() * self.faults.visible_s, fill))
        self._tell(fill)
        self._note(order)
        return fill

    def fill(self, client_id: str, lots: int) -> VenueFill:
        """Let a resting order trade."""
        order = self.orders[client_id]
        assert order.status == "open"
        assert lots <= order.qty_lots - order.filled_lots
        result = self._execute(order, order.price_ticks, lots, maker=True)
        self.on_change()
        return result

    def trade(self, instrument: int, aggressor: int, price_ticks: int, lots: int) -> None:
        """Let a market order of somebody else sweep our resting orders down (or up) to a price."""
        resting = [o for o in self.resting() if (o.instrument, o.side) == (instrument, -aggressor)]
        for order in sorted(resting, key=lambda o: -o.side * o.price_ticks):
            if lots <= 0 or (order.price_ticks - price_ticks) * order.side < 0:
                break
            part = min(lots, order.qty_lots - order.filled_lots)
            lots -= part
            self._execute(order, order.price_ticks, part, maker=True)
        self.on_change()

    def place(self, client_id: str, instrument: int, side: int, price_ticks: int, lots: int) -> Order:
        """Place an order that the gateway knows nothing of."""
        self._numbers += 1
        order = self.orders[client_id] = Order(client_id, f"v{self._numbers}", instrument, side, price_ticks, lots, 0)
        self._note(order)
        return order

    def pay(self, payment: Payment) -> None:
        """Move money outside of fills, and tell the stream."""
        self.cash -= payment.amount
        self._tell(payment)

    def resting(self) -> list[Order]:
        """Return the orders that rest."""
        return list(self._resting.values())

    # --- the stream ---
    def _tell(self, event: Any) -> None:
        self._recent = [*self._recent[-20:], event]
        if not self.stream or self.rng.random() < self.faults.dropped:
            return
        if isinstance(event, VenueFill) and not self.fill_names:
            event = replace(event, client_id="")
        for _ in range(1 + (self.rng.random() < self.faults.duplicate)):
            slow = self.rng.random() < self.faults.reorder
            self.loop.call_later(self._latency() + slow * self.rng.random() * 0.2, self._deliver, event)

    def _deliver(self, event: Any) -> None:
        if self.stream:
            self.on_event(event)

    def up(self) -> None:
        """Let the stream stand; a venue repeats what it said last."""
        self.stream = True
        self.on_event(StreamUp())
        for event in self._recent if self.faults.duplicate else ():
            self.loop.call_later(self._latency(), self._deliver, event)

    def down(self) -> None:
        """Let the stream fall."""
        self.stream = False
        self.on_event(StreamDown("the venue closed it"))
