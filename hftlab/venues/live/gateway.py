"""The gateway: the policy between the engine's requests and a venue's orders, once for every venue."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hftlab.instrument import Instrument
from hftlab.types import FREE
from hftlab.venues.live.book_of_orders import Book, Order
from hftlab.venues.live.gateway_answers import Answers
from hftlab.venues.live.gateway_facts import Facts
from hftlab.venues.live.gateway_money import Money
from hftlab.venues.live.gateway_policy import Policy
from hftlab.venues.live.gateway_sender import Sender
from hftlab.venues.live.gateway_teller import Teller
from hftlab.venues.live.ids import Ids
from hftlab.venues.live.limiter import Limiter
from hftlab.venues.live.model import Answer, OrderState, Payment, StreamDown, StreamUp, VenueEvent, VenueFill, Wire


class Gateway:
    """Sends the engine's requests through a Wire and tells the engine what became of them.

    `markets`: MARKET[m] of the engine's State as it stands when the gateway is made (after the replay of its journal): its
    orders, its positions and the schedule of fees that its ledger charges. `emit(rows)` takes EVENT rows on the loop's thread,
    never from within `submit`; rows of one message come in one call. `say(level, text)` tells people (info, warn, error),
    `on_alarm(reason)` asks the engine to stop quoting, `clock_ns()` is the clock of `ts_recv_ns`.

    Made within a running event loop, and used on its thread only.
    """

    def __init__(
        self,
        wire: Wire,
        instruments: Sequence[Instrument],
        tag: str,
        markets: np.ndarray,
        *,
        emit: Callable[[np.ndarray], None],
        say: Callable[[str, str], None],
        on_alarm: Callable[[str], None],
        clock_ns: Callable[[], int],
        policy: Policy | None = None,
    ) -> None:
        self.policy = policy or Policy()
        self._loop = asyncio.get_running_loop()
        self._wire, self._say = wire, say
        self.book = Book(Ids(wire.venue, tag))
        self.limiter = Limiter(self._loop.time, wire.budgets, self.policy.reserve)
        self.teller = Teller(self.book, Money(instruments, markets), emit, clock_ns, self._loop.call_soon)
        self.sender = Sender(wire, self.book, self.teller, self.limiter, self.policy, self._loop, say)
        self.facts = Facts(self.book, self.teller, self, self._loop.time)
        self._answers = Answers(self.facts, self.sender, self.limiter, say=say, alarm=on_alarm)
        self.stream_up = False
        self._submitting = False
        wire.on_event = self.on_event

    def submit(self, rows: np.ndarray) -> None:
        """Take SUBMIT, AMEND and CANCEL rows (EVENT) as the engine writes them: sent now, or waiting for the venue's budget."""
        self._submitting = True
        self.sender.submit(rows)
        self._submitting = False

    def on_event(self, event: VenueEvent) -> None:
        """Take what the wire says, on the loop's thread."""
        if isinstance(event, Answer):
            self._answers.answer(event)
        elif isinstance(event, OrderState):
            self.facts.state(event)
        elif isinstance(event, VenueFill):
            self.facts.fill(event)
        elif isinstance(event, Payment):
            self.teller.pay(event)
        elif isinstance(event, StreamDown):
            self.stream_up = False
            self._say("warn", f"the user stream is down: {event.why}")
        elif isinstance(event, StreamUp):
            self.stream_up = True
        if not self._submitting:  # a wire may know at once that nothing can be sent
            self.teller.flush()

    # --- what the facts ask for ---
    def ask(self, order: Order) -> None:
        """Ask for an order until its fate is known."""

    def want_fills(self, instrument: int) -> None:
        """Ask for executions that were promised and have not come."""

    def orphan(self, state: OrderState) -> None:
        """Cancel an order of ours that the engine does not have."""
        self.sender.cancel_by_id(state.instrument, state.client_id, state.venue_id, state.side)

    def cancel(self, order: Order) -> None:
        """Send the cancel that an order is waiting for."""
        self.sender.cancel(order)

    def status(self) -> dict[str, Any]:
        """Return how the gateway stands, in plain values for screens."""
        working = self.book.working.values()
        return {
            "stream_up": self.stream_up,
            "working": sum(order.status != FREE for order in working),
            "unknown": sum(order.doubtful for order in working),
            "waiting": self.sender.waiting,
            "budgets": self.limiter.status(),
            "fees": {asset: str(fee) for asset, fee in self.teller.money.by_asset.items()},
            "counts": dict(self.teller.counts),
        }
