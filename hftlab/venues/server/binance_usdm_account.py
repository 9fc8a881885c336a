"""Wallet and positions of the USDⓈ-M venue, in the shapes of all versions that clients still ask for."""

from decimal import Decimal
from typing import Any

from hftlab.venues.server.binance_common import SIGNED, Call, House, Route, Routes
from hftlab.venues.server.binance_info import LEVERAGE, NOTIONAL_MAX
from hftlab.venues.server.binance_reports import entry_text, unrealized
from hftlab.venues.server.model import Account, Position

NOTHING = Decimal(0)


class UsdmAccount:
    """Account endpoints. Every account is one-way, cross-margined and single-asset."""

    def __init__(self, house: House) -> None:
        self.house = house

    def routes(self) -> Routes:
        """Return the endpoints."""
        routes = {}
        for version in ("v1", "v2", "v3"):
            base = f"/fapi/{version}"
            routes["GET", f"{base}/account"] = Route(self.account if version == "v3" else self.account_v2, 5, SIGNED, "account")
            routes["GET", f"{base}/balance"] = Route(self.balance, 5, SIGNED, "account")
            routes["GET", f"{base}/positionRisk"] = Route(self.positions if version == "v3" else self.positions_v2, 5, SIGNED, "account")
        return routes

    def _account(self, call: Call) -> Account:
        account = self.house.core.account(call.account)
        assert account is not None
        return account

    def _symbols(self, call: Call) -> list[str]:
        return self.house.symbols(call.params)

    def _profit(self, account: Account, asset: str) -> Decimal:
        own = [name for name in account.positions if self.house.grids[name].instrument.settle == asset]
        return sum((unrealized(self.house, name, account.positions[name]) for name in own), NOTHING)

    def _assets(self, account: Account) -> list[str]:
        settled = {grid.instrument.settle for grid in self.house.grids.values()}
        return [*sorted(settled), *sorted(set(account.balances) - settled)]

    # --- wallet ---
    def balance(self, call: Call) -> list[dict[str, Any]]:
        """Return the wallet, one row an asset."""
        account, rows = self._account(call), []
        for asset in self._assets(account):
            wallet, free = account.balances.get(asset, NOTHING), self._available(call.account, asset)
            cross = {"balance": f"{wallet:.8f}", "crossWalletBalance": f"{wallet:.8f}", "crossUnPnl": f"{self._profit(account, asset):.8f}"}
            more = {"availableBalance": free, "maxWithdrawAmount": free, "marginAvailable": True, "updateTime": self.house.now_ms()}
            rows.append({"accountAlias": "SgsR", "asset": asset, **cross, **more})
        return rows

    def _available(self, account: str, asset: str) -> str:
        return f"{max(NOTHING, self.house.core.free(account, asset)):.8f}"

    def _asset(self, account: Account, asset: str) -> dict[str, Any]:
        wallet, profit = account.balances.get(asset, NOTHING), self._profit(account, asset)
        bound = wallet + profit - self.house.core.free(account.key, asset)
        free = self._available(account.key, asset)
        return {
            "asset": asset,
            "walletBalance": f"{wallet:.8f}",
            "unrealizedProfit": f"{profit:.8f}",
            "marginBalance": f"{wallet + profit:.8f}",
            "maintMargin": f"{bound / 2:.8f}",
            "initialMargin": f"{bound:.8f}",
            "positionInitialMargin": f"{bound:.8f}",
            "openOrderInitialMargin": f"{NOTHING:.8f}",
            "crossWalletBalance": f"{wallet:.8f}",
            "crossUnPnl": f"{profit:.8f}",
            "availableBalance": free,
            "maxWithdrawAmount": free,
            "marginAvailable": True,
            "updateTime": self.house.now_ms(),
        }

    def account(self, call: Call) -> dict[str, Any]:
        """Return wallet and positions (version 3: only positions that are open)."""
        account = self._account(call)
        assets = [self._asset(account, asset) for asset in self._assets(account)]
        total = {name: f"{sum((Decimal(one[name]) for one in assets), NOTHING):.8f}" for name in assets[0] if name in TOTALS}
        totals = {f"total{name[0].upper()}{name[1:]}": text for name, text in total.items()}
        more = {"availableBalance": assets[0]["availableBalance"], "maxWithdrawAmount": assets[0]["maxWithdrawAmount"]}
        rows = [self._held(symbol, position) for symbol, position in account.positions.items() if position.lots]
        return {**totals, **more, "assets": assets, "positions": rows}

    def account_v2(self, call: Call) -> dict[str, Any]:
        """Return wallet and positions (version 2: every symbol, and what the account may do)."""
        account = self._account(call)
        can = {"feeTier": 0, "canTrade": True, "canDeposit": True, "canWithdraw": True, "updateTime": 0, "multiAssetsMargin": False}
        rows = [
            {**self._held(symbol, account.positions.get(symbol, Position())), "leverage": str(LEVERAGE), "isolated": False}
            for symbol in self.house.grids
        ]
        return {**can, "tradeGroupId": -1, **self.account(call), "positions": rows}

    def _held(self, symbol: str, position: Position) -> dict[str, Any]:
        house, grid = self.house, self.house.grids[symbol]
        worth = house.core.mark_price(symbol) * grid.instrument.qty(position.lots)
        margin = f"{abs(worth) / LEVERAGE:.8f}"
        entry = entry_text(house, symbol, position)
        facts = {"symbol": symbol, "positionSide": "BOTH", "positionAmt": grid.qty(position.lots), "entryPrice": entry}
        money = {"unrealizedProfit": f"{unrealized(house, symbol, position):.8f}", "notional": f"{worth:.8f}", "isolatedMargin": "0"}
        bound = {"initialMargin": margin, "positionInitialMargin": margin, "maintMargin": f"{abs(worth) / 40:.8f}"}
        return {**facts, **money, **bound, "openOrderInitialMargin": "0", "isolatedWallet": "0", "updateTime": house.now_ms()}

    # --- positions ---
    def positions(self, call: Call) -> list[dict[str, Any]]:
        """Return the open positions (version 3)."""
        account = self._account(call)
        held = [(symbol, account.positions.get(symbol, Position())) for symbol in self._symbols(call)]
        return [self._risk(symbol, position) for symbol, position in held if position.lots]

    def positions_v2(self, call: Call) -> list[dict[str, Any]]:
        """Return the position in every symbol, flat ones too (version 2)."""
        account = self._account(call)
        more = {"leverage": str(LEVERAGE), "maxNotionalValue": str(NOTIONAL_MAX), "marginType": "cross", "isAutoAddMargin": "false"}
        held = [(symbol, account.positions.get(symbol, Position())) for symbol in self._symbols(call)]
        return [{**self._risk(symbol, position), **more} for symbol, position in held]

    def _risk(self, symbol: str, position: Position) -> dict[str, Any]:
        held = self._held(symbol, position)
        prices = {"breakEvenPrice": held["entryPrice"], "markPrice": f"{self.house.core.mark_price(symbol):.8f}", "liquidationPrice": "0"}
        asset = self.house.grids[symbol].instrument.settle
        more = {"marginAsset": asset, "adl": 0, "bidNotional": "0", "askNotional": "0", "unRealizedProfit": held.pop("unrealizedProfit")}
        return {**held, **prices, **more}


TOTALS = (
    "initialMargin",
    "maintMargin",
    "walletBalance",
    "unrealizedProfit",
    "marginBalance",
    "positionInitialMargin",
    "openOrderInitialMargin",
    "crossWalletBalance",
    "crossUnPnl",
)
