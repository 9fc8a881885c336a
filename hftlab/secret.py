"""What must not be shown: every secret that this process was given, so that it can be taken out of whatever others write.

`SecretStr` keeps a secret out of our own texts. A library that puts a key into an exception, or an address with its password into a log
line, knows nothing of that; so the log, which everything passes on its way to a file, takes out what was remembered here.
"""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

from pydantic import SecretStr

STARS = "**********"  # as SecretStr shows itself
_CHARS_MIN = 6  # shorter ones are no secrets, and would tear words apart
_LOCAL = frozenset(("localhost", "127.0.0.1"))
# Process-wide: a secret is one wherever it turns up.
_known: set[str] = set()


def remember(secrets: Iterable[SecretStr]) -> None:
    """Remember secrets of this process."""
    _known.update(value for one in secrets if len(value := one.get_secret_value()) >= _CHARS_MIN)


def remember_address(address: SecretStr) -> None:
    """Remember an address of a channel and the parts that open it: user, password, tokens in its path and query."""
    text = address.get_secret_value()
    scheme, _, rest = text.partition("://")
    parts = [part for part in re.split(r"[/:@?&=#]+", rest) if len(part) >= 8 and part not in _LOCAL]
    user_and_password = rest.partition("/")[0].rpartition("@")[0]
    parts.append(user_and_password.partition(":")[2])
    remember(SecretStr(one) for one in (text, rest, *parts, *(unquote(part) for part in parts)) if one != scheme)


def forget() -> None:
    """Forget everything: for tests, whose made-up secrets would take words out of what later ones write."""
    _known.clear()


def scrub(text: str) -> str:
    """Return a text with stars in the place of every secret that this process knows."""
    for secret in sorted(_known, key=len, reverse=True):
        if secret in text:
            text = text.replace(secret, STARS)
    return text


def scrub_all(value: Any) -> Any:
    """Return plain values with every text in them scrubbed, keys too."""
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, dict):
        return {scrub(str(name)): scrub_all(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [scrub_all(one) for one in value]
    return value if value is None or isinstance(value, bool | int | float) else scrub(str(value))
