"""From decoded messages to EVENT rows: exact grids, and a builder that fills columns instead of single rows."""

from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
import numpy.typing as npt

from hftlab.errors import InputError, OffGridPrice, OffGridQuantity
from hftlab.instrument import Instrument, decimal
from hftlab.types import EVENT, LAST

Rows = npt.NDArray[np.void]

OFF_FRAC_MAX = 0.2
"""More sizes than this part between two lots are a wrong lot size, not leftovers of a finer one."""

_OFF_SEEN_MIN = 20
_SEGMENTS_MAX = 1 << 16


class Grid(dict[str, int]):
    """Decimal text -> integer, each text converted once by the exact arithmetic of `Instrument`.

    Prices and sizes repeat: of 900,000 numbers in the busiest recording 33,000 differ. At most `cached_max` texts are remembered.
    """

    cached_max = 1 << 20

    def __init__(self, convert: Callable[[str], int]) -> None:
        super().__init__()
        self._convert = convert

    def __missing__(self, text: str) -> int:
        if len(self) >= self.cached_max:
            self.clear()
        value = self[text] = self._convert(text)
        return value


def price_grid(instrument: Instrument) -> Grid:
    """Return the grid of prices. Raises OffGridPrice with the likely cause, InputError for what is no number."""

    def convert(text: str) -> int:
        try:
            return instrument.ticks(text)
        except OffGridPrice as error:
            raise OffGridPrice(
                f"price {text} is not on the grid of {instrument.name} (tick size {instrument.tick_size}). "
                "The likely cause is a wrong instrument: pass instrument= with the grid of the recorded one."
            ) from error

    return Grid(convert)


class SizeGrid(Grid):
    """Sizes in lots, zero allowed (a level that goes).

    Lot sizes bind new orders only. Levels of a venue that once had a finer lot still hold odd sizes (Binance spot BTC does), so
    a few odd ones are rounded to the nearest lot, never to nothing, and counted; many mean a wrong instrument.
    """

    def __init__(self, instrument: Instrument) -> None:
        super().__init__(self._round)
        self.instrument = instrument
        self.seen = 0  # different texts
        self.off = 0  # of them rounded
        self._first_off = ""

    def _round(self, text: str) -> int:
        self.seen += 1
        try:
            lots = self.instrument.lots(text, signed=True)
        except OffGridQuantity:
            self.off += 1
            self._first_off = self._first_off or text
            if self.off > _OFF_SEEN_MIN:
                self.check()
            exact = Decimal(text) / self.instrument.lot_size
            lots = max(1, int(exact.to_integral_value(ROUND_HALF_EVEN))) if exact > 0 else -1
        if lots < 0:
            raise OffGridQuantity(f"quantity {text} is negative; wanted zero or more.")
        return lots

    def check(self) -> None:
        """Raise OffGridQuantity when too many of the sizes so far lie between two lots."""
        if self.off > OFF_FRAC_MAX * self.seen:
            one = self.instrument
            raise OffGridQuantity(
                f"{self.off:,} of {self.seen:,} different quantities, the first {self._first_off}, lie between two lots of {one.name} "
                f"(lot size {one.lot_size}). The likely cause is a wrong instrument: pass instrument= with the grid of the recorded one."
            )


def nearest_ticks(price: str, instrument: Instrument) -> int:
    """Return the tick nearest to a price that is on no grid, such as a mark price. Raises InputError for what is no number."""
    return int((decimal(price, "mark price") / instrument.tick_size).to_integral_value(ROUND_HALF_EVEN))


def funding_rate(rate: str) -> int:
    """Return a funding rate in 1e-8, as a FUNDING row has it. Raises InputError for what is no number."""
    return int((decimal(rate, "funding rate") * 10**8).to_integral_value(ROUND_HALF_EVEN))


class RowBuilder:
    """Collects runs of rows that share everything but price and size, and makes EVENT arrays of them.

    `watch` is told the number of rows now and then, and may refuse more.
    """

    def __init__(self, watch: Callable[[int], None] | None = None) -> None:
        self.count = 0
        self._watch = watch
        self._parts: list[Rows] = []
        self._segments: list[tuple[int, int, int, int, int, int, int, int]] = []
        self._price_ticks: list[int] = []
        self._qty_lots: list[int] = []

    def add(
        self,
        kind: int,
        side: int,
        flags: int,
        stamps: tuple[int, int, int],
        instrument: int,
        price_ticks: Sequence[int] = (0,),
        qty_lots: Sequence[int] = (0,),
    ) -> None:
        """Add one run. `stamps` is (ts_exch_ns, ts_recv_ns, seq); a LAST in `flags` goes to its last row only."""
        n = len(price_ticks)
        self._segments.append((*stamps, kind, side, flags, instrument, n))
        self._price_ticks += price_ticks
        self._qty_lots += qty_lots
        self.count += n
        if len(self._segments) >= _SEGMENTS_MAX:
            self._flush()

    def rows(self) -> Rows:
        """Return everything added so far as one C-contiguous EVENT array."""
        self._flush()
        self._parts = [np.concatenate(self._parts)] if self._parts else [np.zeros(0, EVENT)]
        return self._parts[0]

    def take(self) -> Rows:
        """Return what `rows` returns, and begin again with nothing."""
        rows = self.rows()
        self._parts, self.count = [], 0
        return rows

    def _flush(self) -> None:
        if not self._segments:
            return
        table = np.array(self._segments, np.int64)
        lengths = table[:, 7]
        rows = np.zeros(len(self._price_ticks), EVENT)
        rows["price_ticks"] = self._price_ticks
        rows["qty_lots"] = self._qty_lots
        for column, name in enumerate(("ts_exch_ns", "ts_recv_ns", "seq", "kind", "side")):
            rows[name] = np.repeat(table[:, column], lengths)
        rows["flags"] = np.repeat(table[:, 5] & ~LAST, lengths)
        rows["flags"][np.cumsum(lengths) - 1] |= (table[:, 5] & LAST).astype(np.uint16)
        rows["instrument"] = np.repeat(table[:, 6], lengths)
        self._parts.append(rows)
        self._segments, self._price_ticks, self._qty_lots = [], [], []
        if self._watch is not None:
            self._watch(self.count)


def same_kind_of_error(error: InputError, where: str) -> InputError:
    """Return `error` again with the place where it happened in front."""
    return type(error)(f"{where}: {error}")
