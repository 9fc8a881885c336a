"""A new order's parameters as a `NewOrder`, checked in the venue's order, and the core's refusals in the venue's words."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import TypeVar

from hftlab.types import ASK, BID
from hftlab.venues.server.binance_common import SIDES, STP_MODES, Call, Denied, Grid, House, Params, missing
from hftlab.venues.server.model import NewOrder, Refused, Why

T = TypeVar("T")
PRICE_MAX = Decimal(1_000_000)
CLIENT_ID = r"^[a-zA-Z0-9-_]{1,36}$"
FUTURES_CLIENT_ID = r"^[\.A-Z\:/a-z0-9_-]{1,36}$"
NEVER_LISTED = (  # spot order types that exchangeInfo does not name for our symbols
    ("STOP_LOSS", "Stop loss orders are not supported for this symbol."),
    ("STOP_LOSS_LIMIT", "Stop loss limit orders are not supported for this symbol."),
    ("TAKE_PROFIT", "Take profit orders are not supported for this symbol."),
    ("TAKE_PROFIT_LIMIT", "Take profit limit orders are not supported for this symbol."),
)
ALGO_TYPES = ("STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET")

UNRECORDED = "The order will not be recorded in the order history."
SPOT_REFUSALS: dict[Why, tuple[int, str]] = {
    Why.BAD_PRICE: (-1013, "Filter failure: PRICE_FILTER"),
    Why.BAD_QTY: (-1013, "Filter failure: LOT_SIZE"),
    Why.MIN_NOTIONAL: (-1013, "Filter failure: NOTIONAL"),
    Why.PRICE_BAND: (-1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
    Why.TOO_MANY: (-1013, "Filter failure: MAX_NUM_ORDERS"),
    Why.CLOSED: (-1013, "Market is closed."),
    Why.WOULD_TAKE: (-2010, "Order would immediately match and take."),
    Why.DUPLICATE_ID: (-2010, "Duplicate order sent."),
    Why.INSUFFICIENT: (-2010, "Account has insufficient balance for requested action."),
    Why.UNKNOWN_ORDER: (-2011, "Unknown order sent."),
    Why.UNKNOWN_SYMBOL: (-1121, "Invalid symbol."),
}
FUTURES_REFUSALS: dict[Why, tuple[int, str]] = {
    Why.BAD_PRICE: (-4014, "Price not increased by tick size."),
    Why.BAD_QTY: (-4023, "Quantity not increased by step size."),
    Why.MIN_NOTIONAL: (-4164, "Order's notional must be no smaller than 100 (unless you choose reduce only)."),
    Why.PRICE_BAND: (-4131, "The counterparty's best price does not meet the PERCENT_PRICE filter limit."),
    Why.TOO_MANY: (-2025, "Reach max open order limit."),
    Why.CLOSED: (-4141, "Symbol is closed."),
    Why.WOULD_TAKE: (-5022, f"Due to the order could not be executed as maker, the Post Only order will be rejected. {UNRECORDED}"),
    Why.CANNOT_FILL: (-5021, f"Due to the order could not be filled immediately, the FOK order has been rejected. {UNRECORDED}"),
    Why.DUPLICATE_ID: (-4116, "ClientOrderId is duplicated."),
    Why.INSUFFICIENT: (-2019, "Margin is insufficient."),
    Why.REDUCE_ONLY: (-2022, "ReduceOnly Order is rejected."),
    Why.UNKNOWN_ORDER: (-2011, "Unknown order sent."),
    Why.UNKNOWN_SYMBOL: (-1121, "Invalid symbol."),
    Why.NO_CHANGE: (-5027, "No need to modify the order."),
    Why.NO_AMEND: (-5025, "Only limit order is supported."),
}


def refusal(house: House, refused: Refused) -> Denied:
    """Return a refusal of the core in the venue's code and words."""
    table = SPOT_REFUSALS if house.spot else FUTURES_REFUSALS
    code, text = table.get(refused.why, (-2010, f"{refused.why.value}."))
    return Denied(code, text)


