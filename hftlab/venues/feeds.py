"""Feeds and the paper venue as a person names them: plain descriptions that travel to the engine process as text."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hftlab.assumptions import Fees, Latency, Queue
from hftlab.errors import FormatError, InputError, UnknownName, did_you_mean
from hftlab.instrument import Instrument
from hftlab.strict import keywords, number
from hftlab.venues.live.spec import LiveFeed, LiveVenue, live_feed_from_dict, live_venue_from_dict

FILLS = ("auto", "matched", "modelled")


@keywords
@dataclass(frozen=True)
class SynthFeed:
    """A simulated market: a seeded crowd on an order-by-order matching engine, in real time, at a multiple, or flat out.

    `speed` is simulated seconds per second; inf runs as fast as it goes. `options` are the crowd's (see SimulatedMarket).
    """

    instrument: Instrument
    seed: int = 1
    speed: float = 1.0
    price: str | None = None
    options: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        from hftlab.kernels.flow_types import FLOW_DEFAULTS

        _check(self.instrument, self.speed)
        for name, value in self.options.items():
            if name not in FLOW_DEFAULTS:
                raise UnknownName(f"a simulated market has no option {name!r}.{did_you_mean(name, FLOW_DEFAULTS)}")
            number(value, name)

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """Return the one instrument of this feed."""
        return (self.instrument,)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values from which `feed_from_dict` makes the same feed."""
        return {
            "type": "SynthFeed",
            "instrument": self.instrument.to_dict(),
            "seed": self.seed,
            "speed": self.speed,
            "price": self.price,
            "options": dict(self.options),
        }


@keywords
@dataclass(frozen=True)
class ReplayFeed:
    """A recording played as if it were live: every row at its own time, `speed` times as fast; inf as fast as it goes.

    `clock` is as for `hl.load`: "correct" repairs a local clock that cannot be right. `instrument` defaults to the file's.
    """

    path: str | Path
    speed: float = 1.0
    clock: str = "as recorded"
    instrument: Instrument | None = None

    def __post_init__(self) -> None:
        if not Path(self.path).is_file():
            raise FormatError(f"{self.path} is no file; wanted a recording that hl.load can read.")
        _check(self.instrument, self.speed)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values from which `feed_from_dict` makes the same feed."""
        return {
            "type": "ReplayFeed",
            "path": str(Path(self.path).resolve()),
            "speed": self.speed,
            "clock": self.clock,
            "instrument": self.instrument and self.instrument.to_dict(),
        }


@keywords
@dataclass(frozen=True)
class PaperVenue:
    """Simulated fills, no real money.

    `fills` "matched": our orders join the queues of the feed's own matching engine and move its price (simulated markets
    only). "modelled": they rest beside the recorded book, and a queue model says when they would have filled. "auto" is
    matched where the feed has a matching engine. `latency` holds for both.
    """

    instrument: Instrument | None = None
    fills: str = "auto"
    fees: Fees = field(default_factory=Fees)
    latency: Latency = field(default_factory=lambda: Latency(order_ms=1.0))
    queue: Queue | str = "power"

    def __post_init__(self) -> None:
        if self.fills not in FILLS:
            raise InputError(f"fills was {self.fills!r}.{did_you_mean(self.fills, FILLS)}")
        Queue.of(self.queue).code()
        if self.latency.recorded is not None:
            raise InputError(
                "a paper session has no use for recorded latencies (they are of another time); wanted order_ms=…, report_ms=…."
            )

    def matched(self, feed: "Feed") -> bool:
        """Say whether our orders go to the feed's own matching engine. Raises InputError when it has none but should."""
        if self.fills == "matched" and not isinstance(feed, SynthFeed):
            raise InputError("fills='matched' needs a feed with a matching engine (SynthFeed); a recording has none. Use 'modelled'.")
        matched = self.fills != "modelled" and isinstance(feed, SynthFeed)
        if matched and self.latency != Latency(order_ms=self.latency.order_ms, report_ms=self.latency.report_ms):
            raise InputError(
                f"the matching engine knows order_ms and report_ms only; the latency was: {self.latency.text()}. "
                "Use fills='modelled', or leave the other parts out."
            )
        if not matched and isinstance(feed, SynthFeed) and Queue.of(self.queue).model == "fifo":
            raise InputError(
                "queue 'fifo' needs order-by-order data, which SynthFeed does not send. Use fills='matched': there the places are true."
            )
        return matched

    def to_dict(self) -> dict[str, Any]:
        """Return plain values from which `venue_from_dict` makes the same venue."""
        queue = Queue.of(self.queue)
        return {
            "type": "PaperVenue",
            "fills": self.fills,
            "fees": self.fees.to_dict(),
            "latency": self.latency.to_dict(),
            "queue": queue.to_dict(),
        }


Feed = SynthFeed | ReplayFeed | LiveFeed
Venue = PaperVenue | LiveVenue


def _check(instrument: Any, speed: Any) -> None:
    if instrument is not None and not isinstance(instrument, Instrument):
        raise InputError(f"the instrument was {instrument!r}; wanted an hl.Instrument, e.g. hl.Instrument.bundled('sim:BTC/USDT').")
    if number(speed, "speed") <= 0:
        raise InputError(f"speed was {speed}; wanted more than zero (1 is real time, float('inf') as fast as it goes).")


def feed_from_dict(values: Mapping[str, Any]) -> Feed:
    """Return the feed that `to_dict` described."""
    values = dict(values)
    kinds: dict[str, Any] = {"SynthFeed": SynthFeed, "ReplayFeed": ReplayFeed, "LiveFeed": LiveFeed}
    name = values.pop("type")
    if name not in kinds:
        raise UnknownName(f"no feed {name!r}.{did_you_mean(name, kinds)}")
    if name == "LiveFeed":
        return live_feed_from_dict(values)
    if values["instrument"] is not None:
        values["instrument"] = Instrument(**values["instrument"])
    feed: Feed = kinds[name](**values)
    return feed


def venue_from_dict(values: Mapping[str, Any]) -> Venue:
    """Return the venue that `to_dict` described."""
    if values["type"] != "PaperVenue":
        return live_venue_from_dict(values)
    return PaperVenue(
        fills=values["fills"],
        fees=Fees(**values["fees"]),
        latency=Latency(**values["latency"]),
        queue=Queue(**values["queue"]),
    )
