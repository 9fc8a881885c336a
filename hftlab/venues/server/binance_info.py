"""What a client reads before it trades: exchangeInfo with its filters, and the fixed answers about currencies, fees and modes."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from hftlab.instrument import Instrument
from hftlab.venues.server.binance_common import SIGNED, STP_MODES, Call, Denied, Grid, House, Route, Routes, always
from hftlab.venues.server.binance_limits import Limits
from hftlab.venues.server.binance_orders import PRICE_MAX
from hftlab.venues.server.model import Filters

ONBOARD_MS, DELIVERY_MS = 1_569_398_400_000, 4_133_404_800_000
LEVERAGE, NOTIONAL_MAX = 20, 1_000_000_000
SPOT_FEE, MAKER_FEE, TAKER_FEE = Decimal("0.001"), Decimal("0.0002"), Decimal("0.0005")


class Info:
    """Endpoints that describe the venue. `limits` is what exchangeInfo tells of the rate limits."""

    def __init__(self, house: House, limits: Limits) -> None:
        self.house, self.limits = house, limits

    def routes(self) -> Routes:
        """Return the endpoints."""
        return self._spot() if self.house.spot else self._futures()

    def _spot(self) -> Routes:
        return {
            ("GET", "/api/v3/ping"): Route(always({})),
            ("GET", "/api/v3/time"): Route(self.time),
            ("GET", "/api/v3/exchangeInfo"): Route(self.exchange_info, 20),
            ("GET", "/sapi/v1/system/status"): Route(always({"status": 0, "msg": "normal"})),
            ("GET", "/sapi/v1/capital/config/getall"): Route(self.currencies, 10, SIGNED, "account"),
            ("GET", "/sapi/v1/margin/allPairs"): Route(always([]), 1),
            ("GET", "/sapi/v1/margin/isolated/allPairs"): Route(always([]), 10, SIGNED, "account"),
            ("GET", "/sapi/v1/asset/tradeFee"): Route(self.trade_fees, 1, SIGNED, "account"),
            ("GET", "/api/v3/account/commission"): Route(self.commission, 20, SIGNED, "account"),
            ("GET", "/api/v3/rateLimit/order"): Route(self.order_counts, 40, SIGNED, "account"),
        }

    def _futures(self) -> Routes:
        account = (SIGNED, "account")
        return {
            ("GET", "/fapi/v1/ping"): Route(always({})),
            ("GET", "/fapi/v1/time"): Route(self.time),
            ("GET", "/fapi/v1/exchangeInfo"): Route(self.exchange_info),
            ("GET", "/dapi/v1/exchangeInfo"): Route(self.no_coins),  # clients that load every kind of market ask for it
            ("GET", "/fapi/v1/leverageBracket"): Route(self.brackets, 1, *account),
            ("GET", "/fapi/v1/commissionRate"): Route(self.commission_rate, 20, *account),
            ("GET", "/fapi/v1/multiAssetsMargin"): Route(always({"multiAssetsMargin": False}), 30, *account),
            ("GET", "/fapi/v1/positionSide/dual"): Route(always({"dualSidePosition": False}), 30, *account),
            ("POST", "/fapi/v1/positionSide/dual"): Route(self.set_dual, 1, *account),
            ("POST", "/fapi/v1/multiAssetsMargin"): Route(self.set_multi, 1, *account),
            ("POST", "/fapi/v1/marginType"): Route(self.set_margin, 1, *account),
            ("POST", "/fapi/v1/leverage"): Route(self.set_leverage, 1, *account),
            ("GET", "/fapi/v1/accountConfig"): Route(self.account_config, 5, *account),
            ("GET", "/fapi/v1/symbolConfig"): Route(self.symbol_config, 5, *account),
            ("GET", "/fapi/v1/rateLimit/order"): Route(self.order_counts, 1, *account),
            ("GET", "/fapi/v1/fundingInfo"): Route(always([]), 0),
            ("GET", "/fapi/v1/fundingRate"): Route(always([]), 1),
        }

    def time(self, call: Call) -> dict[str, int]:
        """Return the venue's clock."""
        return {"serverTime": self.house.now_ms()}

    # --- exchangeInfo ---
    def no_coins(self, call: Call) -> dict[str, Any]:
        """Return the coin-margined contracts: this venue has none."""
        info = {"timezone": "UTC", "serverTime": self.house.now_ms(), "rateLimits": self.limits.rates()}
        return {**info, "exchangeFilters": [], "symbols": []}

    def exchange_info(self, call: Call) -> dict[str, Any]:
        """Return every symbol's filters as they are in force now."""
        house = self.house
        wanted = house.symbols(call.params)
        if several := call.params.get("symbols"):
            wanted = [name for name in wanted if f'"{name}"' in several]
            if not wanted:
                raise Denied(-1121, "Invalid symbol.")
        describe: Callable[[str], dict[str, Any]] = self._spot_symbol if house.spot else self._futures_symbol
        info = {"timezone": "UTC", "serverTime": house.now_ms(), "rateLimits": self.limits.rates(), "exchangeFilters": []}
        if not house.spot:
            assets = [{"asset": name, "marginAvailable": True, "autoAssetExchange": "-10000"} for name in self._assets(quotes=True)]
            info |= {"futuresType": "U_MARGINED", "assets": assets}
        return {**info, "symbols": [describe(name) for name in wanted]}

    def _spot_symbol(self, name: str) -> dict[str, Any]:
        grid, filters = self.house.grids[name], self.house.core.filters(name)
        one = grid.instrument
        return {
            "symbol": name,
            "status": "TRADING" if filters.trading else "BREAK",
            "baseAsset": one.base,
            "baseAssetPrecision": 8,
            "quoteAsset": one.quote,
            "quotePrecision": 8,
            "quoteAssetPrecision": 8,
            "baseCommissionPrecision": 8,
            "quoteCommissionPrecision": 8,
            "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
            "icebergAllowed": False,
            "ocoAllowed": False,
            "otoAllowed": False,
            "quoteOrderQtyMarketAllowed": True,
            "allowTrailingStop": False,
            "cancelReplaceAllowed": True,
            "amendAllowed": True,
            "isSpotTradingAllowed": True,
            "isMarginTradingAllowed": False,
            "filters": _spot_filters(one, filters),
            "permissions": [],
            "permissionSets": [["SPOT"]],
            "defaultSelfTradePreventionMode": self.house.stp_default,
            "allowedSelfTradePreventionModes": list(STP_MODES),
        }

    def _futures_symbol(self, name: str) -> dict[str, Any]:
        grid, filters = self.house.grids[name], self.house.core.filters(name)
        one = grid.instrument
        return {
            "symbol": name,
            "pair": name,
            "contractType": "PERPETUAL",
            "deliveryDate": DELIVERY_MS,
            "onboardDate": ONBOARD_MS,
            "status": "TRADING" if filters.trading else "SETTLING",
            "maintMarginPercent": "2.5000",
            "requiredMarginPercent": "5.0000",
            "baseAsset": one.base,
            "quoteAsset": one.quote,
            "marginAsset": one.settle,
            "pricePrecision": grid.price_decimals,
            "quantityPrecision": grid.qty_decimals,
            "baseAssetPrecision": 8,
            "quotePrecision": 8,
            "underlyingType": "COIN",
            "underlyingSubType": [],
            "triggerProtect": "0.0500",
            "liquidationFee": "0.012500",
            "marketTakeBound": "0.05",
            "maxMoveOrderLimit": filters.amends_max,
            "filters": _futures_filters(grid, filters),
            "orderTypes": ["LIMIT", "MARKET"],
            "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
        }

    # --- accounts' fixed answers ---
    def _assets(self, *, quotes: bool = False) -> list[str]:
        grids = self.house.grids.values()
        return sorted({grid.instrument.settle for grid in grids} | (set() if quotes else {grid.instrument.base for grid in grids}))

    def currencies(self, call: Call) -> list[dict[str, Any]]:
        """Return the assets; nothing is ever deposited or withdrawn here."""
        account, core = self.house.core.account(call.account), self.house.core
        assert account is not None
        rows = []
        for asset in self._assets():
            free, total = core.free(call.account, asset), account.balances.get(asset, Decimal(0))
            money = {
                "free": f"{free:.8f}",
                "locked": f"{total - free:.8f}",
                "freeze": "0",
                "withdrawing": "0",
                "ipoing": "0",
                "ipoable": "0",
            }
            says = {"depositAllEnable": False, "withdrawAllEnable": False, "isLegalMoney": False, "trading": True, "storage": "0"}
            rows.append({"coin": asset, "name": asset, **says, **money, "networkList": []})
        return rows

    def trade_fees(self, call: Call) -> list[dict[str, str]]:
        """Return the fees of one symbol or all."""
        return [
            {"symbol": name, "makerCommission": str(SPOT_FEE), "takerCommission": str(SPOT_FEE)} for name in self.house.symbols(call.params)
        ]

    def commission(self, call: Call) -> dict[str, Any]:
        """Return a symbol's fees."""
        nothing_more = {"maker": "0.00000000", "taker": "0.00000000", "buyer": "0.00000000", "seller": "0.00000000"}
        standard = {**nothing_more, "maker": f"{SPOT_FEE:.8f}", "taker": f"{SPOT_FEE:.8f}"}
        discount = {"enabledForAccount": False, "enabledForSymbol": False, "discountAsset": "BNB", "discount": "0.00000000"}
        symbol = self.house.symbol(call.params)
        return {"symbol": symbol, "standardCommission": standard, "taxCommission": nothing_more, "discount": discount}

    def commission_rate(self, call: Call) -> dict[str, str]:
        """Return a contract's fees."""
        symbol = self.house.symbol(call.params)
        return {"symbol": symbol, "makerCommissionRate": str(MAKER_FEE), "takerCommissionRate": str(TAKER_FEE)}

    def order_counts(self, call: Call) -> list[dict[str, object]]:
        """Return the account's order counts."""
        return self.limits.counted(call.client, call.account, self.house.core.now_ns())[:-1]

    def brackets(self, call: Call) -> list[dict[str, Any]]:
        """Return one wide bracket for each contract."""
        one = {
            "bracket": 1,
            "initialLeverage": LEVERAGE,
            "notionalCap": NOTIONAL_MAX,
            "notionalFloor": 0,
            "maintMarginRatio": 0.025,
            "cum": 0.0,
        }
        return [{"symbol": name, "brackets": [one]} for name in self.house.symbols(call.params)]

    def set_dual(self, call: Call) -> dict[str, Any]:
        """One-way is the only mode there is."""
        if call.params.flag("dualSidePosition"):
            raise Denied(-4067, "Position side cannot be changed if there exists open orders.")
        raise Denied(-4059, "No need to change position side.")

    def set_multi(self, call: Call) -> dict[str, Any]:
        """Single-asset is the only mode there is."""
        raise Denied(-4171, "Adjusted asset mode is currently set and does not need to be adjusted repeatedly.")

    def set_margin(self, call: Call) -> dict[str, Any]:
        """Cross is the only margin there is."""
        self.house.symbol(call.params)
        raise Denied(-4046, "No need to change margin type.")

    def set_leverage(self, call: Call) -> dict[str, Any]:
        """Acknowledge a leverage: what margin an account needs is the core's affair."""
        symbol, leverage = self.house.symbol(call.params), call.params.integer("leverage")
        if not 1 <= leverage <= LEVERAGE:
            raise Denied(-4028, f"Leverage {leverage} is not valid")
        return {"symbol": symbol, "leverage": leverage, "maxNotionalValue": str(NOTIONAL_MAX)}

    def account_config(self, call: Call) -> dict[str, Any]:
        """Return the account's modes."""
        can = {"canTrade": True, "canDeposit": True, "canWithdraw": True, "dualSidePosition": False, "multiAssetsMargin": False}
        return {"feeTier": 0, **can, "tradeGroupId": -1, "updateTime": 0}

    def symbol_config(self, call: Call) -> list[dict[str, Any]]:
        """Return margin type and leverage of one contract or all."""
        rest = {"marginType": "CROSSED", "isAutoAddMargin": False, "leverage": LEVERAGE, "maxNotionalValue": str(NOTIONAL_MAX)}
        return [{"symbol": name, **rest} for name in self.house.symbols(call.params)]


