"""`hl.calibrate`: the parameters of a quoter measured on a window of market, each with its band, and what the quote is worth for it."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hftlab.analytics.estimators.estimate import Estimates, estimate
from hftlab.analytics.estimators.intensity import Curve
from hftlab.analytics.estimators.result import FEW, Estimate
from hftlab.analytics.report.report import Report
from hftlab.analytics.stats.tests import z_of
from hftlab.errors import InputError
from hftlab.instrument import Instrument
from hftlab.kernels import pricing
from hftlab.params import AvellanedaStoikov, FixedSpread, Quoter
from hftlab.strict import keywords
from hftlab.types import HORIZON_FINITE, HORIZON_STATIONARY

if TYPE_CHECKING:
    import pandas as pd

DRAWS = 4000
WIDEST = 10.0
"""A live volatility may widen the half-spread to so many times the upper end of its band, and no further."""


@dataclass(frozen=True, repr=False)
class Calibration:
    """What a window says about a quoter. Made by `hl.calibrate`.

    `values`: an Estimate in the parameter's own unit for each parameter that is set; `half_spread`: the half-spread [ticks] that they lead
    to at no inventory, as an interval; `spread`: the market's, in ticks; `reasons`: why it is not to be used, empty when it is;
    `warnings`: laws that do not fit. `params` is what `session.apply` sets.
    """

    before: Quoter
    instrument: Instrument
    level: float
    values: dict[str, Estimate]
    half_spread: Estimate
    spread: Estimate
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    rows: int

    @property
    def usable(self) -> bool:
        """Say whether the quoter knows enough to quote with it."""
        return not self.reasons

    @property
    def why(self) -> str:
        """Return in words why it is not usable, and which laws do not fit; empty when there is nothing to say."""
        return " ".join((*self.reasons, *self.warnings))

    @property
    def known(self) -> bool:
        """Say whether every value was measured at all, however wide its band."""
        return all(one.flag not in ("too few", "unknown") for one in (*self.values.values(), self.half_spread))

    @property
    def band_ticks(self) -> float:
        """Return half the width of the interval of the half-spread, in ticks: the live parameter `calibration_band_ticks`."""
        return self.half_spread.width / 2.0

    @property
    def params(self) -> dict[str, float]:
        """Return the parameters by name in human units. Raises InputError where something could not be measured."""
        if not self.known:
            raise InputError(f"this calibration has no values to use: {self.why} Measure a longer window.")
        return {name: one.value for name, one in self.values.items()} | {"calibration_band_ticks": self.band_ticks}

    @property
    def quoter(self) -> Quoter:
        """Return the quoter with the measured parameters. Raises InputError where something could not be measured.

        One whose band is wider than its half-spread is made all the same: it refuses to quote, and says why on screen.
        """
        values: dict[str, Any] = dict(self.params)
        return dataclasses.replace(self.before, **values)

    def table(self) -> "pd.DataFrame":
        """Return one row a parameter: before, value, low, high, unit, samples, fit_p, flag."""
        import pandas as pd

        rows = [
            (name, getattr(self.before, name), one.value, one.low, one.high, one.unit, one.samples, one.fit_p, one.flag)
            for name, one in self.values.items()
        ]
        columns = ["parameter", "before", "value", "low", "high", "unit", "samples", "fit_p", "flag"]
        return pd.DataFrame(rows, columns=columns).set_index("parameter")

    def __repr__(self) -> str:
        said = "usable" if self.usable else "not usable: " + " ".join(self.reasons)
        h = self.half_spread
        return f"<Calibration of {type(self.before).__name__}: half-spread {h.low:.3g} to {h.high:.3g} ticks, {said}>"

    def _repr_html_(self) -> str:
        from hftlab.analytics.estimators.calibrate_picture import page

        return page(self)


@keywords
def calibrate(quoter: Quoter, source: Any, *, instrument: Instrument | None = None, level: float = 0.90) -> Calibration:
    """Measure the parameters of `quoter` on a Tape, Stream, View, Report or Estimates; return them with bands as a Calibration.

    AvellanedaStoikov: k (`decay_per_price`), A (`arrival_per_s`), and bounds of the half-spread; its volatility is live already.
    FixedSpread: `half_spread_ticks` = 1/k, the distance at which delta A exp(-k delta) is greatest. k and A are those of the public prints;
    of a Report with 30 fills or more those of its own, queues and all. Raises InputError for other quoters and sources.
    """
    if not isinstance(quoter, AvellanedaStoikov | FixedSpread):
        raise InputError(f"quoter was {type(quoter).__name__}; what can be calibrated is AvellanedaStoikov and FixedSpread.")
    found = source if isinstance(source, Estimates) else estimate(source, _wanted(source), instrument=instrument, level=level)
    if isinstance(source, Estimates) and instrument is not None and instrument.name != source.instrument.name:
        raise InputError(f"the estimates are of {source.instrument.name}, the instrument was {instrument.name}.")
    own = "fill_decay" in found.names and found["fill_decay"].flag not in ("too few", "unknown")
    if not own and "decay" not in found.names:
        raise InputError("there is no intensity to calibrate with: wanted 30 fills, or a source with public prints.")
    k, a = (found[f"{'fill_' if own else ''}{name}"] for name in ("decay", "arrival"))
    if isinstance(quoter, FixedSpread):
        values, half = _fixed(quoter, found, k)
    else:
        values, half = _avellaneda_stoikov(quoter, found, k, a, own=own)
    measured = (k,) if isinstance(quoter, FixedSpread) else (k, a, _volatility(found))
    spread = found["spread"] if "spread" in found.names else _nothing("spread", "ticks", found.level)
    return Calibration(
        quoter,
        found.instrument,
        found.level,
        values,
        half,
        spread,
        tuple(_reasons(measured, half)),
        tuple(_warnings(values, own=own)),
        found.rows,
    )


def _wanted(source: Any) -> Sequence[str]:
    market = ("volatility", "decay", "arrival", "spread")
    if not isinstance(source, Report):
        return market
    return (*(market if source.origin is not None else ()), "fill_decay", "fill_arrival")


def _nothing(name: str, unit: str, level: float) -> Estimate:
    return Estimate(name, math.nan, math.nan, math.nan, unit, 0, math.nan, level)


def _fixed(quoter: FixedSpread, found: Estimates, k: Estimate) -> tuple[dict[str, Estimate], Estimate]:
    tick = float(found.instrument.tick_size)
    value, low, high = (1.0 / (one * tick) if one > 0 else math.nan for one in (k.value, k.high, k.low))
    half = dataclasses.replace(
        k, name="half_spread_ticks", value=value, low=low, high=high, unit="ticks", said="1/k: where delta exp(-k delta) peaks"
    )
    floor = quoter.half_spread_ticks_min
    held = dataclasses.replace(half, name="half_spread", value=max(value, floor), low=max(low, floor), high=max(high, floor))
    return {"half_spread_ticks": half}, held


def _avellaneda_stoikov(
    quoter: AvellanedaStoikov, found: Estimates, k: Estimate, a: Estimate, *, own: bool
) -> tuple[dict[str, Estimate], Estimate]:
    tick = float(found.instrument.tick_size)
    values = {
        "decay_per_price": dataclasses.replace(k, name="decay_per_price"),
        "arrival_per_s": dataclasses.replace(a, name="arrival_per_s"),
    }
    curve = found.curve(own=own)[0]
    sigma = _volatility(found)
    if not all(math.isfinite(one) for one in (curve.k, curve.arrival, curve.k_error, sigma.value, sigma.high)) or curve.k <= 0:
        return values, _nothing("half_spread", "ticks", found.level)
    price = _Price(quoter, found)
    middle, draws = price.half_spreads(curve, sigma, tick)
    tail = (1.0 - found.level) / 2.0
    low, high = (float(one) for one in np.quantile(draws, (tail, 1.0 - tail)))
    # The part of the formula that does not fear for an inventory, at the steepest decay the data allow: no less is ever asked for.
    least = max(quoter.half_spread_ticks_min, pricing.glft_c1(price.gamma, max(k.high, k.value) * tick, price.size))
    most = WIDEST * max(high, least)
    said = "half-spread at no inventory; normal draws of k, A and sigma"
    samples = min(k.samples, sigma.samples) if sigma.samples >= 0 else k.samples
    for name, value in (("half_spread_ticks_min", least), ("half_spread_ticks_max", most)):
        values[name] = Estimate(name, value, value, value, "ticks", samples, math.nan, found.level, said)
    value, low, high = (min(max(one, least), most) for one in (middle, low, high))
    return values, Estimate("half_spread", value, low, high, "ticks", samples, math.nan, found.level, said)


def _volatility(found: Estimates) -> Estimate:
    return found["volatility"] if "volatility" in found.names else _nothing("volatility", "", found.level)


class _Price:
    """The quoter's own formula at no inventory, by its machine parameters."""

    def __init__(self, quoter: AvellanedaStoikov, found: Estimates) -> None:
        record = quoter.record(found.instrument)[0]
        self.gamma, self.size = float(record["risk_aversion_per_ticklot"]), float(record["order_lots"])
        if found.instrument.inverse_scale:
            self.gamma *= found.instrument.inverse_scale / found.mid_ticks**2
        self.mode = int(record["horizon_mode"])
        self.tau = float(record["horizon_s"])
        if self.mode == HORIZON_FINITE:
            self.tau = max((float(record["end_ns"]) - found.end_ns) * 1e-9, 0.0)

    def half_spread(self, k: float, arrival: float, sigma: float) -> float:
        """Return the half-spread [ticks] for k [1/tick], A [1/s] and sigma [ticks/sqrt(s)]."""
        if self.mode == HORIZON_STATIONARY:
            return float(pricing.glft_depths(0.0, self.gamma, sigma, k, arrival, self.size)[0])
        return float(pricing.as_spread(self.gamma, sigma, self.tau, k, self.size)) / 2.0

    def half_spreads(self, curve: Curve, sigma: Estimate, tick: float) -> tuple[float, np.ndarray]:
        """Return the half-spread of the values, and of draws of them within their bands: f8 (DRAWS,)."""
        rng = np.random.default_rng(0)
        middle = math.log(sigma.value / tick)
        spread = math.log(sigma.high / sigma.low) / 2.0 / z_of(sigma.level)
        ks = np.maximum(curve.k + curve.k_error * rng.standard_normal(DRAWS), 1e-3 * curve.k)
        at_pivot = math.log(curve.arrival) - curve.k * curve.pivot_ticks + curve.log_arrival_error * rng.standard_normal(DRAWS)
        arrivals = np.exp(at_pivot + ks * curve.pivot_ticks)
        sigmas = np.exp(middle + spread * rng.standard_normal(DRAWS))
        draws = [self.half_spread(*one) for one in zip(ks.tolist(), arrivals.tolist(), sigmas.tolist(), strict=True)]
        return self.half_spread(curve.k, curve.arrival, math.exp(middle)), np.array(draws)


def _reasons(measured: Sequence[Estimate], half: Estimate) -> list[str]:
    found = []
    for one in measured:
        if one.flag == "too few":
            found.append(f"{one.name} has {one.samples} independent samples; wanted {FEW}.")
        elif one.flag == "unknown":
            found.append(f"{one.name} could not be measured.")
    if not found and half.width / 2.0 > half.value:
        found.append(
            f"the half-spread is known to ±{half.width / 2.0:.3g} ticks only, more than its {half.value:.3g}: "
            "what is earned may as well be lost, so it does not quote."
        )
    return found


def _warnings(values: dict[str, Estimate], *, own: bool) -> list[str]:
    names = {"decay_per_price": "depth", "half_spread_ticks": "depth", "arrival_per_s": "time"}
    what = "our fills" if own else "market orders"
    return [
        f"By {names[name]}, {what} do not follow the law (p {max(one.fit_p, 1e-4):.1g}{' or less' if one.fit_p < 1e-4 else ''})."
        for name, one in values.items()
        if one.flag == "wrong law" and name in names
    ]
