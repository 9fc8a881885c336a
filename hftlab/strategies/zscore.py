"""Mean reversion on time bars by z-score: the plainest strategy there is, here to prove the seam."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hftlab.data.frame import Frame
from hftlab.errors import InputError
from hftlab.instrument import decimal
from hftlab.strategies.base import Described


@dataclass
class ZScoreReversion(Described):
    """Be long `qty` below -entry_z, short above +entry_z, flat again inside exit_z.

    z = (last close - mean) / sd over the last `lookback` closed bars (sd with ddof=1). No wish before there are enough bars.
    """

    qty: str
    lookback: int = 20
    entry_z: float = 2.0
    exit_z: float = 0.5
    every_s: float = 1.0
    market: int = 0

    def __post_init__(self) -> None:
        if self.lookback < 3 or not 0 <= self.exit_z < self.entry_z:
            raise InputError(
                f"lookback={self.lookback}, entry_z={self.entry_z}, exit_z={self.exit_z}; wanted lookback >= 3 and 0 <= exit_z < entry_z."
            )
        self._side: int | None = None  # what was wished last

    def z(self, frame: Frame) -> float:
        """Return the z-score of the last closed bar, NaN while there are too few bars or none moved."""
        closes = frame.bars(self.market)["close_ticks"][-self.lookback :]
        if len(closes) < self.lookback:
            return float("nan")
        sd = float(np.std(closes, ddof=1))
        return float((closes[-1] - closes.mean()) / sd) if sd > 0 else float("nan")

    def on_timer(self, frame: Frame) -> Mapping[int, Any] | None:
        """Return the wished position when it changes."""
        z = self.z(frame)
        if self._side is None:  # a run that goes on may work a wish of ours from before: it ends as any other
            market = frame.markets[self.market]
            self._side = int(np.sign(market["target_lots"])) if int(market["has_target"]) else 0
        side = self._side
        if z >= self.entry_z:
            side = -1
        elif z <= -self.entry_z:
            side = 1
        elif abs(z) <= self.exit_z:
            side = 0
        if side == self._side:
            return None
        self._side = side
        return {self.market: side * decimal(self.qty, "qty")}
