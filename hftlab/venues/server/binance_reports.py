"""What Binance's user streams say: executionReport and outboundAccountPosition, ORDER_TRADE_UPDATE and ACCOUNT_UPDATE."""

from decimal import Decimal
from typing import Any

from hftlab.types import ASK
from hftlab.venues.server.binance_common import SIDE_NAMES, STP_TEXTS, House, status_text
from hftlab.venues.server.model import OPEN, AccountEvent, Order, OrderEvent, Position, Why

SPOT_WHAT = {"AMENDED": "REPLACED"}
FUTURES_WHAT = {"AMENDED": "AMENDMENT"}
REJECT_WORDS = {Why.INSUFFICIENT: "INSUFFICIENT_BALANCES", Why.DUPLICATE_ID: "DUPLICATE_ORDER", Why.WOULD_TAKE: "WOULD_MATCH_IMMEDIATELY"}
REASONS = {"FUNDING": "FUNDING_FEE"}


def spot_type(order: Order) -> str:
    """Return a spot order's type."""
    return "MARKET" if order.price_ticks is None else "LIMIT_MAKER" if order.post_only else "LIMIT"


def futures_type(order: Order) -> str:
    """Return a futures order's type."""
    return "MARKET" if order.price_ticks is None else "LIMIT"


def futures_tif(order: Order) -> str:
    """Return a futures order's time in force; post-only is one of them."""
    return "GTX" if order.post_only else order.tif


def execution_report(house: House, event: OrderEvent, number: int) -> dict[str, Any]:
    """Return a spot order's news. `c` names the request that caused it, `C` the order where that is another one."""
    order, fill, grid = event.order, event.fill, house.grids[event.order.symbol]
    at, resting = house.ms(event.ts_ns), order.status in OPEN and order.price_ticks is not None
    by_request = event.what == "CANCELED"
    report = {
        "e": "executionReport",
        "E": house.now_ms(),
        "s": order.symbol,
        "c": (house.cancel_id or house.word(22)) if by_request else order.client_id,
        "S": SIDE_NAMES[order.side],
        "o": spot_type(order),
        "f": order.tif,
        "q": grid.qty(order.qty_lots),
        "p": grid.price(order.price_ticks),
        "P": grid.price(0),
        "F": grid.qty(0),
        "g": -1,
        "C": order.client_id if by_request else house.amended_id if event.what == "AMENDED" else "",
        "x": SPOT_WHAT.get(event.what, event.what),
        "X": status_text(order),
        "r": REJECT_WORDS.get(order.why, "NONE") if event.what == "REJECTED" and order.why else "NONE",
        "i": order.order_id,
        "l": grid.qty(fill.qty_lots if fill else 0),
        "z": grid.qty(order.filled_lots),
        "L": grid.price(fill.price_ticks if fill else 0),
        "n": f"{fill.fee:.8f}" if fill else "0",
        "N": fill.fee_asset if fill else None,
        "T": at,
        "t": fill.trade_id if fill else -1,
        "I": number,
        "w": resting,
        "m": fill.maker if fill else False,
        "M": bool(fill),
        "O": house.ms(order.created_ns),
        "Z": grid.quote(order.filled_ticklots),
        "Y": grid.quote(fill.price_ticks * fill.qty_lots if fill else 0),
        "Q": grid.qty(0),
        "V": STP_TEXTS[order.stp],
    }
    return {**report, "W": house.ms(order.created_ns)} if resting or fill else report


