"""Instruments, and the only place where price <-> ticks, quantity <-> lots and money <-> ticklots are converted.

Everything inside hftlab is an integer. A float such as 0.1 is not on a grid of 0.1 in binary, so conversions go through
`Decimal` on the shortest decimal text of the number: `Decimal(repr(0.1))` is exactly 0.1.
"""

import json
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, InvalidOperation
from functools import cache
from importlib import resources
from typing import Any

from hftlab.errors import (
    InputError,
    OffGridPrice,
    OffGridQuantity,
    UnknownInstrument,
    did_you_mean,
)
from hftlab.types import (
    AMEND_CROSS_CANCELS,
    AMEND_KEEPS_SMALLER,
    AMEND_NEVER,
    AMEND_ONLY_SMALLER,
    AMEND_REQUEUES,
    AMEND_SAME_PRICE,
    ASK,
    BID,
)

Number = str | int | float | Decimal

AMEND_RULES = {
    "never": AMEND_NEVER,
    "requeues": AMEND_REQUEUES,
    "keeps_smaller": AMEND_KEEPS_SMALLER,
    "smaller_only": AMEND_KEEPS_SMALLER | AMEND_SAME_PRICE | AMEND_ONLY_SMALLER,
    "requeues_or_cancels": AMEND_REQUEUES | AMEND_CROSS_CANCELS,
}

# Money of an inverse contract is counted in a power of ten of the base currency, the least for which one lot at the price of one
# tick is below 10**16 of it: sums of lots x value then stay far from 2**63, and a value is rounded by less than one in 10**9.
_INVERSE_DIGITS = 16


def decimal(value: Number, what: str) -> Decimal:
    """Return `value` as an exact Decimal; floats by their shortest text. Raises InputError for NaN and non-numbers."""
    try:
        result = value if isinstance(value, Decimal) else Decimal(repr(float(value)) if isinstance(value, float) else str(value))
    except InvalidOperation as error:
        raise InputError(f"{what} was {value!r}; wanted a number, best as text such as '0.01'.") from error
    if not result.is_finite():
        raise InputError(f"{what} was {value!r}; wanted a finite number.")
    return result


