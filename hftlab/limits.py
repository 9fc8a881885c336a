"""The limits of a desk, in human units, and their way into the records of the kernels and back.

Every limit stands in one table, `RULES`: its machine field, the factor between the two, its bounds, whether it belongs to the whole
desk, and which way is looser. What sets limits, shows them, or holds them against the hard caps reads that table.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np

from hftlab.errors import InputError
from hftlab.instrument import Instrument, Number
from hftlab.strict import number, strict
from hftlab.types import LIMITS, ORDERS

UNLIMITED = math.inf
LARGER, SMALLER, FIXED = 1, -1, 0
PAID_IN_FULL = math.nextafter(1.0, 2.0)
"""What a `margin_frac` of zero is as strict as: it asks for all of the worst case, and counts no gains. Any margin but a larger one is looser."""


def _one(_: Instrument) -> float:
    return 1.0


@dataclass(frozen=True, slots=True)
class Rule:
    """One limit: machine = human x factor / unit, bounds of the human value, and which way is looser (FIXED: not while it runs)."""

    machine: str
    low: float = 0.0
    high: float = math.inf
    looser: int = LARGER
    desk: bool = False  # of the whole desk: that of the first market counts
    sized: bool = False  # a quantity on the lot grid
    factor: float = 1.0
    unit: Callable[[Instrument], float] = _one


RULES: dict[str, Rule] = {
    "position_qty_max": Rule("position_lots_max", sized=True),
    "order_qty_max": Rule("order_lots_max", sized=True),
    "orders_max": Rule("orders_max", 1, ORDERS),
    "notional_quote_max": Rule("notional_ticklots_max", unit=lambda i: i.ticklot_quote),
    "capital_quote": Rule("capital_quote", desk=True),
    "loss_quote_max": Rule("loss_quote_max", desk=True),
    "loss_frac_max": Rule("loss_frac_max", desk=True),
    "drawdown_frac_max": Rule("drawdown_frac_max", desk=True),
    "exposure_quote_max": Rule("exposure_quote_max", desk=True),
    "leverage_max": Rule("leverage_max", desk=True),
    "margin_frac": Rule("margin_frac", looser=SMALLER),
    "risk_per_trade_frac_max": Rule("risk_per_trade_frac_max"),
    "stop_bps": Rule("stop_bps", 0, 1e4, SMALLER),
    "liquidity_frac_max": Rule("liquidity_frac_max"),
    "concentration_frac_max": Rule("concentration_frac_max"),
    "one_position": Rule("one_position", 0, 1, SMALLER),
    "requests_per_s_max": Rule("requests_per_s_max", 0, 1e6, desk=True),
    "requests_burst": Rule("requests_burst", 1, 1e6, desk=True),
    "requests_reserved": Rule("requests_reserved", 0, 1e6, SMALLER, desk=True),
    "price_band_bps": Rule("price_band_bps", 0, 1e6),
    "stale_s_max": Rule("stale_ns_max", 0.001, factor=1e9),
    "latency_ms_max": Rule("latency_ns_max", factor=1e6),
    "volatility_bps_max": Rule("volatility_bps_max"),
    "size_volatility_bps": Rule("size_volatility_bps"),
    "vpin_bucket_qty": Rule("vpin_bucket_lots", looser=FIXED, sized=True),
    "vpin_max": Rule("vpin_max"),
    "markout_loss_bps_max": Rule("markout_loss_bps_max"),
    "markout_ms": Rule("markout_ns", 1, 1e7, FIXED, factor=1e6),
    "markout_half_life_s": Rule("markout_half_life_s", 0.1, 1e6, FIXED),
    "sweep_levels_max": Rule("sweep_levels_max", 1),
    "sweep_sigmas_max": Rule("sweep_sigmas_max"),
    "sweep_ms": Rule("sweep_ns", 1, 1e6, FIXED, factor=1e6),
    "pull_s": Rule("pull_ns", 0.001, 1e6, SMALLER, factor=1e9),
    "widen_at_frac": Rule("widen_at_frac"),
    "reduce_at_frac": Rule("reduce_at_frac"),
    "recover_frac": Rule("recover_frac", 0.01, 1),
    "widen_factor": Rule("widen_factor", 1, 1e3, SMALLER),
}


@strict
class Limits:
    """What guards a desk, in human units. The first eleven have defaults that a small account can live with; the rest is off until set.

    An amount at its limit passes, one beyond it does not. Worst case: the position with every order filled that is not known to be gone,
    orders of unknown fate among them, at the last fair price. Equity: `capital_quote` and the P&L. "Of the desk" is taken over all
    markets, by the limits of the first one.

    The position and its money, asked of every new order and every amend that makes one larger; what can only bring a position nearer to
    zero is not held against money:

    * `position_qty_max`, `order_qty_max` [base], `orders_max`; `one_position`: no order on the side of a position that stands, and one
      order a side (for strategies that trade signals; a quoter has to add to its position).
    * `notional_quote_max`: worst case of the market. Of the desk: `exposure_quote_max` (the sum over all markets), `leverage_max` (that sum
      over the equity).
    * `capital_quote`: the worst cases of all markets that are paid in full stay within the capital less what was lost. A market with a
      `margin_frac` is not paid in full: that share of its worst case is its initial margin, and all margins, with what is paid in full,
      stay within the equity.
    * `risk_per_trade_frac_max`: what one order would lose if filled and stopped out `stop_bps` from its price, as a share of the equity:
      price x size x stop_bps / 10,000 <= risk_per_trade_frac_max x equity.
    * `liquidity_frac_max`: order size over what others show at the best five prices of its side, which is what would take it back.
    * `concentration_frac_max`: order size over the volume traded in a typical minute (half-life `intensity_half_life_s` of the quoter).
      Before the first print that is nothing, and nothing is quoted.
    * `price_band_bps` from fair. `requests_per_s_max`, `requests_burst`: tokens of each venue; `requests_reserved` of them are kept for
      cancels.

    Losses of the desk halt it: `loss_quote_max` and `loss_frac_max` (of the equity at the day's start) in a UTC day, `drawdown_frac_max`
    (of the capital and the highest gain) from the peak.

    What pulls the quotes of a market, and keeps them away for `pull_s` beyond its last cause (`stale_s_max` only while it lasts):

    * `latency_ms_max`, for each hop: the feed's delay (receipt less exchange time), a round trip of our own requests, or the time that
      one has waited for its answer.
    * `volatility_bps_max`, basis points per square root of a second, as `frame.sigma_bps`; 0.30 a year is 0.534 of these.
    * `vpin_max`: VPIN, 0 to 1, of 50 buckets of `vpin_bucket_qty` traded base units (Easley, Lopez de Prado & O'Hara 2012 take a
      fiftieth of a day's volume). `markout_loss_bps_max`: what our fills have lost `markout_ms` later, mean by `markout_half_life_s`.
    * `sweep_levels_max` prices, or `sweep_sigmas_max` standard deviations of `sweep_ms`, eaten by one side within `sweep_ms`.

    What answers in steps: with the largest share of a loss, drawdown, position, volatility or toxicity limit above `widen_at_frac` the
    half-spread of any quoter is multiplied by `widen_factor` (WIDEN), above `reduce_at_frac` only what reduces the position is quoted
    (REDUCING); each ends below `recover_frac` of its threshold. Above `size_volatility_bps` orders shrink as the volatility rises.

    While a desk runs, `set_limits` may tighten any of these and loosen them up to what they were at the start, or up to `hard`, a mapping
    of names to looser values. The measures themselves (`vpin_bucket_qty`, `markout_ms`, `markout_half_life_s`, `sweep_ms`) stay.
    """

    position_qty_max: Number
    order_qty_max: Number | None = None
    orders_max: int = 20
    notional_quote_max: float = UNLIMITED
    capital_quote: float = 10_000.0
    loss_quote_max: float = 500.0
    drawdown_frac_max: float = 0.05
    requests_per_s_max: float = 10.0
    requests_burst: float = 20.0
    price_band_bps: float = 200.0
    stale_s_max: float = 5.0
    loss_frac_max: float = UNLIMITED
    exposure_quote_max: float = UNLIMITED
    leverage_max: float = UNLIMITED
    margin_frac: float = 0.0
    risk_per_trade_frac_max: float = UNLIMITED
    stop_bps: float = 0.0
    liquidity_frac_max: float = UNLIMITED
    concentration_frac_max: float = UNLIMITED
    one_position: bool = False
    requests_reserved: float = 0.0
    latency_ms_max: float = UNLIMITED
    volatility_bps_max: float = UNLIMITED
    size_volatility_bps: float = UNLIMITED
    vpin_bucket_qty: Number = 0
    vpin_max: float = UNLIMITED
    markout_loss_bps_max: float = UNLIMITED
    markout_ms: float = 1_000.0
    markout_half_life_s: float = 60.0
    sweep_levels_max: float = UNLIMITED
    sweep_sigmas_max: float = UNLIMITED
    sweep_ms: float = 100.0
    pull_s: float = 1.0
    widen_at_frac: float = UNLIMITED
    reduce_at_frac: float = UNLIMITED
    recover_frac: float = 0.8
    widen_factor: float = 2.0
    hard: Mapping[str, Any] = field(default_factory=dict)

    def record(self, instrument: Instrument) -> np.ndarray:
        """Return a LIMITS array of shape (1,) in machine units. Raises InputError, OffGridQuantity."""
        record = np.zeros(1, LIMITS)
        for name, rule in RULES.items():
            value = getattr(self, name)
            if name == "order_qty_max" and value is None:
                value = self.position_qty_max
            if rule.sized:
                record[rule.machine] = 0 if name == "vpin_bucket_qty" and not value else instrument.lots(value)
            else:
                record[rule.machine] = number(value, name, rule.low, rule.high) * rule.factor / rule.unit(instrument)
        self._check_pairs()
        return record

    def _check_pairs(self) -> None:
        """Refuse limits that need one another and do not fit."""
        if self.risk_per_trade_frac_max < UNLIMITED and not self.stop_bps > 0:
            raise InputError("risk_per_trade_frac_max needs stop_bps=…, how far from its price a trade would be stopped out.")
        if self.vpin_max < UNLIMITED and not self.vpin_bucket_qty:
            raise InputError("vpin_max needs vpin_bucket_qty=…, the traded volume of one bucket; a fiftieth of a day's is usual.")
        if self.requests_reserved + 1 > self.requests_burst:
            raise InputError(
                f"requests_reserved was {self.requests_reserved:g} of a requests_burst of {self.requests_burst:g}; "
                "wanted at least one less, or nothing could ever be sent."
            )
        if self.reduce_at_frac < self.widen_at_frac < UNLIMITED:
            raise InputError(f"reduce_at_frac was {self.reduce_at_frac:g}, below widen_at_frac {self.widen_at_frac:g}; wanted it above.")

    def caps(self, instrument: Instrument) -> np.ndarray:
        """Return the LIMITS array beyond which no limit may be loosened while the desk runs.

        Raises InputError for a name in `hard` that is tighter than the limit itself, or that cannot be changed; UnknownName.
        """
        own = self.record(instrument)
        caps = dataclasses.replace(self, **{**self.hard, "hard": {}}).record(instrument)
        for name in self.hard:
            rule = RULES[name]
            if rule.looser == FIXED:
                raise InputError(f"hard has {name}, which cannot be changed while the desk runs; leave it out.")
            if looser(rule, float(own[rule.machine][0]), float(caps[rule.machine][0])):
                raise InputError(f"hard has {name}={self.hard[name]}, tighter than the limit {getattr(self, name)}; wanted it looser.")
        return caps

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; `Limits(**…)` makes the same limits."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        values["hard"] = {k: _plain(v) for k, v in self.hard.items()} or None
        return {k: _plain(v) for k, v in values.items() if v is not None and v != UNLIMITED}

    @staticmethod
    def of(record: Any, instrument: Instrument) -> "Limits":
        """Return the limits that a LIMITS record holds."""
        return Limits(**{name: human(name, record, instrument) for name in RULES})


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal) else value


def human(name: str, record: Any, instrument: Instrument) -> Any:
    """Return one limit of a LIMITS record in human units."""
    rule = RULES[name]
    value = float(record[rule.machine])
    if rule.sized:
        return instrument.qty(int(value))
    return bool(value) if name == "one_position" else value / rule.factor * rule.unit(instrument)


def looser(rule: Rule, value: float, than: float) -> bool:
    """Return whether a machine value lets more through than another."""
    if rule.machine == "margin_frac":
        value, than = value or PAID_IN_FULL, than or PAID_IN_FULL
    return value != than and (value - than) * rule.looser > 0
