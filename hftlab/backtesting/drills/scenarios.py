"""The scenarios of a risk drill: each is a change of the tape from one moment on, and what the desk is told meanwhile.

Sizes are those of bad days that happened, not of usual ones. Every scenario is frozen and seeded: the same drill is the same drill.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hftlab.backtesting.drills.tapes import Step, held_back, moved, stopped
from hftlab.data.rows import Rows
from hftlab.data.state import State
from hftlab.errors import UnknownName, did_you_mean
from hftlab.types import EVENT, FREE, LAST, LATENCY, LINK, PARAM_NAMES, SET_PARAMS, UNKNOWN

S = 1_000_000_000
Told = tuple[int, Callable[[State], Rows]]


@dataclass(frozen=True)
class Scene:
    """Where a scenario plays: the undisturbed rows, the moment of the shock (ns), and which way hurts: -1 a fall, +1 a rise.

    `stop_frac` is the move against the position of that moment that loses the daily limit; inf without a position or a limit.
    """

    rows: Rows
    shock_ns: int
    against: int
    seed: int
    stop_frac: float


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One thing that goes wrong. `NAME` is what it is called, `WORDS` what happens, `CATCHES` the verdicts that are meant for it.

    `HARM` is what it does harm by, where that is one thing: "money" (a cost within the limits is none), "order" (an order within them).
    """

    NAME: ClassVar[str] = ""
    WORDS: ClassVar[str] = ""
    CATCHES: ClassVar[tuple[str, ...]] = ()
    HARM: ClassVar[str] = ""

    def rows(self, scene: Scene) -> Rows:
        """Return the rows of the tape as they are in this scenario."""
        return scene.rows

    def told(self, scene: Scene) -> Sequence[Told]:
        """Return what the desk is told beside the tape: times, and what makes the rows from the state it is in then."""
        return ()


@dataclass(frozen=True, kw_only=True)
class Gap(Scenario):
    """The price jumps through the stop: nobody trades in between.

    By default half as far again as it takes to lose the daily limit with the position of that moment, 1 to 50 %.
    """

    NAME: ClassVar[str] = "gap"
    WORDS: ClassVar[str] = "the price jumps against the position, through the stop, and nothing trades in between"
    CATCHES: ClassVar[tuple[str, ...]] = ("daily loss", "drawdown", "volatility")
    HARM: ClassVar[str] = "money"

    jump_frac: float | None = None

    def rows(self, scene: Scene) -> Rows:
        """Move every price at once, for good."""
        jump_frac = min(max(1.5 * scene.stop_frac, 0.01), 0.5) if self.jump_frac is None else self.jump_frac
        return moved(scene.rows, [Step(scene.shock_ns, scene.against * jump_frac)])


