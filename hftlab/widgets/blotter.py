"""Working orders, and the last fills with what the market did afterwards."""

from typing import Any

import numpy as np
import numpy.typing as npt

from hftlab.data.frame import Frame, OrderRow
from hftlab.types import BID
from hftlab.widgets.panel import HtmlPanel
from hftlab.widgets.text import DASH, clock, esc, number, places, table

FILL_ROWS = 7
ORDER_ROWS = 8
MARKOUT_S = (1, 5)


def side_cell(side: int) -> tuple[str, str]:
    """Return buy or sell in its colour."""
    return ("buy", "l hft-bid") if side == BID else ("sell", "l hft-ask")


def markouts(fills: npt.NDArray[Any], samples: npt.NDArray[Any], seconds: float) -> npt.NDArray[np.float64]:
    """Return the gain in ticks of each fill against the fair price `seconds` later; NaN where no sample tells.

    The price is that of the last sample at or before that moment, and it must lie after the fill.
    """
    out = np.full(len(fills), np.nan)
    if not len(samples) or not len(fills):
        return out
    then = fills["ts_ns"] + int(seconds * 1e9)
    at = np.searchsorted(samples["ts_ns"], then, side="right") - 1
    known = (then <= samples["ts_ns"][-1]) & (at >= 0)
    known[known] &= samples["ts_ns"][at[known]] > fills["ts_ns"][known]
    out[known] = (samples["fair_ticks"][at[known]] - fills["price_ticks"][known]) * fills["side"][known]
    return out


class Fills(HtmlPanel):
    """The last fills, newest first."""

    hz = 2.0
    title = "Fills"

    def render(self, frame: Frame) -> str:
        """Return a table of the last fills."""
        i, instrument = self.market, frame.instruments[self.market]
        fills, samples = frame.fills(i), frame.samples(i)
        count = int(frame.markets[i]["fills_count"])
        if not count:
            self.heading("none")
            return '<div class="hft-none">no fills yet</div>'
        after = {s: markouts(fills, samples, s) * float(instrument.tick_size) for s in MARKOUT_S}
        known = after[MARKOUT_S[-1]][np.isfinite(after[MARKOUT_S[-1]])]
        mean = (
            f" · mean {MARKOUT_S[-1]} s markout {number(float(known.mean()), instrument.price_decimals + 1, sign=True, unit=instrument.quote)}"
            if len(known)
            else ""
        )
        last = f" · of the last {len(fills)}: " if count > len(fills) else " · "
        self.heading(f"{count}{last}maker {100 * float(np.mean(fills['maker'] != 0)):.0f}%{mean}")
        fees = (fills["fee_ticklots"] + fills["fee_uticklots"] * 1e-6) * instrument.ticklot_quote
        fee_decimals, edge_decimals = max(4, places(*fees[-FILL_ROWS:])), instrument.price_decimals + 1  # fair lies between ticks
        heads = [
            ("time", "l"),
            ("side", "l"),
            ("", "l"),
            (f"price, {instrument.quote}", ""),
            (f"qty, {instrument.qty_unit}", ""),
            (f"vs fair, {instrument.quote}", ""),
            *((f"{s} s later", "") for s in MARKOUT_S),
            (f"fee, {instrument.settle}", ""),
        ]
        rows = []
        for k in range(len(fills) - 1, max(-1, len(fills) - 1 - FILL_ROWS), -1):
            fill = fills[k]
            edge = float(fill["side"]) * (float(fill["fair_ticks"]) - float(fill["price_ticks"])) * float(instrument.tick_size)
            rows.append(
                [
                    (clock(int(fill["ts_ns"]), 3), "l hft-n"),
                    side_cell(int(fill["side"])),
                    ("maker" if fill["maker"] else "taker", "l hft-dim"),
                    (instrument.price_text(int(fill["price_ticks"])), "hft-n"),
                    (number(float(instrument.qty(int(fill["qty_lots"]))), instrument.qty_decimals), "hft-n"),
                    (number(edge, edge_decimals, sign=True), "hft-n"),
                    *((number(float(after[s][k]), edge_decimals, sign=True), "hft-n") for s in MARKOUT_S),
                    (number(float(fees[k]), fee_decimals), "hft-n"),
                ]
            )
        return table(heads, rows)


class Orders(HtmlPanel):
    """Our orders, working or in flight."""

    hz = 4.0
    title = "Working orders"

    def render(self, frame: Frame) -> str:
        """Return a table of our orders, asks above bids as in the ladder: what becomes of each, and its worth where a decision asks for it.

        The column is narrow, so one cell says the last decision of an order that is live and the status of any other; pointing at it says both.
        """
        i, instrument = self.market, frame.instruments[self.market]
        orders = frame.orders(i)
        # Of many: those whose fate is not known, then those nearest to the touch.
        first = sorted(orders, key=lambda order: (order.status != "unknown", order.level))
        shown = sorted(first[:ORDER_ROWS], key=lambda order: -order.price)
        self.heading(f"{len(orders)} · {esc(instrument.quote)}, {esc(instrument.qty_unit)}")
        if not orders:
            return '<div class="hft-none">no order rests</div>'
        valued = any(order.value_ticks == order.value_ticks for order in orders)
        worth = [("fills", ""), ("worth, ticks", "")] if valued else []
        heads = [("side", "l"), ("price", ""), ("left", ""), ("ahead", ""), *worth, ("now", "l")]
        rows = [
            [
                side_cell(order.side),
                (number(order.price, instrument.price_decimals), "hft-n"),
                (number(order.leaves, instrument.qty_decimals), "hft-n"),
                (number(order.ahead_qty, instrument.qty_decimals) if order.status != "pending new" else DASH, "hft-n"),
                *(
                    [(number(100 * order.fill_p, 0, unit="%"), "hft-n"), (number(order.value_ticks, 2, sign=True), "hft-n")]
                    if valued
                    else []
                ),
                _now(order),
            ]
            for order in shown
        ]
        more = f'<div class="hft-dim">and {len(orders) - ORDER_ROWS} more</div>' if len(orders) > ORDER_ROWS else ""
        return table(heads, rows) + more


def _now(order: OrderRow) -> tuple[str, str, str]:
    text = order.decision.partition(":")[0] if order.status == "live" and order.decision else order.status
    return (
        text,
        "l hft-level-warn" if order.status == "unknown" else "l hft-dim",
        f"{order.status}; {order.decision or 'not decided on yet'}",
    )
