"""Every limit that is set, beside what it is held against: the same sums as the gate's, in human units."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hftlab.data.levels import side_levels
from hftlab.instrument import Instrument
from hftlab.types import ASK, BID, FREE, NEAR_PRICES

MINUTE_NS = 60_000_000_000


@dataclass(frozen=True, slots=True)
class Gauge:
    """An amount beside its limit. `limit` is not finite where there is none; the amount is NaN where it is not known yet."""

    name: str
    amount: float
    limit: float
    unit: str

    @property
    def share(self) -> float:
        """Return how much of the limit is used, 0 to 1 and above; 0 without a limit, and while the amount is not known."""
        return abs(self.amount) / self.limit if self.limit > 0 and self.amount == self.amount else 0.0


def worst_quote(market: Any, instrument: Instrument) -> float:
    """Return the worst-case exposure of a market in settlement currency: every order filled that is not known to be gone."""
    position, (bids, asks) = int(market["position_lots"]), (int(n) for n in market["open_lots"])
    lots = max(abs(position + bids), abs(position - asks))
    if lots == 0:
        return 0.0
    mark = float(market["mark_ticks"])
    return lots * abs(float(instrument.worth_of(mark))) * instrument.ticklot_quote if math.isfinite(mark) else math.nan


def gauges_of(desk: Any, markets: Any, instruments: tuple[Instrument, ...], i: int) -> list[Gauge]:
    """Return the gauges of market `i` and of the desk: six that are always there, then those of the other limits that are set."""
    more = [*_desk(desk, markets, instruments), *_money(desk, markets[i], instruments[i]), *_market(desk, markets[i])]
    return [*_always(desk, markets[i], instruments[i]), *(one for one in more if 0 < one.limit < math.inf)]


def day_loss_quote(desk: Any) -> float:
    """Return what was lost since the UTC day began, at least zero."""
    return max(0.0, float(desk["day_open_pnl_quote"] - desk["pnl_quote"]))


def _always(desk: Any, market: Any, instrument: Instrument) -> Iterator[Gauge]:
    limits, whole, lot = market["limits"], desk["limits"], float(instrument.lot_size)
    fair_ticks = float(market["fair_ticks"])
    worth = abs(instrument.worth_of(fair_ticks)) if math.isfinite(fair_ticks) else 0.0
    position, unit, money = int(market["position_lots"]), instrument.ticklot_quote, instrument.settle
    rate, burst = float(whole["requests_per_s_max"]), float(whole["requests_burst"])
    used = max(0.0, burst - float(desk["request_tokens"][int(market["spec"]["venue"])]))
    fall = float(whole["drawdown_frac_max"]) * (float(whole["capital_quote"]) + max(float(desk["peak_pnl_quote"]), 0.0))
    yield Gauge("position", float(instrument.qty(position)), float(limits["position_lots_max"]) * lot, instrument.qty_unit)
    yield Gauge("notional", abs(position) * worth * unit, float(limits["notional_ticklots_max"]) * unit, money)
    yield Gauge("daily loss", day_loss_quote(desk), float(whole["loss_quote_max"]), money)
    yield Gauge("drawdown", float(desk["drawdown_quote"]), fall, money)
    yield Gauge("open orders", float((market["orders"]["status"] != FREE).sum()), float(limits["orders_max"]), "")
    yield Gauge("request budget used", used, burst, f"of {burst:.0f}, refills {rate:g}/s")


def _desk(desk: Any, markets: Any, instruments: tuple[Instrument, ...]) -> Iterator[Gauge]:
    limits, money = desk["limits"], instruments[0].settle
    worst = [worst_quote(market, instrument) for market, instrument in zip(markets, instruments, strict=True)]
    exposure, equity = sum(worst), float(limits["capital_quote"] + desk["pnl_quote"])
    opening = float(limits["capital_quote"] + desk["day_open_pnl_quote"])
    shares = [float(market["limits"]["margin_frac"]) for market in markets]
    margin = sum(one * (share or 1.0) for one, share in zip(worst, shares, strict=True))
    loss = _ratio(day_loss_quote(desk), opening)
    yield Gauge("daily loss of equity", 100 * loss, 100 * float(limits["loss_frac_max"]), "%")
    yield Gauge("exposure", exposure, float(limits["exposure_quote_max"]), money)
    yield Gauge("leverage", _ratio(exposure, equity), float(limits["leverage_max"]), "x")
    if any(shares):
        yield Gauge("margin", margin, max(equity, 0.0), money)


def _money(desk: Any, market: Any, instrument: Instrument) -> Iterator[Gauge]:
    """Yield what the orders that are wished now would come to."""
    limits, wish = market["limits"], market["quote"]
    mark, equity = float(market["mark_ticks"]), float(desk["limits"]["capital_quote"] + desk["pnl_quote"])
    sizes = {"bid": int(wish["bid_lots"]), "ask": int(wish["ask_lots"])}
    if float(limits["risk_per_trade_frac_max"]) < math.inf:
        worth = abs(float(instrument.worth_of(mark))) * instrument.ticklot_quote if math.isfinite(mark) else math.nan
        risked = max(sizes.values()) * worth * float(limits["stop_bps"]) * 1e-4
        yield Gauge("risk per trade", 100 * _ratio(risked, equity), 100 * float(limits["risk_per_trade_frac_max"]), "%")
    if float(limits["concentration_frac_max"]) < math.inf:
        share = _ratio(max(sizes.values()), _lots_per_min(market, int(desk["now_ns"])))
        yield Gauge("share of a minute's volume", 100 * share, 100 * float(limits["concentration_frac_max"]), "%")
    if float(limits["liquidity_frac_max"]) < math.inf:
        yield Gauge("share of the book", 100 * _share_of_book(market, sizes), 100 * float(limits["liquidity_frac_max"]), "%")


def _market(desk: Any, market: Any) -> Iterator[Gauge]:
    limits = market["limits"]
    if (seen_ns := int(market["last_recv_ns"])) > 0:
        yield Gauge("age of the book", (int(desk["now_ns"]) - seen_ns) / 1e9, float(limits["stale_ns_max"]) / 1e9, "s")
    slowest_ms = float(limits["latency_ns_max"]) / 1e6
    mark = abs(float(market["mark_ticks"]))
    yield Gauge("feed latency", float(market["feed_ns"]) / 1e6, slowest_ms, "ms")
    yield Gauge("order round trip", float(market["trip_ns"]) / 1e6, slowest_ms, "ms")
    sigma = 1e4 * _ratio(math.sqrt(float(market["variance_ticks2_per_s"])), mark)
    yield Gauge("volatility", sigma, float(limits["volatility_bps_max"]), "bps/√s")
    yield Gauge("toxic flow", float(market["vpin"]), float(limits["vpin_max"]), "VPIN")
    yield Gauge("markout loss", max(0.0, -float(market["markout_bps"])), float(limits["markout_loss_bps_max"]), "bps")
    yield Gauge("sweep", float(market["sweep_levels"]), float(limits["sweep_levels_max"]), "prices")


def _ratio(amount: float, of: float) -> float:
    """Return amount / of; NaN where there is nothing to divide by and something to divide."""
    return 0.0 if amount == 0 else amount / of if of > 0 else math.nan


def _lots_per_min(market: Any, now_ns: int) -> float:
    """Return what `kernels.liquidity.lots_per_min` does."""
    if int(market["volume_from_ns"]) == 0:
        return 0.0
    rate = math.log(2.0) / float(market["params"]["intensity_half_life_s"])
    kept = math.exp(-rate * (now_ns - int(market["volume_ns"])) * 1e-9)
    seen = -math.expm1(-rate * max(now_ns - int(market["volume_from_ns"]), MINUTE_NS) * 1e-9)
    return float(market["volume_lots"]) * kept * 60 * rate / seen


def _share_of_book(market: Any, sizes: dict[str, int]) -> float:
    near = {"bid": side_levels(market["book"], BID, NEAR_PRICES), "ask": side_levels(market["book"], ASK, NEAR_PRICES)}
    return max(_ratio(size, sum(lots for _, lots in near[side])) for side, size in sizes.items())
