"""Hyperliquid's rules that a person may change, its two rate limits, and its nonces."""

from collections import deque
from dataclasses import dataclass
from decimal import Decimal

_MINUTE_NS = 60 * 10**9
_DAY_MS = 86_400_000
NONCES_KEPT = 100

HEAVY = 60
LIGHT = 2
NORMAL = 20
LIGHT_TYPES = frozenset({"l2Book", "allMids", "clearinghouseState", "orderStatus", "spotClearinghouseState", "exchangeStatus"})


@dataclass(frozen=True)
class HyperliquidRules:
    """What the loopback Hyperliquid does; the defaults are the venue's own rules.

    `in_block_ordering`: posts over the WebSocket wait for the end of their block and are acted on in three groups: what sends no
    taking order, cancels, what may take. (A request over HTTP is answered at once, so it is a block of its own.)
    """

    block_s: float = 0.07  # md frames leave once a block
    book_interval_s: float = 0.5  # 0: l2Book with every block
    book_levels: int = 20
    context_interval_s: float = 1.0
    in_block_ordering: bool = False
    weight_per_min: int = 1200  # per IP
    requests_initial: int = 10_000  # per address; one more per USDC traded
    requests_slow_s: float = 10.0  # an address without budget may still send one in this time
    messages_per_min: int = 2000  # per IP, over WebSockets
    subscriptions_max: int = 1000  # per IP
    schedule_ahead_s: float = 5.0
    schedule_traded_quote_min: Decimal = Decimal(1_000_000)
    schedule_triggers_per_day: int = 10
    trades_on_subscribe: int = 10
    leverage_max: int = 40
    maker_rate: Decimal = Decimal("0.00015")  # told, not charged: the core charges
    taker_rate: Decimal = Decimal("0.00045")


def info_weight(kind: str) -> int:
    """Return the IP weight of an info request."""
    return LIGHT if kind in LIGHT_TYPES else HEAVY if kind == "userRole" else NORMAL


class Window:
    """Counts weights of the last minute per key."""

    def __init__(self, per_min: int) -> None:
        self.per_min = per_min
        self._seen: dict[str, deque[tuple[int, int]]] = {}
        self._sum: dict[str, int] = {}

    def take(self, key: str, weight: int, now_ns: int) -> bool:
        """Count a request; False, and nothing counted, when it is too much."""
        seen = self._seen.setdefault(key, deque())
        total = self._sum.get(key, 0)
        while seen and seen[0][0] <= now_ns - _MINUTE_NS:
            total -= seen.popleft()[1]
        fits = total + weight <= self.per_min
        if fits:
            seen.append((now_ns, weight))
            total += weight
        self._sum[key] = total
        return fits


@dataclass
class Budget:
    """Requests of one address: it has some at first, and earns one per USDC traded."""

    used: int = 0
    slow_ns: int = 0  # when the last request beyond the budget was let through

    def cap(self, traded_quote: Decimal, rules: HyperliquidRules) -> int:
        """Return how many requests an address may have sent."""
        return rules.requests_initial + int(traded_quote)

    def refuses(self, count: int, traded_quote: Decimal, now_ns: int, rules: HyperliquidRules, *, cancels: bool) -> str:
        """Count `count` requests and return "", or return the venue's refusal; a refused request uses nothing."""
        cap = self.cap(traded_quote, rules)
        limit = min(cap + 100_000, 2 * cap) if cancels else cap
        if self.used + count > limit:
            if self.slow_ns and now_ns - self.slow_ns < rules.requests_slow_s * 1e9:
                return (
                    f"Too many cumulative requests sent ({self.used + count} > {limit}) for cumulative volume traded "
                    f"${traded_quote.normalize():f}. Place taker orders to free up 1 request per USDC traded."
                )
            self.slow_ns = now_ns
        self.used += count
        return ""


class Nonces:
    """The highest nonces of each signer: a new one must be unused, above the lowest kept, and near the clock."""

    def __init__(self) -> None:
        self._kept: dict[str, list[int]] = {}

    def refuses(self, signer: str, nonce: int, now_ms: int) -> str:
        """Take note of a nonce and return "", or return the venue's refusal."""
        if not now_ms - 2 * _DAY_MS < nonce < now_ms + _DAY_MS:
            return f"Invalid nonce: {nonce} is too far from the time {now_ms}"
        kept = self._kept.setdefault(signer, [])
        if nonce in kept:
            return f"Invalid nonce: duplicate nonce {nonce}"
        if len(kept) >= NONCES_KEPT:
            if nonce < kept[0]:
                return f"Invalid nonce: {nonce} is below the last {NONCES_KEPT}"
            kept.pop(0)
        kept.append(nonce)
        kept.sort()
        return ""
