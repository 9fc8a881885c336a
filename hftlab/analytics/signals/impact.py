"""What trading does to prices: Kyle's lambda measured on a run's market, the square-root law, and the cost of a size before it is sent."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hftlab.analytics.report.report import Report
from hftlab.analytics.stats.regression import line
from hftlab.errors import InputError
from hftlab.strict import keywords, number
from hftlab.types import TRADE

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]

INTERVALS_MIN = 30


@dataclass(frozen=True, repr=False)
class Impact:
    """The answer of prices to signed flow over steps of `interval_s`: price move = lambda x (bought less sold by takers).

    `lambda_price` is in quote currency per base unit of flow, with its 95 % interval `low`, `high` (Newey–West: steps may hang together;
    see `impact_regression.line`); `r2` the share of the variance of moves that flow explains; `table` the mean move by tenths of the flow. Flow and move
    of the same step: it says how far prices and takers go together, and not which of them leads.
    """

    instrument: str
    interval_s: float
    intervals: int
    lambda_price: float
    low: float
    high: float
    r2: float
    table: "pd.DataFrame"

    def cost_bps(self, qty: float, price: float) -> float:
        """Return the move in basis points that a taker of `qty` base units goes with, on the line of `lambda_price`."""
        return self.lambda_price * abs(number(qty, "qty")) / number(price, "price", 1e-300) * 1e4

    def __repr__(self) -> str:
        return (
            f"<Impact {self.instrument}: {self.lambda_price:.4g} ({self.low:.4g} to {self.high:.4g}) a base unit, "
            f"R2 {self.r2:.2f}, {self.intervals} steps of {self.interval_s:g} s>"
        )

    def _repr_html_(self) -> str:
        return f"<div>{self.__repr__().strip('<>')}</div>{self.table.to_html(border=0, float_format='{:,.5g}'.format)}"


@keywords
def impact(report: Report, market: int = 0, *, interval_s: float = 1.0) -> Impact:
    """Return the Impact of the public prints of a report's tape on the fair price that its desk saw, on our clock.

    Raises InputError for a report without a tape, or with fewer than 30 steps in which both are known.
    """
    if report.origin is None:
        raise InputError("this report has no tape to read prints from: it comes from a session. Impact wants the report of hl.backtest(…).")
    instrument, step = report.instruments[market], int(number(interval_s, "interval_s", 0.01, 1e6) * 1e9)
    mine = report.samples[report.samples["instrument"] == market]
    ts_ns, fair = mine["ts_recv_ns"], mine["price_ticks"].view(np.float64) * float(instrument.tick_size)
    if len(ts_ns) < 2:
        raise InputError("the run wrote no samples of this market; wanted sample_ms above zero and a market that was open.")
    times = np.arange(-(-int(ts_ns[0]) // step), int(ts_ns[-1]) // step + 1, dtype=np.int64) * step
    if len(times) - 1 < INTERVALS_MIN:
        raise InputError(f"{max(len(times) - 1, 0)} steps of {interval_s:g} s fit into the run; wanted {INTERVALS_MIN} or more.")
    prices = fair[np.searchsorted(ts_ns, times, side="right") - 1]
    flow = np.zeros(len(times) - 1)
    for rows in report.origin.chunks():
        prints = rows[(rows["kind"] == TRADE) & (rows["instrument"] == market)]
        at = np.searchsorted(times, prints["ts_recv_ns"], side="left") - 1  # a print at a boundary belongs to the step that ends there
        inside = (at >= 0) & (at < len(flow))
        signed = prints["qty_lots"] * prints["side"].astype(np.float64) * float(instrument.lot_size)
        flow += np.bincount(at[inside], weights=signed[inside], minlength=len(flow))
    return _fitted(instrument.name, interval_s, np.diff(prices), flow)


def _fitted(name: str, interval_s: float, moves: Floats, flow: Floats) -> Impact:
    import pandas as pd

    found = line(moves, flow, origin=True, level=0.95)
    tenth = np.minimum(np.argsort(np.argsort(flow, kind="stable"), kind="stable") * 10 // len(flow), 9)
    table = pd.DataFrame({"flow_base": flow, "move": moves}).groupby(tenth + 1).mean().rename_axis("tenth of flow")
    return Impact(name, interval_s, len(moves), found.slope, found.low, found.high, found.r2, table)


def kyle_lambda(moves: Floats, flow: Floats) -> tuple[float, float, float]:
    """Return slope, its standard error (Newey–West) and R2 of moves (n,) on flow (n,) through the origin. NaN without flow."""
    found = line(moves, flow, origin=True)
    return found.slope, found.error, found.r2


def kyle_equilibrium(variance: float, sigma_flow: float) -> float:
    """Return lambda = sqrt(Sigma_0) / (2 sigma_u) of Kyle 1985: price per unit of flow, for a value of that variance."""
    return math.sqrt(number(variance, "variance", 0)) / (2.0 * number(sigma_flow, "sigma_flow", 1e-300))


def square_root_bps(qty: float, volume_qty: float, sigma_bps: float, *, y: float = 1.0) -> float:
    """Return the impact I = Y sigma sqrt(Q / V) of a size worked over the time in which `volume_qty` trades and prices swing `sigma_bps`.

    The square-root law (Torre & Ferrari 1997; Almgren et al. 2005; Toth et al. 2011); Y is near 1. Raises InputError.
    """
    share = number(qty, "qty", 0) / number(volume_qty, "volume_qty", 1e-300)
    return number(y, "y", 0) * number(sigma_bps, "sigma_bps", 0) * math.sqrt(share)
