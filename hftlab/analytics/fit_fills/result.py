"""What a session's fills teach: latencies and queue model of each instrument with intervals, and how often they are wrong."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hftlab.analytics.fit_fills import page
from hftlab.analytics.fit_fills.latency import LatencyFit, alike
from hftlab.analytics.fit_fills.queue import EXPONENTS, FAMILIES, RATES, QueueFit
from hftlab.analytics.fit_fills.races import Races, Takers
from hftlab.assumptions import Latency, Queue
from hftlab.instrument import Instrument

if TYPE_CHECKING:
    import pandas as pd

_FEW_FILLS = 50


@dataclass(frozen=True, repr=False)
class MarketFit:
    """One instrument. `judged_travelling`: RATES on unseen orders whose requests travel as the fitted latency says.

    `races` and `races_modelled`: cancels against fills, live and with fitted queue and latency on the same orders.
    """

    instrument: Instrument
    latency: LatencyFit
    queue: QueueFit
    judged_travelling: Mapping[str, tuple[float, float, float]]
    races: Races
    races_modelled: Races
    takers: Takers

    def judged(self) -> "pd.DataFrame":
        """Return how wrong the model fitted to the first orders is about the rest: RATES, each with its 95 % interval.

        `queue`: every order came to the venue when it did; `queue and latency`: its requests travelled anew.
        """
        import pandas as pd

        rows = {}
        for name in RATES:
            columns: dict[str, float] = {}
            for title, judged in (("queue", self.queue.judged), ("queue and latency", self.judged_travelling)):
                columns |= dict(zip((title, f"{title}, low", f"{title}, high"), judged[name], strict=True))
            rows[name] = columns
        return pd.DataFrame.from_dict(rows, orient="index")

    def summary(self) -> dict[str, Any]:
        """Return parameters with intervals and rates by name, units in the names."""
        values: dict[str, Any] = {"queue": self.queue.model.text(), "power_low": self.queue.low, "power_high": self.queue.high}
        for name, value in self.latency.fitted.items():
            values |= {name: value, f"{name}_low": self.latency.low[name], f"{name}_high": self.latency.high[name]}
        for name in RATES:
            values |= {name: self.queue.judged[name][0], f"{name}_travelling": self.judged_travelling[name][0]}
        return values | {
            "stays": self.queue.stays,
            "stays_judged": self.queue.stays_judged,
            "races": self.races.asked,
            "races_lost": self.races.lost,
            "races_lost_modelled": self.races_modelled.lost,
            "races_cost_quote": self.races.cost_ticklots * float(self.instrument.ticklot_quote),
            "taker_orders": self.takers.orders,
            "taker_more_ticks": self.takers.more_ticks,
        }

    def caveats(self) -> list[str]:
        """Return in sentences what to know before believing the fit."""
        said = []
        fit, queue = self.latency, self.queue
        if abs(fit.offset_ms) > 0.1:
            said.append(
                f"entry and report are measured between two clocks. If the fastest way there and back takes the same time, the exchange's "
                f"clock is {fit.offset_ms:+.3g} ms from ours; round trips do not depend on it, nor does a backtest on this session's tape."
            )
        left = {name: one.took_ns for name, one in fit.found.items() if name in ("entry", "cancel", "report") and len(one.took_ns)}
        apart = [name for name in left if name not in alike(left)]
        if apart:
            said.append(f"{' and '.join(apart)} vary by a different amount than entry; hl.Latency has one jitter for all: that of entry.")
        filled = int(np.count_nonzero(queue.found["filled_lots"]))
        if filled < _FEW_FILLS:
            said.append(f"only {filled} orders at a price were filled: the queue model is chosen by few cases.")
        if queue.model.model in FAMILIES and queue.model.power in (EXPONENTS[0], EXPONENTS[-1]):
            said.append(f"the exponent {queue.model.power:g} is the end of the range tried: the session does not say how far it goes on.")
        unsure = [name for name, share in queue.wins.items() if share >= 0.05 and name != queue.model.model]
        if unsure:
            said.append(f"on blocks drawn anew {', '.join(unsure)} did best at times: the session does not tell them apart surely.")
        return said


@dataclass(frozen=True, repr=False)
class FillFit:
    """What `hl.fit_fills` found. `latency` and `queue` are ready for `hl.backtest`; `markets` has one MarketFit an instrument."""

    markets: tuple[MarketFit, ...]
    source: str = ""
    assumptions: Mapping[str, str] = field(default_factory=dict)

    @property
    def latency(self) -> Latency | tuple[Latency, ...]:
        """Return the fitted latency, of several instruments one each."""
        models = tuple(one.latency.model for one in self.markets)
        return models[0] if len(models) == 1 else models

    @property
    def recorded(self) -> Latency | tuple[Latency, ...]:
        """Return the session's own round trips as latencies: for its own tape the closest, for no other."""
        models = tuple(one.latency.recorded for one in self.markets)
        return models[0] if len(models) == 1 else models

    @property
    def queue(self) -> Queue | tuple[Queue, ...]:
        """Return the fitted queue model, of several instruments one each."""
        models = tuple(one.queue.model for one in self.markets)
        return models[0] if len(models) == 1 else models

    def summary(self) -> dict[str, Any]:
        """Return the figures by name; of several instruments by `name of instrument: name`."""
        if len(self.markets) == 1:
            return self.markets[0].summary()
        return {f"{one.instrument.name}: {name}": value for one in self.markets for name, value in one.summary().items()}

    def __repr__(self) -> str:
        parts = [f"{one.instrument.symbol}: queue {one.queue.model.text()}, {one.latency.model.text()}" for one in self.markets]
        return f"<FillFit {'; '.join(parts)}>"

    def _repr_html_(self) -> str:
        return page.section(self)
