"""POST /info of Hyperliquid: what anybody may ask."""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from hftlab.venues.server.hyperliquid_account import HyperliquidAccounts
from hftlab.venues.server.hyperliquid_market import HyperliquidMarket
from hftlab.venues.server.hyperliquid_state import HyperliquidState


class OfCoin(Struct, frozen=True):
    """A question about a coin."""

    coin: str


class CandleSpan(Struct, frozen=True, rename="camel"):
    """Which candles, ms."""

    coin: str
    interval: str
    start_time: int
    end_time: int | None = None


class OfCandles(Struct, frozen=True):
    """A question for candles."""

    req: CandleSpan


class OfUser(Struct, frozen=True):
    """A question about an address."""

    user: str


class OfOrder(Struct, frozen=True):
    """A question for an order, by oid or cloid."""

    user: str
    oid: int | str


class OfTime(Struct, frozen=True, rename="camel"):
    """A question about an address in a span of time, ms."""

    user: str
    start_time: int = 0
    end_time: int | None = None


class OfBuilder(Struct, frozen=True):
    """A question for what a builder may take."""

    user: str
    builder: str


class HyperliquidInfo:
    """Answers by the `type` of a request."""

    def __init__(self, state: HyperliquidState, market: HyperliquidMarket, accounts: HyperliquidAccounts) -> None:
        self._same: dict[str, Callable[[], Any]] = {
            "exchangeStatus": lambda: {"time": state.now_ms(), "specialStatuses": None},
            "meta": lambda: market.meta(),
            "spotMeta": lambda: market.spot_meta(),
            "perpDexs": lambda: [None],  # null stands for the venue's own
            "metaAndAssetCtxs": lambda: [market.meta(), [market.context(coin) for coin in state.coins]],
            "spotMetaAndAssetCtxs": lambda: [market.spot_meta(), []],
            "allMids": lambda: market.mids(),
            "spotClearinghouseState": lambda: {"balances": []},
            "userNonFundingLedgerUpdates": list,
            "fundingHistory": list,  # of a coin: there is none but what somebody books by hand
            "userAbstraction": lambda: "default",
            "subAccounts": lambda: None,
        }
        self._asked: dict[str, tuple[type[Struct], Callable[[Any], Any]]] = {
            "l2Book": (OfCoin, lambda ask: market.book(ask.coin) if ask.coin in state.coins else None),
            "recentTrades": (OfCoin, lambda ask: market.trades(ask.coin, 500)[::-1] if ask.coin in state.coins else None),
            "candleSnapshot": (OfCandles, lambda ask: market.candles(ask.req.coin, ask.req.interval, ask.req.start_time, ask.req.end_time)),
            "clearinghouseState": (OfUser, lambda ask: accounts.clearinghouse(ask.user.lower())),
            "openOrders": (OfUser, lambda ask: accounts.open_orders(ask.user.lower())),
            "frontendOpenOrders": (OfUser, lambda ask: accounts.open_orders(ask.user.lower(), frontend=True)),
            "historicalOrders": (OfUser, lambda ask: accounts.history(ask.user.lower())),
            "orderStatus": (OfOrder, lambda ask: accounts.order_status(ask.user.lower(), ask.oid)),
            "userFills": (OfUser, lambda ask: accounts.fills(ask.user.lower())),
            "userFillsByTime": (OfTime, lambda ask: accounts.fills_by_time(ask.user.lower(), ask.start_time, ask.end_time)),
            "userFunding": (OfTime, lambda ask: accounts.fundings(ask.user.lower(), ask.start_time, ask.end_time)),
            "userRateLimit": (OfUser, lambda ask: accounts.rate_limit(ask.user.lower())),
            "userFees": (OfUser, lambda ask: accounts.fees(ask.user.lower())),
            "userRole": (OfUser, lambda ask: accounts.role(ask.user.lower())),
            "extraAgents": (OfUser, lambda ask: accounts.agents(ask.user.lower())),
            "maxBuilderFee": (OfBuilder, lambda ask: accounts.builder_fee(ask.user.lower(), ask.builder.lower())),
        }

    def knows(self, kind: Any) -> bool:
        """Say whether there is an answer to this type."""
        return isinstance(kind, str) and (kind in self._same or kind in self._asked)

    def answer(self, ask: dict[str, Any]) -> Any:
        """Return the answer to a question whose type is known. Raises msgspec.ValidationError when something is missing in it."""
        if ask["type"] in self._same:
            return self._same[ask["type"]]()
        shape, answer = self._asked[ask["type"]]
        return answer(msgspec.convert(ask, shape))
