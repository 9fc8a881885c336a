"""The ladder: the book around the mid with our orders in it, 20 frames a second."""

import numpy as np
import numpy.typing as npt

from hftlab.data.frame import Frame
from hftlab.types import ASK, BID, FAIR_MICRO, FREE, NO_PRICE
from hftlab.widgets.page import Canvas, script
from hftlab.widgets.panel import Panel
from hftlab.widgets.text import esc

HEAD = 10  # fair, reservation, spread in ticks, micro?, price and quantity decimals, depth, our asks and bids further out, validity
ROW = 5  # price, quantity, ours, ahead of us, status
ROW_PX = 18
MIDDLE_PX = 40


class LadderCanvas(Canvas):
    """Draws the buffer of `pack`."""

    _esm = script("ladder_paint.js", "ladder.js")


def pack(frame: Frame, i: int, depth: int) -> npt.NDArray[np.float64]:
    """Return HEAD numbers, then `depth` bid rows and `depth` ask rows of ROW numbers, best first, NaN where there is none."""
    market, instrument = frame.markets[i], frame.instruments[i]
    out = np.full(HEAD + 2 * depth * ROW, np.nan)
    bid, ask = frame.touch(i)
    spread = round((ask - bid) / float(instrument.tick_size)) if np.isfinite(ask - bid) else np.nan
    micro = float(int(market["params"]["fair"]) == FAIR_MICRO)
    out[:7] = frame.fair(i), frame.reservation(i), spread, micro, instrument.price_decimals, instrument.qty_decimals, depth
    out[9] = float(market["validity"])
    levels = frame.levels(i, depth)
    for block, side in enumerate((BID, ASK)):
        rows, further = side_rows(frame, i, side, levels[block], depth)
        start = HEAD + block * depth * ROW
        out[start : start + rows.size] = rows.ravel()
        out[8 if side == BID else 7] = further
    return out


def side_rows(frame: Frame, i: int, side: int, levels: npt.NDArray[np.float64], depth: int) -> tuple[npt.NDArray[np.float64], int]:
    """Return up to `depth` rows of one side, best first, and how many of our orders lie further out.

    Our simulated orders are not in the recorded book, so a price where only we are gets a row of its own, and the bar of a
    shared price is the others' quantity and ours together.
    """
    market, instrument = frame.markets[i], frame.instruments[i]
    tick, lot = float(instrument.tick_size), float(instrument.lot_size)
    in_book = bool(market["spec"]["own_in_book"])
    rows = {round(price / tick): [price, qty, 0.0, 0.0, 0.0] for price, qty in levels}
    orders = market["orders"]
    mine = orders[(orders["status"] != FREE) & (orders["side"] == side) & (orders["price_ticks"] != NO_PRICE)]
    for order in mine:
        ticks, ours = int(order["price_ticks"]), float(order["leaves_lots"]) * lot
        row = rows.setdefault(ticks, [ticks * tick, 0.0, 0.0, 0.0, 0.0])
        ahead = float(order["ahead_lots"]) * lot
        row[3] = ahead if row[2] == 0.0 else min(row[3], ahead)
        row[2] += ours
        row[1] += 0.0 if in_book else ours
        row[4] = max(row[4], float(order["status"]))
    best_first = sorted(rows, key=lambda ticks: -side * ticks)
    shown = set(best_first[:depth])
    further = sum(int(ticks) not in shown for ticks in mine["price_ticks"])
    return np.array([rows[ticks] for ticks in best_first[:depth]], dtype=np.float64).reshape(-1, ROW), further


class Ladder(Panel):
    """The book of one market, `depth` levels a side."""

    hz = 20.0
    title = "Ladder"

    def __init__(self, *, market: int = 0, height_px: int = 500) -> None:
        self.depth = max(10, (height_px - MIDDLE_PX) // (2 * ROW_PX))
        self.canvas = LadderCanvas(height_px=height_px)
        super().__init__(self.canvas, market=market)

    def draw(self, frame: Frame) -> None:
        """Send the book of `frame`, unless the page is still digesting earlier ones."""
        self.heading(f"{esc(frame.instruments[self.market].qty_unit)}: size · ours · ahead")
        if not self.canvas.behind:
            self.canvas.push(pack(frame, self.market, self.depth), frame.published_ns)