def _spot_filters(one: Instrument, filters: Filters) -> list[dict[str, Any]]:
    up, down = f"{1 + filters.band_frac:g}", f"{1 - filters.band_frac:g}"
    low, high, step = (f"{one.qty(lots):.8f}" for lots in (filters.qty_lots_min, filters.qty_lots_max, filters.qty_step))
    sides = {"bidMultiplierUp": up, "bidMultiplierDown": down, "askMultiplierUp": up, "askMultiplierDown": down, "avgPriceMins": 0}
    tick = f"{one.price(filters.price_step):.8f}"
    notional = {"minNotional": f"{filters.notional_quote_min:.8f}", "applyMinToMarket": True, "maxNotional": "9000000.00000000"}
    return [
        {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": f"{PRICE_MAX:.8f}", "tickSize": tick},
        {"filterType": "LOT_SIZE", "minQty": low, "maxQty": high, "stepSize": step},
        {"filterType": "ICEBERG_PARTS", "limit": 10},
        {"filterType": "MARKET_LOT_SIZE", "minQty": "0.00000000", "maxQty": high, "stepSize": "0.00000000"},
        {"filterType": "PERCENT_PRICE_BY_SIDE", **sides},
        {"filterType": "NOTIONAL", **notional, "applyMaxToMarket": False, "avgPriceMins": 0},
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": filters.orders_max},
        {"filterType": "MAX_NUM_ORDER_LISTS", "maxNumOrderLists": 20},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
        {"filterType": "MAX_NUM_ORDER_AMENDS", "maxNumOrderAmends": filters.amends_max},
    ]


def _futures_filters(grid: Grid, filters: Filters) -> list[dict[str, Any]]:
    one = grid.instrument
    low, high, step = (grid.qty(lots) for lots in (filters.qty_lots_min, filters.qty_lots_max, filters.qty_step))
    lots = {"minQty": low, "maxQty": high, "stepSize": step}
    tick, most = (f"{price:.{grid.price_decimals}f}" for price in (one.price(filters.price_step), PRICE_MAX))
    up, down = f"{1 + filters.band_frac:.4f}", f"{1 - filters.band_frac:.4f}"
    return [
        {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": most, "tickSize": tick},
        {"filterType": "LOT_SIZE", **lots},
        {"filterType": "MARKET_LOT_SIZE", **lots},
        {"filterType": "MAX_NUM_ORDERS", "limit": filters.orders_max},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": 10},
        {"filterType": "MIN_NOTIONAL", "notional": f"{filters.notional_quote_min.normalize():f}"},
        {"filterType": "PERCENT_PRICE", "multiplierUp": up, "multiplierDown": down, "multiplierDecimal": "4"},
    ]
