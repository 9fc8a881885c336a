"""One published moment of a desk, in human units: what panels, strategies and reports read.

A `Frame` owns copies of the records, so nothing that reads it can touch what runs.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from hftlab.instrument import Instrument
from hftlab.types import (
    ASK,
    BARS,
    BID,
    DESK_STATE_NAMES,
    FILLS,
    FREE,
    NO_PRICE,
    PARAM_NAMES,
    SAMPLES,
    STATUS_NAMES,
    VALIDITY_NAMES,
    VERDICT_NAMES,
)


@dataclass(frozen=True, slots=True)
class Gauge:
    """An amount beside its limit. `limit` is NaN where there is none."""

    name: str
    amount: float
    limit: float
    unit: str

    @property
    def share(self) -> float:
        """Return how much of the limit is used, 0 to 1 and above; 0 without a limit."""
        return abs(self.amount) / self.limit if self.limit > 0 else 0.0


@dataclass(frozen=True, slots=True)
class OrderRow:
    """One of our working orders. `ahead_qty` is the estimated quantity in front of it at its price."""

    order_id: int
    side: int
    price: float
    qty: float
    leaves: float
    ahead_qty: float
    status: str
    level: int


@dataclass(frozen=True)
class Frame:
    """The records of one moment: `desk` one DESK, `markets` MARKET records, and the engine's own figures in `engine`."""

    desk: Any
    markets: Any
    instruments: tuple[Instrument, ...]
    published_ns: int = 0
    number: int = 0
    engine: dict[str, Any] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """Return ACTIVE, PAUSED, REDUCING, HALTED or STOPPED."""
        return DESK_STATE_NAMES[int(self.desk["state"])]

    @property
    def halt_reason(self) -> str:
        """Return why the desk is halted, in words; empty when it is not."""
        return VERDICT_NAMES[int(self.desk["halt_verdict"])] if self.state == "HALTED" else ""

    @property
    def now_ns(self) -> int:
        """Return the time of the last row."""
        return int(self.desk["now_ns"])

    def validity(self, i: int = 0) -> str:
        """Return valid, resync or crossed."""
        return VALIDITY_NAMES[int(self.markets[i]["validity"])]

    def fair(self, i: int = 0) -> float:
        """Return the fair price, NaN before the first valid book."""
        return float(self.markets[i]["fair_ticks"]) * float(self.instruments[i].tick_size)

    def reservation(self, i: int = 0) -> float:
        """Return the reservation price of the last quote."""
        return float(self.markets[i]["quote"]["reservation_ticks"]) * float(self.instruments[i].tick_size)

    def position(self, i: int = 0) -> float:
        """Return our position in base units."""
        return float(self.instruments[i].qty(int(self.markets[i]["position_lots"])))

    def touch(self, i: int = 0) -> tuple[float, float]:
        """Return the best bid and ask, NaN where there is none."""
        book = self.markets[i]["book"]
        return self._price(i, book["best_bid_ticks"]), self._price(i, book["best_ask_ticks"])

    def levels(self, i: int = 0, depth: int = 10) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return bids and asks as float64 arrays of shape (<= depth, 2): price and quantity, best first."""
        book = self.markets[i]["book"]
        scale = np.array([float(self.instruments[i].tick_size), float(self.instruments[i].lot_size)])
        return tuple(np.array(side_levels(book, side, depth), dtype=np.float64).reshape(-1, 2) * scale for side in (BID, ASK))

    def orders(self, i: int = 0) -> list[OrderRow]:
        """Return our orders, working or in flight, best price first on each side."""
        instrument, rows = self.instruments[i], self.markets[i]["orders"]
        used = rows[rows["status"] != FREE]
        used = used[np.argsort(-used["price_ticks"] * used["side"], kind="stable")]
        return [
            OrderRow(
                int(o["order_id"]),
                int(o["side"]),
                float(instrument.price(int(o["price_ticks"]))),
                float(instrument.qty(int(o["qty_lots"]))),
                float(instrument.qty(int(o["leaves_lots"]))),
                float(o["ahead_lots"]) * float(instrument.lot_size),
                STATUS_NAMES[int(o["status"])],
                int(o["level"]),
            )
            for o in used
        ]

    def samples(self, i: int = 0) -> npt.NDArray[Any]:
        """Return recent SAMPLE_ROW records, oldest first."""
        return _ring(self.markets[i]["samples"], int(self.markets[i]["samples_count"]), SAMPLES)

    def fills(self, i: int = 0) -> npt.NDArray[Any]:
        """Return recent FILL_ROW records, oldest first."""
        return _ring(self.markets[i]["fills"], int(self.markets[i]["fills_count"]), FILLS)

    def bars(self, i: int = 0) -> npt.NDArray[Any]:
        """Return closed BAR records, oldest first."""
        return _ring(self.markets[i]["bars"], int(self.markets[i]["bars_count"]), BARS)

    def params(self, i: int = 0) -> dict[str, float]:
        """Return the quoter's parameters in machine units, by name."""
        return {name: float(self.markets[i]["params"][name]) for name in PARAM_NAMES}

    def sigma_bps(self, i: int = 0) -> float:
        """Return the volatility estimate in basis points per square root of a second."""
        fair = float(self.markets[i]["fair_ticks"])
        return float(np.sqrt(self.markets[i]["variance_ticks2_per_s"])) / fair * 1e4 if fair else float("nan")

    def refusals(self) -> dict[str, int]:
        """Return how often the risk gate refused, by reason, non-zero ones only."""
        return {name: int(n) for name, n in zip(VERDICT_NAMES, self.desk["verdicts"], strict=False) if n and name != "ok"}

    def gauges(self, i: int = 0) -> list[Gauge]:
        """Return amounts beside their limits for market `i` and the desk."""
        market, desk, instrument = self.markets[i], self.desk, self.instruments[i]
        limits, lot = market["limits"], float(instrument.lot_size)
        working = market["orders"]["status"] != FREE
        loss = min(0.0, float(desk["pnl_quote"] - desk["day_open_pnl_quote"]))
        fair_ticks = float(market["fair_ticks"])
        worth = abs(instrument.worth_of(fair_ticks)) if np.isfinite(fair_ticks) else 0.0
        open_notional = abs(int(market["position_lots"])) * worth * instrument.ticklot_quote
        rate = float(desk["limits"]["requests_per_s_max"])
        burst = float(desk["limits"]["requests_burst"])
        capital = float(desk["limits"]["capital_quote"])
        money = instrument.settle
        return [
            Gauge("position", self.position(i), float(limits["position_lots_max"]) * lot, instrument.base),
            Gauge("notional", open_notional, float(limits["notional_ticklots_max"]) * instrument.ticklot_quote, money),
            Gauge("daily loss", -loss, float(desk["limits"]["loss_quote_max"]), money),
            Gauge("drawdown", float(desk["drawdown_quote"]), float(desk["limits"]["drawdown_frac_max"]) * capital, money),
            Gauge("open orders", float(working.sum()), float(limits["orders_max"]), ""),
            Gauge("request budget used", max(0.0, burst - float(desk["request_tokens"])), burst, f"of {burst:.0f}, refills {rate:g}/s"),
        ]

    def _price(self, i: int, ticks: int) -> float:
        return float("nan") if ticks == NO_PRICE else float(self.instruments[i].price(int(ticks)))


def _ring(rows: npt.NDArray[Any], count: int, size: int) -> npt.NDArray[Any]:
    return rows[:count] if count <= size else np.roll(rows, -(count % size), axis=0)


def side_levels(book: Any, side: int, depth: int) -> list[tuple[int, int]]:
    """Return up to `depth` (ticks, lots) from the best price of a side; looks into the far table only when it must."""
    lots = book["bid_lots" if side == BID else "ask_lots"]
    best = int(book["best_bid_ticks" if side == BID else "best_ask_ticks"])
    if best == NO_PRICE:
        return []
    anchor = int(book["anchor_ticks"])
    index = np.flatnonzero(lots)
    near = index[::-1][:depth] if side == BID else index[:depth]
    rows = [(anchor + int(k), int(lots[k])) for k in near]
    if len(rows) < depth and int(book["far_count"]):
        far = np.flatnonzero(np.sign(book["far"]["lots"]) == side)
        rows += [(int(book["far"]["ticks"][k]), abs(int(book["far"]["lots"][k]))) for k in far]
        rows.sort(key=lambda row: -side * row[0])
    return rows[:depth]
