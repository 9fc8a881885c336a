"""Implementation shortfall (Perold 1988): what it cost to turn a decision into a position, in four parts that add up exactly.

A parent is one decision: a target that a strategy set, or one order of ours. At its decision, time t0 with the exchange's mid at
m0, it wants X lots (bought > 0). It ends at t1 with mid m1: at the next target, the order's end, or the end of the run. Between, the
exchange first acted on it at mid ma, and filled s_i lots at p_i. With V(x) the worth of one lot at price x:

    paper portfolio  X (V(m1) - V(m0))              real portfolio  Σ s_i (V(m1) - V(p_i)) - fees
    commission       fees                           execution       Σ s_i (V(p_i) - V(ma))
    delay            Σ s_i (V(ma) - V(m0))          missed          (X - Σ s_i) (V(m1) - V(m0))

Shortfall = paper - real = commission + execution + delay + missed, positive for a loss. Sums are integers of the unit of
`analytics.facts.pnl` (1e-8 of half a money unit); where the four do not give paper - real, AccountingError.

The targets of a run in a row are one portfolio on paper that holds each target at the mid of its moment, and trades without cost: the
sum of their shortfalls is that portfolio's P&L less the account's. Funding is no part of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hftlab.analytics.exact import product, total, value2
from hftlab.analytics.facts.collector import Facts
from hftlab.analytics.facts.journeys import NONE_NS, journeys
from hftlab.analytics.facts.pnl import HALF, WHOLE
from hftlab.analytics.facts.prices import mids2_at
from hftlab.errors import AccountingError, InputError
from hftlab.instrument import Instrument
from hftlab.types import ACCEPTED, AMENDED, FILL, NO_PRICE

if TYPE_CHECKING:
    import pandas as pd

SHORTFALL = ("commission", "execution", "delay", "missed")
_FEE_REST = 200  # millionths of a fee in the unit of these sums


@dataclass(frozen=True, slots=True)
class Parent:
    """One decision and what became of it. Lots bought > 0; mids in half ticks; money in 1e-8 of half a money unit, a cost > 0."""

    instrument: int
    order_id: int  # 0: a target
    decided_ns: int
    arrived_ns: int  # exchange's clock; NONE_NS: the exchange never acted on it
    end_ns: int
    wanted_lots: int
    filled_lots: int
    decided_mid2: int
    arrived_mid2: int
    end_mid2: int
    commission: int
    execution: int
    delay: int
    missed: int

    @property
    def shortfall(self) -> int:
        """Return the sum of the four parts: paper portfolio less real portfolio."""
        return self.commission + self.execution + self.delay + self.missed


def of_targets(facts: Facts, instruments: Sequence[Instrument]) -> list[Parent]:
    """Return one Parent a target by time; a target that repeats the one before goes on with it, a withdrawn one wants nothing more.

    A fill belongs to the target in force at its match, also where the order of an earlier one was still on its way.
    """
    found: list[Parent] = []
    for i, instrument in enumerate(instruments):
        mine = facts.targets[facts.targets["instrument"] == i]
        if not len(mine):
            continue
        wishes = np.where(mine["side"] == 0, NO_PRICE, mine["qty_lots"])
        new = np.append(True, wishes[1:] != wishes[:-1])
        starts, wishes = mine["ts_recv_ns"][new], wishes[new]
        ends = np.append(starts[1:], max(facts.end_ns, int(starts[-1])))
        fills = _fills(facts, i)
        signed = fills["side"].astype(np.int64) * fills["qty_lots"]
        held = np.append(0, np.cumsum(signed))
        acted = _acts(facts, i)
        for n, (start, end, wish) in enumerate(zip(starts.tolist(), ends.tolist(), wishes.tolist(), strict=True)):
            low = int(np.searchsorted(fills["ts_ns"], start, side="right"))
            high = len(fills) if n + 1 == len(starts) else int(np.searchsorted(fills["ts_ns"], end, side="right"))
            wanted = 0 if wish == NO_PRICE else wish - int(held[low])
            at = int(np.searchsorted(acted, start, side="right"))
            arrived = int(acted[at]) if at < len(acted) and acted[at] <= end else NONE_NS
            found.append(_parent(facts, instrument, i, 0, (start, arrived, end), wanted, fills[low:high]))
    return found


def of_orders(facts: Facts, instruments: Sequence[Instrument]) -> list[Parent]:
    """Return one Parent an order, in order of its id: from the decision to submit it until it rested no more.

    What it wants is what it asked for in the end: an amend changes the size, and stays one decision.
    """
    found: list[Parent] = []
    for i, instrument in enumerate(instruments):
        orders = journeys(facts.own[facts.own["instrument"] == i])
        fills = facts.fills[facts.fills["instrument"] == i]
        fills = fills[np.argsort(fills["order_id"], kind="stable")]
        low = np.searchsorted(fills["order_id"], orders["order_id"], side="left")
        high = np.searchsorted(fills["order_id"], orders["order_id"], side="right")
        for n, one in enumerate(orders):
            decided = int(one["decided_ns"])
            if decided == NONE_NS:
                continue  # of an order from before the first row there is no decision to measure from
            arrived = int(one["accepted_ns"]) if one["accepted_ns"] != NONE_NS else int(one["first_fill_ns"])
            end = int(one["done_ns"]) if one["done_ns"] != NONE_NS else facts.end_ns
            wanted = int(one["side"]) * int(one["last_qty_lots"])
            times = (decided, arrived, max(end, decided))
            found.append(_parent(facts, instrument, i, int(one["order_id"]), times, wanted, fills[low[n] : high[n]]))
    return found


def _fills(facts: Facts, i: int) -> np.ndarray:
    mine = facts.fills[facts.fills["instrument"] == i]
    return mine[np.argsort(mine["ts_ns"], kind="stable")]


def _acts(facts: Facts, i: int) -> np.ndarray:
    """Return the times at which the exchange accepted, amended or filled an order of ours."""
    mine = (facts.own["instrument"] == i) & np.isin(facts.own["kind"], (ACCEPTED, AMENDED, FILL))
    return np.sort(facts.own["ts_exch_ns"][mine])


def _parent(
    facts: Facts, instrument: Instrument, i: int, order_id: int, times: tuple[int, int, int], wanted: int, fills: np.ndarray
) -> Parent:
    decided, arrived, end = times
    mids = mids2_at(facts.prices[i], np.array([decided, arrived if arrived != NONE_NS else decided, end]))
    mids[mids == NO_PRICE] = facts.paths[i].first_mid2
    if mids[2] != NO_PRICE and end >= facts.end_ns:
        mids[2] = facts.paths[i].last_mid2  # the mark of the account
    if mids[0] == NO_PRICE:
        raise AccountingError(f"{instrument.name}: the run saw no price, so that nothing can be measured from one.")
    v0, va, v1 = (int(value2(instrument, int(mid2))) for mid2 in mids)
    signed = fills["side"].astype(np.int64) * fills["qty_lots"]
    paid = 2 * instrument.value_of(fills["price_ticks"])
    filled = total(signed)
    fees = WHOLE * total(fills["fee_ticklots"]) + _FEE_REST * total(fills["fee_uticklots"])
    execution, delay = HALF * total(product(signed, paid - va)), HALF * filled * (va - v0)
    missed = HALF * (wanted - filled) * (v1 - v0)
    paper, real = HALF * wanted * (v1 - v0), HALF * total(product(signed, v1 - paid)) - fees
    if fees + execution + delay + missed != paper - real:
        raise AccountingError(
            f"{instrument.name}: the parts of a shortfall give {fees + execution + delay + missed:,}, paper less real portfolio {paper - real:,}."
        )
    return Parent(
        i, order_id, decided, arrived, end, wanted, filled, int(mids[0]), int(mids[1]), int(mids[2]), fees, execution, delay, missed
    )


def parents(facts: Facts, instruments: Sequence[Instrument], of: str) -> list[Parent]:
    """Return the parents of `of`: "targets" or "orders". Raises InputError for another, AccountingError."""
    if of not in {"targets", "orders"}:
        raise InputError(f"of was {of!r}; wanted 'targets' (what a strategy or a person wished for) or 'orders'.")
    return of_targets(facts, instruments) if of == "targets" else of_orders(facts, instruments)


def frame(found: Sequence[Parent], instruments: Sequence[Instrument]) -> "pd.DataFrame":
    """Return parents as a table in human units: times (UTC), wanted and filled quantity, mids, and the parts as money (a cost > 0).

    `shortfall_bps`: of the notional wanted at the mid of the decision; NaN where nothing was wanted.
    """
    import pandas as pd

    rows = []
    for one in found:
        instrument = instruments[one.instrument]
        unit, tick, lot = instrument.ticklot_quote, float(instrument.tick_size), float(instrument.lot_size)
        notional = abs(one.wanted_lots * int(value2(instrument, one.decided_mid2))) / 2 * unit
        money = {f"{name}_quote": getattr(one, name) / WHOLE * unit for name in (*SHORTFALL, "shortfall")}
        rows.append(
            {
                "decided": pd.Timestamp(one.decided_ns, tz="UTC"),
                "instrument": instrument.symbol,
                "order_id": one.order_id,
                "wanted": one.wanted_lots * lot,
                "filled": one.filled_lots * lot,
                "arrived_ms": np.nan if one.arrived_ns == NONE_NS else (one.arrived_ns - one.decided_ns) / 1e6,
                "lasted_s": (one.end_ns - one.decided_ns) / 1e9,
                "decided_mid": one.decided_mid2 / 2 * tick,
                "arrived_mid": one.arrived_mid2 / 2 * tick,
                "end_mid": one.end_mid2 / 2 * tick,
                **money,
                "shortfall_bps": money["shortfall_quote"] / notional * 1e4 if notional else np.nan,
            }
        )
    money_names = tuple(f"{name}_quote" for name in (*SHORTFALL, "shortfall"))
    columns = ("decided", "instrument", "order_id", "wanted", "filled", "arrived_ms", "lasted_s", "decided_mid", "arrived_mid", "end_mid")
    return pd.DataFrame(rows, columns=[*columns, *money_names, "shortfall_bps"])


def totals(found: Sequence[Parent], instruments: Sequence[Instrument]) -> dict[str, float]:
    """Return the four parts and their sum over all parents as money (a cost > 0), and how many parents there were."""
    sums = {
        f"{name}_quote": sum(getattr(one, name) * instruments[one.instrument].ticklot_quote for one in found) / WHOLE for name in SHORTFALL
    }
    return {"parents": float(len(found)), **sums, "shortfall_quote": sum(sums.values())}
