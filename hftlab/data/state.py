"""The records of one run, allocated and filled: what `core.run` is called with."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hftlab.assumptions import Fees, Latency, Queue
from hftlab.data.frame import Frame
from hftlab.errors import InputError, KernelFault, UserCodeError
from hftlab.instrument import AMEND_RULES, Instrument
from hftlab.kernels.jit import records
from hftlab.kernels.rng import rng_seed
from hftlab.params import Limits, Quoter
from hftlab.strict import spread
from hftlab.types import DESK, EVENT, FAULT_NAMES, LIMIT_NAMES, MARKET, NEVER_NS, NO_PRICE, VENUES
from hftlab.types_exchange import EXCHANGE

OUT_ROWS = 1 << 15


@dataclass(slots=True)
class State:
    """The records of one run. desk: DESK[1], markets: MARKET[m], exchanges: EXCHANGE[m], out: EVENT[OUT_ROWS] whose row 0 counts the rest."""

    desk: Any
    markets: Any
    exchanges: Any
    out: Any
    instruments: tuple[Instrument, ...]
    caps: Any  # LIMITS[m]: how far each limit may be loosened while it runs

    def advance(self, run: Any, rows: np.ndarray, done: int = 0) -> int:
        """Call the kernel once, from row `done` on; return how many rows are done then. `wrote` is what it wrote. Raises KernelFault.

        It stops before the end when `out` is nearly full, or where a user's function failed (UserCodeError).
        """
        self.out["seq"][0] = 0
        done += run(self.desk, self.markets, self.exchanges, rows[done:] if done else rows, self.out)
        fault = int(self.desk["fault"][0])
        if fault:
            raise KernelFault(f"row {done}: {FAULT_NAMES[fault]}. The row was {rows[min(done, len(rows) - 1)]}.")
        return done

    @property
    def wrote(self) -> Any:
        """Return what the last call wrote (EVENT): a view, valid until the next."""
        return self.out[1 : int(self.out["seq"][0]) + 1]

    def step(self, run: Any, rows: np.ndarray) -> np.ndarray:
        """Run all `rows`; return a copy of the rows written (requests, fills, samples). Raises KernelFault, UserCodeError."""
        done, written = 0, list[np.ndarray]()
        rows = records(rows)
        while True:
            try:
                done = self.advance(run, rows, done)
            except UserCodeError as error:  # what was written before a user's function failed is kept
                error.written = np.concatenate([*written, self.wrote])
                raise
            count = int(self.out["seq"][0])
            if count:
                # `copy` of a structured array takes three times as long.
                written.append(np.frombuffer(bytearray(self.out[1 : count + 1].tobytes()), EVENT))
            if done >= len(rows):
                break
        if not written:
            return self.out[1:1]
        return written[0] if len(written) == 1 else np.concatenate(written)

    def digest(self) -> str:
        """Return a digest of desk, markets and exchanges: equal bytes, equal digest."""
        return digest_of(self.desk, self.markets, self.exchanges)

    def frame(self, *, copy: bool = True) -> Frame:
        """Return a Frame of copies, or one that looks at the running records and cannot write to them."""
        desk, markets = (self.desk.copy(), self.markets.copy()) if copy else (self.desk.view(), self.markets.view())
        desk.flags.writeable = markets.flags.writeable = False
        return Frame(desk=desk[0], markets=markets, instruments=self.instruments)


def digest_of(*parts: Any) -> str:
    """Return the digest of the bytes of `parts`, in this order."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(np.ascontiguousarray(part).view(np.uint8).data)
    return digest.hexdigest()


def build(
    instruments: Sequence[Instrument],
    quoters: Sequence[Quoter],
    limits: Sequence[Limits],
    *,
    fees: Fees | Sequence[Fees] | None = None,
    latency: Latency | Sequence[Latency] | None = None,
    queue: Queue | str | Sequence[Queue | str] = "power",
    simulate: bool = True,
    own_in_book: bool = False,
    sample_ms: float = 250.0,
    bar_s: float = 10.0,
) -> State:
    """Return a fresh State. `simulate` switches the modelled exchange on; desk-wide limits are those of the first market.

    Fees, latency and queue model are one for all instruments or one each. Raises InputError when instruments cannot share a desk.
    """
    if len({i.settle for i in instruments}) != 1:
        found = ", ".join(sorted({i.settle for i in instruments}))
        raise InputError(f"the instruments are settled in {found}; wanted one currency for one desk.")
    m = len(instruments)
    all_fees, latencies = spread(fees or Fees(), m, "fees"), spread(latency or Latency(), m, "latencies")
    queues = Queue.each(queue, m)
    desk, markets, exchanges = records(np.zeros(1, DESK)), records(np.zeros(m, MARKET)), records(np.zeros(m, EXCHANGE))
    for i, instrument in enumerate(instruments):
        market, exchange = markets[i : i + 1], exchanges[i : i + 1]
        market["params"] = quoters[i].record(instrument)
        market["limits"] = limits[i].record(instrument)
        _spec(market["spec"], instrument, own_in_book=own_in_book)
        market["traded_ticklots"] = all_fees[i].fill(market["spec"], instrument)
        market["validity"] = 1
        market["fair_ticks"] = market["mark_ticks"] = market["vpin"] = np.nan
        market["flow"]["bid_ticks"] = market["flow"]["ask_ticks"] = NO_PRICE
        market["regime_factor"] = 1.0
        for samples in ("bid_ticks", "ask_ticks"):
            market["samples"][samples] = NO_PRICE
        for book in (market["book"], exchange["book"]):
            for name in ("anchor_ticks", "best_bid_ticks", "best_ask_ticks"):
                book[name] = NO_PRICE
        latencies[i].fill(exchange)
        queues[i].fill(exchange)
        exchange["rng"] = rng_seed(latencies[i].seed + i)
    venues = list(dict.fromkeys(one.venue for one in instruments))
    if len(venues) > VENUES:
        raise InputError(f"the instruments are of {len(venues)} venues; wanted at most {VENUES} on one desk.")
    markets["spec"]["venue"] = [venues.index(one.venue) for one in instruments]
    desk["limits"] = markets["limits"][:1]
    desk["sample_ns"], desk["bar_ns"] = int(sample_ms * 1e6), int(bar_s * 1e9)
    exchanges["active"], exchanges["due_ns"] = int(simulate), NEVER_NS
    for name in ("touch_bid_ticks", "touch_ask_ticks", "seen_bid_ticks", "seen_ask_ticks"):
        exchanges[name] = NO_PRICE
    caps = np.concatenate([limits[i].caps(instrument) for i, instrument in enumerate(instruments)])
    return State(desk, markets, exchanges, records(np.zeros(OUT_ROWS, EVENT)), tuple(instruments), caps)


def _spec(spec: Any, instrument: Instrument, *, own_in_book: bool) -> None:
    spec["ticklot_quote"], spec["inverse_scale"] = instrument.ticklot_quote, instrument.inverse_scale
    spec["tick_size"], spec["lot_size"] = float(instrument.tick_size), float(instrument.lot_size)
    spec["notional_ticklots_min"] = instrument.ticklots(instrument.notional_quote_min)
    spec["amend_rule"] = AMEND_RULES[instrument.amend]
    spec["own_in_book"] = int(own_in_book)


LIMIT_INDEX = {name: i for i, name in enumerate(LIMIT_NAMES)}
