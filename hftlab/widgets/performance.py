"""How well it goes: P&L since this dashboard opened, drawdown, rolling Sharpe, and what became of orders and fills."""

import math

import numpy as np
import numpy.typing as npt

from hftlab.analytics.stats.equity import MOVES_MIN, drawdown, rolling_sharpe, sharpe_error
from hftlab.data.frame import Frame
from hftlab.types import FILLS
from hftlab.widgets.blotter import MARKOUT_S, markouts
from hftlab.widgets.curves import AXIS_PX, Plot, extent, thin
from hftlab.widgets.history import History
from hftlab.widgets.panel import HtmlPanel
from hftlab.widgets.text import DASH, clock, money, number, places, table

Floats = npt.NDArray[np.float64]

STEP_NS = 1_000_000_000
WINDOW = 300  # steps of a rolling Sharpe
CURVE_PX = 120


class Long(Plot):
    """A curve over everything that the dashboard remembers, all markets together."""

    hz = 1.0

    def __init__(self, history: History, *, market: int = 0, height_px: int = CURVE_PX) -> None:
        self.history = history
        super().__init__(market=market, height_px=height_px)
        self.last = math.nan

    def draw(self, frame: Frame) -> None:
        """Send the curve."""
        ts_ns, pnl = self.history.pnl(STEP_NS)
        values = self.series(pnl) if len(pnl) else pnl
        known = np.isfinite(values)
        self.last = float(values[-1]) if len(values) else math.nan
        if not known.any():
            self.heading(self.right(frame))
            return
        x, y = thin(ts_ns[known] / 1e6, values[known])
        self.show(frame, x, y, *span_ns(ts_ns))

    def series(self, pnl: Floats) -> Floats:
        """Return what is drawn, of the P&L at even steps."""
        return pnl

    def bounds(self, frame: Frame, y: Floats) -> tuple[float, float]:
        """Return a range on a coarse grid that holds zero, so that the axis rests while the curve moves."""
        low, high = min(0.0, float(y.min())), max(0.0, float(y.max()))
        step = 10.0 ** np.floor(np.log10(extent(low, high))) / 2
        return float(np.floor(low / step) * step - 0.1 * step), float(max(np.ceil(high / step), 1) * step + 0.1 * step)


class Equity(Long):
    """The P&L after fees."""

    title = "P&L after fees, all markets"
    css = "hft-curve-ink"

    def right(self, frame: Frame) -> str:
        """Return the P&L, and the time that is shown."""
        ts_ns, _ = self.history.pnl(STEP_NS)
        since = f" · since {clock(int(ts_ns[0]))} UTC" if len(ts_ns) else ""
        return f"{money(float(frame.desk['pnl_quote']), frame.instruments[0].settle)}{since}"


class Drawdown(Long):
    """How far the P&L is below its highest point, drawn downwards."""

    title = "Drawdown"
    css = "hft-curve-bad"

    def series(self, pnl: Floats) -> Floats:
        """Return the drawdown as a negative amount."""
        return -drawdown(pnl)

    def right(self, frame: Frame) -> str:
        """Return the desk's own drawdown, which its limit is held against."""
        capital = float(frame.desk["limits"]["capital_quote"])
        amount = float(frame.desk["drawdown_quote"])
        share = f" · {number(100 * amount / capital, 2)}% of capital" if capital > 0 else ""
        return f"now {number(amount, places(amount))} {frame.instruments[0].settle}{share}"


class Sharpe(Long):
    """The Sharpe ratio of the last WINDOW steps."""

    title = "Rolling Sharpe"
    css = "hft-curve-own"

    def series(self, pnl: Floats) -> Floats:
        """Return the ratio at each step; NaN while there are too few."""
        return rolling_sharpe(pnl, STEP_NS / 1e9, WINDOW)

    def right(self, frame: Frame) -> str:
        """Return the ratio with its standard error, and what it means."""
        _, pnl = self.history.pnl(STEP_NS)
        moves = min(max(len(pnl) - 1, 0), WINDOW)
        said = f"window {WINDOW} steps of {STEP_NS // 10**9} s, annualised over 365 d"
        if not math.isfinite(self.last):
            return f"{DASH} · {said} · needs {MOVES_MIN} steps that vary"
        error = sharpe_error(self.last, STEP_NS / 1e9, moves)
        return f"{number(self.last, 0, sign=True)} ± {number(error, 0)} · {said}"