def order_update(house: House, event: OrderEvent) -> dict[str, Any]:
    """Return a futures order's news."""
    order, fill, grid = event.order, event.fill, house.grids[event.order.symbol]
    at, kind = house.ms(event.ts_ns), futures_type(order)
    open_lots = order.leaves_lots if order.price_ticks is not None else 0
    worth = grid.quote(open_lots * (order.price_ticks or 0)) if open_lots else "0"
    facts = {
        "s": order.symbol,
        "c": order.client_id,
        "S": SIDE_NAMES[order.side],
        "o": kind,
        "f": futures_tif(order),
        "q": grid.qty(order.qty_lots),
        "p": grid.price(order.price_ticks),
        "ap": grid.average(order) if order.filled_lots else "0",
        "sp": "0",
        "x": FUTURES_WHAT.get(event.what, event.what),
        "X": status_text(order),
        "i": order.order_id,
        "l": grid.qty(fill.qty_lots if fill else 0),
        "z": grid.qty(order.filled_lots),
        "L": grid.price(fill.price_ticks) if fill else "0",
        **({"n": f"{fill.fee:.8f}", "N": fill.fee_asset} if fill else {}),
        "T": at,
        "t": fill.trade_id if fill else 0,
        "b": "0" if order.side == ASK else worth,
        "a": worth if order.side == ASK else "0",
        "m": fill.maker if fill else False,
        "R": order.reduce_only,
        "wt": "CONTRACT_PRICE",
        "ot": kind,
        "ps": "BOTH",
        "cp": False,
        "rp": f"{fill.realized:.8f}" if fill else "0",
        "pP": False,
        "si": 0,
        "ss": 0,
        "V": STP_TEXTS[order.stp],
        "pm": "NONE",
        "gtd": 0,
    }
    return {"e": "ORDER_TRADE_UPDATE", "T": at, "E": house.now_ms(), "o": facts}


def account_position(house: House, event: AccountEvent) -> dict[str, Any]:
    """Return the spot balances that changed."""
    account = house.core.account(event.account)
    assert account is not None
    rows = []
    for asset in event.assets:
        free, total = house.core.free(event.account, asset), account.balances.get(asset, Decimal(0))
        rows.append({"a": asset, "f": f"{free:.8f}", "l": f"{total - free:.8f}"})
    return {"e": "outboundAccountPosition", "E": house.now_ms(), "u": house.ms(event.ts_ns), "B": rows}


def account_update(house: House, event: AccountEvent, paid: Decimal) -> dict[str, Any]:
    """Return the futures wallet and positions that changed. `paid` is what funding added to the wallet; it tells no positions."""
    account, at = house.core.account(event.account), house.ms(event.ts_ns)
    assert account is not None
    wallets = [(asset, f"{account.balances.get(asset, Decimal(0)):.8f}") for asset in event.assets]
    change = f"{paid:.8f}" if paid else "0"
    balances = [{"a": asset, "wb": wallet, "cw": wallet, "bc": change} for asset, wallet in wallets]
    symbols = () if event.reason == "FUNDING" else event.symbols
    positions = [_position(house, symbol, account.positions.get(symbol, Position())) for symbol in symbols]
    body = {"m": REASONS.get(event.reason, event.reason), "B": balances, "P": positions}
    return {"e": "ACCOUNT_UPDATE", "T": at, "E": house.now_ms(), "a": body}


def _position(house: House, symbol: str, position: Position) -> dict[str, Any]:
    grid = house.grids[symbol]
    entry = entry_text(house, symbol, position)
    money = {"cr": f"{position.realized:.8f}", "up": f"{unrealized(house, symbol, position):.8f}"}
    more = {"mt": "cross", "iw": "0", "ps": "BOTH", "ma": grid.instrument.settle}
    return {"s": symbol, "pa": grid.qty(position.lots), "ep": entry, "bep": entry, **money, **more}


def entry_text(house: House, symbol: str, position: Position) -> str:
    """Return the text of a position's entry price."""
    tick = house.grids[symbol].instrument.tick_size
    return f"{Decimal(position.entry_ticklots) / position.lots * tick:.8f}" if position.lots else "0.0"


def unrealized(house: House, symbol: str, position: Position) -> Decimal:
    """Return what a position has gained at the mark price."""
    instrument = house.grids[symbol].instrument
    return house.core.mark_price(symbol) * instrument.qty(position.lots) - instrument.money_quote(position.entry_ticklots)
