"""Tables of the tear sheet: a measure, its value with its unit, and its interval beside it."""

import math
from html import escape
from typing import TYPE_CHECKING

from hftlab.instrument import Instrument

if TYPE_CHECKING:
    import pandas as pd

# What each measure of `analytics.costs.quality` is called, and its unit; those with an interval have `_low` and `_high` beside them.
QUALITY = {
    "spread_capture_1s": ("spread captured after 1 s", "%"),
    "spread_capture_10s": ("spread captured after 10 s", "%"),
    "break_even_half_spread_ticks": ("half-spread that would break even, 10 s", "ticks"),
    "uptime_share": ("both sides live within 5 ticks of the touch", "%"),
    "uptime_anywhere_share": ("both sides live anywhere", "%"),
    "order_to_trade": ("requests a fill", ""),
    "quotes": ("quotes (one order at one price)", ""),
    "quote_hit_rate": ("quotes hit", "%"),
    "quote_life_ms_p50": ("life of a quote, median", "ms"),
    "quote_life_ms_p95": ("life of a quote, 95 %", "ms"),
    "quote_to_fill_ms_p50": ("from placement to the first fill, median", "ms"),
    "quote_to_fill_ms_p95": ("from placement to the first fill, 95 %", "ms"),
    "ahead_at_placement_base_p50": ("ahead in the queue at placement, median", "base"),
    "ahead_at_placement_of_filled_base_p50": ("… of quotes that were filled", "base"),
    "behind_at_fill_base_p50": ("behind us at a fill at the touch, median", "base"),
    "inventory_turnover_per_h": ("inventory turned over", "times an hour"),
    "requests_per_s": ("requests", "a second"),
    "orders_per_s": ("new orders", "a second"),
    "requests_in_busiest_s": ("requests in the busiest second", ""),
}


def quality_table(found: "pd.Series", instrument: Instrument) -> str:
    """Return the measures of one market as rows: name, value and unit, 95 % interval."""
    rows = []
    for key, (name, unit) in QUALITY.items():
        if key not in found.index:
            continue
        low, high = (found.get(f"{key}_{end}", math.nan) for end in ("low", "high"))
        between = (
            f"[{_value(low, unit)}, {_value(high, unit)}]"
            if math.isfinite(low)
            else "none: too little"
            if f"{key}_low" in found.index
            else ""
        )
        written = instrument.qty_unit if unit == "base" else "" if unit == "%" else unit
        rows.append(
            f"<tr><th>{escape(name)}</th><td>{_value(found[key], unit)}</td><td class='w'>{escape(written)}</td>"
            f"<td class='w'>{between}</td></tr>"
        )
    head = f"<tr><th>{escape(instrument.symbol)}</th><th></th><th></th><th>95 % interval</th></tr>"
    return f"<div class='wide'><table>{head}{''.join(rows)}</table></div>"


def cost_table(table: "pd.DataFrame") -> str:
    """Return `report.costs(…)` with intervals beside their values."""
    head = "<tr><th>fills as</th><th>of</th><th>fills</th><th>qty</th><th>slippage, ticks</th><th>beyond the touch, ticks</th>"
    head += "<th>effective spread, ticks</th><th>bps</th><th>fee, bps</th></tr>"
    rows = []
    for row in table.to_dict("records"):
        cells = "".join(
            f"<td>{_value(row[f'{name}_ticks'], '')}{_between(row[f'{name}_low'], row[f'{name}_high'])}</td>"
            for name in ("slippage", "beyond_touch", "effective")
        )
        rows.append(
            f"<tr><td class='w'>{escape(row['liquidity'])}</td><td class='w'>{escape(row['bucket'])}</td><td>{row['fills']:,}</td>"
            f"<td>{row['qty_base']:,.6g}</td>{cells}<td>{_value(row['effective_bps'], '')}</td><td>{_value(row['fee_bps'], '')}</td></tr>"
        )
    return f"<div class='wide'><table>{head}{''.join(rows)}</table></div>"


def _between(low: float, high: float) -> str:
    return f" [{_value(low, '')}, {_value(high, '')}]" if math.isfinite(low) else ""


def _value(value: float, unit: str) -> str:
    if not math.isfinite(value):
        return "–"
    if unit == "%":
        return f"{value:.1%}"
    return f"{int(value):,}" if value == int(value) else f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