@dataclass(frozen=True, slots=True)
class Instrument:
    """What is traded, where, and on which grid.

    `tick_size` and `lot_size` are in quote currency per base unit and in base units; `multiplier` is the base quantity of
    one unit of quantity (1 for spot and linear futures). `amend` says what the venue does with an amended order's place:
    "never" (no amend: cancel and replace), "requeues" (always to the back), "keeps_smaller" (kept when only the size falls),
    "smaller_only" (nothing but a smaller size may be asked for, and it keeps the place: Binance spot), "requeues_or_cancels" (to the
    back, and cancelled when amended into the other side: Binance USD-M). Money is settled in `settle`: the base currency of an
    `inverse` contract, which is worth `multiplier` of the quote currency whatever the price, else the quote currency.
    """

    venue: str
    symbol: str
    base: str
    quote: str
    tick_size: Decimal
    lot_size: Decimal
    notional_quote_min: Decimal = Decimal(0)
    multiplier: Decimal = Decimal(1)
    amend: str = "never"
    inverse: bool = False

    def __post_init__(self) -> None:
        for name in ("tick_size", "lot_size", "notional_quote_min", "multiplier"):
            object.__setattr__(self, name, decimal(getattr(self, name), name))
            if getattr(self, name) <= 0 and name != "notional_quote_min":
                raise InputError(f"{name} of {self.symbol} was {getattr(self, name)}; wanted more than zero.")
        if self.amend not in AMEND_RULES:
            raise InputError(f"amend rule was {self.amend!r}.{did_you_mean(self.amend, AMEND_RULES)}")

    @classmethod
    def bundled(cls, name: str) -> "Instrument":
        """Return an instrument of the shipped catalogue, as "venue:SYMBOL". Raises UnknownInstrument."""
        catalogue = _catalogue()
        if name not in catalogue:
            raise UnknownInstrument(
                f"no bundled instrument {name!r}.{did_you_mean(name, catalogue)} "
                "For another one, call hl.Instrument(venue=…, symbol=…, base=…, quote=…, tick_size=…, lot_size=…)."
            )
        return cls(**catalogue[name])

    @property
    def name(self) -> str:
        """Return "venue:SYMBOL"."""
        return f"{self.venue}:{self.symbol}"

    @property
    def qty_unit(self) -> str:
        """Return what quantities count: the base currency, or contracts where one of them is worth something else."""
        return "contracts" if self.inverse or self.multiplier != 1 else self.base

    @property
    def settle(self) -> str:
        """Return the currency in which profit and loss are booked."""
        return self.base if self.inverse else self.quote

    @property
    def money_unit(self) -> Decimal:
        """Return the worth of one unit of money ("ticklot") in the settlement currency, exactly."""
        if not self.inverse:
            return self.tick_size * self.lot_size * self.multiplier
        at_one_tick = self.lot_size * self.multiplier / self.tick_size
        return Decimal(1).scaleb(at_one_tick.adjusted() + 1 - _INVERSE_DIGITS)

    @property
    def ticklot_quote(self) -> float:
        """Return the worth of one unit of money in the settlement currency."""
        return float(self.money_unit)

    @property
    def inverse_scale(self) -> int:
        """Return what an inverse contract's lot is worth at a price of one tick, in units of money; 0 for other instruments."""
        return int(self.lot_size * self.multiplier / self.tick_size / self.money_unit) if self.inverse else 0

    def value_of(self, price_ticks: Any) -> Any:
        """Return what one lot is worth at a price, in units of money: an int, or an int64 array for an array.

        Linear: the price in ticks. Inverse: minus the scaled reciprocal, rounded once, so that lots x value adds up exactly.
        """
        scale = self.inverse_scale
        if not scale:
            return price_ticks
        return -((2 * scale + price_ticks) // (2 * price_ticks))

    def worth_of(self, price_ticks: Any) -> Any:
        """Return what one lot is worth at a price that may lie between ticks, in units of money, as floats."""
        return price_ticks if not self.inverse else -float(self.inverse_scale) / price_ticks

    # --- prices ---
    def ticks(self, price: Number, toward: int | None = None) -> int:
        """Return `price` in ticks. Off the grid, BID for `toward` rounds down and ASK up; without it, raises OffGridPrice."""
        exact = decimal(price, "price") / self.tick_size
        low = int(exact.to_integral_value(ROUND_FLOOR))
        if exact == low:
            return low
        if toward is None:
            raise OffGridPrice(
                f"price {price} is not a multiple of tick size {self.tick_size} for {self.symbol}; nearest are "
                f"{low * self.tick_size} and {(low + 1) * self.tick_size}. Pass toward=BID or toward=ASK to round."
            )
        return low if toward == BID else low + 1

    def price(self, ticks: int) -> Decimal:
        """Return the exact price of `ticks`, in quote currency per base unit."""
        return int(ticks) * self.tick_size

    def price_text(self, ticks: int) -> str:
        """Return the price of `ticks` with the decimals of the tick size."""
        return f"{self.price(ticks):.{self.price_decimals}f}"

    @property
    def price_decimals(self) -> int:
        """Return how many decimals a price has."""
        return max(0, -int(self.tick_size.normalize().as_tuple().exponent))

    @property
    def qty_decimals(self) -> int:
        """Return how many decimals a quantity has."""
        return max(0, -int(self.lot_size.normalize().as_tuple().exponent))

    # --- quantities ---
    def lots(self, qty: Number, *, signed: bool = False, toward_zero: bool = False) -> int:
        """Return `qty` in lots. A size must be positive; `signed=True` is for positions. Raises OffGridQuantity."""
        value = decimal(qty, "quantity")
        if value <= 0 and not signed:
            raise OffGridQuantity(f"quantity was {qty} for {self.symbol}; wanted more than zero (the side says the direction).")
        exact = value / self.lot_size
        low = int(exact.to_integral_value(ROUND_FLOOR))
        if exact == low:
            return low
        if toward_zero:
            return low if value > 0 else int(exact.to_integral_value(ROUND_CEILING))
        raise OffGridQuantity(
            f"quantity {qty} is not a multiple of lot size {self.lot_size} for {self.symbol}; "
            f"nearest are {low * self.lot_size} and {(low + 1) * self.lot_size}."
        )

    def qty(self, lots: int) -> Decimal:
        """Return the exact quantity of `lots`, in base units."""
        return int(lots) * self.lot_size

    # --- money ---
    def ticklots(self, money_quote: Number) -> int:
        """Return money of the settlement currency in ticklots, rounded down: limits err on the safe side."""
        return int((decimal(money_quote, "money") / self.money_unit).to_integral_value(ROUND_FLOOR))

    def money_quote(self, ticklots: int) -> Decimal:
        """Return the exact worth of `ticklots` in the settlement currency."""
        return int(ticklots) * self.money_unit

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values from which `Instrument(**…)` makes the same instrument."""
        return {name: str(value) if isinstance(value := getattr(self, name), Decimal) else value for name in self.__dataclass_fields__}


@cache
def _catalogue() -> dict[str, dict[str, Any]]:
    """Read the shipped catalogue: the grids as the venues published them when this release was made."""
    text = resources.files("hftlab").joinpath("data/instruments.json").read_text()
    return {f"{row['venue']}:{row['symbol']}": row for row in json.loads(text)}


def bundled_names() -> list[str]:
    """Return the names that `Instrument.bundled` knows."""
    return list(_catalogue())


__all__ = ["ASK", "BID", "Instrument", "bundled_names", "decimal"]
