"""How Hyperliquid writes prices, sizes, orders and refusals, and its rule for prices.

Shapes as in the recorded `/info` replies and ccxt's parsers; words of refusals as in the venue's list of error responses.
"""

from decimal import Decimal
from typing import Any

from hftlab.instrument import Instrument
from hftlab.types import BID
from hftlab.venues.server.model import OPEN, Fill, Order, Status, Why

SIGNIFICANT = 5
DECIMALS_MAX = 6  # of a perpetual's price, less the decimals of its sizes

REFUSALS: dict[Why | None, tuple[str, str]] = {
    Why.BAD_PRICE: ("Price must be divisible by tick size.", "tickRejected"),
    Why.BAD_QTY: ("Order has invalid size.", "rejected"),
    Why.MIN_NOTIONAL: ("Order must have minimum value of $10.", "minTradeNtlRejected"),
    Why.PRICE_BAND: ("Order price cannot be more than 80% away from the reference price.", "oracleRejected"),
    Why.WOULD_TAKE: ("Post only order would have immediately matched, bbo was {bbo}.", "badAloPxRejected"),
    Why.INSUFFICIENT: ("Insufficient margin to place order.", "perpMarginRejected"),
    Why.REDUCE_ONLY: ("Reduce only order would increase position.", "reduceOnlyRejected"),
    Why.NO_MATCH: ("Order could not immediately match against any resting orders.", "iocCancelRejected"),
    Why.UNKNOWN_ORDER: ("Order was never placed, already canceled, or filled.", "rejected"),
    Why.TOO_MANY: ("Too many open orders.", "rejected"),
    Why.CLOSED: ("Trading is halted.", "rejected"),
}
"""Why -> (what the venue says, status of the order). `{bbo}` is filled in; " asset=N" follows each."""

ENDINGS: dict[Why | None, str] = {Why.SELF_TRADE: "selfTradeCanceled", Why.REDUCE_ONLY: "reduceOnlyCanceled"}
SCHEDULED = "scheduledCancel"


def plain(value: Decimal) -> str:
    """Return a number as the venue writes it: no trailing zeros, but at least one decimal."""
    text = f"{value.normalize():f}"
    return text if "." in text else f"{text}.0"


def side_text(side: int) -> str:
    """Return B or A."""
    return "B" if side == BID else "A"


def price_fits(price: Decimal, instrument: Instrument) -> bool:
    """Say whether a price keeps the venue's rule: whole numbers always; else 5 significant figures and 6 - szDecimals decimals."""
    price = price.normalize()
    decimals = max(0, -int(price.as_tuple().exponent))
    if decimals == 0:
        return True
    return len(price.as_tuple().digits) <= SIGNIFICANT and decimals <= DECIMALS_MAX - instrument.qty_decimals


def refusal(why: Why, asset: int, bbo: str = "") -> str:
    """Return the venue's words for a refusal."""
    words = REFUSALS[why][0] if why in REFUSALS else f"Order refused: {why.value}."
    return f"{words.format(bbo=bbo)} asset={asset}"


def order_status(order: Order, *, scheduled: bool) -> str:
    """Return the status text of an order: open, filled, canceled, iocCancelRejected and the like."""
    if order.status in OPEN:
        return "open"
    if order.status is Status.FILLED:
        return "filled"
    if order.why in ENDINGS:
        return ENDINGS[order.why]
    if order.status is Status.REJECTED or order.why is Why.NO_MATCH:
        return REFUSALS[order.why][1] if order.why in REFUSALS else "rejected"
    return SCHEDULED if scheduled else "canceled"


def tif_text(order: Order) -> str:
    """Return Alo, Ioc or Gtc."""
    return "Alo" if order.post_only else order.tif.capitalize()


def order_row(order: Order, instrument: Instrument, coin: str, created_ms: int) -> dict[str, Any]:
    """Return an order as `openOrders` and `orderUpdates` show it; `sz` is what is left."""
    row = {
        "coin": coin,
        "side": side_text(order.side),
        "limitPx": plain(instrument.price(order.price_ticks or 0)),
        "sz": plain(instrument.qty(order.qty_lots - order.filled_lots)),
        "oid": order.order_id,
        "timestamp": created_ms,
        "origSz": plain(instrument.qty(order.qty_lots)),
    }
    if order.client_id:
        row["cloid"] = order.client_id
    return row


def frontend_row(order: Order, instrument: Instrument, coin: str, created_ms: int) -> dict[str, Any]:
    """Return an order as `frontendOpenOrders`, `orderStatus` and `historicalOrders` show it."""
    return order_row(order, instrument, coin, created_ms) | {
        "triggerCondition": "N/A",
        "isTrigger": False,
        "triggerPx": "0.0",
        "children": [],
        "isPositionTpsl": False,
        "reduceOnly": order.reduce_only,
        "orderType": "Limit",
        "tif": tif_text(order),
        "cloid": order.client_id or None,
    }


def direction(side: int, start_lots: int, qty_lots: int) -> str:
    """Return what a fill did to a position: Open Long, Close Short, Long > Short."""
    end = start_lots + side * qty_lots
    if start_lots * side >= 0:
        return "Open Long" if side == BID else "Open Short"
    if start_lots * end < 0:
        return "Short > Long" if side == BID else "Long > Short"
    return "Close Short" if side == BID else "Close Long"


def fill_row(fill: Fill, instrument: Instrument, coin: str, start_lots: int, time_ms: int) -> dict[str, Any]:
    """Return one execution as `userFills` shows it; `start_lots` is the position before it."""
    return {
        "coin": coin,
        "px": plain(instrument.price(fill.price_ticks)),
        "sz": plain(instrument.qty(fill.qty_lots)),
        "side": side_text(fill.side),
        "time": time_ms,
        "startPosition": plain(instrument.qty(start_lots)),
        "dir": direction(fill.side, start_lots, fill.qty_lots),
        "closedPnl": plain(fill.realized),
        "hash": tx_hash(fill.trade_id),
        "oid": fill.order_id,
        "crossed": not fill.maker,
        "fee": plain(fill.fee),
        "tid": fill.trade_id,
        "feeToken": fill.fee_asset,
        "twapId": None,
        "cloid": fill.client_id or None,
    }


def tx_hash(number: int) -> str:
    """Return a transaction hash that names a trade: there is no chain behind this exchange."""
    return f"0x{number:064x}"
