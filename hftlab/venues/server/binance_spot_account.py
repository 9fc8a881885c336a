"""Balances and executions of a spot account."""

from typing import Any

from hftlab.venues.server.binance_common import SIGNED, Call, House, Params, Route, Routes
from hftlab.venues.server.binance_orders import page, within


class SpotAccount:
    """Account endpoints."""

    def __init__(self, house: House) -> None:
        self.house = house

    def routes(self) -> Routes:
        """Return the endpoints."""
        return {
            ("GET", "/api/v3/myTrades"): Route(self.trades, _trades_weight, SIGNED, "query"),
            ("GET", "/api/v3/account"): Route(self.account, 20, SIGNED, "account"),
        }

    def trades(self, call: Call) -> list[dict[str, Any]]:
        """Return the account's executions in a symbol."""
        house, symbol = self.house, self.house.symbol(call.params)
        grid, number = house.grids[symbol], call.params.integer("orderId")
        fills = [one for one in house.core.fills(call.account, symbol) if within(call, house.ms(one.ts_ns))]
        fills = [one for one in fills if not number or one.order_id == number]
        return [
            {
                "symbol": symbol,
                "id": fill.trade_id,
                "orderId": fill.order_id,
                "orderListId": -1,
                "price": grid.price(fill.price_ticks),
                "qty": grid.qty(fill.qty_lots),
                "quoteQty": grid.quote(fill.price_ticks * fill.qty_lots),
                "commission": f"{fill.fee:.8f}",
                "commissionAsset": fill.fee_asset,
                "time": house.ms(fill.ts_ns),
                "isBuyer": fill.side > 0,
                "isMaker": fill.maker,
                "isBestMatch": True,
            }
            for fill in page(call, fills, lambda one: one.trade_id, "fromId", 1000)
        ]

    def account(self, call: Call) -> dict[str, Any]:
        """Return the balances."""
        account, core = self.house.core.account(call.account), self.house.core
        assert account is not None
        rows = []
        for asset in sorted(account.balances):
            free, total = core.free(call.account, asset), account.balances[asset]
            if total or not call.params.flag("omitZeroBalances"):
                rows.append({"asset": asset, "free": f"{free:.8f}", "locked": f"{total - free:.8f}"})
        rates = {"maker": "0.00100000", "taker": "0.00100000", "buyer": "0.00000000", "seller": "0.00000000"}
        fees = {"makerCommission": 10, "takerCommission": 10, "buyerCommission": 0, "sellerCommission": 0, "commissionRates": rates}
        can = {"canTrade": True, "canWithdraw": True, "canDeposit": True, "brokered": False}
        more = {"requireSelfTradePrevention": False, "preventSor": False, "updateTime": self.house.now_ms(), "accountType": "SPOT"}
        return {**fees, **can, **more, "balances": rows, "permissions": ["SPOT"], "uid": 354937868}


def _trades_weight(params: Params) -> int:
    return 5 if params.get("orderId") else 20
