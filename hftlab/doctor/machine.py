"""Checks of the machine: python, cores, memory, disk, files, bytecode, the cache of kernels, the clock."""

from collections.abc import Iterator

from hftlab.doctor.finding import OK, WARN, Finding, judged
from hftlab.doctor.world import World

GB = 1e9
_GOOD_CLOCKS = ("tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page", "xen")
_OFFSET_S_MAX = 0.5


def python(world: World) -> Iterator[Finding]:
    """Python itself, and what keeps its imports fast."""
    text = ".".join(map(str, world.python))
    yield judged(
        "python", f"{text} on {world.platform}", fine=world.python >= (3, 11), wanted="3.11 or newer", todo="run `make environment`"
    )
    slow = world.environ.get("PYTHONDONTWRITEBYTECODE", "")
    yield judged(
        "bytecode",
        "PYTHONDONTWRITEBYTECODE is set" if slow else "is written",
        fine=not slow,
        wanted="not set: every start would compile every import anew, which takes several times as long",
        todo="unset it, or run `python -m compileall` once on the environment",
        otherwise=WARN,
    )


def capacity(world: World) -> Iterator[Finding]:
    """Cores, memory, disk and open files."""
    yield judged(
        "cores",
        str(world.cores),
        fine=world.cores >= 2,
        wanted="2 or more: the engine's loop wants one for itself",
        todo="expect pauses of the loop while a notebook computes",
        otherwise=WARN,
    )
    memory_gb = world.memory_bytes / GB
    yield judged(
        "memory",
        f"{memory_gb:.1f} GB available",
        fine=memory_gb >= 1,
        wanted="1 GB for an engine, a notebook and a page",
        todo="close something",
        otherwise=WARN,
    )
    free_gb = world.free_bytes(world.runs) / GB
    grave = "fail" if free_gb < 0.5 else WARN
    yield judged(
        "disk",
        f"{free_gb:.1f} GB free for {world.runs}",
        fine=free_gb >= 5,
        wanted="5 GB: a busy symbol writes some 7 GB a day, and an engine that cannot write stops",
        todo="remove old runs, or run elsewhere",
        otherwise=grave,
    )
    yield judged(
        "open files",
        f"at most {world.open_files_max}",
        fine=world.open_files_max >= 1024,
        wanted="1024 or more: each viewer holds some twenty",
        todo="raise it: `ulimit -n 4096`",
        otherwise=WARN,
    )


def kernels(world: World) -> Iterator[Finding]:
    """The cache of compiled kernels: writable, and warm."""
    compiled = len(list(world.cache.rglob("*.nbc"))) if world.cache.is_dir() else 0
    yield judged(
        "cache",
        f"{world.cache} ({compiled} compiled)",
        fine=world.writable(world.cache),
        wanted="a folder that can be written: kernels would compile in every process",
        todo="Set HFTLAB_CACHE_DIR to another folder",
    )
    yield judged(
        "kernels",
        f"{compiled} compiled",
        fine=compiled > 0,
        wanted="a warm cache: the first start compiles for two to three minutes",
        todo="run `hftlab warm`",
        otherwise=WARN,
    )


def clock(world: World) -> Iterator[Finding]:
    """What the clock is read from, whether it is kept right, and, where somebody may be asked, how far it is off."""
    source = world.clock_source()
    yield judged(
        "clock source",
        source or "the system does not say",
        fine=not source or source in _GOOD_CLOCKS,
        wanted=f"one that is read without a system call ({', '.join(_GOOD_CLOCKS)})",
        todo="expect some microseconds for each time stamp",
        otherwise=WARN,
    )
    steered = world.clock_steered()
    yield judged(
        "clock",
        {True: "kept by NTP", False: "not kept by NTP", None: "the system does not say whether it is kept by NTP"}[steered],
        fine=steered is not False,
        wanted="kept by NTP: venues refuse orders of a clock that is a second off",
        todo="start chrony or systemd-timesyncd (in a container: on its host)",
        otherwise=WARN,
    )
    if not world.clock_of:
        yield Finding("clock offset", OK, "nobody was asked (offline); --clock-of ADDRESS asks a server for its Date")
        return
    try:
        offset_s, within_s = world.http_date_offset_s(world.clock_of)
    except (OSError, ValueError, KeyError) as error:
        yield Finding("clock offset", WARN, f"{world.clock_of} did not say ({error})", "a Date in its answer", "ask another server")
        return
    yield judged(
        "clock offset",
        f"{offset_s:+.1f} s to {world.clock_of}, within {within_s:.1f} s",
        fine=abs(offset_s) <= _OFFSET_S_MAX + within_s,
        wanted=f"at most {_OFFSET_S_MAX} s",
        todo="set the clock",
    )
