"""As whom viewers run: another user where that is possible, tried and not guessed."""

import os
import pwd
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hftlab.errors import InputError
from hftlab.publish import landlock

TRY_S = 120.0
USERS = ("hftlab-viewer", "nobody")
PACKAGES = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Seat:
    """How to start a viewer's process: what stands before its command, arguments of Popen, whose it is, and a sentence about it."""

    prefix: tuple[str, ...]
    options: dict[str, Any]
    uid: int
    gid: int
    said: str

    @property
    def other(self) -> bool:
        """Return whether it is another user than ours."""
        return self.uid != os.geteuid()


def own_seat(why: str) -> Seat:
    """Return the seat of our own user."""
    return Seat((), {}, os.geteuid(), os.getegid(), why)


def plain_seat(entry: pwd.struct_passwd) -> Seat:
    """Return the seat of another user."""
    options = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    return Seat((), options, entry.pw_uid, entry.pw_gid, f"as the user {entry.pw_name}")


def reading_seat(entry: pwd.struct_passwd) -> Seat:
    """Return the seat of another user who may read past file modes and nothing else: for a Python that lies in the owner's home.

    Only where Landlock names the paths that such a process may open at all.
    """
    one = "-all,+dac_read_search"
    prefix = (
        "setpriv",
        f"--reuid={entry.pw_uid}",
        f"--regid={entry.pw_gid}",
        "--clear-groups",
        f"--inh-caps={one}",
        f"--ambient-caps={one}",
        f"--bounding-set={one}",
        "--no-new-privs",
    )
    said = f"as the user {entry.pw_name} (who may read this Python, though its folder is closed to others)"
    return Seat(prefix, {}, entry.pw_uid, entry.pw_gid, said)


def can_view(seat: Seat, run: Path) -> str:
    """Return "" when a seat can run this Python and read what the run publishes, else what stands in the way."""
    files = [str(run / name) for name in ("spec.yaml", "snapshot.bin")]
    code = f"import sys; sys.path[:0] = {[str(PACKAGES)]!r}; import hftlab.errors, numpy; [open(f, 'rb') for f in {files!r}]"
    try:
        done = subprocess.run(
            [*seat.prefix, sys.executable, "-I", "-c", code],
            env={"PATH": os.defpath},
            cwd="/",
            capture_output=True,
            text=True,
            timeout=TRY_S,
            check=False,
            **seat.options,
        )
    except OSError as error:
        return str(error)
    except subprocess.TimeoutExpired:
        return f"Python did not start within {TRY_S:g} s"
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["it could not start"])[-1]


def choose(run: Path, wanted: str | None) -> Seat:
    """Return the best seat that works: another user, another user with a right to read, our own. Raises InputError for a wish that fails."""
    if os.geteuid() != 0:
        if wanted is not None and wanted != pwd.getpwuid(os.geteuid()).pw_name:
            raise InputError(f"only root can start viewers as {wanted}. Leave --user out, or start `hftlab serve` as root.")
        return own_seat("as the engine's own user: only root can give them another one")
    entries = [entry for name in ([wanted] if wanted is not None else USERS) if (entry := _entry(name)) is not None]
    if wanted is not None and not entries:
        raise InputError(f"there is no user {wanted}. Make one (useradd --system {wanted}), or leave --user out.")
    kinds = [plain_seat, *([reading_seat] if landlock.version() > 0 and shutil.which("setpriv") else [])]
    problem = "no other user was found"
    for make in kinds:
        for entry in entries:
            seat = make(entry)
            problem = can_view(seat, run)
            if not problem:
                return seat
    if wanted is not None:
        raise InputError(f"{wanted} cannot show this run: {problem}. Python, this package and {run} must be readable for {wanted}.")
    return own_seat(f"as the engine's own user ({problem})")


def _entry(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None
