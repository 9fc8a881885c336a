"""The accounts of a run as its state has them: one of each market, one of the desk."""

from typing import Any

from hftlab.analytics.facts.figures import ratio
from hftlab.analytics.facts.pnl import WHOLE, Identity
from hftlab.data.state import State
from hftlab.types import DESK_STATE_NAMES, QUOTER_AS, QUOTER_FIXED, QUOTER_NONE, QUOTER_USER, VERDICT_NAMES

QUOTER_NAMES = {QUOTER_NONE: "WorkTarget", QUOTER_FIXED: "FixedSpread", QUOTER_AS: "AvellanedaStoikov", QUOTER_USER: "UserQuoter"}


def first_ns(state: State) -> int:
    """Return when the run began, on the desk's clock."""
    return int(state.desk["start_ns"][0])


def account(state: State, i: int, closed: Identity) -> dict[str, Any]:
    """Return the account of one market in human units: `pnl_quote` is marked to the exchange's last mid, after fees and funding."""
    market, instrument = state.markets[i], state.instruments[i]
    unit = instrument.ticklot_quote
    money = closed.total.quote(unit)
    lasted_ns = max(int(state.desk["now_ns"][0]) - first_ns(state), 1)
    paid = -(money["fees"] + money["funding"])
    # What the position would make if closed at the mark: its worth there less what it cost.
    open_half = (closed.total.account + closed.total.fees + closed.total.funding) / WHOLE * unit - _realised(market) * unit
    return {
        "instrument": instrument.name,
        "quoter": QUOTER_NAMES[int(market["params"]["kind"])],
        "fills": int(market["fills_count"]),
        "bought_base": float(instrument.qty(int(market["bought_lots"]))),
        "sold_base": float(instrument.qty(int(market["sold_lots"]))),
        "position_base": float(instrument.qty(int(market["position_lots"]))),
        "cash_quote": float(market["cash_ticklots"]) * unit,
        **{f"{name}_quote": value for name, value in money.items() if name not in {"fees", "funding", "account"}},
        "fees_quote": -money["fees"],
        "funding_quote": -money["funding"],
        "gross_quote": money["account"] + paid,
        "pnl_quote": money["account"],
        "open_quote": open_half,
        "desk_pnl_quote": float(market["pnl_quote"]),
        "quoting_share": float(market["quoted_ns"]) / lasted_ns,
    }


def _realised(market: Any) -> float:
    """Return cash plus the cost of what is still held, in units of money: what the closed round trips made."""
    return float(market["cash_ticklots"] + market["entry_ticklots"])


def desk(state: State) -> dict[str, Any]:
    """Return the desk's own counters, its mark of the P&L, and its refusals by reason."""
    one = state.desk[0]
    return {
        "pnl_quote": float(one["pnl_quote"]),
        **{name: int(one[name]) for name in ("submits", "amends", "cancels", "rejects", "unexpected")},
        "span_s": (int(one["now_ns"]) - first_ns(state)) / 1e9,
        "state": DESK_STATE_NAMES[int(one["state"])],
        "halted_by": VERDICT_NAMES[int(one["halt_verdict"])],
        "refusals": {name: int(n) for name, n in zip(VERDICT_NAMES, one["verdicts"], strict=False) if n and name != "ok"},
    }


def warnings(accounts: tuple[dict[str, Any], ...], desk_figures: dict[str, Any], fills: Any) -> list[str]:
    """Return in sentences what a reader should know before believing the result."""
    said = []
    bad = desk_figures["refusals"].get("bad quote", 0)
    if bad:
        said.append(f"{bad:,} quotes were unusable (crossed, not a number, or of no size) and were refused: look at the quoter.")
    if desk_figures["state"] not in {"ACTIVE", "STOPPED"}:
        said.append(f"The desk ended {desk_figures['state']} ({desk_figures['halted_by']}): the run does not speak for the whole tape.")
    for one in accounts:
        share = ratio(one["open_quote"], one["pnl_quote"])
        if one["position_base"] and abs(share) > 0.1:
            said.append(
                f"{one['instrument']}: {share:.0%} of the P&L is the open position of {one['position_base']:g}, marked to the last mid."
            )
        if one["fills"] and one["fills"] < 100:
            said.append(f"{one['instrument']}: {one['fills']} fills are few; the intervals say how little they tell.")
    if desk_figures["rejects"] > 0.1 * max(desk_figures["submits"] + desk_figures["amends"], 1):
        said.append(
            f"The exchange refused {desk_figures['rejects']:,} requests: prices that were passive when decided had moved when they arrived."
        )
    if desk_figures["unexpected"]:
        said.append(f"{desk_figures['unexpected']:,} reports fitted no order of ours.")
    if len(fills) and not fills["touched"].all():
        said.append(
            f"{int((fills['touched'] == 0).sum()):,} fills have no exchange book beside them; there the desk's own fair price stands for the mid."
        )
    return said
