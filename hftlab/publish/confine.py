"""What a viewer's processes may touch: their Python, the pages, the published files of one run, and a folder of their own."""

import contextlib
import json
import os
import resource
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from hftlab.publish import landlock as ll

# All of a run directory that a page reads. control.json, which holds the key of the engine's door, is not among it, nor is any file
# that somebody may add later: a page gets what is named here.
PUBLISHED = ("snapshot.bin", "spec.yaml", "journal", "lock", "log.jsonl", "alerts.jsonl", "audit.jsonl", "stderr.txt")

_SYSTEM = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib", "/lib64")
_SHARED = ("/usr/share", "/usr/local/share", "/etc/ssl", "/etc/fonts", "/sys/devices/system/cpu", "/proc/sys")
_FILES = (
    *("/etc/ld.so.cache", "/etc/localtime", "/etc/nsswitch.conf", "/etc/passwd", "/etc/group", "/etc/hosts", "/etc/mime.types"),
    *("/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/loadavg", "/proc/filesystems", "/dev/urandom", "/dev/random"),
)


@dataclass(frozen=True)
class Cage:
    """What a viewer's processes are given: places, ports, and how much of the machine. Travels between them as JSON."""

    run: str
    pages: str
    gallery: str
    private: str  # their home, the only place where they can write
    port: int
    memory_mb: int
    niceness: int

    def text(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, text: str) -> "Cage":
        """Return what `text` wrote."""
        return cls(**json.loads(text))


def places(cage: Cage) -> list[tuple[Path, int]]:
    """Return every path that a viewer's process may use, with its rights."""
    package = Path(__file__).resolve().parents[1]
    run = Path(cage.run)
    pythons = {Path(sys.prefix), Path(sys.base_prefix), Path(sys.base_exec_prefix)} - {Path("/usr")}
    return [
        *((Path(name), ll.RUN) for name in _SYSTEM),
        *((Path(name), ll.READ) for name in _SHARED),
        *((Path(name), ll.READ_FILE) for name in _FILES),
        *((path, ll.RUN) for path in pythons),
        (Path(sys.executable).resolve(), ll.READ_FILE | ll.EXECUTE),
        (Path("/dev/null"), ll.READ_FILE | ll.WRITE_FILE),
        (package, ll.READ),
        (package.parent, ll.LIST),  # an import lists the folder that it searches; the names of files are no secret here
        (Path(cage.pages), ll.READ),
        (Path(cage.gallery), ll.READ),
        *((run / name, ll.READ) for name in PUBLISHED),
        (Path(cage.private), ll.everything() & ~ll.EXECUTE),
    ]


def limit(cage: Cage) -> None:
    """Bound memory and processor share of this process and of what it starts."""
    # Of the limits that Linux keeps, this one counts what a process has really asked for; address space counts maps of libraries too.
    for kind, wanted in ((resource.RLIMIT_DATA, cage.memory_mb << 20), (resource.RLIMIT_CORE, 0)):
        _, hard = resource.getrlimit(kind)
        value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(kind, (value, value))
    with contextlib.suppress(OSError):
        os.nice(max(0, cage.niceness - os.nice(0)))


def shut_in(cage: Cage, *, server: bool) -> int:
    """Give up everything that a viewer's process does not need; return the version of Landlock, 0 where this kernel has none.

    A server listens on its one port. A kernel has no TCP at all: it speaks with the server over sockets in its private folder, and
    can therefore not knock at an engine's door. Raises OSError.
    """
    limit(cage)
    return ll.restrict(places(cage), bind=(cage.port,) if server else ())
