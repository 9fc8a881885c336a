"""A Python strategy of your own: a class in a file. docs/guides/own_strategy.md runs it; run this file to backtest it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import hftlab as hl
from hftlab.data.frame import Frame
from hftlab.strategies.base import Described


@dataclass
class Crossing(Described):
    """Be long while the mean of the last `fast` bars is above that of the last `slow`, short while it is below."""

    qty: float
    fast: int = 3
    slow: int = 10
    every_s: float = 1.0  # how often it is asked

    def on_timer(self, frame: Frame) -> Mapping[int, Any] | None:
        """Return the wished position of market 0 in base units, or None for no change."""
        closes = frame.bars(0)["close_ticks"]
        if len(closes) < self.slow:
            return None
        return {0: self.qty if closes[-self.fast :].mean() > closes[-self.slow :].mean() else -self.qty}


if __name__ == "__main__":
    limits = hl.Limits(position_qty_max="0.05", loss_quote_max=200)
    print(hl.backtest(hl.sample().slice(0, 120), None, hl.WorkTarget(order_qty="0.01"), limits, strategy=Crossing(qty=0.02), bar_s=1.0))
