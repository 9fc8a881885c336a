"""Everything the checks ask of the world, in one place, so that a test can make one up."""

import ctypes
import os
import platform
import shutil
import socket
import struct
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

_STA_UNSYNC = 0x40
_CLOCK_SOURCE = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")


@dataclass(frozen=True)
class World:
    """This machine and environment as far as the checks look at them. A callable is asked when a check runs."""

    environ: Mapping[str, str]
    folder: Path  # the working directory, where .env and runs/ lie
    runs: Path
    project: Path  # the folder above the package: a clone has pyproject.toml there
    python: tuple[int, ...]
    platform: str
    cores: int
    memory_bytes: int
    open_files_max: int
    cache: Path
    writable: Callable[[Path], bool]
    free_bytes: Callable[[Path], int]
    version: Callable[[str], str | None]
    which: Callable[[str], str | None]
    port_free: Callable[[int], bool]
    loopback: Callable[[], bool]
    clock_source: Callable[[], str]  # "" where the system does not say
    clock_steered: Callable[[], bool | None]  # None where the system does not say
    http_date_offset_s: Callable[[str], tuple[float, float]]  # address -> (offset, within)
    asset_dirs: Callable[[], list[Path]]  # where JupyterLab looks for extensions, in its order
    alive: Callable[[Path], bool]  # whether an engine holds a run directory
    clock_of: str = ""  # an address whose Date is asked; "" asks nobody


def this_world(runs: Path | None = None, clock_of: str = "") -> World:
    """Return the world this process runs in."""
    import psutil

    from hftlab.engine.view import engine_alive
    from hftlab.kernels.jit import cache_dir

    return World(
        environ=dict(os.environ),
        folder=Path.cwd(),
        runs=runs if runs is not None else Path("runs"),
        project=Path(__file__).resolve().parents[2],
        python=tuple(sys.version_info[:3]),
        platform=platform.platform(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_bytes=int(psutil.virtual_memory().available),
        open_files_max=_open_files_max(),
        cache=cache_dir(),
        writable=lambda path: os.access(next(p for p in (path, *path.parents) if p.exists()), os.W_OK),
        free_bytes=lambda path: shutil.disk_usage(next(p for p in (path.resolve(), *path.resolve().parents) if p.exists())).free,
        version=_version,
        which=shutil.which,
        port_free=port_free,
        loopback=_loopback,
        clock_source=lambda: _CLOCK_SOURCE.read_text().strip() if _CLOCK_SOURCE.exists() else "",
        clock_steered=_clock_steered,
        http_date_offset_s=_http_date_offset_s,
        asset_dirs=_asset_dirs,
        alive=engine_alive,
        clock_of=clock_of,
    )


def port_free(port: int) -> bool:
    """Say whether a port of the loopback address can be bound; 0 asks for any."""
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as those who will bind it: a port that is only cooling off is free
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _open_files_max() -> int:
    try:
        import resource
    except ImportError:  # not a Unix
        return 1 << 20
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 1 << 20 if soft == resource.RLIM_INFINITY else soft


def _loopback() -> bool:
    """Send a byte from one loopback socket to another."""
    try:
        server = socket.create_server(("127.0.0.1", 0))
        with closing(server), closing(socket.create_connection(server.getsockname(), timeout=5)) as one:
            other, _ = server.accept()
            with closing(other):
                one.sendall(b"x")
                other.settimeout(5)
                return other.recv(1) == b"x"
    except OSError:
        return False


def _clock_steered() -> bool | None:
    """Ask the kernel whether its clock is kept by NTP: adjtimex(2), which changes nothing when `modes` is 0."""
    if sys.platform != "linux" or struct.calcsize("P") != 8:
        return None
    buffer = ctypes.create_string_buffer(256)  # struct timex has 208 bytes; `status` is the int at 40
    try:
        state = ctypes.CDLL(None).adjtimex(buffer)
    except (OSError, AttributeError):
        return None
    if state < 0:
        return None
    return not struct.unpack_from("i", buffer, 40)[0] & _STA_UNSYNC


def _http_date_offset_s(address: str) -> tuple[float, float]:
    """Return how far this clock is ahead of the Date of an HTTP answer, and how exactly that is known. Raises OSError, ValueError."""
    from email.utils import parsedate_to_datetime

    import httpx

    from hftlab.engine.clock import wall_now_ns

    before_s = wall_now_ns() / 1e9
    try:
        answer = httpx.head(address, timeout=5.0, trust_env=False)
    except httpx.HTTPError as error:
        raise OSError(f"{type(error).__name__}: {error}") from error
    after_s = wall_now_ns() / 1e9
    # The header is cut to whole seconds, so the moment lies half a second later on average.
    sent_s = parsedate_to_datetime(answer.headers["date"]).timestamp() + 0.5
    return (before_s + after_s) / 2 - sent_s, (after_s - before_s) / 2 + 0.5


def _asset_dirs() -> list[Path]:
    from jupyter_core.paths import jupyter_path

    return [Path(path) for path in jupyter_path("labextensions")]