@dataclass(frozen=True, kw_only=True)
class FlashCrash(Scenario):
    """The price falls through the book within seconds, filling whoever stands there, and comes back."""

    NAME: ClassVar[str] = "flash crash"
    WORDS: ClassVar[str] = "takers run through the book against the position, then the price comes back"
    CATCHES: ClassVar[tuple[str, ...]] = ("sweep", "volatility", "toxic flow", "markout", "reducing", "position", "daily loss", "drawdown")
    HARM: ClassVar[str] = "money"

    depth_frac: float = 0.10
    fall_s: float = 2.0
    rise_s: float = 5.0

    def rows(self, scene: Scene) -> Rows:
        """Move prices down and back up in steps of a tenth of a second that trade their way."""
        down = np.linspace(0, 1, round(self.fall_s * 10) + 1)[1:]
        up = np.linspace(1, 0, round(self.rise_s * 10) + 1)[1:]
        path = np.concatenate([down, up]) * scene.against * self.depth_frac
        return moved(scene.rows, [Step(scene.shock_ns + k * S // 10, float(frac), prints=True) for k, frac in enumerate(path)])


@dataclass(frozen=True, kw_only=True)
class FeedFreeze(Scenario):
    """Market data stops coming while the market goes on."""

    NAME: ClassVar[str] = "feed freeze"
    WORDS: ClassVar[str] = "market data stops, the market goes on and finds our quotes where they were"
    CATCHES: ClassVar[tuple[str, ...]] = ("stale data", "latency")

    freeze_s: float = 15.0

    def rows(self, scene: Scene) -> Rows:
        """Hold back what would be received."""
        return held_back(scene.rows, scene.shock_ns, scene.shock_ns + int(self.freeze_s * S))


@dataclass(frozen=True, kw_only=True)
class FatFinger(Scenario):
    """The quoter suddenly wishes for a hundred times its size. A `decide` that does not read `params.order_lots` does not notice."""

    NAME: ClassVar[str] = "fat finger"
    WORDS: ClassVar[str] = "the quoter wishes a hundred times its order size"
    CATCHES: ClassVar[tuple[str, ...]] = (
        "order size",
        "position",
        "notional",
        "capital",
        "liquidity",
        "concentration",
        "risk per trade",
        "exposure",
        "leverage",
        "margin",
    )
    HARM: ClassVar[str] = "order"

    factor: float = 100.0
    for_s: float = 5.0

    def told(self, scene: Scene) -> Sequence[Told]:
        """Set the order size, and set it back."""
        return _parameter("order_lots", self.factor, 0.0, scene.shock_ns, scene.shock_ns + int(self.for_s * S))


@dataclass(frozen=True, kw_only=True)
class FarPrice(Scenario):
    """The quoter suddenly wishes prices far from the market. A `decide` of one's own may not read `half_spread_ticks_min`."""

    NAME: ClassVar[str] = "far price"
    WORDS: ClassVar[str] = "the quoter wishes prices a fifth away from the market"
    CATCHES: ClassVar[tuple[str, ...]] = ("price band",)

    away_frac: float = 0.20
    for_s: float = 5.0

    def told(self, scene: Scene) -> Sequence[Told]:
        """Set the least half-spread, and set it back."""
        return _parameter("half_spread_ticks_min", 0.0, self.away_frac, scene.shock_ns, scene.shock_ns + int(self.for_s * S))


@dataclass(frozen=True, kw_only=True)
class VenueHalt(Scenario):
    """The venue stops: no data, no answers, orders of unknown fate; then it opens elsewhere, with our old orders in its book."""

    NAME: ClassVar[str] = "venue halt"
    WORDS: ClassVar[str] = "the venue stops answering, then opens against us with our orders still there"
    CATCHES: ClassVar[tuple[str, ...]] = ("venue link", "stale data", "latency")

    halt_s: float = 10.0
    unknown_after_s: float = 1.0
    reopen_frac: float = 0.01
    link: bool = True  # False: nobody notices that the line is down

    def rows(self, scene: Scene) -> Rows:
        """Leave out what happened in the halt; open with the whole book, moved."""
        end_ns = scene.shock_ns + int(self.halt_s * S)
        return stopped(moved(scene.rows, [Step(end_ns, scene.against * self.reopen_frac)]), scene.shock_ns, end_ns)

    def told(self, scene: Scene) -> Sequence[Told]:
        """Say that the line is down, that no order is known any more, and that the line is back."""
        start, end = scene.shock_ns, scene.shock_ns + int(self.halt_s * S)
        told: list[Told] = [(start, lambda state: _travel(state, start, end, end - start))]
        if self.link:
            told += [(start, lambda state: _link(state, start, up=False)), (end, lambda state: _link(state, end, up=True))]
            unknown_ns = start + int(self.unknown_after_s * S)
            told.append((unknown_ns, lambda state: _unknown(state, unknown_ns)))
        return [*told, (end, lambda state: _travel(state, end, end, None))]


@dataclass(frozen=True, kw_only=True)
class VolatilityBurst(Scenario):
    """Prices jump to and fro, many times as much as before."""

    NAME: ClassVar[str] = "volatility burst"
    WORDS: ClassVar[str] = "prices jump to and fro for ten seconds"
    CATCHES: ClassVar[tuple[str, ...]] = ("volatility", "sweep", "toxic flow", "markout", "reducing", "position", "daily loss", "drawdown")
    HARM: ClassVar[str] = "money"

    step_frac: float = 0.004
    for_s: float = 10.0

    def rows(self, scene: Scene) -> Rows:
        """Add a seeded random walk of ten steps a second that trade their way; where it ends prices stay."""
        count = round(self.for_s * 10)
        path = np.cumsum(np.random.default_rng(scene.seed).normal(0, self.step_frac, count))
        return moved(scene.rows, [Step(scene.shock_ns + k * S // 10, float(frac), prints=True) for k, frac in enumerate(path)])


@dataclass(frozen=True, kw_only=True)
class ToxicFlow(Scenario):
    """Somebody knows: takers come from one side, and after each of them the price goes on their way."""

    NAME: ClassVar[str] = "toxic flow"
    WORDS: ClassVar[str] = "takers come from one side only, and the price follows each of them"
    CATCHES: ClassVar[tuple[str, ...]] = ("toxic flow", "markout", "sweep", "volatility", "reducing", "position", "daily loss", "drawdown")
    HARM: ClassVar[str] = "money"

    drift_frac: float = 0.02
    for_s: float = 20.0

    def rows(self, scene: Scene) -> Rows:
        """Move prices one way, four small steps a second that trade their way; there they stay."""
        path = np.linspace(0, scene.against * self.drift_frac, round(self.for_s * 4) + 1)[1:]
        return moved(scene.rows, [Step(scene.shock_ns + k * S // 4, float(frac), prints=True) for k, frac in enumerate(path)])


SCENARIOS: dict[str, type[Scenario]] = {
    one.NAME: one for one in (Gap, FlashCrash, FeedFreeze, FatFinger, FarPrice, VenueHalt, VolatilityBurst, ToxicFlow)
}


def scenario_of(one: Scenario | str) -> Scenario:
    """Return a scenario, or that of a name with its usual sizes. Raises UnknownName."""
    if isinstance(one, Scenario):
        return one
    if one not in SCENARIOS:
        raise UnknownName(f"no scenario {one!r}.{did_you_mean(str(one), SCENARIOS)}")
    return SCENARIOS[one]()


# --- what a desk is told -------------------------------------------------------------------------------------------------------


def _row(ts_ns: int, kind: int, i: int, **fields: int) -> Rows:
    row = np.zeros(1, EVENT)
    row["ts_exch_ns"] = row["ts_recv_ns"] = ts_ns
    row["kind"], row["instrument"], row["flags"] = kind, i, LAST
    for name, value in fields.items():
        row[name] = value
    return row


def _parameter(name: str, factor: float, share_of_price: float, start_ns: int, end_ns: int) -> list[Told]:
    """Set a parameter of every market to `factor` times itself plus a share of the price, and back at the end."""
    index, before = PARAM_NAMES.index(name), dict[int, float]()

    def worse(state: State) -> Rows:
        rows = []
        for i, market in enumerate(state.markets):
            before[i] = float(market["params"][name])
            value = factor * before[i] + share_of_price * float(market["mark_ticks"])
            rows.append(_row(start_ns, SET_PARAMS, i, order_id=index, price_ticks=_bits(value)))
        return np.concatenate(rows)

    def back(state: State) -> Rows:
        return np.concatenate(
            [_row(end_ns, SET_PARAMS, i, order_id=index, price_ticks=_bits(before[i])) for i in range(len(state.markets))]
        )

    return [(start_ns, worse), (end_ns, back)]


def _bits(value: float) -> int:
    return int(np.float64(value).view(np.int64))


def _link(state: State, ts_ns: int, *, up: bool) -> Rows:
    return np.concatenate([_row(ts_ns, LINK, i, qty_lots=int(up)) for i in range(len(state.markets))])


def _unknown(state: State, ts_ns: int) -> Rows:
    """Return the row of a gateway that has waited long enough, for every order that is not known to be gone."""
    rows = [np.zeros(0, EVENT)]
    for i, market in enumerate(state.markets):
        working = market["orders"][market["orders"]["status"] != FREE]
        rows += [_row(ts_ns, UNKNOWN, i, order_id=int(order["order_id"]), side=int(order["side"])) for order in working]
    return np.concatenate(rows)


def _travel(state: State, start_ns: int, end_ns: int, wait_ns: int | None) -> Rows:
    """Return LATENCY rows: everything sent from now on arrives `wait_ns` later, and so at the end at once; None: as before."""
    rows = []
    for i, exchange in enumerate(state.exchanges):
        entry, response = (int(exchange[name]) for name in ("entry_ns", "response_ns"))
        first, last = ((entry, entry), (response, response)) if wait_ns is None else ((wait_ns, 0), (0, 0))
        fields = {"price_ticks": first[0], "qty_lots": first[1], "leaves_lots": last[0], "order_id": last[1], "seq": end_ns}
        rows.append(_row(start_ns, LATENCY, i, **fields))
    return np.concatenate(rows)
