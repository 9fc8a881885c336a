"""`hl.estimate`: everything that a market maker wants to know about a market, measured, with bands and tests of the laws."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hftlab.analytics.estimators import estimate_picture
from hftlab.analytics.estimators.fills import FillIntensity
from hftlab.analytics.estimators.flow import Spread, TradeRate, VolumeRate, Vpin
from hftlab.analytics.estimators.intensity import Curve, Intensity
from hftlab.analytics.estimators.profiles import BookDepth, DayProfile, VolatilityMap
from hftlab.analytics.estimators.result import Estimate
from hftlab.analytics.estimators.volatility import RealisedKernel, Volatility
from hftlab.analytics.estimators.walk import Walk, Watching, known
from hftlab.analytics.report.report import Report
from hftlab.errors import InputError, UnknownName, did_you_mean
from hftlab.instrument import Instrument
from hftlab.strict import keywords, number

if TYPE_CHECKING:
    import pandas as pd

MARKET = ("volatility", "volatility_kernel", "decay", "arrival", "trades", "volume", "spread", "depth", "vpin")
OWN = ("fill_decay", "fill_arrival")
PROFILES = ("book", "day", "volatility")


@dataclass(frozen=True)
class _Options:
    """What the estimators are made with."""

    half_life_s: float
    kernel_window_s: float
    window_s: float | None
    bucket_qty: float | str | None


class Estimates:
    """Estimates of one market: `estimates["volatility"]`, `.table()`, `.profile("day")`, `.curve()`; `.refresh()` reads what is new.

    Made by `hl.estimate`. `names` are those that there are.
    """

    def __init__(self, source: Any, instrument: Instrument, market: int, names: Sequence[str], level: float, options: _Options) -> None:
        self.instrument, self.level, self.names = instrument, level, tuple(names)
        self._source, self._market = source, market
        self._chunks = _follower(source)
        self._walk = Walk(market)
        self._made = _estimators(instrument, market, options)
        self._own = FillIntensity(instrument, market=market) if isinstance(source, Report) else None
        self._found: dict[str, Estimate] = {}
        self.rows = 0
        self.refresh()

    def refresh(self) -> "Estimates":
        """Read what the source has got since; of a tape or report there is nothing more. Returns itself."""
        for rows in self._chunks():
            self.rows += len(rows)
            seen = self._walk.read(rows)
            for one in (*self._made.values(), *([self._own] if self._own is not None else [])):
                one.take(seen)
        if self._own is not None and not self._found:
            self._hear()
        self._found = {}
        for name, one in self._made.items():
            if {name, *_ALSO.get(name, ())} & set(self.names):
                found = one.estimates(self.level) if isinstance(one, Intensity) else {name: one.estimate(self.level)}
                self._found |= found
        if self._own is not None:
            self._found |= self._own.estimates(self.level)
        self._found = {name: self._found[name] for name in self.names}
        return self

    def _hear(self) -> None:
        assert self._own is not None
        report = self._source
        self._own.hear(report.facts.own)
        if report.origin is None:
            mine = report.samples[report.samples["instrument"] == self._market]
            fair = mine["price_ticks"].view(np.float64)
            known = np.isfinite(fair)
            self._own.take_mids(mine["ts_exch_ns"][known], np.rint(2 * fair[known]).astype(np.int64))
            self._own.end_exch_ns = report.facts.end_ns

    def __getitem__(self, name: str) -> Estimate:
        if name not in self._found:
            raise UnknownName(f"no estimate {name!r}.{did_you_mean(name, self._found)}")
        return self._found[name]

    def __iter__(self) -> Any:
        return iter(self._found.values())

    def __len__(self) -> int:
        return len(self._found)

    def table(self) -> "pd.DataFrame":
        """Return one row an estimate: value, low, high, unit, samples, fit_p, flag, how."""
        import pandas as pd

        rows = [(one.name, one.value, one.low, one.high, one.unit, one.samples, one.fit_p, one.flag, one.said) for one in self]
        return pd.DataFrame(rows, columns=["name", "value", "low", "high", "unit", "samples", "fit_p", "flag", "how"]).set_index("name")

    def profile(self, name: str) -> "pd.DataFrame":
        """Return estimates along an axis, with bands: "book" (by level), "day" (by time of day), "volatility" (by time and horizon)."""
        if name not in PROFILES:
            raise UnknownName(f"no profile {name!r}.{did_you_mean(name, PROFILES)}")
        found: pd.DataFrame = self._made[_PROFILED[name]].profile(self.level)
        return found

    def curve(self, *, own: bool = False) -> "tuple[Curve, pd.DataFrame]":
        """Return lambda(depth): the fitted Curve and what was counted by depth; with `own` of our fills instead of the public prints.

        Raises InputError for our fills of a source that is no Report.
        """
        if own and self._own is None:
            raise InputError("own fills are those of a Report: call hl.estimate(report), or hl.estimate(view.report()).")
        fitted: Intensity | FillIntensity | None = self._own if own else self._made["decay"]
        assert fitted is not None
        return fitted.curve(self.level)

    @property
    def mid_ticks(self) -> float:
        """Return the last known mid in ticks, NaN when there was none."""
        touches = self._made["spread"].rows("touches")
        touches = touches[known(touches)]
        return float(touches["bid_ticks"][-1] + touches["ask_ticks"][-1]) / 2.0 if len(touches) else math.nan

    @property
    def end_ns(self) -> int:
        """Return the receive time of the last row read."""
        return int(self._made["spread"].end_recv_ns)

    def __repr__(self) -> str:
        return f"<Estimates {self.instrument.name}: " + "; ".join(str(one) for one in self) + ">"

    def _repr_html_(self) -> str:
        return estimate_picture.page(self)


_ALSO = {"decay": ("arrival",)}
_PROFILED = {"book": "depth", "day": "_day", "volatility": "_map"}


def _estimators(instrument: Instrument, market: int, o: _Options) -> dict[str, Any]:
    shared: dict[str, Any] = {"market": market, "window_s": o.window_s}
    made: dict[str, Watching] = {
        "volatility": Volatility(instrument, market=market, half_life_s=o.half_life_s),
        "volatility_kernel": RealisedKernel(instrument, market=market, window_s=o.kernel_window_s),
        "decay": Intensity(instrument, **shared),
        "trades": TradeRate(instrument, **shared),
        "volume": VolumeRate(instrument, **shared),
        "spread": Spread(instrument, **shared),
        "depth": BookDepth(instrument, **shared),
        "vpin": Vpin(instrument, bucket_qty=o.bucket_qty, **shared),
        "_day": DayProfile(instrument, **shared),
        "_map": VolatilityMap(instrument, **shared),
    }
    return made


def _follower(source: Any) -> Any:
    """Return a function that yields the market rows of a source which it has not yielded yet."""
    if isinstance(source, Report):
        source = source.origin.tape if source.origin is not None else None
    if hasattr(source, "follow"):
        return source.follow().chunks
    parts = iter(source.chunks()) if source is not None else iter(())

    def rest() -> Iterable[np.ndarray]:
        return parts

    return rest


@keywords
def estimate(
    source: Any,
    what: str | Sequence[str] | None = None,
    *,
    instrument: Instrument | None = None,
    level: float = 0.90,
    window_s: float | None = None,
    half_life_s: float = 60.0,
    kernel_window_s: float = 1800.0,
    bucket_qty: float | str | None = None,
) -> Estimates:
    """Measure a market, and our own fills on it, and return Estimates: each with its band, sample count and a test of its law.

    `source`: a Tape, a Stream, a View (`.refresh()` then reads what its journal has got since), or a Report, which adds "fill_decay" and
    "fill_arrival" of its own fills. `what` restricts it to one or some of: volatility, volatility_kernel, decay, arrival, trades, volume,
    spread, depth, vpin. `window_s`: of the last seconds only; `half_life_s` and `kernel_window_s` are those of the two volatilities.
    Formulas: docs/estimators.md. Raises InputError, UnknownName.
    """
    if not hasattr(source, "instruments") or not (hasattr(source, "chunks") or isinstance(source, Report)):
        raise InputError(f"source was {type(source).__name__}; wanted a Tape, a Stream, a View or a Report.")
    market = _market(source.instruments, instrument)
    names_known = [
        *(MARKET if not isinstance(source, Report) or source.origin is not None else ()),
        *(OWN if isinstance(source, Report) else ()),
    ]
    names = list(names_known) if what is None else [what] if isinstance(what, str) else list(what)
    for name in names:
        if name not in names_known:
            raise UnknownName(f"no estimate {name!r} of a {type(source).__name__}.{did_you_mean(name, names_known)}")
    options = _Options(
        number(half_life_s, "half_life_s", 0.1, 1e6),
        number(kernel_window_s, "kernel_window_s", 1.0, 1e6),
        None if window_s is None else number(window_s, "window_s", 1.0),
        bucket_qty,
    )
    return Estimates(source, source.instruments[market], market, names, number(level, "level", 0.5, 0.999), options)


def _market(instruments: Sequence[Instrument], instrument: Instrument | None) -> int:
    if instrument is None:
        if len(instruments) > 1:
            names = ", ".join(one.name for one in instruments)
            raise InputError(f"the source has {len(instruments)} instruments ({names}); pass instrument= with one of them.")
        return 0
    for place, one in enumerate(instruments):
        if one.name == instrument.name and (one.tick_size, one.lot_size) == (instrument.tick_size, instrument.lot_size):
            return place
    raise InputError(f"the source has no {instrument.name} on that grid; it has {', '.join(one.name for one in instruments)}.")


__all__ = ["MARKET", "OWN", "PROFILES", "Estimates", "estimate"]
