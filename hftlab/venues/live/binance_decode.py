"""What Binance says of our orders, into OrderState and VenueFill: user-stream events, replies of the ws-api and of REST.

Sources: the venue's pages on the user data streams and on order endpoints. Events of symbols that are not ours give nothing.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from hftlab.instrument import Instrument
from hftlab.types import ASK, BID
from hftlab.venues.live.binance_sign import symbol_of
from hftlab.venues.live.model import OrderState, Reject, VenueEvent, VenueFill

STATUS = {
    "NEW": "open",
    "PARTIALLY_FILLED": "open",
    "PENDING_CANCEL": "open",
    "NEW_INSURANCE": "open",
    "NEW_ADL": "open",
    "FILLED": "filled",
    "CANCELED": "canceled",
    "EXPIRED": "canceled",
    "EXPIRED_IN_MATCH": "canceled",
    "REJECTED": "rejected",
}
_MS = 1_000_000


class Report(msgspec.Struct):
    """An execution report: spot's own, and the `o` of USDⓈ-M's ORDER_TRADE_UPDATE. Texts as the venue sends them."""

    s: str
    c: str  # client order id; of a spot cancel the id of the cancel
    S: str
    q: str
    p: str
    x: str  # what happened
    X: str  # where the order stands
    i: int
    l: str  # last filled
    z: str  # filled in all
    L: str  # price of the last fill
    T: int
    t: int = -1  # trade id
    m: bool = False
    n: str | None = None  # fee
    N: str | None = None
    C: str | None = None  # spot: the order's own id, where `c` is another's
    r: str = ""  # spot: why it was rejected


class Trade(msgspec.Struct):
    """One row of myTrades (spot) or userTrades (USDⓈ-M)."""

    symbol: str
    id: int
    orderId: int  # noqa: N815 # the venue's name
    price: str
    qty: str
    commission: str
    commissionAsset: str  # noqa: N815 # the same
    time: int
    isBuyer: bool | None = None  # noqa: N815 # spot
    isMaker: bool | None = None  # noqa: N815 # spot
    buyer: bool | None = None
    maker: bool | None = None


class Decoder:
    """Knows the symbols of the instruments; `index` of a symbol is the instrument's number."""

    def __init__(self, instruments: tuple[Instrument, ...]) -> None:
        self.instruments = instruments
        self.index = {symbol_of(instrument): number for number, instrument in enumerate(instruments)}

    def report(self, report: Report) -> list[VenueEvent]:
        """Return what an execution report says: the fill first, where it tells of one, then the order."""
        number = self.index.get(report.s)
        if number is None:
            return []
        instrument = self.instruments[number]
        side = BID if report.S == "BUY" else ASK
        state = self._state(
            number, side, report.C or report.c, str(report.i), report.p, report.q, report.z, report.X, report.T, _reason(report.r)
        )
        events: list[VenueEvent] = []
        # A fill without a price is one whose price the venue has yet to tell: the list of trades will have it.
        if report.x in {"TRADE", "CALCULATED"} and report.t > 0 and Decimal(report.l) > 0 and Decimal(report.L) > 0:
            events.append(
                VenueFill(
                    trade_id=report.t,
                    client_id=state.client_id,
                    venue_id=state.venue_id,
                    instrument=number,
                    side=side,
                    price_ticks=instrument.ticks(report.L),
                    qty_lots=instrument.lots(report.l),
                    maker=report.m,
                    fee=Decimal(report.n or 0),
                    fee_asset=report.N or "",
                    ts_ns=report.T * _MS,
                    leaves_lots=state.leaves_lots,
                )
            )
        events.append(state)
        return events

    def order(self, row: Mapping[str, Any]) -> OrderState | None:
        """Return the order of a reply (placed, amended, cancelled, queried, listed); None for a symbol that is not ours."""
        # spot's amend wraps the order; a cancel's own id stands in clientOrderId, the order's in origClientOrderId
        if "amendedOrder" in row:
            row = {**row["amendedOrder"], "updateTime": row["transactTime"]}
        number = self.index.get(row["symbol"])
        if number is None:
            return None
        ts_ms = row.get("updateTime") or row.get("transactTime") or row.get("time") or row.get("workingTime") or 0
        qty, filled = row.get("origQty", row.get("qty")), row.get("executedQty", "0")
        client_id = row.get("origClientOrderId") or row["clientOrderId"]
        side = BID if row["side"] == "BUY" else ASK
        return self._state(number, side, client_id, str(row["orderId"]), row["price"], qty, filled, row["status"], ts_ms, None)

    def fills_of(self, row: Mapping[str, Any]) -> tuple[VenueFill, ...]:
        """Return the fills that come with a spot order's full reply; they took."""
        state = self.order(row)
        if state is None or not row.get("fills"):
            return ()
        instrument = self.instruments[state.instrument]
        return tuple(
            VenueFill(
                trade_id=int(fill["tradeId"]),
                client_id=state.client_id,
                venue_id=state.venue_id,
                instrument=state.instrument,
                side=state.side,
                price_ticks=instrument.ticks(fill["price"]),
                qty_lots=instrument.lots(fill["qty"]),
                maker=False,
                fee=Decimal(fill["commission"]),
                fee_asset=fill["commissionAsset"],
                ts_ns=state.ts_ns,
            )
            for fill in row["fills"]
        )

    def trade(self, trade: Trade) -> VenueFill | None:
        """Return a row of the list of our trades, which names the order by the venue's id only."""
        number = self.index.get(trade.symbol)
        if number is None:
            return None
        instrument = self.instruments[number]
        buys = trade.isBuyer if trade.isBuyer is not None else trade.buyer
        return VenueFill(
            trade_id=trade.id,
            client_id="",
            venue_id=str(trade.orderId),
            instrument=number,
            side=BID if buys else ASK,
            price_ticks=instrument.ticks(trade.price),
            qty_lots=instrument.lots(trade.qty),
            maker=bool(trade.isMaker if trade.isMaker is not None else trade.maker),
            fee=Decimal(trade.commission),
            fee_asset=trade.commissionAsset,
            ts_ns=trade.time * _MS,
        )

    def _state(
        self,
        number: int,
        side: int,
        client_id: str,
        venue_id: str,
        price: str,
        qty: str,
        filled: str,
        status: str,
        ts_ms: int,
        why: Reject | None,
    ) -> OrderState:
        instrument = self.instruments[number]
        qty_lots = instrument.lots(qty, signed=True, toward_zero=True)
        filled_lots = instrument.lots(filled, signed=True, toward_zero=True)
        where = STATUS.get(status, "open")
        if where == "open" and qty_lots and filled_lots >= qty_lots:
            where = "filled"
        # A stop of somebody else on the account may stand off our grid; our own orders never do.
        return OrderState(
            client_id, venue_id, number, side, instrument.ticks(price, toward=side), qty_lots, filled_lots, where, ts_ms * _MS, why
        )


def _reason(text: str) -> Reject | None:
    """Return the word for spot's `r` of an execution report."""
    if text in {"", "NONE"}:
        return None
    known = {"GTX_ORDER_REJECT": Reject.WOULD_TAKE, "INSUFFICIENT_BALANCES": Reject.INSUFFICIENT, "SELF_TRADE_PREVENTION": Reject.OTHER}
    return known.get(text, Reject.OTHER)
