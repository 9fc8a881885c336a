"""What a run is: one YAML file in its directory, written once, from which the engine process starts and replays."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from hftlab.data.run_files import CLEAN, FILE, read_instruments, read_values
from hftlab.data.state import State, build
from hftlab.errors import DataError
from hftlab.instrument import Instrument
from hftlab.kernels import core
from hftlab.params import Limits, Quoter, UserQuoter, quoter_from_dict
from hftlab.types import DESK, EVENT, MARKET
from hftlab.types_exchange import EXCHANGE
from hftlab.usercode.run import runner
from hftlab.usercode.travel import restore
from hftlab.venues.feeds import Feed, Venue, feed_from_dict, venue_from_dict
from hftlab.venues.live.spec import LiveVenue, live_rule


@dataclass(frozen=True)
class RunSpec:
    """Feed, venue, quoter and limits for each instrument, and the pace of timers, samples, bars and publications."""

    feed: Feed
    venue: Venue
    instruments: tuple[Instrument, ...]
    quoters: tuple[Quoter, ...]
    limits: tuple[Limits, ...]
    code: Mapping[str, Any] | None = None  # a user's decide, as source
    strategy: Mapping[str, Any] | None = None  # a Python strategy, by class and parameters
    timer_ms: float = 100.0
    sample_ms: float = 250.0
    bar_s: float = 10.0
    publish_ms: float = 50.0
    tag: str = ""  # in every client order id of this run: by it a restart finds its orders, and nobody else's
    settings: Mapping[str, Any] = field(default_factory=dict)  # alerts, door and log as asked for (hftlab.config); nothing secret
    notes: Mapping[str, Any] = field(default_factory=dict)

    def state(self) -> State:
        """Return the fresh records of this run."""
        matched = self.venue.matched(self.feed)
        live = isinstance(self.venue, LiveVenue)
        return build(
            tuple(live_rule(one) for one in self.instruments) if live else self.instruments,
            self.quoters,
            self.limits,
            fees=self.venue.fees,
            latency=self.venue.latency,
            queue=self.venue.queue,
            simulate=not matched,
            own_in_book=matched,
            sample_ms=self.sample_ms,
            bar_s=self.bar_s,
        )

    def run(self) -> Any:
        """Return the compiled `run`: the cached one, or one with the user's `decide` in it."""
        return core.run if self.code is None else runner(restore(self.code))

    def save(self, directory: Path) -> None:
        """Write the spec into a run directory."""
        values = {
            "layout": layout(),
            "feed": self.feed.to_dict(),
            "venue": self.venue.to_dict(),
            "instruments": [i.to_dict() for i in self.instruments],
            "quoters": [_quoter_dict(q) for q in self.quoters],
            "limits": [one.to_dict() for one in self.limits],
            "code": dict(self.code) if self.code else None,
            "strategy": dict(self.strategy) if self.strategy else None,
            "timer_ms": self.timer_ms,
            "sample_ms": self.sample_ms,
            "bar_s": self.bar_s,
            "publish_ms": self.publish_ms,
            "tag": self.tag,
            "settings": dict(self.settings),
        }
        (directory / FILE).write_text(yaml.safe_dump(values, sort_keys=False, allow_unicode=True))


def _quoter_dict(quoter: Quoter) -> dict[str, Any]:
    values = quoter.to_dict()
    values.pop("decide", None)
    if isinstance(quoter, UserQuoter):
        values["values"] = dict(quoter.values)
    return values


def layout() -> str:
    """Return a digest of the record layouts: a journal can only be replayed by records of the same shape."""
    text = repr([EVENT, DESK, MARKET, EXCHANGE])
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def load_spec(directory: Path) -> RunSpec:
    """Return the spec of a run. Raises DataError when it is missing, unreadable, or of another layout."""
    values = read_values(directory)
    if values["layout"] != layout():
        raise DataError(
            f"{directory / FILE} was written by another version of hftlab (layout {values['layout']}, this one has {layout()})."
        )
    code = values["code"]
    decide = restore(code) if code else None
    return RunSpec(
        feed=feed_from_dict(values["feed"]),
        venue=venue_from_dict(values["venue"]),
        instruments=tuple(Instrument(**i) for i in values["instruments"]),
        quoters=tuple(quoter_from_dict(q, decide) for q in values["quoters"]),
        limits=tuple(Limits(**one) for one in values["limits"]),
        code=code,
        strategy=values["strategy"],
        timer_ms=values["timer_ms"],
        sample_ms=values["sample_ms"],
        bar_s=values["bar_s"],
        publish_ms=values["publish_ms"],
        tag=values.get("tag", ""),
        settings=values.get("settings", {}),
    )


__all__ = ["CLEAN", "FILE", "RunSpec", "layout", "load_spec", "read_instruments", "read_values"]
