"""ccxt's unified orders and trades into OrderState and VenueFill."""

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from hftlab.errors import VenueDown
from hftlab.instrument import Instrument
from hftlab.types import ASK, BID
from hftlab.venues.live.model import OrderRequest, OrderState, VenueFill

_STATUS = {
    "open": "open",
    "canceling": "open",
    "closed": "filled",
    "canceled": "canceled",
    "expired": "canceled",
    "rejected": "rejected",
    "scheduledCancel": "canceled",  # Hyperliquid's dead man's switch; ccxt hands the word through
}


class CcxtDecoder:
    """Knows the symbols of the instruments."""

    def __init__(self, instruments: tuple[Instrument, ...]) -> None:
        self.instruments = instruments
        self.index = {instrument.symbol: number for number, instrument in enumerate(instruments)}

    def order(self, row: Mapping[str, Any], request: OrderRequest | None = None) -> OrderState | None:
        """Return an order; what the venue leaves out is taken from the request it answers. None for a symbol that is not ours."""
        number = request.instrument if request is not None else self.index.get(row.get("symbol") or "")
        if number is None:
            return None
        instrument = self.instruments[number]
        told, side = row.get("side"), request.side if request is not None else 0
        side = side or (BID if told == "buy" else ASK)
        qty_lots = _lots(instrument, row.get("amount")) or (request.qty_lots if request is not None else 0)
        filled_lots = _lots(instrument, row.get("filled"))
        price = row.get("price")
        price_ticks = instrument.ticks(price, toward=side) if price else request.price_ticks if request is not None else 0
        ts_ms = row.get("lastUpdateTimestamp") or row.get("timestamp") or 0
        client_id = row.get("clientOrderId") or (request.client_id if request is not None else "")
        status = self._status(row, qty_lots, filled_lots)
        return OrderState(
            client_id, str(row.get("id") or ""), number, side, price_ticks, qty_lots, filled_lots, status, int(ts_ms) * 1_000_000
        )

    def _status(self, row: Mapping[str, Any], qty_lots: int, filled_lots: int) -> str:
        told = row.get("status")
        if told is None:  # Hyperliquid's answer to an order: "resting", or "filled" as far as it goes, whose rest is not on the book
            filled_at_once = "filled" in (row.get("info") or {})
            return "open" if not filled_at_once else "filled" if filled_lots >= qty_lots else "canceled"
        if told in _STATUS:
            return "canceled" if told == "closed" and filled_lots < qty_lots else _STATUS[told]
        return "canceled" if told.lower().endswith(("canceled", "cancelled", "expired")) else "open"

    def fill(self, row: Mapping[str, Any]) -> VenueFill | None:
        """Return a trade of ours. Raises VenueDown when the venue named no trade id: it will, in the list of trades."""
        number = self.index.get(row.get("symbol") or "")
        if number is None:
            return None
        instrument, info, fee = self.instruments[number], row.get("info") or {}, row.get("fee") or {}
        if row.get("id") is None:
            raise VenueDown(f"{instrument.name}: a fill came without a trade id")
        # Hyperliquid names our id in `cloid`, Binance's stream in `c`; elsewhere a fill names the venue's id only.
        told_id = info.get("cloid") or row.get("clientOrderId") or (info.get("c") if info.get("x") == "TRADE" else "")
        maker = row["takerOrMaker"] == "maker" if row.get("takerOrMaker") else not info.get("crossed", True)
        return VenueFill(
            trade_id=number_of(str(row["id"])),
            client_id=str(told_id or ""),
            venue_id=str(row.get("order") or ""),
            instrument=number,
            side=BID if row["side"] == "buy" else ASK,
            price_ticks=instrument.ticks(row["price"]),
            qty_lots=instrument.lots(row["amount"]),
            maker=maker,
            fee=Decimal(str(fee.get("cost") or 0)),
            fee_asset=str(fee.get("currency") or ""),
            ts_ns=int(row["timestamp"]) * 1_000_000,
        )


def number_of(text: str) -> int:
    """Return a trade id as a number: itself where it is one, else 63 bits of its hash."""
    if text.isdecimal() and len(text) < 19:
        return int(text)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def _lots(instrument: Instrument, amount: Any) -> int:
    return 0 if amount is None else instrument.lots(amount, signed=True, toward_zero=True)
