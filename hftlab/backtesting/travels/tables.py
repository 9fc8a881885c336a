"""The tables of one moment, in human units: the rows around it, what they led to, our orders and their places, quote and estimates."""

from typing import TYPE_CHECKING, Any

import numpy as np

from hftlab.analytics.report.frames import grid
from hftlab.data.frame import Frame
from hftlab.instrument import Instrument
from hftlab.types import (
    ACCEPTED,
    AT_DESK,
    AT_EXCHANGE,
    CANCEL_REJECTED,
    CLEAR,
    DESK_STATE_NAMES,
    FEE,
    FUNDING,
    GAP,
    KIND_NAMES,
    LAST,
    LIMIT_NAMES,
    MAKER,
    NO_PRICE,
    PARAM_NAMES,
    PAUSE,
    PAYMENT,
    SAMPLE,
    SET_LIMITS,
    SET_PARAMS,
    SET_TARGET,
    SNAPSHOT,
    STATE,
    SUBMIT,
    TIMER,
    TOUCH,
    VERDICT_NAMES,
)

if TYPE_CHECKING:
    import pandas as pd

_PRICELESS = (CLEAR, GAP, TIMER, STATE, SAMPLE, FEE, PAYMENT)


def rows_table(rows: np.ndarray, first: int, times: np.ndarray, event: int, instruments: tuple[Instrument, ...]) -> "pd.DataFrame":
    """Return rows of a run by name. `first`: the event that the first of them is; `times`: the desk's time after each; `event`: now.

    `offset` is 0 for the row that was consumed last, 1 for the one that comes next; `clock` says whose copy of it it is.
    """
    import pandas as pd

    number = np.arange(first, first + len(rows))
    marks = rows["flags"] & (AT_EXCHANGE | AT_DESK)
    clock = np.select([marks == AT_EXCHANGE, marks == AT_DESK], ["exchange", "ours"], "both")
    table = {"event": number, "offset": number - event, "ts": pd.to_datetime(times, utc=True)}
    return pd.DataFrame({**table, **_named(rows, instruments), "clock": np.where(rows["kind"] >= TIMER, "ours", clock)}).set_index("event")


def written_table(rows: np.ndarray, instruments: tuple[Instrument, ...]) -> "pd.DataFrame":
    """Return what a run wrote, by name: requests, reports, fills, changes of state; its notes for reports are left out."""
    import pandas as pd

    rows = rows[~np.isin(rows["kind"], (SAMPLE, TOUCH, FEE))]
    return pd.DataFrame({"ts": pd.to_datetime(rows["ts_recv_ns"], utc=True), **_named(rows, instruments), "order_id": rows["order_id"]})


def _named(rows: np.ndarray, instruments: tuple[Instrument, ...]) -> dict[str, Any]:
    tick, lot = grid(instruments, rows["instrument"])
    kinds = rows["kind"]
    priced = (rows["price_ticks"] != NO_PRICE) & ~np.isin(kinds, _PRICELESS) & ((kinds < PAUSE) | (kinds >= SUBMIT))
    sized = ~np.isin(kinds, (*_PRICELESS, FUNDING)) & ((kinds < PAUSE) | (kinds >= SUBMIT))
    return {
        "instrument": np.array([one.symbol for one in instruments])[rows["instrument"]],
        "kind": [KIND_NAMES.get(int(kind), str(kind)).lower() for kind in kinds],
        "side": np.select([rows["side"] > 0, rows["side"] < 0], ["buy", "sell"], ""),
        "price": np.where(priced, np.where(priced, rows["price_ticks"], 0) * tick, np.nan),
        "qty": np.where(sized, rows["qty_lots"] * lot, np.nan),
        "says": [says(row, instruments) for row in rows],
    }


