"""The orders of all accounts: found by number, by client id, by account and symbol. None is ever forgotten."""

from collections import defaultdict

from hftlab.venues.server.model import OPEN, Fill, Order


class OrderTable:
    """Every order ever taken in, and every fill. Order ids count up by one over the whole venue."""

    def __init__(self) -> None:
        self.last_id = 0
        self.all: dict[int, Order] = {}
        self.fills: list[Fill] = []
        self._newest: dict[tuple[str, str, str], Order] = {}  # by account, symbol, client id
        self._placed: defaultdict[tuple[str, str], list[Order]] = defaultdict(list)
        self._open: defaultdict[str, dict[int, Order]] = defaultdict(dict)
        self._fills: defaultdict[str, list[Fill]] = defaultdict(list)
        self._fills_of: defaultdict[int, list[Fill]] = defaultdict(list)

    def add(self, order: Order) -> None:
        """Take in an order."""
        self.last_id = max(self.last_id, order.order_id)
        self.all[order.order_id] = order
        self._placed[order.account, order.symbol].append(order)
        self._open[order.account][order.order_id] = order
        if order.client_id:
            self._newest[order.account, order.symbol, order.client_id] = order

    def rename(self, order: Order, client_id: str) -> None:
        """Let an order be found under another client id; the old one is free again."""
        if self._newest.get((order.account, order.symbol, order.client_id)) is order:
            del self._newest[order.account, order.symbol, order.client_id]
        order.client_id = client_id
        self._newest[order.account, order.symbol, client_id] = order

    def add_fill(self, fill: Fill) -> None:
        """Take in a fill."""
        self.fills.append(fill)
        self._fills[fill.account].append(fill)
        self._fills_of[fill.order_id].append(fill)

    def update(self, order: Order) -> None:
        """Take note that an order may have ended."""
        if order.status not in OPEN:
            self._open[order.account].pop(order.order_id, None)

    def find(self, account: str, symbol: str, order_id: int, client_id: str) -> Order | None:
        """Return an order of an account by number, or the newest with a client id."""
        order = self.all.get(order_id) if order_id else self._newest.get((account, symbol, client_id))
        return order if order and order.account == account and order.symbol == symbol else None

    def find_open(self, account: str, symbol: str, order_id: int, client_id: str) -> Order | None:
        """Return an open order."""
        order = self.find(account, symbol, order_id, client_id)
        return order if order and order.status in OPEN else None

    def open(self, account: str, symbol: str | None = None) -> list[Order]:
        """Return the open orders of an account, oldest first."""
        return [order for order in self._open[account].values() if symbol in (None, order.symbol)]

    def placed(self, account: str, symbol: str) -> list[Order]:
        """Return every order of an account in a symbol, oldest first."""
        return list(self._placed[account, symbol])

    def filled(self, account: str, symbol: str | None = None) -> list[Fill]:
        """Return the fills of an account, oldest first."""
        return [fill for fill in self._fills[account] if symbol in (None, fill.symbol)]

    def fills_of(self, order_id: int) -> list[Fill]:
        """Return the fills of one order, oldest first."""
        return list(self._fills_of[order_id])
