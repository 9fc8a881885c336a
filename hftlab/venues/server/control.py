"""The venue's own door: the truth, the faults and the market on command, for tests and for people, in process or over HTTP."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any
from urllib.parse import parse_qsl

from hftlab.errors import HftlabError, InputError, UnknownName, did_you_mean
from hftlab.venues.server.build import Built
from hftlab.venues.server.faults import Fault
from hftlab.venues.server.model import Order, Refused
from hftlab.venues.server.schedule import Injected
from hftlab.venues.server.skin import Reply, Request
from hftlab.venues.server.transport import Transport

VERBS: dict[str, Callable[..., Any]] = {}


def verb(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a method of Control be called by its name."""
    VERBS[function.__name__] = function
    return function


class Control:
    """What a venue does for those who test against it. Every verb takes plain values and returns plain values."""

    def __init__(self, built: Built, transport: Transport, stop: Callable[[], None]) -> None:
        self._built, self._transport, self._stop = built, transport, stop

    def do(self, name: str, **values: Any) -> Any:
        """Do one thing by its name. Raises UnknownName, InputError, and what the core raises."""
        if name not in VERBS:
            raise UnknownName(f"a venue cannot {name!r}.{did_you_mean(name, VERBS)}")
        try:
            return VERBS[name](self, **values)
        except HftlabError:
            raise  # UnknownName is a TypeError too
        except TypeError as error:
            raise InputError(f"{name} was asked with {values}: {error}.") from error

    async def http(self, request: Request) -> Reply:
        """Answer /_venue/<verb>: values from the query, each read as JSON where it is, or from a JSON body."""
        name = request.path.rstrip("/").rsplit("/", 1)[-1]
        try:
            values = json.loads(request.body) if request.body else {key: _value(text) for key, text in parse_qsl(request.query)}
            return Reply(self.do(name, **values))
        except (HftlabError, Refused, ValueError) as error:
            return Reply({"error": type(error).__name__, "text": str(error)}, 400)

    # --- the truth ---
    @verb
    def truth(self, skin: str) -> dict[str, Any]:
        """Return orders, fills, balances, positions and books of a venue: `Exchange.truth`, after what is due until now."""
        core = self._core(skin)
        core.advance()
        return core.truth()

    @verb
    def book(self, skin: str, symbol: str, levels: int = 1000, back: int = 0) -> dict[str, Any]:
        """Return the public book in ticks and lots, now or `back` diffs ago."""
        return asdict(self._core(skin).book(symbol, levels, back))

    @verb
    def book_hash(self, skin: str, symbol: str, last_id: int, levels: int | None = None) -> str:
        """Return the hash of the true book after an update id: see `hashing.hash_levels`."""
        return self._core(skin).book_hash(symbol, last_id, levels)

    @verb
    def log(self, skin: str, start: int = 0) -> list[dict[str, Any]]:
        """Return everything that was asked of a venue's core and what came of it, from a line on."""
        return [json.loads(line) for line in self._core(skin).log.json_lines(start)]

    @verb
    def stats(self) -> dict[str, Any]:
        """Return what the transport has done, and what of it were defects of the venue itself."""
        sockets = [
            {"number": one.number, "skin": one.skin, "path": one.path, "sent": one.sent, "received": one.received}
            for one in self._transport.sockets.values()
        ]
        return {
            "served": self._transport.served,
            "ports": self._transport.ports,
            "sockets": sockets,
            "defects": [f"{type(one).__name__}: {one}" for one in self._transport.defects],
            "now_ns": self._built.clock(),
        }

    # --- faults ---
    @verb
    def add_fault(self, fault: str, **options: Any) -> int:
        """Arm a fault; returns its number."""
        return self._built.schedule.add(Fault(fault, **options))

    @verb
    def fire_fault(self, number: int) -> None:
        """Have an armed fault strike at its next event."""
        self._built.schedule.fire(number)

    @verb
    def remove_fault(self, number: int) -> None:
        """Disarm a fault."""
        self._built.schedule.remove(number)

    @verb
    def clear_faults(self) -> None:
        """Disarm every fault and end every spell."""
        self._built.schedule.clear()

    @verb
    def faults(self) -> list[dict[str, Any]]:
        """Return what is armed, with its counts."""
        return self._built.schedule.listed()

    @verb
    def injected(self, start: int = 0) -> list[dict[str, Any]]:
        """Return what was injected, when and into what, from a line on."""
        return [Injected.to_dict(one) for one in self._built.schedule.log[start:]]

    @verb
    def injected_counts(self) -> dict[str, int]:
        """Return how often each kind of fault was injected."""
        return self._built.schedule.counts()

    # --- the market on command ---
    @verb
    def nudge(self, skin: str, symbol: str, side: int, lots: int) -> None:
        """Let a taker of the crowd buy (1) or sell (-1) at any price."""
        self._core(skin).nudge(symbol, side, lots)

    @verb
    def quote(self, skin: str, symbol: str, side: int, price_ticks: int, lots: int) -> None:
        """Let the crowd place a limit order."""
        self._core(skin).quote(symbol, side, price_ticks, lots)

    @verb
    def fill_order(self, skin: str, symbol: str, lots: int, order_id: int = 0, client_id: str = "", account: int = 0) -> None:
        """Let the crowd take whatever stands before an order of a client, and then `lots` of it."""
        order = self._order(skin, symbol, order_id, client_id, account)
        self._core(skin).fill_order(order, lots)

    @verb
    def cancel_order(self, skin: str, symbol: str, order_id: int = 0, client_id: str = "", account: int = 0) -> None:
        """Cancel an order of a client behind its back."""
        self._core(skin).cancel(self._built.config.account(skin, account), symbol, order_id=order_id, client_id=client_id)

    @verb
    def fund(self, skin: str, symbol: str, rate: str) -> None:
        """Let longs pay shorts a rate."""
        self._core(skin).fund(symbol, rate)

    @verb
    def deposit(self, skin: str, asset: str, amount: str, account: int = 0) -> None:
        """Add to a balance, or take away."""
        self._core(skin).deposit(self._built.config.account(skin, account), asset, amount)

    @verb
    def set_filters(self, skin: str, symbol: str, **changes: Any) -> None:
        """Change rules in force."""
        self._core(skin).set_filters(symbol, **changes)

    # --- the machine ---
    @verb
    def down(self) -> None:
        """Refuse connections and reset those that are open; cores and markets go on. This door stays open."""
        self._transport.shut()

    @verb
    def up(self) -> None:
        """Accept connections again, at the same ports."""
        self._transport.reopen()

    @verb
    def stop(self) -> None:
        """End the venue."""
        self._stop()

    def _core(self, skin: str) -> Any:
        if skin not in self._built.cores:
            raise UnknownName(f"this venue has no {skin!r}.{did_you_mean(skin, self._built.cores)}")
        return self._built.cores[skin]

    def _order(self, skin: str, symbol: str, order_id: int, client_id: str, account: int) -> Order:
        found: Order | None = self._core(skin).order(
            self._built.config.account(skin, account), symbol, order_id=order_id, client_id=client_id
        )
        if found is None:
            raise InputError(f"{skin} has no order {order_id or client_id!r} of account {account} in {symbol}.")
        return found


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def controls() -> Mapping[str, str]:
    """Return the verbs and what they do."""
    return {name: (function.__doc__ or "").split("\n")[0] for name, function in VERBS.items()}
