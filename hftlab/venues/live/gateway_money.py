"""What the venue really charged, against what the engine's ledger charges by its schedule: the difference is told as a payment.

The ledger books the fee of a fill by the fee schedule of its instrument, at once and in integers. A shadow of the ledger books
the same fills by the same compiled rule (`hftlab.kernels.ledger.apply_fill`), so that the difference is known to the unit.
"""

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from hftlab.instrument import Instrument
from hftlab.kernels import ledger
from hftlab.kernels.jit import kernel, records
from hftlab.types import EVENT, FILLS
from hftlab.venues.live.model import VenueFill

E8 = 100_000_000


@kernel
def _book(markets: Any, rows: Any, instrument: int, maker: bool) -> None:  # noqa: FBT001  # numba has positional flags only
    """Book fills (EVENT rows) of one instrument by the ledger's own rule."""
    for i in range(rows.shape[0]):
        ledger.apply_fill(markets[instrument], rows[i], maker, rows[i].ts_exch_ns)


class Money:
    """The fees of all fills. `markets`: MARKET[m] as the engine begins with them; they are copied."""

    def __init__(self, instruments: Sequence[Instrument], markets: np.ndarray) -> None:
        self._instruments = instruments
        self._shadow: Any = records(markets.copy())
        self._row: Any = records(np.zeros(1, EVENT))
        _book(self._shadow, self._row[:0], 0, False)  # loads the kernel now, not in the first fill
        # What is too small for a row is carried on, so that many small roundings do not add up.
        self._rest: dict[int, Fraction] = defaultdict(Fraction)
        self.by_asset: dict[str, Decimal] = defaultdict(Decimal)
        self.base_qty: dict[int, Decimal] = defaultdict(Decimal)  # fees taken out of what was bought, by instrument

    def fee_difference(self, fill: VenueFill) -> tuple[int, int]:
        """Book a fill in the shadow; return (ticklots, 1e-8 of one) that the venue charged more than the ledger will.

        A fee in another asset than the settlement's costs no settlement money: the ledger's charge is given back, and the fee is
        counted by asset. Where the venue does not say in which asset it charged, the ledger's charge stands.
        """
        charged_e8 = self._schedule_e8(fill)
        if not fill.fee_asset:
            return 0, 0
        self.count(fill)
        in_money = fill.fee_asset == self._instruments[fill.instrument].settle
        return self._split(fill.instrument, fill.fee if in_money else Decimal(0), less_e8=charged_e8)

    def count(self, fill: VenueFill) -> None:
        """Count a fee by its asset, and as quantity where it is taken out of what was bought."""
        if fill.fee_asset:
            self.by_asset[fill.fee_asset] += fill.fee
        instrument = self._instruments[fill.instrument]
        if fill.fee_asset == instrument.base and not instrument.inverse:
            self.base_qty[fill.instrument] += fill.fee

    def payment(self, instrument: int, amount: Decimal) -> tuple[int, int]:
        """Return (ticklots, 1e-8 of one) of an amount in the settlement currency."""
        return self._split(instrument, amount, less_e8=0)

    def _schedule_e8(self, fill: VenueFill) -> int:
        for name, value in (
            ("ts_exch_ns", fill.ts_ns),
            ("price_ticks", fill.price_ticks),
            ("qty_lots", fill.qty_lots),
            ("side", fill.side),
        ):
            self._row[name][0] = value
        _book(self._shadow, self._row, fill.instrument, fill.maker)
        last = (int(self._shadow["fills_count"][fill.instrument]) - 1) % FILLS
        booked = self._shadow["fills"][fill.instrument, last]
        return int(booked["fee_ticklots"]) * E8 + int(booked["fee_uticklots"]) * 100

    def _split(self, instrument: int, amount: Decimal, *, less_e8: int) -> tuple[int, int]:
        exact = Fraction(amount) / Fraction(self._instruments[instrument].money_unit) * E8 - less_e8 + self._rest[instrument]
        whole = exact.numerator // exact.denominator
        self._rest[instrument] = exact - whole
        return divmod(whole, E8)