class Times(HtmlPanel):
    """The times under the curves, which all have the same."""

    hz = 1.0

    def __init__(self, history: History, *, market: int = 0) -> None:
        self.history = history
        super().__init__(market=market)

    def render(self, frame: Frame) -> str:
        """Return five times from the first to the last."""
        ts_ns, _ = self.history.pnl(STEP_NS)
        if not len(ts_ns):
            return ""
        marks = "".join(f"<span>{clock(int(ts))}</span>" for ts in np.linspace(*span_ns(ts_ns), 5))
        return f'<div class="hft-row hft-n hft-dim" style="font-size:10px;margin-right:{AXIS_PX}px">{marks}</div>'


def span_ns(ts_ns: npt.NDArray[np.int64]) -> tuple[int, int]:
    """Return the times that the curves show: a minute at least."""
    return int(ts_ns[0]), int(max(ts_ns[-1], ts_ns[0] + 60 * STEP_NS))


class Execution(HtmlPanel):
    """What became of orders and fills, a market a column."""

    hz = 1.0
    title = "Fills and execution"

    def render(self, frame: Frame) -> str:
        """Return a table: a figure a row, a market a column."""
        columns = [figures(frame, i) for i in range(len(frame.instruments))]
        desk = frame.desk
        self.heading(
            f"orders {int(desk['submits'])} · amends {int(desk['amends'])} · cancels {int(desk['cancels'])} · rejects {int(desk['rejects'])}"
        )
        heads = [("", "l"), *((one.symbol, "") for one in frame.instruments)]
        rows = [[(name, "l hft-dim"), *((column[k][1], "hft-n") for column in columns)] for k, (name, _) in enumerate(columns[0])]
        sent, fills = sum(int(desk[name]) for name in ("submits", "amends", "cancels")), int(sum(frame.markets["fills_count"]))
        if int(frame.markets["fills_count"].max()) > FILLS:
            rows.append([(f"share as maker and means in bps: of the last {FILLS} fills", "l hft-dim")])
        rows.append([(f"requests a fill, all markets: {number(sent / fills, 1) if fills else DASH}", "l hft-dim")])
        return f'<div class="hft-scroll-x">{table(heads, rows)}</div>'


def figures(frame: Frame, i: int) -> list[tuple[str, str]]:
    """Return names and texts of the figures of market `i`: counts and amounts since the start, shares and means of the remembered fills."""
    market, instrument, fills = frame.markets[i], frame.instruments[i], frame.fills(i)
    tick, lot = float(instrument.tick_size), float(instrument.lot_size)
    minutes = (frame.now_ns - int(frame.desk["start_ns"])) / 6e10 if int(frame.desk["start_ns"]) > 0 else 0.0
    count = int(market["fills_count"])
    edge = fills["side"] * (fills["fair_ticks"] - fills["price_ticks"]) * tick
    fair = frame.fair(i)
    after = [markouts(fills, frame.samples(i), seconds) * tick for seconds in MARKOUT_S]
    bought, sold = int(market["bought_lots"]) * lot, int(market["sold_lots"]) * lot
    fees = (float(market["fees_ticklots"]) + float(market["fees_uticklots"]) * 1e-6) * instrument.ticklot_quote
    return [
        ("fills", str(count)),
        ("fills a minute", number(count / minutes, 2) if minutes > 0 else DASH),
        ("as maker", number(100 * float(np.mean(fills["maker"] != 0)), 0, unit="%") if len(fills) else DASH),
        ("bought", number(bought, instrument.qty_decimals, unit=instrument.qty_unit)),
        ("sold", number(sold, instrument.qty_decimals, unit=instrument.qty_unit)),
        ("earned against fair, mean", _bps(edge, fair)),
        *((f"after {seconds} s, mean", _bps(values, fair)) for seconds, values in zip(MARKOUT_S, after, strict=True)),
        ("fees", number(fees, max(4, places(fees)), unit=instrument.settle)),
        ("P&L after fees", money(float(market["pnl_quote"]), instrument.settle)),
    ]


def _bps(values: Floats, fair: float) -> str:
    known = values[np.isfinite(values)]
    return number(float(known.mean()) / fair * 1e4, 3, sign=True, unit="bps") if len(known) and fair > 0 else DASH
