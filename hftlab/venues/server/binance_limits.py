"""Request weights by address and order counts by account, as Binance counts and enforces them.

Windows are those of the clock (a minute, ten seconds, a UTC day). Over the weight limit: 429 with Retry-After; who goes on asking
is banned, 418, for two minutes and twice as long each time up to three days (the venue's "Limits" pages).
"""

from dataclasses import dataclass, field

from hftlab.venues.server.binance_common import MS, Denied, Params

SECOND = 1_000_000_000
LETTERS = {"SECOND": ("S", SECOND), "MINUTE": ("M", 60 * SECOND), "DAY": ("D", 86_400 * SECOND)}
PATIENCE = 10  # answers of 429 in one window before the ban
BAN_NS_MIN, BAN_NS_MAX = 120 * SECOND, 3 * 86_400 * SECOND
MAKER_CREDIT, TAKER_CREDIT = 5, 1  # an order's first fill gives back this much (spot, "Unfilled Order Count Rules")


@dataclass(frozen=True, slots=True)
class OrderLimit:
    """At most `limit` orders an interval."""

    interval: str
    number: int
    limit: int

    @property
    def ns(self) -> int:
        """Return the interval."""
        return self.number * LETTERS[self.interval][1]

    @property
    def header(self) -> str:
        """Return the name of the header that tells the count."""
        return f"X-MBX-ORDER-COUNT-{self.number}{LETTERS[self.interval][0]}"


@dataclass(slots=True)
class Visitor:
    """What is known of one address."""

    window: int = -1
    used: int = 0
    warned: int = 0
    bans: int = 0
    banned_until_ns: int = 0


@dataclass(slots=True)
class Limits:
    """The budgets of one venue. `weight_max` is per minute and address; `orders` per account."""

    weight_max: int
    orders: tuple[OrderLimit, ...] = ()
    header: str = "X-MBX-USED-WEIGHT-1M"
    credit: bool = False
    _visitors: dict[str, Visitor] = field(default_factory=dict)
    _counts: dict[tuple[str, OrderLimit], tuple[int, int]] = field(default_factory=dict)

    def spend(self, client: str, weight: int, now_ns: int) -> None:
        """Count a request. Raises Denied (-1003) with 429, or with 418 during a ban."""
        visitor, window = self._visitors.setdefault(client, Visitor()), now_ns // LETTERS["MINUTE"][1]
        if now_ns < visitor.banned_until_ns:
            raise self._banned(visitor, now_ns)
        if window != visitor.window:
            visitor.window, visitor.used, visitor.warned = window, 0, 0
        visitor.used += weight
        if visitor.used <= self.weight_max:
            return
        visitor.warned += 1
        if visitor.warned > PATIENCE:
            visitor.banned_until_ns = now_ns + min(BAN_NS_MIN << visitor.bans, BAN_NS_MAX)
            visitor.bans += 1
            raise self._banned(visitor, now_ns)
        left_s = ((window + 1) * LETTERS["MINUTE"][1] - now_ns) // SECOND + 1
        text = f"Too much request weight used; current limit is {self.weight_max} request weight per 1 MINUTE."
        text += " Please use WebSocket Streams for live updates to avoid polling the API."
        raise Denied(-1003, text, 429, headers={"Retry-After": str(left_s)})

    def _banned(self, visitor: Visitor, now_ns: int) -> Denied:
        until_ns = visitor.banned_until_ns
        text = f"Way too much request weight used; IP banned until {until_ns // MS}. Please use WebSocket Streams for live updates to avoid bans."
        return Denied(-1003, text, 418, headers={"Retry-After": str((until_ns - now_ns) // SECOND + 1)})

    def used(self, client: str) -> int:
        """Return the weight used in the window of the newest request."""
        visitor = self._visitors.get(client)
        return visitor.used if visitor else 0

    def count(self, account: str, limit: OrderLimit, now_ns: int) -> int:
        """Return the orders counted in the present interval."""
        window, count = self._counts.get((account, limit), (-1, 0))
        return count if window == now_ns // limit.ns else 0

    def check(self, account: str, now_ns: int) -> None:
        """Raise Denied (-1015) when the account may place no further order now."""
        for limit in self.orders:
            if self.count(account, limit, now_ns) >= limit.limit:
                left_s = (limit.ns - now_ns % limit.ns) // SECOND + 1
                text = f"Too many new orders; current limit is {limit.limit} orders per {limit.number} {limit.interval}."
                raise Denied(-1015, text, 429, headers={"Retry-After": str(left_s)})

    def add(self, account: str, now_ns: int, orders: int = 1) -> None:
        """Count orders that were placed; a negative number gives back, but never below none."""
        for limit in self.orders:
            self._counts[account, limit] = (now_ns // limit.ns, max(0, self.count(account, limit, now_ns) + orders))

    def filled(self, account: str, now_ns: int, *, maker: bool) -> None:
        """Give back what an order's first fill earns, where the venue does."""
        if self.credit:
            self.add(account, now_ns, -MAKER_CREDIT if maker else -TAKER_CREDIT)

    def headers(self, client: str, account: str, now_ns: int) -> dict[str, str]:
        """Return what every answer tells, and with an account the order counts too."""
        headers = {self.header: str(self.used(client))}
        if account:
            headers.update((limit.header, str(self.count(account, limit, now_ns))) for limit in self.orders)
        return headers

    def rates(self) -> list[dict[str, object]]:
        """Return the limits as exchangeInfo lists them."""
        weight = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": self.weight_max}
        orders = [
            {"rateLimitType": "ORDERS", "interval": one.interval, "intervalNum": one.number, "limit": one.limit} for one in self.orders
        ]
        return [weight, *orders]

    def counted(self, client: str, account: str, now_ns: int) -> list[dict[str, object]]:
        """Return the limits with their counts, as ws-api answers carry them; orders only with an account."""
        weight, *orders = self.rates()
        with_counts = [{**rate, "count": self.count(account, limit, now_ns)} for rate, limit in zip(orders, self.orders, strict=True)]
        return [*(with_counts if account else []), {**weight, "count": self.used(client)}]


@dataclass(frozen=True, slots=True)
class Weight:
    """Weight of a request with and without a symbol."""

    one: int
    every: int

    def __call__(self, params: Params) -> int:
        """Return the weight."""
        return self.one if params.get("symbol") else self.every
