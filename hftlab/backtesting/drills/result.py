"""What a risk drill found: one outcome a scenario, as a table that can be read and asserted."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from math import isfinite
from typing import TYPE_CHECKING, Any

from hftlab.analytics.report.report import Report
from hftlab.errors import UnknownName, did_you_mean
from hftlab.instrument import Instrument

if TYPE_CHECKING:
    import pandas as pd

_ROOM = 1e-9  # a position that equals its limit is within it


@dataclass(frozen=True)
class Outcome:
    """One scenario. Times in ns after the shock, money in `currency`, positions in base units, one a market.

    `caught_by` is the first verdict meant for this scenario, None when none came; `harm` what it harms by, where that is one thing; `seen` all verdicts that came more often than
    without the shock, with their first times; `transitions` the changes of state of the desk
    and its markets: when, from, to, and the limit that is the reason. `order_worst` is the largest order; `reach_worst` the largest position
    that all orders that might still rest, those of unknown fate too, could have led to; `clear_ns` is when nothing of ours rested at
    the exchange for the first time after the first refusal; `resting_end` what rests there at the end.
    """

    scenario: str
    words: str
    currency: str
    harm: str
    caught_by: str | None
    after_ns: int | None
    seen: Mapping[str, int]
    transitions: tuple[tuple[int, str, str, str], ...]
    position_worst: tuple[float, ...]
    reach_worst: tuple[float, ...]
    position_max: tuple[float, ...]
    order_worst: tuple[float, ...]
    order_max: tuple[float, ...]
    exposure_worst_quote: float
    loss_worst_quote: float
    loss_quote_max: float
    drawdown_worst_quote: float
    drawdown_quote_max: float
    clear_ns: int | None
    state_end: str
    resting_end: int
    report: Report = field(repr=False, compare=False)

    @property
    def within_position(self) -> bool:
        """Return whether no position limit could have been passed, whatever became of the orders out there."""
        return all(worst <= limit * (1 + _ROOM) for worst, limit in zip(self.reach_worst, self.position_max, strict=True))

    @property
    def harmless(self) -> bool:
        """Return whether nothing had to catch it: what it harms by, money or the size of an order, has a limit and stayed within it."""
        if self.harm == "order":
            return all(worst <= limit * (1 + _ROOM) for worst, limit in zip(self.order_worst, self.order_max, strict=True))
        limits = (self.loss_quote_max, self.drawdown_quote_max)
        known = self.harm == "money" and all(isfinite(one) for one in limits)
        return known and self.loss_worst_quote <= limits[0] and self.drawdown_worst_quote <= limits[1]

    @property
    def verdict(self) -> str:
        """Return what caught it, "within limits" where nothing had to, else "NOTHING"."""
        return self.caught_by or ("within limits" if self.harmless else "NOTHING")

    @property
    def safe(self) -> bool:
        """Return whether it was caught or harmless, stayed within its position limits, and left nothing in the market after a halt."""
        return self.verdict != "NOTHING" and self.within_position and not (self.state_end == "HALTED" and self.resting_end)

    def row(self) -> dict[str, Any]:
        """Return the outcome in words and numbers, as shown."""
        worst = max(zip(self.position_worst, self.position_max, strict=True), key=lambda pair: pair[0] / pair[1] if pair[1] else 0.0)
        return {
            "scenario": self.scenario,
            "caught by": self.verdict,
            "after": _after(self.after_ns),
            "also": ", ".join(f"{name} {_after(ns)}" for name, ns in self.seen.items() if name != self.caught_by),
            "state": ", ".join(f"{new} {_after(ns)}" for ns, _, new, _ in self.transitions) or self.state_end,
            "position / limit": f"{worst[0]:g} / {worst[1]:g}",
            "exposure": f"{self.exposure_worst_quote:,.2f}",
            "loss / limit": f"{self.loss_worst_quote:,.2f} / {_limit(self.loss_quote_max)}",
            "drawdown / limit": f"{self.drawdown_worst_quote:,.2f} / {_limit(self.drawdown_quote_max)}",
            "nothing rests": _after(self.clear_ns),
            "resting at the end": self.resting_end,
        }


@dataclass(frozen=True, repr=False)
class DrillResult:
    """The outcomes of a drill, in the order of its scenarios; `shock_s` after the first row, `against` -1 a fall, +1 a rise."""

    instruments: tuple[Instrument, ...]
    outcomes: tuple[Outcome, ...]
    shock_s: float
    against: int
    queue: str

    @property
    def ok(self) -> bool:
        """Return whether every scenario was caught, no position limit could be passed, and no halt left an order in the market."""
        return all(one.safe for one in self.outcomes)

    def __getitem__(self, scenario: str) -> Outcome:
        """Return the outcome of a scenario by its name. Raises UnknownName."""
        known = {one.scenario: one for one in self.outcomes}
        if scenario not in known:
            raise UnknownName(f"no scenario {scenario!r} in this drill.{did_you_mean(scenario, known)}")
        return known[scenario]

    def table(self) -> "pd.DataFrame":
        """Return one row a scenario: what caught it and when, the worst values beside their limits, what was left in the market."""
        import pandas as pd

        return pd.DataFrame([one.row() for one in self.outcomes]).set_index("scenario")

    def __repr__(self) -> str:
        said = ", ".join(f"{one.scenario}: {one.verdict} {_after(one.after_ns)}".strip() for one in self.outcomes)
        return f"<DrillResult {'ok' if self.ok else 'NOT ok'}; {said}>"

    def _repr_html_(self) -> str:
        money = self.instruments[0].settle
        first = list(self.outcomes[0].row()) if self.outcomes else []
        head = "".join(f"<th style='text-align:left'>{escape(name)}</th>" for name in first)
        body = "".join("<tr>" + "".join(_cell(name, value, one) for name, value in one.row().items()) + "</tr>" for one in self.outcomes)
        way = "falls" if self.against < 0 else "rises"
        note = (
            f"The shock comes {self.shock_s:,.1f} s after the first row; where prices move they move against the position ({way}). "
            f"Money in {money}. Times are after the shock. Queue: {self.queue}."
        )
        return f"<div style='overflow-x:auto'><table><tr>{head}</tr>{body}</table></div><div style='opacity:.75'>{escape(note)}</div>"


def _cell(name: str, value: Any, one: Outcome) -> str:
    bad = (name == "caught by" and value == "NOTHING") or (name == "resting at the end" and one.state_end == "HALTED" and one.resting_end)
    colour = ";color:#cf222e;font-weight:600" if bad else ""
    title = f" title='{escape(one.words)}'" if name == "scenario" else ""
    return f"<td style='text-align:left{colour}'{title}>{escape(str(value))}</td>"


def _after(ns: int | None) -> str:
    if ns is None:
        return "–"
    return f"+{ns / 1e9:.1f} s" if ns >= 1_000_000_000 else f"+{ns / 1e6:.1f} ms" if ns >= 100_000 else f"+{ns / 1e3:.0f} us"


def _limit(value: float) -> str:
    return f"{value:,.2f}" if isfinite(value) else "none"