def says(row: Any, instruments: tuple[Instrument, ...]) -> str:
    """Return in words what a row says beside price and quantity."""
    kind, flags = int(row["kind"]), int(row["flags"])
    one = instruments[int(row["instrument"])]
    if kind in (SET_PARAMS, SET_LIMITS):
        names = PARAM_NAMES if kind == SET_PARAMS else LIMIT_NAMES
        value = np.int64(row["price_ticks"]).view(np.float64)
        return f"{names[int(row['order_id'])]} = {value:g}" if 0 <= int(row["order_id"]) < len(names) else ""
    if kind == SET_TARGET:
        return f"position {float(one.qty(int(row['qty_lots']))):g} {one.qty_unit}" if int(row["side"]) else "no wish"
    if kind == STATE:
        what = "desk" if int(row["seq"]) else one.symbol
        why = f": {VERDICT_NAMES[int(row['order_id'])]}" if int(row["order_id"]) else ""
        return f"{what} {DESK_STATE_NAMES[int(row['leaves_lots'])]} → {DESK_STATE_NAMES[int(row['qty_lots'])]}{why}"
    if ACCEPTED <= kind <= CANCEL_REJECTED or SUBMIT <= kind < SAMPLE:
        liquidity = (" maker" if flags & MAKER else " taker") if KIND_NAMES[kind] == "FILL" else ""
        return f"order {int(row['order_id'])}{liquidity}"
    words = ["snapshot"] if flags & SNAPSHOT else []
    return " ".join([*words, "last of message"] if flags & LAST and kind < TIMER else words)


def orders_table(frame: Frame, exchange: Any, i: int) -> "pd.DataFrame":
    """Return our orders in market `i`: what the desk knows, and the places that the modelled exchange has (NaN where it has none).

    `ahead_qty` is what we believe stands before the order; `exchange_ahead_qty` what does, by the queue model that fills it.
    """
    import pandas as pd

    lot = float(frame.instruments[i].lot_size)
    resting = exchange["resting"][: int(exchange["resting_count"])] if int(exchange["active"]) else exchange["resting"][:0]
    places = {int(one["order_id"]): float(one["ahead_lots"]) * lot for one in resting}
    found = [
        {
            "order_id": one.order_id,
            "side": "buy" if one.side > 0 else "sell",
            "price": one.price,
            "leaves": one.leaves,
            "qty": one.qty,
            "status": one.status,
            "ahead_qty": one.ahead_qty,
            "exchange_ahead_qty": places.get(one.order_id, np.nan),
            "level": one.level,
        }
        for one in frame.orders(i)
    ]
    names = ["order_id", "side", "price", "leaves", "qty", "status", "ahead_qty", "exchange_ahead_qty", "level"]
    return pd.DataFrame(found, columns=names).set_index("order_id")


def quote_of(frame: Frame, i: int) -> dict[str, float]:
    """Return the last wish of the quoter: bid, ask, their quantities (0: none), fair, reservation, half_spread."""
    wish, instrument = frame.markets[i]["quote"], frame.instruments[i]
    tick, lot = float(instrument.tick_size), float(instrument.lot_size)
    wished = {side: int(wish[f"{side}_lots"]) > 0 for side in ("bid", "ask")}
    return {
        **{side: float(wish[f"{side}_ticks"]) * tick if there else float("nan") for side, there in wished.items()},
        **{f"{side}_qty": float(wish[f"{side}_lots"]) * lot for side in wished},
        "levels": float(wish["levels"]),
        **{name: float(wish[f"{name}_ticks"]) * tick for name in ("fair", "reservation", "half_spread")},
    }


def estimates_of(frame: Frame, i: int) -> dict[str, float]:
    """Return what the desk has estimated by then, units in the names; NaN for what it does not know yet."""
    market, tick = frame.markets[i], float(frame.instruments[i].tick_size)
    distance = float(market["distance_ticks"]) * tick
    return {
        "sigma_bps_per_sqrt_s": frame.sigma_bps(i),
        "arrivals_per_s": float(market["arrivals_per_s"]),
        "decay_per_price": 1 / distance if distance > 0 else float("nan"),
        "vpin": frame.toxicity(i),
        "markout_bps": frame.markout_bps(i),
        "feed_ms": float(market["feed_ns"]) / 1e6,
        "order_round_trip_ms": float(market["trip_ns"]) / 1e6,
    }
