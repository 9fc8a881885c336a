"""From a published frame to what the door says of it. Frames are copies: nothing here looks at what runs."""

import math
from collections.abc import Mapping
from typing import Any

from hftlab.data.frame import Frame
from hftlab.engine.door import models as m
from hftlab.engine.metrics import Rates
from hftlab.limits import RULES, human
from hftlab.tunable import TUNABLE, to_human
from hftlab.types import BID

FILLS_SHOWN = 100


def finite(value: Any) -> float | None:
    """Return a float, or None for what JSON cannot say: None, NaN and infinities."""
    return float(value) if value is not None and math.isfinite(value) else None


def settle(frame: Frame) -> str:
    """Return the currency in which the desk's money is counted."""
    return frame.instruments[0].settle


def positions(frame: Frame) -> list[m.Position]:
    """Return what we hold of each instrument, flat ones too."""
    return [_position(frame, i) for i in range(len(frame.instruments))]


def _position(frame: Frame, i: int) -> m.Position:
    market, instrument = frame.markets[i], frame.instruments[i]
    unit, lots, mark = instrument.ticklot_quote, int(market["position_lots"]), float(market["mark_ticks"])
    fees, funding = money(market, "fees", instrument), money(market, "funding", instrument)
    realised = float(market["cash_ticklots"] + market["entry_ticklots"]) * unit
    known = math.isfinite(mark)
    entry = None
    if lots:
        value = float(market["entry_ticklots"]) / lots  # of one lot at the mean entry, in units of money
        entry = (-instrument.inverse_scale / value if instrument.inverse else value) * float(instrument.tick_size)
    return m.Position(
        market=i,
        instrument=instrument.name,
        qty=frame.position(i),
        base=instrument.base,
        entry_price=entry,
        mark_price=mark * float(instrument.tick_size) if known else None,
        notional_quote=abs(lots * instrument.worth_of(mark)) * unit if known else None,
        unrealised_quote=float(market["pnl_quote"]) + fees + funding - realised if known or not lots else None,
        realised_quote=realised,
        pnl_quote=float(market["pnl_quote"]),
        fees_quote=fees,
        funding_quote=funding,
        bought_qty=float(instrument.qty(int(market["bought_lots"]))),
        sold_qty=float(instrument.qty(int(market["sold_lots"]))),
        settle=instrument.settle,
    )


def money(market: Any, what: str, instrument: Any) -> float:
    """Return fees or funding paid so far, in the settlement currency, with the part below one ticklot."""
    rest = market["fees_uticklots"] * 1e-6 if what == "fees" else market["funding_e8ticklots"] * 1e-8
    return float(market[f"{what}_ticklots"] + rest) * instrument.ticklot_quote


def orders(frame: Frame) -> list[m.Order]:
    """Return our orders, working or in flight."""
    return [
        m.Order(
            market=i,
            instrument=instrument.name,
            order_id=one.order_id,
            side="buy" if one.side == BID else "sell",
            price=one.price,
            qty=one.qty,
            leaves_qty=one.leaves,
            ahead_qty=one.ahead_qty,
            status=one.status,
            level=one.level,
        )
        for i, instrument in enumerate(frame.instruments)
        for one in frame.orders(i)
    ]


def fills(frame: Frame, most: int = FILLS_SHOWN) -> list[m.Fill]:
    """Return our last fills over all markets, newest first."""
    found = [
        _fill(i, instrument, row) for i, instrument in enumerate(frame.instruments) for row in (frame.fills(i)[-most:] if most else ())
    ]
    return sorted(found, key=lambda one: one.ts_ns, reverse=True)[:most]


def _fill(i: int, instrument: Any, row: Any) -> m.Fill:
    return m.Fill(
        market=i,
        instrument=instrument.name,
        ts_ns=int(row["ts_ns"]),
        order_id=int(row["order_id"]),
        side="buy" if int(row["side"]) == BID else "sell",
        maker=bool(row["maker"]),
        price=float(instrument.price(int(row["price_ticks"]))),
        qty=float(instrument.qty(int(row["qty_lots"]))),
        fair_price=finite(row["fair_ticks"] * float(instrument.tick_size)),
        fee_quote=float(row["fee_ticklots"] + row["fee_uticklots"] * 1e-6) * instrument.ticklot_quote,
        position_qty=float(instrument.qty(int(row["position_lots"]))),
    )


def risk(frame: Frame) -> m.Risk:
    """Return the state of the desk, its gauges and refusals."""
    gauges = [
        m.Meter(
            market=i,
            name=one.name,
            amount=finite(one.amount),
            limit=finite(one.limit),
            unit=one.unit,
            used_share=finite(one.share) or 0.0,
        )
        for i in range(len(frame.instruments))
        for one in frame.gauges(i)
    ]
    return m.Risk(state=frame.state, state_reason=frame.state_reason, gauges=gauges, refusals=frame.refusals())


