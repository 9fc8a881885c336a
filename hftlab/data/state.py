"""The records of one run, allocated and filled: what `core.run` is called with."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hftlab.data.frame import Frame
from hftlab.errors import InputError, KernelFault, UserCodeError
from hftlab.instrument import AMEND_RULES, Instrument
from hftlab.kernels.jit import records
from hftlab.params import Fees, Latency, Limits, Queue, Quoter
from hftlab.types import DESK, EVENT, EXCHANGE, FAULT_NAMES, LIMIT_NAMES, MARKET, NEVER_NS, NO_PRICE

OUT_ROWS = 1 << 15


@dataclass(slots=True)
class State:
    """desk: DESK[1], markets: MARKET[m], exchanges: EXCHANGE[m], out: EVENT[OUT_ROWS] whose row 0 counts the rest."""

    desk: Any
    markets: Any
    exchanges: Any
    out: Any
    instruments: tuple[Instrument, ...]

    def step(self, run: Any, rows: np.ndarray) -> np.ndarray:
        """Run all `rows`; return a copy of the rows written (requests, fills, samples). Raises KernelFault, UserCodeError."""
        done, written = 0, list[np.ndarray]()
        rows = records(rows)
        while True:
            self.out["seq"][0] = 0
            try:
                done += run(self.desk, self.markets, self.exchanges, rows[done:] if done else rows, self.out)
            except UserCodeError as error:  # what was written before a user's function failed is kept
                error.written = np.concatenate([*written, self.out[1 : int(self.out["seq"][0]) + 1]])
                raise
            count = int(self.out["seq"][0])
            if count:
                written.append(self.out[1 : count + 1].copy())
            fault = int(self.desk["fault"][0])
            if fault:
                raise KernelFault(f"row {done}: {FAULT_NAMES[fault]}. The row was {rows[min(done, len(rows) - 1)]}.")
            if done >= len(rows):
                break
        if not written:
            return self.out[1:1]
        return written[0] if len(written) == 1 else np.concatenate(written)

    def digest(self) -> str:
        """Return a digest of desk, markets and exchanges: equal bytes, equal digest."""
        digest = hashlib.blake2b(digest_size=16)
        for part in (self.desk, self.markets, self.exchanges):
            digest.update(np.ascontiguousarray(part).view(np.uint8).data)
        return digest.hexdigest()

    def frame(self, *, copy: bool = True) -> Frame:
        """Return a Frame of copies, or one that looks at the running records and cannot write to them."""
        desk, markets = (self.desk.copy(), self.markets.copy()) if copy else (self.desk.view(), self.markets.view())
        desk.flags.writeable = markets.flags.writeable = False
        return Frame(desk=desk[0], markets=markets, instruments=self.instruments)


def build(
    instruments: Sequence[Instrument],
    quoters: Sequence[Quoter],
    limits: Sequence[Limits],
    *,
    fees: Fees | None = None,
    latency: Latency | None = None,
    queue: Queue | str = "power",
    simulate: bool = True,
    own_in_book: bool = False,
    sample_ms: float = 250.0,
    bar_s: float = 10.0,
) -> State:
    """Return a fresh State. `simulate` switches the modelled exchange on; desk-wide limits are those of the first market.

    Raises InputError when instruments cannot share a desk.
    """
    if len({i.quote for i in instruments}) != 1:
        found = ", ".join(sorted({i.quote for i in instruments}))
        raise InputError(f"the instruments are quoted in {found}; wanted one quote currency for one desk.")
    for instrument in instruments:
        if instrument.inverse:
            raise InputError(f"{instrument.symbol} is an inverse contract (P&L in {instrument.base}); wanted a linear one or spot.")
    m = len(instruments)
    desk, markets, exchanges = records(np.zeros(1, DESK)), records(np.zeros(m, MARKET)), records(np.zeros(m, EXCHANGE))
    for i, instrument in enumerate(instruments):
        market = markets[i : i + 1]
        market["params"] = quoters[i].record(instrument)
        market["limits"] = limits[i].record(instrument)
        _spec(market["spec"], instrument, fees or Fees(), own_in_book=own_in_book)
        market["validity"] = 1
        market["fair_ticks"] = market["mark_ticks"] = np.nan
        for samples in ("bid_ticks", "ask_ticks"):
            market["samples"][samples] = NO_PRICE
        for book in (market["book"], exchanges["book"][i : i + 1]):
            for name in ("anchor_ticks", "best_bid_ticks", "best_ask_ticks"):
                book[name] = NO_PRICE
    desk["limits"] = markets["limits"][:1]
    desk["sample_ns"], desk["bar_ns"] = int(sample_ms * 1e6), int(bar_s * 1e9)
    model = Queue.of(queue)
    exchanges["active"], exchanges["due_ns"] = int(simulate), NEVER_NS
    exchanges["queue_model"], exchanges["queue_power"] = model.code(), model.power
    exchanges["partial_fills"] = int(model.partial_fills)
    exchanges["entry_ns"], exchanges["response_ns"] = (latency or Latency()).ns()
    return State(desk, markets, exchanges, records(np.zeros(OUT_ROWS, EVENT)), tuple(instruments))


def _spec(spec: Any, instrument: Instrument, fees: Fees, *, own_in_book: bool) -> None:
    spec["ticklot_quote"] = instrument.ticklot_quote
    spec["tick_size"], spec["lot_size"] = float(instrument.tick_size), float(instrument.lot_size)
    spec["maker_centibps"], spec["taker_centibps"] = fees.centibps()
    spec["notional_ticklots_min"] = instrument.ticklots(instrument.notional_quote_min)
    spec["amend_rule"] = AMEND_RULES[instrument.amend]
    spec["own_in_book"] = int(own_in_book)


LIMIT_INDEX = {name: i for i, name in enumerate(LIMIT_NAMES)}
