"""Looks at the venue as a whole and compares: our open orders, our executions, the position.

What is found is a fact like any other; what does not fit is asked for. A position that stays different although nothing happens,
or for long by as much whatever happens, is said to people, and the engine is asked to stop quoting: it is the sign of an error that
no rule here foresaw.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from hftlab.instrument import Instrument
from hftlab.types import LIVE
from hftlab.venues.live.book_of_orders import Book
from hftlab.venues.live.gateway_asks import Asks
from hftlab.venues.live.gateway_facts import Facts
from hftlab.venues.live.gateway_policy import Policy
from hftlab.venues.live.gateway_resolve import Resolver
from hftlab.venues.live.model import OrderState, Wire


@dataclass(frozen=True, slots=True)
class Kept:
    """What a restarted gateway is given beside the journal; plain values, kept by the engine in its run directory.

    `until_ns`: venue time up to which fills are counted in the rest; `beyond_lots`: the venue's position less the engine's, which
    is what the account held before the run, others' trades, and fees taken in the base asset; `fees`: by asset, as texts.
    """

    until_ns: int
    beyond_lots: list[int | None]
    fees: dict[str, str]


class Reconciler:
    """`held`: the engine's position in lots of each instrument when the gateway was made."""

    def __init__(
        self,
        wire: Wire,
        instruments: Sequence[Instrument],
        book: Book,
        facts: Facts,
        resolver: Resolver,
        asks: Asks,
        policy: Policy,
        *,
        held: Sequence[int],
        settled: Callable[[], bool],
        clock_ns: Callable[[], int],
        say: Callable[[str, str], None],
        alarm: Callable[[str], None],
    ) -> None:
        self._wire, self._instruments, self._book, self._facts = wire, instruments, book, facts
        self._resolver, self._asks, self._policy = resolver, asks, policy
        self._held, self._settled = list(held), settled
        self._clock_ns, self._say, self._alarm = clock_ns, say, alarm
        self._loop = asyncio.get_running_loop()
        self._wanted = asyncio.Event()
        self.since_ns = 0
        # What the venue holds beyond what fills have moved, in lots, measured at the first look; see `Kept`.
        self.baseline: list[int | None] = [None] * len(instruments)
        self.kept: Kept | None = None
        self.looks = 0
        self.begun = self.completed = 0  # numbers of looks: the last that began, and the last that came to its end
        self.looked: Callable[[], None] = lambda: None  # called after each look
        self.last_ns = 0
        self.agrees = False
        self.differences: list[str] = []
        self.alarms = 0
        self._said: list[str] = []
        self._said_gaps: list[Decimal] = []
        self._differ_since: tuple[int, float] | None = None  # fills told and loop time when a difference was first seen
        self._gaps_since: tuple[list[Decimal], float] | None = None  # by how many lots, and loop time since when by about as many

    # --- when ---
    def soon(self, delay_s: float = 0.0) -> None:
        """Look again after a delay."""
        self._loop.call_later(delay_s, self._wanted.set)

    async def run(self, stream_up: Callable[[], bool]) -> None:
        """Look now and then, sooner when asked to, when something disagrees, and while the user stream is down."""
        policy = self._policy
        while True:
            pause_s = policy.reconcile_s if stream_up() else policy.reconcile_down_s
            if self.differences:
                pause_s = policy.disagree_s
            try:
                async with asyncio.timeout(pause_s):
                    await self._wanted.wait()
            except TimeoutError:
                pass
            self._wanted.clear()
            await self.look()

    # --- what ---
    async def look(self) -> bool:
        """Compare once; returns whether all was in order."""
        began_s, began_ns = self._loop.time(), self._clock_ns()
        self.begun += 1
        number = self.begun
        open_orders = await self._asks.now(self._wire.open_orders)
        for instrument in range(len(self._instruments)):
            await self._resolver.fetch(instrument, self.since_ns)
        self.since_ns = began_ns
        told = self._facts.teller.fills
        positions = await self._asks.now(self._wire.positions)
        asked = self._orders(open_orders, began_s)
        agree = told == self._facts.teller.fills and self._positions(positions)
        if agree:
            self._keep(positions)
        self.looks += 1
        self.last_ns = self._clock_ns()
        self.agrees = agree and not asked
        self.completed = max(self.completed, number)
        self.looked()
        return self.agrees

    def _orders(self, open_orders: list[OrderState], began_s: float) -> bool:
        """Compare orders; returns whether something had to be asked for."""
        seen: dict[int, OrderState] = {}
        for state in open_orders:
            name = self._book.name(state.instrument, state.client_id, state.venue_id)
            if name is not None:
                seen[name[0]] = state
            self._facts.state(state, asked_s=began_s)
        asked = False
        for order in list(self._book.working.values()):
            known = order.status == LIVE and order.amending is None and not order.canceling
            if not known or order.doubtful or order.asked_s >= began_s or order.order_id in self._resolver.asking:
                continue
            found = seen.get(order.order_id)
            same = found is not None and (found.price_ticks, found.qty_lots) == (order.price_ticks, order.qty_lots)
            if not same and (found is not None or order.changed_s < began_s):
                asked = True
                self._resolver.ask(order)
        return asked

    def _positions(self, positions: Sequence[int | None]) -> bool:
        differences, gaps = [], []
        for i, (instrument, found) in enumerate(zip(self._instruments, positions, strict=True)):
            if found is None:
                continue
            moved, fees = self._moved(i), self._base_fees(i)
            baseline = self.baseline[i]
            if baseline is None and not self._settled():
                continue  # a fill that has not come yet is no part of what was there before
            if baseline is None:
                baseline = self.baseline[i] = round(found - moved)
            expected = baseline + moved
            # A balance is rounded to lots; a fee in the base asset leaves parts of one, and so does a baseline measured after it.
            if abs(found - expected) >= (2 if fees else 1):
                differences.append(f"{instrument.name}: {instrument.qty(found)} at the venue, {expected * instrument.lot_size} expected")
            gaps.append(found - expected)
        self._differ(differences, gaps)
        return not differences

    def _moved(self, i: int) -> Decimal:
        """Return by how many lots fills have moved the position since the beginning of the run."""
        others = self._facts.foreign.lots(i)
        return self._held[i] + self._facts.teller.net_lots[i] + others - self._base_fees(i) / self._instruments[i].lot_size

    def _base_fees(self, i: int) -> Decimal:
        """Return what fees have taken out of what was bought, of our fills and of others'."""
        instrument = self._instruments[i]
        others = Decimal(0) if instrument.inverse else self._facts.foreign.fees(i, instrument.base)
        return self._facts.teller.money.base_qty[i] + others

    def _keep(self, positions: Sequence[int | None]) -> None:
        """Note what a restart needs to compare with: the venue's position beyond the engine's, and when.

        Not while the venue's id of one of our orders is not known: a fill that names no client may then turn out to be its.
        """
        if not self._settled() or any(not order.venue_id for order in self._book.working.values()):
            return
        ours = [held + self._facts.teller.net_lots[i] for i, held in enumerate(self._held)]
        beyond = [None if found is None else found - ours[i] for i, found in enumerate(positions)]
        fees = {asset: str(fee) for asset, fee in self._facts.teller.money.by_asset.items()}
        self.kept = Kept(self._facts.newest_ns, beyond, fees)

    def _differ(self, differences: list[str], gaps: list[Decimal]) -> None:
        fills, now_s = self._facts.teller.fills, self._loop.time()
        self.differences = differences
        if not differences:
            self._differ_since, self._gaps_since, self._said, self._said_gaps = None, None, [], []
            return
        if self._differ_since is None or self._differ_since[0] != fills:
            self._differ_since = (fills, now_s)  # something may just be on its way
        if self._gaps_since is None or not _alike(gaps, self._gaps_since[0]):
            self._gaps_since = (gaps, now_s)
        quiet = now_s - self._differ_since[1] >= self._policy.gone_s
        # A desk that trades all the time is never quiet; what is on its way there is another quantity at every look.
        lasting = now_s - self._gaps_since[1] >= self._policy.worry_s
        if (quiet and differences != self._said) or (lasting and not _alike(gaps, self._said_gaps)):
            self.alarms += 1
            self._said, self._said_gaps = differences, gaps
            text = "position differs and nothing explains it: " + "; ".join(differences)
            self._say("error", text)
            self._alarm(text)


def _alike(gaps: Sequence[Decimal], others: Sequence[Decimal]) -> bool:
    """Say whether positions differ by as many lots as before; fees in the base asset, and the rounding of a balance, make up to two."""
    return len(gaps) == len(others) and all(abs(gap - other) < 2 for gap, other in zip(gaps, others, strict=True))
