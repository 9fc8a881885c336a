"""What Binance answers when asked: one order, the open ones, our executions, positions, its clock; and its broad brushes."""

from decimal import Decimal
from typing import Any

import msgspec

from hftlab.errors import InputError, VenueRefused
from hftlab.venues.live.binance_decode import Decoder, Trade
from hftlab.venues.live.binance_rest import BinanceRest
from hftlab.venues.live.binance_sign import symbol_of
from hftlab.venues.live.model import OrderState, Reject, VenueFill

_PAGE = 1000
# The longest span of one question for trades by time.
_SPAN_MS = {"binance": 24 * 3600_000, "binanceusdm": 7 * 24 * 3600_000}
_PATHS = {
    "binance": {
        "order": "/api/v3/order",
        "open": "/api/v3/openOrders",
        "all": "/api/v3/openOrders",
        "trades": "/api/v3/myTrades",
        "positions": "/api/v3/account",
        "time": "/api/v3/time",
    },
    "binanceusdm": {
        "order": "/fapi/v1/order",
        "open": "/fapi/v1/openOrders",
        "all": "/fapi/v1/allOpenOrders",
        "trades": "/fapi/v1/userTrades",
        "positions": "/fapi/v3/positionRisk",
        "time": "/fapi/v1/time",
    },
}


class BinanceAccount:
    """The questions of `Wire` for one Binance venue, over REST."""

    def __init__(self, rest: BinanceRest, decoder: Decoder, venue: str) -> None:
        self._rest, self._decoder, self._venue = rest, decoder, venue
        self._paths = _PATHS[venue]
        self._symbols = [symbol_of(instrument) for instrument in decoder.instruments]

    async def query(self, instrument: int, client_id: str) -> OrderState | None:
        """Ask for one order; None when the venue does not know it."""
        params = {"symbol": self._symbols[instrument], "origClientOrderId": client_id}
        try:
            return self._decoder.order(await self._rest.ask("GET", self._paths["order"], params))
        except VenueRefused as error:
            if error.reason == Reject.UNKNOWN_ORDER:
                return None
            raise

    async def open_orders(self) -> list[OrderState]:
        """Ask symbol by symbol: without one it costs 40 to 80 times as much."""
        rows: list[dict[str, Any]] = []
        for symbol in self._symbols:
            rows += await self._rest.ask("GET", self._paths["open"], {"symbol": symbol})
        return [state for row in rows if (state := self._decoder.order(row)) is not None]

    async def fills(self, instrument: int, since_ns: int, now_ms: int) -> list[VenueFill]:
        """Look for the first trade by time, span after span, then page on by trade id."""
        symbol, span_ms = self._symbols[instrument], _SPAN_MS[self._venue]
        at_ms, found = since_ns // 1_000_000, list[Trade]()
        while not found and at_ms <= now_ms:
            until_ms = at_ms + span_ms - 1
            found = await self._trades({"symbol": symbol, "startTime": at_ms, "endTime": until_ms, "limit": _PAGE})
            at_ms = until_ms + 1
        page = found
        while page:  # the first page ends with its span, so a short one says nothing
            page = await self._trades({"symbol": symbol, "fromId": found[-1].id + 1, "limit": _PAGE})
            found += page
        fills = (self._decoder.trade(trade) for trade in found)
        return sorted((fill for fill in fills if fill is not None and fill.ts_ns >= since_ns), key=lambda fill: fill.trade_id)

    async def _trades(self, params: dict[str, Any]) -> list[Trade]:
        trades = msgspec.convert(await self._rest.ask("GET", self._paths["trades"], params), list[Trade])
        return sorted(trades, key=lambda trade: trade.id)

    async def positions(self) -> list[int | None]:
        """Return signed lots; of spot the whole base balance, free or locked, dust below a lot left out."""
        if self._venue == "binance":
            account = await self._rest.ask("GET", self._paths["positions"], {"omitZeroBalances": "true"})
            held = {row["asset"]: Decimal(row["free"]) + Decimal(row["locked"]) for row in account["balances"]}
            return [i.lots(held.get(i.base, "0"), signed=True, toward_zero=True) for i in self._decoder.instruments]
        lots = [0] * len(self._symbols)
        for row in await self._rest.ask("GET", self._paths["positions"]):
            number = self._decoder.index.get(row["symbol"])
            if number is None:
                continue
            if row.get("positionSide", "BOTH") != "BOTH":
                raise InputError(
                    f"the account is in hedge mode ({row['symbol']} {row['positionSide']}); hftlab wants one-way mode: change it at the venue."
                )
            lots[number] += self._decoder.instruments[number].lots(row["positionAmt"], signed=True)
        return list[int | None](lots)

    async def cancel_all(self, instrument: int) -> None:
        """Cancel everything; none open is as good."""
        try:
            await self._rest.ask("DELETE", self._paths["all"], {"symbol": self._symbols[instrument]})
        except VenueRefused as error:
            if error.reason != Reject.UNKNOWN_ORDER:  # spot's word for "there is none"
                raise

    async def arm(self, seconds: float) -> None:
        """Start the countdown of each symbol anew; 0 stops it."""
        if self._venue == "binance":
            raise InputError("Binance spot has no dead man's switch; the watchdog process is all there is.")
        for symbol in self._symbols:
            await self._rest.ask("POST", "/fapi/v1/countdownCancelAll", {"symbol": symbol, "countdownTime": round(seconds * 1000)})

    async def server_time_ns(self) -> int:
        """Ask for the venue's clock."""
        reply = await self._rest.ask("GET", self._paths["time"], signed=False)
        return int(reply["serverTime"]) * 1_000_000
