"""Faults of what a venue knows and when: its clock, its books and snapshots, what queries see, and what moves before a match."""

from dataclasses import replace
from typing import Any, Protocol, cast

from hftlab.types import BID, NO_PRICE
from hftlab.venues.server.faults import BEFORE, DIFF, KEY, SNAPSHOT
from hftlab.venues.server.model import OPEN, Core, DepthDiff, NewOrder, Order
from hftlab.venues.server.schedule import NS, Armed, Schedule


class Crowd(Protocol):
    """What the races need of a core besides `Core`: to act in the crowd's name."""

    def quote(self, symbol: str, side: int, price_ticks: int, lots: int) -> None:
        """Let the crowd place a limit order, which may trade at once."""
        ...

    def fill_order(self, order: Order, lots: int) -> None:
        """Let the crowd take whatever stands before an order, and then `lots` of it."""
        ...


class SkinFaults:
    """Implements `skin.Faults` for one skin. `delay_s` is how much later the reply that is being made goes out."""

    def __init__(self, schedule: Schedule, skin: str) -> None:
        self.schedule, self.skin = schedule, skin
        self.core: Core
        self.delay_s = 0.0
        self.stepped_ns = 0
        self.doing = ""  # what the skin said it is about to do; Hyperliquid amends by a cancel and a new order
        self._hidden: set[tuple[int, int]] = set()

    # --- clock ---
    def clock_ns(self, now_ns: int) -> int:
        """Return exchange time as this venue's clock shows it: steps, offset and drift."""
        shown = now_ns + self.stepped_ns
        for spell in self.schedule.on("clock_offset", skin=self.skin):
            shown += round(spell.fault.ms * 1e6)
        for spell in self.schedule.on("clock_drift", skin=self.skin):
            shown += round((now_ns - spell.from_ns) * spell.fault.ppm / 1e6)
        return shown

    # --- books ---
    def snapshot_back(self, symbol: str) -> int:
        """Return how many diffs old a book snapshot served now shall be."""
        back = 0
        for armed in self.schedule.strikes(SNAPSHOT, skin=self.skin, symbol=symbol):
            back = max(back, armed.fault.k)
            self.delay_s += armed.fault.ms / 1000
            self.schedule.note(armed, self.skin, symbol, f"snapshot {armed.fault.k} diffs old, {armed.fault.ms} ms late")
        return back

    def diffs(self, diff: DepthDiff) -> list[DepthDiff]:
        """Return what is sent for a diff to everybody."""
        for armed in self.schedule.strikes(DIFF, skin=self.skin, symbol=diff.symbol):
            changed = self._crossed(diff, armed) if armed.fault.name == "crossed_book" else self._undeleted(diff, armed)
            if changed is None:
                armed.struck -= 1  # nothing to leave out: wait for a diff that has something
                continue
            diff = changed
            self.schedule.note(armed, self.skin, diff.symbol, f"diff {diff.first_id}..{diff.last_id}")
        return [diff]

    def _crossed(self, diff: DepthDiff, armed: Armed) -> DepthDiff | None:
        touch = self.core.touch(diff.symbol)
        if touch.ask_ticks == NO_PRICE:
            return None
        return replace(diff, bids=(*diff.bids, (touch.ask_ticks + armed.fault.ticks, armed.fault.lots)))

    def _undeleted(self, diff: DepthDiff, armed: Armed) -> DepthDiff | None:
        gone = [(side, price) for side, levels in ((1, diff.bids), (-1, diff.asks)) for price, lots in levels if lots == 0]
        left_out = set(gone[: armed.fault.k])
        if not left_out:
            return None
        return replace(
            diff,
            bids=tuple(level for level in diff.bids if (1, level[0]) not in left_out or level[1]),
            asks=tuple(level for level in diff.asks if (-1, level[0]) not in left_out or level[1]),
        )

    # --- queries ---
    def hides(self, order: Order, now_ns: int) -> bool:
        """Say whether a query shall not see this order yet, or not at all."""
        for spell in self.schedule.on("delayed_visibility", skin=self.skin, symbol=order.symbol):
            if now_ns - order.created_ns < spell.fault.ms * 1_000_000:
                return self._hide(spell.armed, order)
        for spell in self.schedule.on("amnesia", skin=self.skin, symbol=order.symbol):
            # one throw of the dice an order: it stays forgotten until the spell is over
            if spell.memo.setdefault(order.order_id, spell.armed.rng.random()) < spell.fault.share:
                return self._hide(spell.armed, order)
        return False

    def _hide(self, armed: Armed, order: Order) -> bool:
        if (armed.number, order.order_id) not in self._hidden:
            self._hidden.add((armed.number, order.order_id))
            self.schedule.note(armed, self.skin, f"order {order.order_id} {order.client_id}", "hidden from queries")
        return True

    # --- keys ---
    def user_key(self, key: str, age_ns: int) -> str:
        """Return "" or what becomes of a user stream's key now: "expire" (with its event) or "silent"."""
        for armed in self.schedule.strikes(KEY, skin=self.skin):
            told = "expire" if armed.fault.event else "silent"
            self.schedule.note(armed, self.skin, f"a key of {age_ns / NS:.1f} s", told)
            return told
        return ""

    # --- races ---
    def before(self, kind: str, symbol: str, order: Order | None) -> None:
        """Take note of what the skin is about to do; the races are run by the core's door (`raced`), which knows the wish too."""
        self.doing = kind

    def race_cancel(self, order: Order) -> None:
        """Let somebody take an open order before its cancel arrives."""
        for armed in self.schedule.strikes(BEFORE, skin=self.skin, symbol=order.symbol, kind="cancel"):
            if order.status not in OPEN:
                return
            lots = max(1, round(order.leaves_lots * armed.fault.share))
            cast("Crowd", self.core).fill_order(order, lots)
            self.schedule.note(armed, self.skin, f"order {order.order_id} {order.client_id}", f"{lots} lots filled before the cancel")

    def race(self, kind: str, symbol: str, side: int, price_ticks: int | None) -> None:
        """Let the market come through the price of a post-only order, or of its amend, before it arrives."""
        if price_ticks is None:
            return
        for armed in self.schedule.strikes(BEFORE, skin=self.skin, symbol=symbol, kind=kind):
            book = self.core.book(symbol)
            there = sum(lots for price, lots in (book.bids if side == BID else book.asks) if side * (price - price_ticks) >= 0)
            cast("Crowd", self.core).quote(symbol, -side, price_ticks, there + armed.fault.lots)
            self.schedule.note(armed, self.skin, f"{symbol} {price_ticks}", f"the market came through the price of the {kind}")


