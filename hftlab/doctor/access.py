"""Checks of ports, proxies and settings: what can be reached, and what is allowed. No value of a secret is looked at, or shown."""

import re
from collections.abc import Iterator
from pathlib import Path

from dotenv import dotenv_values

from hftlab.config import SECTIONS, load
from hftlab.config_names import KEY_PARTS, OLD_NAMES
from hftlab.doctor.finding import FAIL, OK, WARN, Finding, judged
from hftlab.doctor.world import World
from hftlab.engine.settings import known_entries
from hftlab.errors import HftlabError

PORTS = {8888: "lab", 8866: "voila"}
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "WSS_PROXY")
_KEY = re.compile(rf"(?:HFTLAB_[A-Z0-9]+_(?:TESTNET_)?(?:{'|'.join(KEY_PARTS)})|EXCHANGE_API_(?:KEY|SECRET))")


def network(world: World) -> Iterator[Finding]:
    """Loopback sockets, the ports that are usually wanted, and proxies."""
    yield judged(
        "loopback",
        "sockets work" if (works := world.loopback() and world.port_free(0)) else "no port of the loopback address can be used",
        fine=works,
        wanted="a port on 127.0.0.1: an engine listens on one",
        todo="check the firewall or the sandbox",
    )
    for port, what in PORTS.items():
        yield judged(
            f"port {port}",
            f"{'free' if (free := world.port_free(port)) else 'in use'} ({what})",
            fine=free,
            wanted=f"free for `hftlab {'lab' if what == 'lab' else 'serve'}`",
            todo="pass another one with --port",
            otherwise=WARN,
        )
    set_ones = sorted(name for name in world.environ if name.upper() in _PROXIES and world.environ[name])
    yield judged(
        "proxies",
        ", ".join(set_ones) or "none",
        fine=not set_ones,
        wanted="none where money is real: `mode: live` refuses to go through one",
        todo="unset them for the session",
        otherwise=WARN,
    )


def settings(world: World) -> Iterator[Finding]:
    """Names in the environment and in .env, as a session would take them."""
    file = world.folder / ".env"
    try:
        loaded = load(env_file=file, known=known_entries())
    except HftlabError as error:
        yield Finding("settings", FAIL, str(error), "names and values that a session takes", "correct it; docs/operations.md lists them")
        return
    except (OSError, UnicodeDecodeError) as error:
        yield Finding("settings", FAIL, f"{file} cannot be read: {error}", "a text file", "correct it")
        return
    own = [name for name in SECTIONS if getattr(loaded, name).model_fields_set]
    told = f"{file.name} {'is read' if file.is_file() else 'is not there'}; set for every session: {', '.join(own) or 'nothing'}"
    yield Finding("settings", OK, told)
    port = loaded.door.port
    if port:
        yield judged(
            f"port {port}",
            f"{'free' if (free := world.port_free(port)) else 'in use'} (door)",
            fine=free,
            wanted="free for the engine's door, or held by an engine of yours",
            todo="set HFTLAB_DOOR__PORT to another one; 0 takes any free one",
            otherwise=WARN,
        )
    others = sorted(name for name in world.environ if name in OLD_NAMES)
    if others:
        text = "; ".join(f"{name} is not read, its place is taken by {OLD_NAMES[name]}" for name in others)
        yield Finding("other names", WARN, text, "names that are read", "nothing, where they belong to another program")


def keys(world: World) -> Iterator[Finding]:
    """Which keys are there, by name, and who may read the file they are in."""
    file = world.folder / ".env"
    in_file = _names(file)
    names = sorted(name for name in {*in_file, *(n for n in world.environ if world.environ[n])} if _KEY.fullmatch(name.upper()))
    yield Finding("keys", OK, ", ".join(names) or "none: paper and shadow sessions need none")
    for name in names:
        other = _other_half(name)
        if other and other not in names:
            yield Finding(f"key {name}", WARN, f"{other} is not there", "both of the pair", f"set {other}")
    if file.is_file():
        mode = file.stat().st_mode & 0o777
        yield judged(
            ".env",
            f"mode {mode:o}, {len(in_file)} values",
            fine=not mode & 0o077,
            wanted="600: others on this machine can read it",
            todo=f"`chmod 600 {file}`",
            otherwise=FAIL if any(_KEY.fullmatch(name.upper()) for name in in_file) else WARN,
        )


def _names(file: Path) -> list[str]:
    if not file.is_file():
        return []
    return [name for name, value in dotenv_values(file, encoding="utf-8").items() if value]


def _other_half(name: str) -> str:
    for one, other in (("_PRIVATE_KEY", "_WALLET"), ("_WALLET", "_PRIVATE_KEY"), ("_KEY", "_SECRET"), ("_SECRET", "_KEY")):
        if name.endswith(one):
            return name.removesuffix(one) + other
    return ""
