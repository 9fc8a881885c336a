"""What a loopback venue is made of, as plain values: a file, a command line and another process can hold it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from decimal import Decimal, InvalidOperation
from hashlib import blake2b
from typing import Any, Self

from coincurve import PrivateKey

from hftlab.errors import InputError, UnknownName, did_you_mean
from hftlab.venues.server.hyperliquid_signing import address_of
from hftlab.venues.server.rules import RULES
from hftlab.venues.server.schedule import load_faults

SKINS = tuple(RULES)
BALANCES: dict[str, dict[str, str]] = {
    "binance": {"BTC": "10", "ETH": "100", "USDT": "1000000"},
    "binanceusdm": {"USDT": "1000000"},
    "hyperliquid": {"USDC": "1000000"},
}
STILL, SYNTH = "still", "synth"


@dataclass(frozen=True)
class VenueConfig:
    """A loopback venue.

    `skins`: which venues; `symbols`: bases (BTC) or the venues' own symbols (BTCUSDT), of the bundled instruments.
    `market`: synth (the seeded crowd), still (a fixed ladder), or the path of a recording; `market_options` go to
    `SynthMarket`, `StillMarket` or `RecordedMarket`; `speed` and `loop` are for recordings.
    `accounts`: how many of each skin, with `balances` by skin and asset; `fees_bps`: maker and taker by skin.
    `limits`: keyword arguments of each skin, by its name. `faults`: as `schedule.load_faults` takes them, with `fault_seed`.
    `ports`: plain, tls, proxy, control; 0 or none chooses. `state`: a directory from which the venue comes back after it was killed.
    Raises UnknownName, InputError.
    """

    skins: tuple[str, ...] = SKINS
    symbols: tuple[str, ...] = ("BTC",)
    market: str = SYNTH
    seed: int = 7
    market_options: Mapping[str, Any] = field(default_factory=dict)
    speed: float = 1.0
    loop: bool = False
    accounts: int = 1
    balances: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: BALANCES)
    fees_bps: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    limits: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    faults: tuple[Mapping[str, Any], ...] = ()
    fault_seed: int = 0
    ports: Mapping[str, int] = field(default_factory=dict)
    tls: bool = True
    state: str = ""

    def __post_init__(self) -> None:
        for name in ("skins", "symbols", "faults"):  # a file has lists
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in (*self.skins, *self.balances, *self.fees_bps, *self.limits):
            if name not in SKINS:
                raise UnknownName(f"no venue {name!r}.{did_you_mean(name, SKINS)}")
        if not self.skins or self.accounts < 1 or self.speed <= 0:
            raise InputError(
                f"skins were {self.skins}, accounts {self.accounts}, speed {self.speed}; wanted one of each at least, and a speed."
            )
        load_faults(list(self.faults))
        for assets in self.balances.values():
            for asset, amount in assets.items():
                _amount(asset, amount)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make a config from plain values. Raises UnknownName for a misspelt one."""
        known = [one.name for one in fields(cls)]
        for name in data:
            if name not in known:
                raise UnknownName(f"a venue has no {name!r}.{did_you_mean(name, known)}")
        return cls(**data)

    def to_dict(self) -> dict[str, Any]:
        """Return what `from_dict` takes, and JSON and YAML too."""
        return asdict(self)

    def keys(self, skin: str, account: int = 0) -> dict[str, str]:
        """Return the keys of an account under ccxt's names. They are made from the name and the number and open nothing else."""
        if skin == "hyperliquid":
            secret = _word(f"{skin} {account} secret", 32)
            return {"walletAddress": address_of(PrivateKey.from_hex(secret).public_key), "privateKey": f"0x{secret}"}
        return {"apiKey": f"loopback{account}" + _word(f"{skin} {account} key", 16), "secret": _word(f"{skin} {account} secret", 32)}

    def account(self, skin: str, account: int = 0) -> str:
        """Return the name of an account at the core: its API key, or its address."""
        keys = self.keys(skin, account)
        return keys["walletAddress"] if skin == "hyperliquid" else keys["apiKey"]


def _word(what: str, size: int) -> str:
    return blake2b(f"hftlab loopback venue {what}".encode(), digest_size=size).hexdigest()


def _amount(asset: str, amount: str) -> Decimal:
    try:
        return Decimal(str(amount))
    except InvalidOperation as error:
        raise InputError(f"the balance of {asset} was {amount!r}; wanted a number as text, like '10.5'.") from error