def raced(core: Core, faults: SkinFaults) -> Core:
    """Return the core with doors at which the market may be faster. Everything else is the core's own."""
    return cast("Core", _Raced(core, faults))


class _Raced:
    def __init__(self, core: Core, faults: SkinFaults) -> None:
        self._core, self._faults = core, faults

    def __getattr__(self, name: str) -> Any:
        return getattr(self._core, name)

    def place(self, account: str, wish: NewOrder) -> Order:
        """Take in an order, after the races that are due."""
        kind, self._faults.doing = "amend" if self._faults.doing == "amend" else "order", ""
        if wish.post_only:
            self._faults.race(kind, wish.symbol, wish.side, wish.price_ticks)
        return self._core.place(account, wish)

    def amend(
        self, account: str, symbol: str, price_ticks: int, qty_lots: int, *, order_id: int = 0, client_id: str = "", new_client_id: str = ""
    ) -> Order:
        """Amend an order, after the races that are due."""
        self._faults.doing = ""
        order = self._core.order(account, symbol, order_id=order_id, client_id=client_id)
        if order is not None and order.status in OPEN and order.post_only:
            self._faults.race("amend", symbol, order.side, price_ticks)
        return self._core.amend(account, symbol, price_ticks, qty_lots, order_id=order_id, client_id=client_id, new_client_id=new_client_id)

    def cancel(self, account: str, symbol: str, *, order_id: int = 0, client_id: str = "") -> Order:
        """Cancel an order, after the races that are due."""
        order = self._core.order(account, symbol, order_id=order_id, client_id=client_id)
        if self._faults.doing != "amend" and order is not None and order.status in OPEN:
            self._faults.doing = ""
            self._faults.race_cancel(order)
        return self._core.cancel(account, symbol, order_id=order_id, client_id=client_id)

    def cancel_all(self, account: str, symbol: str | None = None) -> list[Order]:
        """Cancel everything, after the races that are due."""
        for order in self._core.open_orders(account, symbol):
            self._faults.race_cancel(order)
        return self._core.cancel_all(account, symbol)
