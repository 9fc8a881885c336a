"""Keys of a venue, from the environment or a .env file. They are never printed: `SecretStr` shows stars."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from hftlab.errors import InputError
from hftlab.secret import remember
from hftlab.venues.live.model import Endpoint

_NONE = SecretStr("")


@dataclass(frozen=True, slots=True)
class Keys:
    """What a venue wants from us. Binance and most others: `key` and `secret`; Hyperliquid: `wallet` (an address) and `private_key`."""

    key: SecretStr = _NONE
    secret: SecretStr = _NONE
    password: SecretStr = _NONE
    wallet: SecretStr = _NONE
    private_key: SecretStr = _NONE

    def __post_init__(self) -> None:
        # An address is public and belongs into texts; what signs for it is not.
        remember((self.secret, self.password, self.private_key, self.key))

    @classmethod
    def of(cls, key: str = "", secret: str = "", password: str = "", wallet: str = "", private_key: str = "") -> "Keys":
        """Return keys from plain texts: the made-up ones of a loopback exchange."""
        return cls(SecretStr(key), SecretStr(secret), SecretStr(password), SecretStr(wallet), SecretStr(private_key))

    @classmethod
    def from_ccxt(cls, names: Mapping[str, str]) -> "Keys":
        """Return keys from ccxt's names (apiKey, secret, password, walletAddress, privateKey), as a loopback venue gives them."""
        return cls.of(*(names.get(name, "") for name in ("apiKey", "secret", "password", "walletAddress", "privateKey")))

    @classmethod
    def loopback(cls, venue: str) -> "Keys":
        """Return the made-up keys of every loopback exchange, which open nothing else: also for what is encoded and never sent."""
        from hftlab.venues.server.config import VenueConfig

        return cls.from_ccxt(VenueConfig().keys(venue))

    @property
    def complete(self) -> bool:
        """Say whether there is a pair to sign with."""
        return bool(self.key.get_secret_value() and self.secret.get_secret_value()) or bool(
            self.wallet.get_secret_value() and self.private_key.get_secret_value()
        )


class _Named(BaseSettings):
    """Variables PREFIX_KEY, PREFIX_SECRET, …; the prefix is given when it is made."""

    model_config = SettingsConfigDict(extra="ignore", env_file_encoding="utf-8", hide_input_in_errors=True)

    key: SecretStr = SecretStr("")
    secret: SecretStr = SecretStr("")
    password: SecretStr = SecretStr("")
    wallet: SecretStr = SecretStr("")
    private_key: SecretStr = SecretStr("")


class _Exchange(BaseSettings):
    """The names that any bot uses: EXCHANGE_NAME, EXCHANGE_API_KEY, EXCHANGE_API_SECRET."""

    model_config = SettingsConfigDict(extra="ignore", env_file_encoding="utf-8", env_prefix="EXCHANGE_", hide_input_in_errors=True)

    name: str = ""
    api_key: SecretStr = SecretStr("")
    api_secret: SecretStr = SecretStr("")


def prefix_of(endpoint: Endpoint) -> str:
    """Return how the variables of an endpoint begin: HFTLAB_BINANCE_, and HFTLAB_BINANCE_TESTNET_ for its testnet."""
    return f"HFTLAB_{endpoint.venue.upper()}_{'TESTNET_' if endpoint.kind == 'testnet' else ''}"


def keys_for(endpoint: Endpoint, env_file: str | Path | None = ".env") -> Keys:
    """Return the keys for an endpoint from the environment, or else from `env_file` where it exists.

    Reads HFTLAB_{VENUE}_KEY, _SECRET and, where the venue has them, _PASSWORD, _WALLET, _PRIVATE_KEY (testnet: HFTLAB_{VENUE}_TESTNET_KEY,
    …); without them, for the real venue, EXCHANGE_API_KEY and EXCHANGE_API_SECRET when EXCHANGE_NAME names it. Raises InputError, with the names
    of the variables and never their values, when they are absent, and for a loopback exchange: its keys come from it.
    """
    if endpoint.kind == "loopback":
        raise InputError("a loopback exchange is never given keys from the environment: pass the keys that it made (venue.keys).")
    prefix = prefix_of(endpoint)
    file = str(env_file) if env_file is not None else None
    found = _Named(_env_prefix=prefix, _env_file=file)  # type: ignore[call-arg] # pydantic-settings takes these at run time
    keys = Keys(found.key, found.secret, found.password, found.wallet, found.private_key)
    if keys.complete:
        return keys
    common = _Exchange(_env_file=file)  # type: ignore[call-arg] # the same
    pair = ("WALLET", "PRIVATE_KEY") if endpoint.venue == "hyperliquid" else ("KEY", "SECRET")
    by_common_name = endpoint.kind == "real" and pair[0] == "KEY"
    if by_common_name and common.name.lower() == endpoint.venue:
        keys = Keys(common.api_key, common.api_secret)
    if not keys.complete:
        raise InputError(
            f"no keys for {endpoint.venue} ({endpoint.kind}); wanted {prefix}{pair[0]} and {prefix}{pair[1]} in the environment"
            f"{f' or in {file}' if file else ''}"
            f"{'' if not by_common_name else f', or EXCHANGE_NAME={endpoint.venue} with EXCHANGE_API_KEY and EXCHANGE_API_SECRET'}."
        )
    return keys