def strategies(frame: Frame, spec: Mapping[str, Any]) -> list[m.Strategy]:
    """Return what quotes each market. `spec`: the raw values of the run's spec."""
    python = spec.get("strategy")
    return [
        m.Strategy(
            name=name,
            market=i,
            instrument=frame.instruments[i].name,
            quoter=str(spec["quoters"][i]["type"]),
            python=str(python["class"]) if python else None,
            active=frame.active(i),
            state=frame.market_state(i),
            unquoted_because=frame.unquoted_because(i),
            orders=int(frame.markets[i]["working"]),
            fills=int(frame.markets[i]["fills_count"]),
            position_qty=frame.position(i),
            pnl_quote=float(frame.markets[i]["pnl_quote"]),
        )
        for i, name in enumerate(names(spec))
    ]


def names(spec: Mapping[str, Any]) -> list[str]:
    """Return the names of the strategies, one a market: the quoter's, with the market's number where two have the same."""
    plain = [str(one["type"]) for one in spec["quoters"]]
    return [name if plain.count(name) == 1 else f"{name}-{i}" for i, name in enumerate(plain)]


def limits(frame: Frame) -> list[m.MarketLimits]:
    """Return the limits in force, in human units, by the names that `set_limits` takes. Those of the desk stand with the first market."""
    return [
        m.MarketLimits(
            market=i,
            instrument=instrument.name,
            limits={
                name: finite(human(name, frame.markets[i]["limits"], instrument)) for name, rule in RULES.items() if i == 0 or not rule.desk
            },
        )
        for i, instrument in enumerate(frame.instruments)
    ]


def parameters(frame: Frame, spec: Mapping[str, Any], live: Mapping[str, Any], slider: Any) -> list[m.MarketParameters]:
    """Return the live parameters of each market. `live`: their names by quoter; `slider`: what makes a dict of one."""
    found = []
    for i, instrument in enumerate(frame.instruments):
        kind, record = str(spec["quoters"][i]["type"]), frame.markets[i]["params"]
        made = [m.Parameter(**slider(name, to_human(name, record, instrument), instrument)) for name in live[kind] if name in TUNABLE]
        found.append(m.MarketParameters(market=i, instrument=instrument.name, quoter=kind, parameters=made))
    return found


def latency(engine: Mapping[str, Any]) -> m.Latency:
    """Return the delays that the engine knows of itself."""
    tick = engine.get("tick_us") or {}
    return m.Latency(
        tick_to_request_p50_us=finite(tick.get("p50")),
        tick_to_request_p99_us=finite(tick.get("p99")),
        loop_gap_ms=finite(engine.get("loop_gap_ms")),
        loop_gap_ms_max=finite(engine.get("loop_gap_ms_max")),
        feed_lag_ms=finite(engine.get("feed_lag_ms")),
        clock_offset_ms=finite(engine.get("clock_offset_ms")),
    )


def stats(frame: Frame, rates: Rates) -> m.Stats:
    """Return how much there was of everything, and how fast it goes."""
    desk, markets, engine = frame.desk, frame.markets, frame.engine
    submits, count = int(desk["submits"]), int(markets["fills_count"].sum())
    sums = {what: sum(money(one, what, frame.instruments[i]) for i, one in enumerate(markets)) for what in ("fees", "funding")}
    traded = sum(float(one["traded_ticklots"]) * frame.instruments[i].ticklot_quote for i, one in enumerate(markets))
    return m.Stats(
        mode=str(engine.get("mode", "")),
        venue=str(engine.get("venue", "")),
        settle=settle(frame),
        uptime_s=max(0.0, (frame.published_ns - int(engine.get("started_ns", frame.published_ns))) / 1e9),
        messages=int(markets["messages"].sum()),
        messages_per_s=rates.per_s("messages"),
        rows=int(desk["rows"]),
        rows_per_s=rates.per_s("rows"),
        submits=submits,
        amends=int(desk["amends"]),
        cancels=int(desk["cancels"]),
        rejects=int(desk["rejects"]),
        requests_per_s=rates.per_s("requests"),
        orders=int(markets["working"].sum()),
        fills=count,
        fills_per_s=rates.per_s("fills"),
        fills_per_submit=count / submits if submits else None,
        pnl_quote=float(desk["pnl_quote"]),
        day_pnl_quote=float(desk["pnl_quote"] - desk["day_open_pnl_quote"]),
        fees_quote=sums["fees"],
        funding_quote=sums["funding"],
        traded_quote=traded,
        drawdown_quote=float(desk["drawdown_quote"]),
        capital_quote=finite(desk["limits"]["capital_quote"]),
        latency=latency(engine),
    )
