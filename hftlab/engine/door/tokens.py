"""Who may do what: two tokens, *control* and *read*, with an end, in files of the run directory that only their owner can read.

`control.json` (mode 0600) holds the url and both tokens; `read.token` (mode 0600) holds the bare read token, for what only reads, such
as a scraper of metrics. Viewers get neither. A new pair is made well before the old one ends, and both files are written anew; the
one before stays good until its own end, so that a client which reads its file again on a 401 never notices. `rotate` ends the old
ones at once.
"""

import contextlib
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pydantic import SecretStr

from hftlab.secret import remember

CONTROL_FILE = "control.json"
READ_FILE = "read.token"
LIFE_S = 24 * 3600.0


class Scope(StrEnum):
    """What a token opens. Control includes read."""

    READ = "read"
    CONTROL = "control"


@dataclass(frozen=True)
class Token:
    """One token: its scope, the digest that a caller's is compared with, and when it ends (wall clock, ns)."""

    scope: Scope
    digest: bytes
    end_ns: int


def digest_of(text: str) -> bytes:
    """Return what is kept and compared instead of a token."""
    return hashlib.sha256(text.encode(errors="replace")).digest()


class Tokens:
    """The tokens of one engine. `clock_ns` is the wall clock, `life_s` how long a token is good."""

    def __init__(self, directory: Path, clock_ns: Callable[[], int], life_s: float = LIFE_S) -> None:
        self._directory = directory
        self._clock_ns = clock_ns
        self._life_ns = int(life_s * 1e9)
        self._known: list[Token] = []
        self._url = ""
        self._renew_ns = 0

    def open(self, url: str) -> None:
        """Make the first pair and write the files: from now on the door at `url` can be used."""
        self._url = url
        self.rotate()

    def renew(self) -> None:
        """Make a new pair if half the life of the newest is over; the old pair stays good until its end. Raises OSError, to be tried again."""
        if self._clock_ns() >= self._renew_ns:
            self._make(self._known)

    def rotate(self) -> int:
        """End every token now and make a new pair; return when that will end (ns). Nobody is told the tokens: they are in the files.

        So whoever has stolen a token cannot trade it for the next one.
        """
        return self._make([])

    def _make(self, beside: list[Token]) -> int:
        """Make a new pair, good beside those given. Raises OSError where it cannot be written: then all is as it was before."""
        now_ns = self._clock_ns()
        end_ns = now_ns + self._life_ns
        made = {scope: SecretStr(secrets.token_urlsafe(32)) for scope in Scope}
        remember(made.values())  # whatever is logged passes by there
        before = self._known
        self._known = [one for one in beside if one.end_ns > now_ns][-2 * len(Scope) :]
        self._known += [Token(scope, digest_of(text.get_secret_value()), end_ns) for scope, text in made.items()]
        read = made[Scope.READ].get_secret_value()
        control = {
            "url": self._url,
            "token": made[Scope.CONTROL].get_secret_value(),
            "read_token": read,
            "end_ns": end_ns,
            "pid": os.getpid(),
        }
        try:
            _write(self._directory / READ_FILE, read + "\n")
            _write(self._directory / CONTROL_FILE, json.dumps(control))  # last: whoever finds it may begin
        except OSError:
            self._known = before  # nobody can read the new ones: with them alone nobody could halt
            raise
        self._renew_ns = now_ns + self._life_ns // 2
        return end_ns

    def find(self, given: str) -> Token | None:
        """Return the token that `given` is; None when there is no such token, or it has ended. Takes the same time in every case."""
        digest, now_ns = digest_of(given), self._clock_ns()
        found = None
        for one in self._known:
            if hmac.compare_digest(one.digest, digest):
                found = one
        return found if found is not None and now_ns < found.end_ns else None

    def good(self, token: Token) -> bool:
        """Say whether a token that was found before is still good: a stream outlives the look at its token."""
        return token in self._known and self._clock_ns() < token.end_ns

    def close(self) -> None:
        """Forget the tokens and remove their files."""
        self._known.clear()
        for name in (CONTROL_FILE, READ_FILE):
            (self._directory / name).unlink(missing_ok=True)


def _write(path: Path, text: str) -> None:
    """Write a file for the owner's eyes only. Atomic: a reader finds the old one or the new one, never half."""
    beside = path.with_name(f"{path.name}.new")
    with contextlib.suppress(FileNotFoundError):
        beside.unlink()
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w") as file:
        file.write(text)
    beside.replace(path)