def client_id(house: House, params: Params, name: str) -> str:
    """Return the client id sent under `name`, or a new one."""
    text = params.get(name)
    if not text:
        return house.word(22)
    if not house.spot and len(text) > 36:
        raise Denied(-4015, "Client order id length should be less than 36 chars")
    legal = CLIENT_ID if house.spot else FUTURES_CLIENT_ID
    if not re.fullmatch(legal, text):
        raise Denied(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")
    return text


def side_of(params: Params) -> int:
    """Return the mandatory side."""
    return SIDES[params.choice("side", tuple(SIDES), -1117, "Invalid side.")]


def stp_of(house: House, params: Params) -> int:
    """Return the self-trade prevention asked for, or the venue's own."""
    mode = params.get("selfTradePreventionMode", house.stp_default)
    if mode not in STP_MODES or (mode == "DECREMENT" and not house.spot):
        raise Denied(-1130, "Data sent for parameter 'selfTradePreventionMode' is not valid.")
    return STP_MODES[mode]


# --- numbers onto the grid ---
def price_ticks(house: House, grid: Grid, params: Params) -> int:
    """Return the mandatory price in ticks."""
    price, instrument = params.decimal("price"), grid.instrument
    tick = instrument.tick_size * house.core.filters(house.symbol(params)).price_step
    if _decimals(price) > grid.price_decimals:
        text = "Parameter 'price' has too much precision." if house.spot else "Precision is over the maximum defined for this asset."
        raise Denied(-1111, text)
    if house.spot:
        if price <= 0 or price > PRICE_MAX or price % tick:
            raise Denied(-1013, "Filter failure: PRICE_FILTER")
    elif price <= 0:
        raise Denied(-4001, "Price less than 0.")
    elif price > PRICE_MAX:
        raise Denied(-4002, "Price greater than max price.")
    elif price % tick:
        raise Denied(-4014, "Price not increased by tick size.")
    return instrument.ticks(price)


def qty_lots(house: House, grid: Grid, params: Params, name: str = "quantity") -> int:
    """Return the mandatory quantity in lots, within the bounds in force."""
    qty, instrument = params.decimal(name), grid.instrument
    if _decimals(qty) > grid.qty_decimals:
        text = f"Parameter '{name}' has too much precision." if house.spot else "Precision is over the maximum defined for this asset."
        raise Denied(-1111, text)
    filters = house.core.filters(house.symbol(params))
    low, high, step = (instrument.qty(lots) for lots in (filters.qty_lots_min, filters.qty_lots_max, filters.qty_step))
    if house.spot:
        if qty < low or qty > high or qty % step:
            raise Denied(-1013, "Filter failure: LOT_SIZE")
    elif qty <= 0:
        raise Denied(-4003, "Quantity less than or equal to zero.")
    elif qty < low:
        raise Denied(-4004, "Quantity less than min quantity.")
    elif qty > high:
        raise Denied(-4005, "Quantity greater than max quantity.")
    elif qty % step:
        raise Denied(-4023, "Quantity not increased by step size.")
    return instrument.lots(qty)


def _decimals(value: Decimal) -> int:
    """Return how many decimals a number needs; zeros at its end do not count."""
    return max(0, -int(value.normalize().as_tuple().exponent))


def check_rules(house: House, wish: NewOrder) -> None:
    """Raise Denied where a symbol's rules in force forbid an order: trading, price band, minimum value."""
    filters, grid = house.core.filters(wish.symbol), house.grids[wish.symbol]
    if not filters.trading:
        raise refusal(house, Refused(Why.CLOSED))
    mark = house.core.mark_price(wish.symbol)
    price = grid.instrument.price(wish.price_ticks) if wish.price_ticks is not None else mark
    band = Decimal(str(filters.band_frac))
    high, low = mark * (1 + band), mark * (1 - band)
    if mark and not low <= price <= high:
        if house.spot:
            raise refusal(house, Refused(Why.PRICE_BAND))
        if price > high:
            raise Denied(-4016, f"Limit price can't be higher than {grid.price(grid.instrument.ticks(high, toward=BID))}.")
        raise Denied(-4024, f"Limit price can't be lower than {grid.price(grid.instrument.ticks(low, toward=ASK))}.")
    if price * grid.instrument.qty(wish.qty_lots) < filters.notional_quote_min and not wish.reduce_only:
        if house.spot:
            raise refusal(house, Refused(Why.MIN_NOTIONAL))
        least = f"{filters.notional_quote_min.normalize():f}"
        raise Denied(-4164, f"Order's notional must be no smaller than {least} (unless you choose reduce only).")


# --- whole orders ---
def spot_order(house: House, params: Params) -> NewOrder:
    """Read the parameters of a spot order. Raises Denied."""
    symbol = house.symbol(params)
    side, kind = side_of(params), params.need("type")
    for name, text in NEVER_LISTED:
        if kind == name:
            raise Denied(-2010, text)
    if kind not in {"LIMIT", "LIMIT_MAKER", "MARKET"}:
        raise Denied(-1116, "Invalid orderType.")
    if params.get("icebergQty"):
        raise Denied(-2010, "Iceberg orders are not supported for this symbol.")
    for name in ("stopPrice", "trailingDelta", *(("price",) if kind == "MARKET" else ("quoteOrderQty",))):
        _not_required(params, name)
    tif = "GTC"
    if kind == "LIMIT":
        tif = params.choice("timeInForce", ("GTC", "IOC", "FOK"), -1115, "Invalid timeInForce.")
    else:
        _not_required(params, "timeInForce")
    grid, name = house.grids[symbol], client_id(house, params, "newClientOrderId")
    price = None if kind == "MARKET" else price_ticks(house, grid, params)
    by_quote = kind == "MARKET" and bool(params.get("quoteOrderQty"))
    if kind == "MARKET" and bool(params.get("quantity")) == by_quote:
        raise missing("quantity") if not by_quote else Denied(-1128, "Combination of optional parameters invalid.")
    lots = lots_for(house, grid, symbol, side, params.decimal("quoteOrderQty")) if by_quote else qty_lots(house, grid, params)
    return NewOrder(symbol, side, lots, price, name, tif, kind == "LIMIT_MAKER", stp=stp_of(house, params))


def lots_for(house: House, grid: Grid, symbol: str, side: int, quote: Decimal) -> int:
    """Return how many lots a market order for an amount of quote currency takes from the book as it stands. Raises Denied."""
    book = house.core.book(symbol)
    left, lots = int(quote / grid.instrument.money_unit), 0
    for ticks, there in book.asks if side == BID else book.bids:
        take = min(there, left // ticks)
        lots, left = lots + take, left - take * ticks
        if take < there:
            break
    if lots < house.core.filters(symbol).qty_lots_min:
        raise Denied(-2010, "Order book liquidity is less than `LOT_SIZE` filter minimum quantity.")
    return lots


def futures_order(house: House, params: Params) -> NewOrder:
    """Read the parameters of a futures order. Raises Denied."""
    symbol = house.symbol(params)
    side, kind = side_of(params), params.need("type")
    if kind in ALGO_TYPES:
        raise Denied(-4120, "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead.")
    if kind not in {"LIMIT", "MARKET"}:
        raise Denied(-1116, "Invalid orderType.")
    if params.get("positionSide", "BOTH") != "BOTH":
        raise Denied(-4061, "Order's position side does not match user's setting.")
    for name in ("stopPrice", "closePosition", "activationPrice", "callbackRate", *(("price",) if kind == "MARKET" else ())):
        _not_required(params, name)
    tif = "GTC"
    if kind == "LIMIT":
        tif = params.choice("timeInForce", ("GTC", "IOC", "FOK", "GTX"), -1115, "Invalid timeInForce.")
    else:
        _not_required(params, "timeInForce")
    grid, name = house.grids[symbol], client_id(house, params, "newClientOrderId")
    lots = qty_lots(house, grid, params)
    price = None if kind == "MARKET" else price_ticks(house, grid, params)
    post_only, stp = tif == "GTX", stp_of(house, params)
    return NewOrder(symbol, side, lots, price, name, "GTC" if post_only else tif, post_only, params.flag("reduceOnly"), stp)


def _not_required(params: Params, name: str) -> None:
    if params.get(name) and params.get(name).lower() != "false":
        raise Denied(-1106, f"Parameter '{name}' sent when not required.")


def within(call: Call, ms: int) -> bool:
    """Say whether a time lies in the startTime..endTime asked for."""
    start, end = call.params.integer("startTime"), call.params.integer("endTime")
    return ms >= start and (not end or ms <= end)


def page(call: Call, rows: list[T], number: Callable[[T], int], first: str, most: int) -> list[T]:
    """Return one page: from the id under `first` on, or the oldest from startTime on, or the newest."""
    limit = call.params.limit(500, most)
    if call.params.get(first):
        rows = [row for row in rows if number(row) >= call.params.integer(first)]
        return rows[:limit]
    return rows[:limit] if call.params.get("startTime") else rows[-limit:]
