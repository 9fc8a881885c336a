"""Whole columns of prices, sizes and stamps onto the integer grids. Floats are good to 16 digits, so the nearest multiple is exact."""

import numpy as np
import numpy.typing as npt

from hftlab.data.capture_lines import ns_per_unit
from hftlab.data.notes import Notes
from hftlab.data.rows import OFF_FRAC_MAX
from hftlab.errors import FormatError, OffGridPrice, OffGridQuantity
from hftlab.instrument import Instrument

_TOLERANCE = 1e-4
"""How far from the grid a float may be, in ticks: a double of 16 digits is good to a millionth of a tick at 10**10 ticks."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class Columns:
    """Converts columns of one instrument and one file. `where` numbers the rows for messages ("row 7", "line 7")."""

    def __init__(self, instrument: Instrument, name: str, *, place: str = "line") -> None:
        self.instrument = instrument
        self.name = name
        self._place = place
        self._odd = 0

    def ticks(self, prices: Floats, where: Ints) -> Ints:
        """Return prices in ticks. Raises FormatError for NaN, OffGridPrice."""
        whole, off = self._near_grid(prices, float(self.instrument.tick_size), where, "price")
        if off.any():
            first = int(np.flatnonzero(off)[0])
            raise OffGridPrice(
                f"{self.name}: price {prices[first]!s} in {self._place} {where[first]:,} is not on the grid of {self.instrument.name} "
                f"(tick size {self.instrument.tick_size}). The likely cause is a wrong instrument."
            )
        return whole

    def lots(self, sizes: Floats, where: Ints) -> Ints:
        """Return sizes in lots; few odd ones are rounded, as in `SizeGrid`. Raises FormatError for NaN, OffGridQuantity."""
        negative = np.flatnonzero(sizes < 0)
        if len(negative):
            raise OffGridQuantity(f"{self.name}: a negative quantity in {self._place} {where[negative[0]]:,}.")
        whole, off = self._near_grid(sizes, float(self.instrument.lot_size), where, "quantity")
        if off.any():
            first, count = int(np.flatnonzero(off)[0]), int(np.count_nonzero(off))
            if count > OFF_FRAC_MAX * len(sizes):
                raise OffGridQuantity(
                    f"{self.name}: {count:,} of {len(sizes):,} quantities, the first {sizes[first]!s} in {self._place} {where[first]:,}, lie "
                    f"between two lots of {self.instrument.name} (lot size {self.instrument.lot_size}). The likely cause is a wrong instrument."
                )
            whole[off] = np.maximum(whole[off], 1)
            self._odd += count
        return whole

    def say(self, notes: Notes) -> None:
        """Report the sizes that were rounded."""
        if self._odd:
            notes.say("info", f"{self.name}: {self._odd:,} sizes lie between two lots and were rounded to the nearest.")

    def _near_grid(self, values: Floats, step: float, where: Ints, what: str) -> tuple[Ints, Bools]:
        """Return the nearest multiples of `step`, and which values are not one. Raises FormatError for NaN and infinities."""
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            raise FormatError(f"{self.name}: {what} {values[bad[0]]} in {self._place} {where[bad[0]]:,}; wanted a number.")
        scaled = values / step
        whole = np.rint(scaled)
        return whole.astype(np.int64), np.abs(scaled - whole) > _TOLERANCE


def stamps_ns(stamps: Ints, where: Ints, name: str, column: str, units: tuple[int, ...]) -> Ints:
    """Return epoch stamps in ns. `units` are the allowed ns of one unit. Raises FormatError for a stamp of another size."""
    scale = ns_per_unit(int(stamps[0])) if len(stamps) else units[0]
    low, high = (ns_per_unit(int(stamps.min())), ns_per_unit(int(stamps.max()))) if len(stamps) else (scale, scale)
    if scale not in units or low != scale or high != scale:
        known = {1: "ns", 1_000: "us", 1_000_000: "ms"}
        wrong = np.array([ns_per_unit(int(one)) != (scale if scale in units else units[0]) for one in stamps])
        first = int(np.flatnonzero(wrong)[0])
        wanted = " or ".join(known[unit] for unit in units)
        raise FormatError(f"{name}, line {where[first]:,}: column {column!r} was {stamps[first]}; wanted {wanted} since 1970.")
    return stamps * scale
