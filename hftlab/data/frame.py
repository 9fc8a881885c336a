"""One published moment of a desk, in human units: what panels, strategies and reports read.

A `Frame` owns copies of the records, so nothing that reads it can touch what runs.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from hftlab.data.gauges import Gauge, gauges_of
from hftlab.data.levels import side_levels
from hftlab.instrument import Instrument
from hftlab.types import (
    ASK,
    BARS,
    BID,
    CHANGES,
    DECISION_NAMES,
    DESK_STATE_NAMES,
    FILLS,
    FREE,
    NO_HALTED,
    NO_PRICE,
    PARAM_NAMES,
    SAMPLES,
    STATUS_NAMES,
    VALIDITY_NAMES,
    VERDICT_NAMES,
)

GRADE_NAMES = ("ACTIVE", "WIDEN", "REDUCING")

__all__ = ["GRADE_NAMES", "Frame", "Gauge", "OrderRow", "reason_text", "side_levels"]


@dataclass(frozen=True, slots=True)
class OrderRow:
    """One of our working orders. `side` is 1 (bid) or -1 (ask), `price` in quote currency, `qty` and `leaves` (what is left) in base units.

    `ahead_qty` is the estimated quantity in front of it at its price; `level` is its level in our quote, 0 the nearest to the touch.

    `decision` says what became of it when it was last held against its wish, and why: "keep: …", "amend: …", "replace: …". `fill_p` is
    the chance of a fill within `fill_horizon_s`, `value_ticks` what its place is worth: that times what a fill is expected to earn, in
    ticks a lot. Both NaN where no decision asks for them (`queue_keep_ticks`, `placement_ticks`) and before the rates are known.
    """

    order_id: int
    side: int
    price: float
    qty: float
    leaves: float
    ahead_qty: float
    status: str
    level: int
    fill_p: float = float("nan")
    value_ticks: float = float("nan")
    decision: str = ""


@dataclass(frozen=True)
class Frame:
    """The records of one moment: `desk` one DESK, `markets` MARKET records (an array, one an instrument), the engine's own figures in `engine`.

    `number` counts frames from the engine's start, `published_ns` is when this one was. Methods take `i`, the index of a market.
    """

    desk: Any
    markets: Any
    instruments: tuple[Instrument, ...]
    published_ns: int = 0
    number: int = 0
    engine: dict[str, Any] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """Return ACTIVE, WIDEN, REDUCING, PAUSED, HALTED or STOPPED.

        WIDEN and REDUCING are the answers to a limit that comes near: the worst among the desk and its markets shows here.
        """
        state = DESK_STATE_NAMES[int(self.desk["state"])]
        return GRADE_NAMES[max(grade for grade, _ in self._grades())] if state == "ACTIVE" else state

    @property
    def state_reason(self) -> str:
        """Return why the desk is in its state, such as "daily loss 62 % of its limit"; empty where nothing but a command is the reason."""
        if self.state == "HALTED":
            return "" if int(self.desk["halt_verdict"]) == NO_HALTED else f"{self.halt_reason} beyond its limit"
        grade, reason = max(self._grades(), key=lambda one: one[0])
        return reason if grade and self.state in GRADE_NAMES else ""

    def market_state(self, i: int = 0) -> str:
        """Return ACTIVE, WIDEN or REDUCING, by the limits of one market, or PAUSED when it was deactivated."""
        return GRADE_NAMES[int(self.markets[i]["grade"])] if self.active(i) else "PAUSED"

    def active(self, i: int = 0) -> bool:
        """Return whether market `i` may be quoted: false after `deactivate`."""
        return int(self.markets[i]["inactive"]) == 0

    def unquoted_because(self, i: int = 0) -> str:
        """Return why the gate shows nothing in this market at all, in the words of `VERDICT_NAMES`; empty when it does."""
        verdict = int(self.markets[i]["gate_verdict"])
        return VERDICT_NAMES[verdict] if verdict else ""

    def changes(self) -> npt.NDArray[Any]:
        """Return recent changes of state, oldest first: CHANGE records, shape (n,), n <= 64."""
        return _ring(self.desk["changes"], int(self.desk["changes_count"]), CHANGES)

    def toxicity(self, i: int = 0) -> float:
        """Return VPIN, 0 to 1; NaN until fifty buckets of volume have been seen, and where `vpin_bucket_qty` is not set."""
        return float(self.markets[i]["vpin"])

    def markout_bps(self, i: int = 0) -> float:
        """Return the mean that recent fills have made `markout_ms` later, in basis points; losses are negative."""
        return float(self.markets[i]["markout_bps"])

    def _grades(self) -> list[tuple[int, str]]:
        """Return grade and reason of the desk, then of each market that is active."""
        found = [(int(self.desk["grade"]), reason_text(self.desk["grade_verdict"], self.desk["grade_share"]))]
        for market, instrument in zip(self.markets, self.instruments, strict=True):
            if not int(market["inactive"]):
                reason = reason_text(market["grade_verdict"], market["grade_share"])
                found.append((int(market["grade"]), f"{instrument.symbol}: {reason}"))
        return found

    @property
    def halt_reason(self) -> str:
        """Return why the desk is halted, in words; empty when it is not."""
        return VERDICT_NAMES[int(self.desk["halt_verdict"])] if DESK_STATE_NAMES[int(self.desk["state"])] == "HALTED" else ""

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

    def quote_band_ticks(self, i: int = 0) -> tuple[float, float]:
        """Return between which half-spreads the calibrated one of the last quote lies, in ticks: (low, high).

        NaN, NaN where no band is set. `low` is zero where the band is wider than the half-spread; then nothing is quoted.
        """
        market = self.markets[i]
        half, band = float(market["quote"]["half_spread_ticks"]), float(market["params"]["calibration_band_ticks"])
        return (max(half - band, 0.0), half + band) if band > 0 else (float("nan"), float("nan"))

    def regime_factor(self, i: int = 0) -> float:
        """Return how many times as wide as usual the last quote was because the market is wilder than it has been; 1: as usual."""
        return float(self.markets[i]["regime_factor"])

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
        instrument, rows, params = self.instruments[i], self.markets[i]["orders"], self.markets[i]["params"]
        valued = params["queue_keep_ticks"] > 0 or params["placement_ticks"] > 0
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
                float(o["fill_p"]) if valued else float("nan"),
                float(o["value_ticks"]) if valued else float("nan"),
                DECISION_NAMES[int(o["decision"])],
            )
            for o in used
        ]

    def samples(self, i: int = 0) -> npt.NDArray[Any]:
        """Return recent samples, oldest first: SAMPLE_ROW records, shape (n,), n <= 1536."""
        return _ring(self.markets[i]["samples"], int(self.markets[i]["samples_count"]), SAMPLES)

    def fills(self, i: int = 0) -> npt.NDArray[Any]:
        """Return recent fills of ours, oldest first: FILL_ROW records, shape (n,), n <= 256."""
        return _ring(self.markets[i]["fills"], int(self.markets[i]["fills_count"]), FILLS)

    def bars(self, i: int = 0) -> npt.NDArray[Any]:
        """Return closed time bars of the fair price, oldest first: BAR records, shape (n,), n <= 256."""
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
        """Return amounts beside their limits, for market `i` and the desk: every limit that is set."""
        return gauges_of(self.desk, self.markets, self.instruments, i)

    def _price(self, i: int, ticks: int) -> float:
        return float("nan") if ticks == NO_PRICE else float(self.instruments[i].price(int(ticks)))


def reason_text(verdict: int, share: float) -> str:
    """Return the reason of a grade in words."""
    return f"{VERDICT_NAMES[int(verdict)]} {100 * float(share):.0f} % of its limit"


def _ring(rows: npt.NDArray[Any], count: int, size: int) -> npt.NDArray[Any]:
    return rows[:count] if count <= size else np.roll(rows, -(count % size), axis=0)
