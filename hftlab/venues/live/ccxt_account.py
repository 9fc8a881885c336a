"""What any venue answers through ccxt when asked: one order, the open ones, our executions, positions, its clock."""

from decimal import Decimal
from typing import Any

from hftlab.errors import InputError, VenueRefused
from hftlab.venues.live.ccxt_decode import CcxtDecoder
from hftlab.venues.live.ccxt_exchange import asked, bound
from hftlab.venues.live.model import OrderState, Reject, VenueFill

_PAGE = 500
_SPAN_MS = 24 * 3600_000  # the shortest span that a venue answers at once (Binance spot)


class CcxtAccount:
    """The questions of `Wire` over ccxt."""

    def __init__(self, exchange: Any, decoder: CcxtDecoder) -> None:
        self._exchange, self._decoder = exchange, decoder

    async def _ask(self, name: str, *arguments: Any, **named: Any) -> Any:
        return await asked(self._exchange, bound(self._exchange, name, *arguments, **named), name)

    async def query(self, instrument: int, client_id: str) -> OrderState | None:
        """Ask for one order; None when the venue does not know it."""
        symbol = self._decoder.instruments[instrument].symbol
        try:
            return self._decoder.order(await self._ask("fetch_order", None, symbol, {"clientOrderId": client_id}))
        except VenueRefused as error:
            if error.reason == Reject.UNKNOWN_ORDER:
                return None
            raise

    async def open_orders(self) -> list[OrderState]:
        """Ask symbol by symbol."""
        rows: list[Any] = []
        for instrument in self._decoder.instruments:
            rows += await self._ask("fetch_open_orders", instrument.symbol)
        return [state for row in rows if (state := self._decoder.order(row)) is not None]

    async def fills(self, instrument: int, since_ns: int, now_ns: int) -> list[VenueFill]:
        """Page on by time, a day at a time where nothing was done; a trade told twice is kept once."""
        symbol, at_ms = self._decoder.instruments[instrument].symbol, since_ns // 1_000_000
        found: dict[int, VenueFill] = {}
        while at_ms <= now_ns // 1_000_000:
            page = [self._decoder.fill(row) for row in await self._ask("fetch_my_trades", symbol, at_ms, _PAGE)]
            fresh = {fill.key: fill for fill in page if fill is not None and fill.key not in found}
            found |= fresh
            latest_ms = max((fill.ts_ns // 1_000_000 for fill in fresh.values()), default=0)
            at_ms = max(latest_ms, at_ms + 1) if fresh else at_ms + _SPAN_MS
        return sorted((fill for fill in found.values() if fill.ts_ns >= since_ns), key=lambda fill: (fill.ts_ns, fill.trade_id))

    async def positions(self) -> list[int | None]:
        """Return signed lots; of spot the whole base balance, dust below a lot left out."""
        instruments, markets = self._decoder.instruments, self._exchange.markets
        contracts = [i.symbol for i in instruments if markets[i.symbol].get("contract")]
        lots: dict[str, int] = dict.fromkeys(contracts, 0)
        if contracts:
            for row in await self._ask("fetch_positions", contracts):
                if row["symbol"] in lots and row.get("contracts"):
                    instrument = instruments[self._decoder.index[row["symbol"]]]
                    size = instrument.lots(row["contracts"])
                    lots[row["symbol"]] += -size if row["side"] == "short" else size
        if len(contracts) < len(instruments):
            held = (await self._ask("fetch_balance"))["total"]
            for i in instruments:
                if i.symbol not in lots:
                    lots[i.symbol] = i.lots(Decimal(str(held.get(i.base) or 0)), signed=True, toward_zero=True)
        return [lots[i.symbol] for i in instruments]

    async def cancel_all(self, instrument: int) -> None:
        """Cancel everything, by the venue's own brush where ccxt has it, else order by order."""
        symbol = self._decoder.instruments[instrument].symbol
        try:
            if self._exchange.has.get("cancelAllOrders"):
                await self._ask("cancel_all_orders", symbol)
            elif ids := [row["id"] for row in await self._ask("fetch_open_orders", symbol)]:
                await self._ask("cancel_orders", ids, symbol)
        except VenueRefused as error:
            if error.reason != Reject.UNKNOWN_ORDER:  # none is left: as good
                raise

    async def arm(self, seconds: float) -> None:
        """Start the countdown anew; 0 stops it. Hyperliquid wants 5 s at least, and an account that has traded."""
        if self._exchange.id == "binanceusdm":
            for instrument in self._decoder.instruments:
                params = {"symbol": self._exchange.market(instrument.symbol)["id"], "countdownTime": round(seconds * 1000)}
                await self._ask("fapiPrivatePostCountdownCancelAll", params)
        elif self._exchange.id == "hyperliquid":
            await (self._ask("cancel_all_orders_after", round(seconds * 1000)) if seconds > 0 else self._disarm_hyperliquid())
        else:
            raise InputError(f"{self._exchange.id} has no dead man's switch that hftlab knows; the watchdog process is all there is.")

    async def _disarm_hyperliquid(self) -> None:
        """Send the schedule without a time, which removes it; ccxt always adds one."""
        action, nonce = {"type": "scheduleCancel"}, self._exchange.milliseconds()
        signature = self._exchange.sign_l1_action(action, nonce)
        await self._ask("privatePostExchange", {"action": action, "nonce": nonce, "signature": signature})

    async def server_time_ns(self) -> int:
        """Ask for the venue's clock, and have ccxt stamp with it: it takes `timeDifference` off its own."""
        asked_ms = self._exchange.milliseconds()
        time_ms = int(await self._ask("fetch_time"))
        self._exchange.options["timeDifference"] = (asked_ms + self._exchange.milliseconds()) // 2 - time_ms
        return time_ms * 1_000_000
