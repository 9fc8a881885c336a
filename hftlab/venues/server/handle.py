"""What a person or a test holds of a loopback venue, wherever it runs: its addresses, its keys, and everything it does on command."""

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Self

from hftlab.errors import InputError
from hftlab.venues.live.endpoints import endpoint
from hftlab.venues.server.config import VenueConfig
from hftlab.venues.server.faults import Fault

LOOPBACK = "127.0.0.1"
ROUTES = ("url", "proxy")
OPEN = ("NEW", "PARTIALLY_FILLED")


class VenueHandle(ABC):
    """A loopback venue that runs. `config` is what it was made of, `ports` where it listens, `ca_file` who signed its certificate."""

    config: VenueConfig
    ca_file: str

    @property
    @abstractmethod
    def ports(self) -> dict[str, int]:
        """Return the ports by name: plain, tls, proxy, control."""

    @abstractmethod
    def do(self, name: str, **values: Any) -> Any:
        """Do one thing by its name: the verbs of `control.Control`. Raises what the venue raises."""

    # --- where and who ---
    @property
    def url(self) -> str:
        """Return the base of the plain port; a venue lives under its name, e.g. http://127.0.0.1:8080/binance/api/v3."""
        return f"http://{LOOPBACK}:{self.ports['plain']}"

    @property
    def proxy_url(self) -> str:
        """Return the CONNECT proxy that leads the venues' real names to the TLS port. Raises InputError without TLS."""
        if "proxy" not in self.ports:
            raise InputError("this venue was made with tls=False: it has no TLS port and no proxy.")
        return f"http://{LOOPBACK}:{self.ports['proxy']}"

    @property
    def control_url(self) -> str:
        """Return the venue's own door, which stays open when the venue is down."""
        return f"http://{LOOPBACK}:{self.ports['control']}/_venue"

    def keys(self, venue_id: str, account: int = 0) -> dict[str, str]:
        """Return an account's keys under ccxt's names: apiKey and secret, or walletAddress and privateKey."""
        return self.config.keys(venue_id, account)

    def account(self, venue_id: str, account: int = 0) -> str:
        """Return an account's name in `truth`: its API key, or its address."""
        return self.config.account(venue_id, account)

    def ccxt_options(self, venue_id: str, through: str = "url", account: int = 0) -> dict[str, Any]:
        """Return what an unmodified ccxt or ccxt.pro class is made with to trade here: `ccxt.pro.binance(venue.ccxt_options("binance"))`.

        `through`: url (the plain port; ccxt then knows fewer error classes, which it chooses by the venue's real URLs) or proxy
        (the real URLs, led here). ccxt's own limiter is off; pass enableRateLimit=True over it to have it back. Raises InputError.
        """
        if through not in ROUTES:
            raise InputError(f"through was {through!r}; wanted one of {', '.join(ROUTES)}.")
        if through == "url":
            return {**endpoint(venue_id, self.url).ccxt, **self.keys(venue_id, account)}
        there = endpoint(venue_id, proxy=self.proxy_url, ca_file=self.ca_file)
        return {**there.ccxt, "cafile": there.ca_file, **self.keys(venue_id, account)}

    # --- the truth ---
    def truth(self, skin: str) -> dict[str, Any]:
        """Return what really is, as plain values: orders, fills, balances, positions, books with their update ids and hashes."""
        return dict(self.do("truth", skin=skin))

    def resting(self, skin: str = "") -> list[dict[str, Any]]:
        """Return the orders of our accounts that rest at a venue (the first of the config's, unless named), as in `truth`."""
        return [one for one in self.truth(skin or self.config.skins[0])["orders"] if one["status"] in OPEN]

    def position_lots(self, skin: str = "", account: int = 0) -> dict[str, int]:
        """Return by symbol how many lots an account's fills have moved its position."""
        skin = skin or self.config.skins[0]
        moved: dict[str, int] = {}
        for fill in self.truth(skin)["fills"]:
            if fill["account"] == self.account(skin, account):
                moved[fill["symbol"]] = moved.get(fill["symbol"], 0) + fill["side"] * fill["qty_lots"]
        return moved

    def wait(self, condition: Callable[[Self], Any], timeout_s: float = 30.0) -> float:
        """Return after how many seconds `condition(venue)` held. Raises TimeoutError."""
        began_s = time.monotonic()
        while not condition(self):
            if time.monotonic() - began_s > timeout_s:
                raise TimeoutError(f"not so at the venue within {timeout_s:g} s; there rest {self.resting() or 'no orders'}.")
            time.sleep(0.02)
        return time.monotonic() - began_s

    def book(self, skin: str, symbol: str, levels: int = 1000, back: int = 0) -> dict[str, Any]:
        """Return the public book in ticks and lots, now or `back` diffs ago."""
        return dict(self.do("book", skin=skin, symbol=symbol, levels=levels, back=back))

    def book_hash(self, skin: str, symbol: str, last_id: int, levels: int | None = None) -> str:
        """Return the hash of the true book after the update numbered `last_id`; `hashing.hash_levels` makes the same of a client's book."""
        return str(self.do("book_hash", skin=skin, symbol=symbol, last_id=last_id, levels=levels))

    # --- faults ---
    def add_fault(self, fault: Fault | str, **options: Any) -> int:
        """Arm a fault: `venue.add_fault("gap", at_event=100, k=3)`. Returns its number."""
        made = fault if isinstance(fault, Fault) else Fault(fault, **options)
        return int(self.do("add_fault", **made.to_dict()))

    def clear_faults(self) -> None:
        """Disarm every fault and end every spell."""
        self.do("clear_faults")

    def injected(self, start: int = 0) -> list[dict[str, Any]]:
        """Return what was injected, when and into what; the first `start` of them are left out."""
        return list(self.do("injected", start=start))

    # --- the machine ---
    def down(self) -> None:
        """Reset every connection and refuse new ones; orders and markets live on."""
        self.do("down")

    def up(self) -> None:
        """Accept connections again, at the same ports."""
        self.do("up")

    def welcome(self) -> str:
        """Return what a person wants to know of a venue that has just started."""
        lines = [f"loopback venue: {', '.join(self.config.skins)} · {self.config.market} market · {', '.join(self.config.symbols)}", ""]
        lines += [f"  {name:<8} {text}" for name, text in self._addresses().items()]
        for skin in self.config.skins:
            lines += ["", f"{skin}: {self.url}/{skin}"]
            lines += [f"  {name:<13} {text}" for name, text in self.keys(skin).items()]
            lines += [f"  ccxt.pro.{skin}({json.dumps(self.ccxt_options(skin))})"]
            if "proxy" in self.ports:
                lines += ["  or, with its real URLs:", f"  ccxt.pro.{skin}({json.dumps(self.ccxt_options(skin, 'proxy'))})"]
        return "\n".join(lines)

    def _addresses(self) -> dict[str, str]:
        said = {"plain": self.url, "control": f"{self.control_url}/truth?skin={self.config.skins[0]}"}
        if "proxy" in self.ports:
            said |= {"proxy": self.proxy_url, "CA file": self.ca_file}
        return said
