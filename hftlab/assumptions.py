"""What a simulated venue is assumed to do: its fees, its distance, and how queues move. In human units, into machine records."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from hftlab.errors import InputError
from hftlab.instrument import Instrument, decimal
from hftlab.strict import choice, number, spread, strict
from hftlab.types import (
    EVENT,
    LAST,
    LATENCY,
    QUEUE_FIFO,
    QUEUE_LOG,
    QUEUE_LOG2,
    QUEUE_POWER,
    QUEUE_POWER2,
    QUEUE_POWER3,
    QUEUE_RISK_AVERSE,
    QUEUE_THROUGH,
    QUEUE_TOUCH,
    STP_CANCEL_BOTH,
    STP_CANCEL_MAKER,
    STP_CANCEL_TAKER,
    STP_DECREMENT,
    STP_NONE,
    TIERS,
)

QUEUES = {
    "risk_averse": QUEUE_RISK_AVERSE,
    "power": QUEUE_POWER,
    "power2": QUEUE_POWER2,
    "power3": QUEUE_POWER3,
    "log": QUEUE_LOG,
    "log2": QUEUE_LOG2,
    "fifo": QUEUE_FIFO,
    "touch": QUEUE_TOUCH,
    "through": QUEUE_THROUGH,
}
SELF_TRADE = {
    "none": STP_NONE,
    "cancel_taker": STP_CANCEL_TAKER,
    "cancel_maker": STP_CANCEL_MAKER,
    "cancel_both": STP_CANCEL_BOTH,
    "decrement": STP_DECREMENT,
}


def _centibps(value: Any, name: str) -> int:
    exact = decimal(value, name) * 100
    if exact != int(exact):
        raise InputError(f"{name} was {value}; wanted steps of 0.01 bps.")
    return int(exact)


@strict
class Fees:
    """Fees in basis points of notional; negative is a rebate. Down to a hundredth of a basis point.

    `tiers` is a schedule: (volume_quote, maker_bps, taker_bps) rows, rising in volume; a row holds once the notional traded, counted
    from `volume_quote` at the start, has reached its volume. Before the first row the plain fees hold.
    """

    maker_bps: float = 0.0
    taker_bps: float = 0.0
    tiers: Sequence[tuple[float, float, float]] = ()
    volume_quote: float = 0.0

    def centibps(self) -> tuple[int, int]:
        """Return maker and taker fees in hundredths of a basis point. Raises InputError for a finer fee."""
        return _centibps(self.maker_bps, "maker_bps"), _centibps(self.taker_bps, "taker_bps")

    def fill(self, spec: Any, instrument: Instrument) -> int:
        """Write the schedule into a SPEC record; return the volume at the start in ticklots. Raises InputError."""
        spec["maker_centibps"], spec["taker_centibps"] = self.centibps()
        if len(self.tiers) > TIERS:
            raise InputError(f"{len(self.tiers)} fee tiers were given; wanted at most {TIERS}.")
        spec["tiers"] = len(self.tiers)
        volumes = [number(row[0], "the volume of a fee tier", 0) for row in self.tiers]
        if volumes != sorted(volumes):
            raise InputError(f"the volumes of the fee tiers were {volumes}; wanted them rising.")
        start = instrument.ticklots(number(self.volume_quote, "volume_quote", 0))
        for step, (volume, maker_bps, taker_bps) in enumerate(self.tiers):
            maker, taker = _centibps(maker_bps, "maker_bps of a tier"), _centibps(taker_bps, "taker_bps of a tier")
            spec["tier_from_ticklots"][..., step] = instrument.ticklots(volume)
            spec["tier_maker_centibps"][..., step], spec["tier_taker_centibps"][..., step] = maker, taker
            if start >= instrument.ticklots(volume):
                spec["maker_centibps"], spec["taker_centibps"] = maker, taker
        return start

    def text(self) -> str:
        """Return the schedule in words."""
        steps = "".join(f"; from {v:,.0f}: {m:g}/{t:g}" for v, m, t in self.tiers)
        return f"maker {self.maker_bps:g} bps, taker {self.taker_bps:g} bps{steps}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; `Fees(**…)` makes the same."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)} | {"tiers": [list(row) for row in self.tiers]}


@strict
class Latency:
    """How long requests and reports travel. Each part may be left out; they add up.

    `order_ms` to the exchange, `cancel_ms` for cancels (as orders if None), `report_ms` back (as orders if None), `compute_us` of
    our own between seeing and sending. `feed_share` adds that share of the feed's own latency of the moment, both ways: a busy
    venue is slow. `jitter_ms` adds a random lognormal part of that mean and log standard deviation `jitter_log_sd`, from `seed`.
    `recorded` replaces the constants by measured round trips: rows of (sent_ns, matched_ns, learned_ns), rising in sent_ns, between
    which straight lines are drawn (pandas and numpy both do).
    """

    order_ms: float = 0.0
    report_ms: float | None = None
    cancel_ms: float | None = None
    compute_us: float = 0.0
    feed_share: float = 0.0
    jitter_ms: float = 0.0
    jitter_log_sd: float = 1.0
    seed: int = 0
    recorded: Any = None

    def ns(self) -> tuple[int, int]:
        """Return the constant entry and response latency in nanoseconds. Raises InputError for a negative one."""
        back = self.order_ms if self.report_ms is None else self.report_ms
        return int(number(self.order_ms, "order_ms", 0) * 1e6), int(number(back, "report_ms", 0) * 1e6)

    def fill(self, exchange: Any) -> None:
        """Write everything that is no recording into one EXCHANGE record. Raises InputError."""
        exchange["entry_ns"], exchange["response_ns"] = self.ns()
        cancel = self.order_ms if self.cancel_ms is None else self.cancel_ms
        exchange["cancel_ns"] = int(number(cancel, "cancel_ms", 0) * 1e6)
        exchange["compute_ns"] = int(number(self.compute_us, "compute_us", 0) * 1e3)
        share = number(self.feed_share, "feed_share", 0, 100)
        exchange["entry_feed_share"] = exchange["response_feed_share"] = share
        exchange["jitter_ns"] = number(self.jitter_ms, "jitter_ms", 0) * 1e6
        exchange["jitter_log_sd"] = number(self.jitter_log_sd, "jitter_log_sd", 0, 10)

    def rows(self, instrument: int) -> np.ndarray:
        """Return the recorded round trips as LATENCY rows (EVENT, shape (n,)) of the market `instrument`; n = 0 without a recording.

        Raises InputError for another shape than (n, 3), or a time that goes back.
        """
        if self.recorded is None:
            return np.zeros(0, EVENT)
        table = np.asarray(self.recorded)
        if table.dtype.names:
            table = np.stack([table[name] for name in ("sent_ns", "matched_ns", "learned_ns")], axis=1)
        if table.ndim != 2 or table.shape[1] != 3 or not len(table):
            raise InputError(f"recorded latencies had shape {table.shape}; wanted rows of (sent_ns, matched_ns, learned_ns).")
        table = table.astype(np.int64)
        entry, response = table[:, 1] - table[:, 0], table[:, 2] - table[:, 1]
        for values, name in ((entry, "matched_ns"), (response, "learned_ns"), (np.diff(table[:, 0]), "sent_ns")):
            bad = np.flatnonzero(values < 0)
            if len(bad):
                raise InputError(
                    f"recorded latencies go back in {name} at row {int(bad[0])}: {table[bad[0]].tolist()}; wanted no negative time."
                )
        rows = np.zeros(len(table), EVENT)
        rows["kind"], rows["flags"], rows["instrument"] = LATENCY, LAST, instrument
        rows["ts_exch_ns"] = rows["ts_recv_ns"] = table[:, 0]
        rows["seq"] = np.append(table[1:, 0], table[-1, 0])
        rows["price_ticks"], rows["qty_lots"] = entry, np.append(entry[1:], entry[-1])
        rows["leaves_lots"], rows["order_id"] = response, np.append(response[1:], response[-1])
        return rows

    def text(self) -> str:
        """Return the model in words."""
        entry_ns, report_ns = self.ns()
        words = [f"order {entry_ns / 1e6:g} ms, report {report_ns / 1e6:g} ms"]
        if self.recorded is not None:
            words = [f"{len(self.recorded):,} recorded round trips"]
        if self.cancel_ms is not None:
            words.append(f"cancel {self.cancel_ms:g} ms")
        if self.compute_us:
            words.append(f"compute {self.compute_us:g} us")
        if self.feed_share:
            words.append(f"{self.feed_share:g} x feed latency")
        if self.jitter_ms:
            words.append(f"random {self.jitter_ms:g} ms (log sd {self.jitter_log_sd:g}, seed {self.seed})")
        return ", ".join(words) + "; feed as recorded"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; `Latency(**…)` makes the same."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        if self.recorded is not None:
            rows = self.rows(0)
            sent = rows["ts_recv_ns"]
            matched = sent + rows["price_ticks"]
            values["recorded"] = np.stack([sent, matched, matched + rows["leaves_lots"]], axis=1).tolist()
        return values


@strict
class Queue:
    """How the simulated exchange fills resting orders.

    `model` moves our place in the queue: "risk_averse" (only prints), "power", "power2", "power3", "log", "log2" (cancels split by
    probability, see `kernels.queue`), "fifo" (true places, from order-by-order data), and two bounds: "touch" (first in every queue)
    and "through" (only prints beyond our price fill). Without `partial_fills` an order fills whole or not, whatever quantity there was.
    """

    model: str = "power"
    power: float = 2.0
    partial_fills: bool = True
    self_trade: str = "cancel_taker"

    @classmethod
    def of(cls, value: "str | Queue") -> "Queue":
        """Return `value`, or the Queue of that name."""
        return value if isinstance(value, Queue) else cls(model=value)

    @classmethod
    def each(cls, value: "str | Queue | Sequence[str | Queue]", count: int) -> "tuple[Queue, ...]":
        """Return a Queue for each of `count` instruments: one for all, or one each. Raises InputError for another number of them."""
        return tuple(cls.of(one) for one in spread(value, count, "queue models"))

    def code(self) -> int:
        """Return QUEUE_*. Raises InputError."""
        number(self.power, "power", 0, 100)
        return choice(self.model, QUEUES, "queue model")

    def fill(self, exchange: Any) -> None:
        """Write the model into one EXCHANGE record. Raises InputError."""
        exchange["queue_model"], exchange["queue_power"] = self.code(), self.power
        exchange["partial_fills"] = int(self.partial_fills)
        exchange["stp_mode"] = choice(self.self_trade, SELF_TRADE, "self_trade")

    def text(self) -> str:
        """Return the model in words."""
        return self.model + (f" n={self.power:g}" if self.model.startswith("power") else "")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; `Queue(**…)` makes the same."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}


def latency_rows(latencies: Iterable[Latency]) -> np.ndarray:
    """Return the LATENCY rows of all instruments in order of time."""
    rows = np.concatenate([one.rows(i) for i, one in enumerate(latencies)])
    return rows[np.argsort(rows["ts_recv_ns"], kind="stable")]
