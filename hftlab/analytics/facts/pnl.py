"""Where the P&L came from, in integers: half-spread, adverse selection, inventory carry, fees and funding, to the last unit.

With V(x) the worth of one lot at price x (`Instrument.value_of`), a fill of s lots (bought > 0) at price p, matched at mid m,
with the mid at m' a horizon later and at M in the end:

    half-spread  s (V(m) - V(p))     adverse selection  s (V(m') - V(m))     carry  s (V(M) - V(m'))

Account P&L = cash + position V(M) - fees - funding. The carry of all fills is found a second time, from the path:
Σ position x ΔV over every move of the mid, where a fill counts as position from the horizon on. What the exchange's book says
(TOUCH, FILL and FEE rows) is held against the ledger; where the two differ, AccountingError.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hftlab.analytics.exact import product, total, value2
from hftlab.analytics.facts.collector import Facts
from hftlab.analytics.facts.path import HORIZONS_NS, HORIZONS_S, HOUR_NS, Path
from hftlab.errors import AccountingError, InputError
from hftlab.instrument import Instrument
from hftlab.types import NO_PRICE, PAYMENT

PARTS = ("half_spread", "adverse_selection", "inventory_carry", "fees", "funding")

# The unit of every sum here: 1e-8 of half a money unit, in which half ticks, millionths of fees and funding are all whole.
HALF = 100_000_000
WHOLE = 2 * HALF
_FEE_REST = 200
_FUNDING_REST = 2


@dataclass(frozen=True)
class Ledger:
    """What the kernels booked for one market: the record that the parts must add up to."""

    position_lots: int
    cash_ticklots: int
    fees_ticklots: int
    fees_uticklots: int
    funding_ticklots: int
    funding_e8ticklots: int

    @classmethod
    def of(cls, market: Any) -> "Ledger":
        """Return the ledger of one MARKET record."""
        return cls(**{name: int(market[name]) for name in cls.__dataclass_fields__})

    @property
    def fees(self) -> int:
        """Return the fees in the unit of this module."""
        return WHOLE * self.fees_ticklots + _FEE_REST * self.fees_uticklots

    @property
    def funding(self) -> int:
        """Return the funding paid in the unit of this module."""
        return WHOLE * self.funding_ticklots + _FUNDING_REST * self.funding_e8ticklots


@dataclass
class Parts:
    """Integer parts of a P&L, in 1e-8 of half a money unit. Fees and funding are what was paid."""

    half_spread: int = 0
    adverse_selection: int = 0
    inventory_carry: int = 0
    fees: int = 0
    funding: int = 0
    account: int = 0
    fills: int = 0

    @property
    def residual(self) -> int:
        """Return what the parts leave unexplained: 0."""
        return self.account - (self.half_spread + self.adverse_selection + self.inventory_carry - self.fees - self.funding)

    def quote(self, unit_quote: float) -> dict[str, float]:
        """Return the parts as money, fees and funding as what they did to the P&L; `unit_quote` is Instrument.ticklot_quote."""
        signed = {name: getattr(self, name) * (-1 if name in {"fees", "funding"} else 1) for name in PARTS}
        return {name: value * unit_quote / WHOLE for name, value in (signed | {"account": self.account}).items()}


@dataclass(frozen=True)
class FillParts:
    """Parts a fill, in halves of a money unit (fees: whole units and millionths), one element for each of `facts`."""

    facts: np.ndarray
    half_spread2: np.ndarray
    adverse2: np.ndarray
    carry2: np.ndarray
    account2: np.ndarray  # before its fee: s (V(M) - V(p)), found without the mids on the way

    def parts(self, chosen: np.ndarray) -> Parts:
        """Return the sums over the fills of a mask."""
        fees = WHOLE * total(self.facts["fee_ticklots"][chosen]) + _FEE_REST * total(self.facts["fee_uticklots"][chosen])
        return Parts(
            half_spread=HALF * total(self.half_spread2[chosen]),
            adverse_selection=HALF * total(self.adverse2[chosen]),
            inventory_carry=HALF * total(self.carry2[chosen]),
            fees=fees,
            account=HALF * total(self.account2[chosen]) - fees,
            fills=int(np.count_nonzero(chosen)),
        )


@dataclass(frozen=True)
class Identity:
    """The P&L of one market, split and closed. `hours` is by UTC hour (ns // HOUR_NS) of the exchange's clock."""

    instrument: Instrument
    horizon_s: float
    total: Parts
    sides: dict[int, Parts]
    hours: dict[int, Parts]
    fills: FillParts = field(repr=False)
    mark_mid2: int


def horizon_index(horizon_s: float) -> int:
    """Return the number of a horizon of HORIZONS_S. Raises InputError for another."""
    if horizon_s not in HORIZONS_S:
        raise InputError(f"horizon_s was {horizon_s}; wanted one of {', '.join(f'{h:g}' for h in HORIZONS_S)}.")
    return HORIZONS_S.index(horizon_s)


def identity(facts: Facts, instruments: Sequence[Instrument], ledgers: Sequence[Ledger], horizon_s: float = 5.0) -> tuple[Identity, ...]:
    """Return the closed P&L identity of each market. Raises AccountingError where anything does not add up, InputError."""
    k = horizon_index(horizon_s)
    return tuple(_close(facts, i, instrument, ledger, k) for i, (instrument, ledger) in enumerate(zip(instruments, ledgers, strict=True)))


def _close(facts: Facts, i: int, instrument: Instrument, ledger: Ledger, k: int) -> Identity:
    path, mine = facts.paths[i], facts.fills[facts.fills["instrument"] == i]
    payments = facts.own[(facts.own["kind"] == PAYMENT) & (facts.own["instrument"] == i)]
    split = split_fills(instrument, mine, path.last_mid2, k)
    _hold_against_ledger(instrument, mine, payments, ledger)
    whole = split.parts(np.ones(len(mine), bool))
    whole.inventory_carry = HALF * sum(path.carry2[k].values())  # the path's own account, not the fills'
    whole.funding = ledger.funding
    worth2 = 0 if path.last_mid2 == NO_PRICE else ledger.position_lots * int(value2(instrument, path.last_mid2))
    whole.account = WHOLE * ledger.cash_ticklots + HALF * worth2 - ledger.fees - ledger.funding
    sides = {side: split.parts(mine["side"] == side) for side in (1, -1)}
    hours = by_hour(instrument, path, split, payments, k)
    _demand_zero(
        instrument, split, {"the total": whole} | {f"side {s:+d}": p for s, p in sides.items()} | {_hour(h): p for h, p in hours.items()}
    )
    _demand_equal(instrument, "the hours and the total", sum(p.account for p in hours.values()), whole.account)
    return Identity(instrument, HORIZONS_S[k], whole, sides, hours, split, path.last_mid2)


def split_fills(instrument: Instrument, fills: np.ndarray, mark_mid2: int, k: int) -> FillParts:
    """Return the parts of each fill (FILL_FACT of one market), marked to `mark_mid2`, adverse selection over HORIZONS_S[k]."""
    signed = fills["side"].astype(np.int64) * fills["qty_lots"]
    paid = 2 * instrument.value_of(fills["price_ticks"])
    mid, later = value2(instrument, fills["mid2"]), value2(instrument, fills["later_mid2"][:, k])
    last = int(value2(instrument, mark_mid2)) if len(fills) else 0
    return FillParts(
        fills, product(signed, mid - paid), product(signed, later - mid), product(signed, last - later), product(signed, last - paid)
    )


def by_hour(instrument: Instrument, path: Path, split: FillParts, payments: np.ndarray, k: int) -> dict[int, Parts]:
    """Return the parts by UTC hour; `account` is the change of cash + position V(mid) - fees - funding from its start to its end."""
    fills, horizon_ns = split.facts, HORIZONS_NS[k]
    hour, later_hour = fills["ts_ns"] // HOUR_NS, (fills["ts_ns"] + horizon_ns) // HOUR_NS
    paid_hour = payments["ts_exch_ns"] // HOUR_NS
    present = {*map(int, hour), *path.hour_mid2, *path.carry2[k], *map(int, paid_hour)}
    hours, position, mid2 = {}, 0, path.first_mid2
    signed = fills["side"].astype(np.int64) * fills["qty_lots"]
    for one in sorted(present):
        opening2 = int(value2(instrument, mid2)) if mid2 != NO_PRICE else 0
        mid2 = path.hour_mid2.get(one, mid2)
        closing2 = int(value2(instrument, mid2)) if mid2 != NO_PRICE else 0
        here = hour == one
        parts = split.parts(here)
        # The adverse selection of a fill whose horizon ends in the next hour is cut at the mark between the two.
        crossing = here & (later_hour > one)
        late = (hour < one) & (later_hour == one)
        later = value2(instrument, fills["later_mid2"][:, k])
        parts.adverse_selection -= HALF * total(product(signed[crossing], later[crossing] - closing2))
        parts.adverse_selection += HALF * total(product(signed[late], later[late] - opening2))
        parts.inventory_carry = HALF * path.carry2[k].get(one, 0)
        booked = payments[paid_hour == one]
        parts.funding = WHOLE * total(booked["qty_lots"]) + _FUNDING_REST * total(booked["leaves_lots"])
        traded = total(product(signed[here], closing2 - 2 * instrument.value_of(fills["price_ticks"][here])))
        parts.account = HALF * (position * (closing2 - opening2) + traded) - parts.fees - parts.funding
        position += total(signed[here])
        hours[one] = parts
    return hours


def _hold_against_ledger(instrument: Instrument, fills: np.ndarray, payments: np.ndarray, ledger: Ledger) -> None:
    signed = fills["side"].astype(np.int64) * fills["qty_lots"]
    cash = -total(product(signed, instrument.value_of(fills["price_ticks"])))
    fees = WHOLE * total(fills["fee_ticklots"]) + _FEE_REST * total(fills["fee_uticklots"])
    funding = WHOLE * total(payments["qty_lots"]) + _FUNDING_REST * total(payments["leaves_lots"])
    _demand_equal(instrument, "the lots of the fills and the ledger's position", total(signed), ledger.position_lots)
    _demand_equal(instrument, "the money of the fills and the ledger's cash", cash, ledger.cash_ticklots)
    _demand_equal(instrument, "the fees of the fills and the ledger's fees", fees, ledger.fees)
    _demand_equal(instrument, "the payments and the ledger's funding", funding, ledger.funding)
    behind = np.cumsum(signed) != fills["position_lots"]
    if behind.any():
        at = int(np.argmax(behind))
        raise AccountingError(
            f"{instrument.name}: after fill {at:,} the position is {int(np.cumsum(signed)[at]):,} lots by the fills, "
            f"{int(fills['position_lots'][at]):,} by the ledger."
        )


def _demand_zero(instrument: Instrument, split: FillParts, parts: dict[str, Parts]) -> None:
    wrong = np.flatnonzero(split.half_spread2 + split.adverse2 + split.carry2 != split.account2)
    if len(wrong):
        raise AccountingError(f"{instrument.name}: the parts of fill {int(wrong[0]):,} leave a residual; {len(wrong):,} fills do.")
    for name, one in parts.items():
        _demand_equal(instrument, f"the parts and the P&L of {name}", one.account - one.residual, one.account)


def _demand_equal(instrument: Instrument, what: str, found: int, wanted: int) -> None:
    if found != wanted:
        raise AccountingError(
            f"{instrument.name}: {what} differ by {found - wanted:,} ({found:,} against {wanted:,}). A report that does not add up is not shown."
        )


def _hour(hour: int) -> str:
    return f"{np.datetime64(hour * HOUR_NS, 'ns').astype('datetime64[h]')} h UTC"
