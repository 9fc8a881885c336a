"""Linux Landlock in three system calls: a process gives up files, network and signals for itself and all that it starts, for good.

It needs no privilege and holds for root too. The numbers are those of the kernel's header linux/landlock.h.
"""

import ctypes
import os
import struct
from collections.abc import Iterable
from pathlib import Path

_CREATE, _ADD, _RESTRICT = 444, 445, 446  # the same on every architecture that Linux has had since 5.0
_PR_SET_NO_NEW_PRIVS = 38
_VERSION = 1  # flag of landlock_create_ruleset
_PATH_BENEATH, _NET_PORT = 1, 2  # types of rules

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 1 << 1, 1 << 2, 1 << 3
_REFER, _TRUNCATE, _IOCTL = 1 << 13, 1 << 14, 1 << 15
_FS_FIRST = (1 << 13) - 1  # what version 1 can refuse: the four above, removing, and making of every kind
BIND, CONNECT = 1, 2
_ABSTRACT_SOCKETS, _SIGNALS = 1, 2

LIST = READ_DIR
READ = READ_FILE | READ_DIR
RUN = READ | EXECUTE
OF_A_FILE = EXECUTE | WRITE_FILE | READ_FILE | _TRUNCATE  # all that makes sense for a path that is no directory


def version() -> int:
    """Return the version of Landlock of this kernel, 0 where there is none."""
    if not hasattr(os, "O_PATH"):
        return 0
    return max(0, ctypes.CDLL(None).syscall(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION)))


def everything() -> int:
    """Return the rights over files that this kernel knows."""
    known = version()
    return _FS_FIRST | (_REFER if known >= 2 else 0) | (_TRUNCATE if known >= 3 else 0) | (_IOCTL if known >= 5 else 0)


def restrict(paths: Iterable[tuple[Path, int]], *, bind: Iterable[int] = (), connect: Iterable[int] = ()) -> int:
    """Refuse this process, and its children, everything but `paths` (with rights), and TCP but the ports named. Returns the version.

    A path that does not exist is left out. Since version 4 TCP is held too, since 6 signals to processes outside. With version 0
    nothing happens: the caller says so. Raises OSError when the kernel refuses the rules.
    """
    known = version()
    if known == 0:
        return 0
    rights = everything()
    attributes = [rights, BIND | CONNECT if known >= 4 else 0, _ABSTRACT_SOCKETS | _SIGNALS if known >= 6 else 0]
    packed = struct.pack(f"={(1 if known < 4 else 2 if known < 6 else 3)}Q", *attributes[: 1 if known < 4 else 2 if known < 6 else 3])
    ruleset = _call(_CREATE, packed, ctypes.c_size_t(len(packed)), ctypes.c_uint32(0))
    try:
        for path, allowed in paths:
            _allow_path(ruleset, path, allowed & rights)
        if known >= 4:
            for ports, right in ((bind, BIND), (connect, CONNECT)):
                for port in ports:
                    _call(_ADD, ruleset, _NET_PORT, struct.pack("=QQ", right, port), ctypes.c_uint32(0))
        if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "no_new_privs was refused")
        _call(_RESTRICT, ruleset, ctypes.c_uint32(0))
    finally:
        os.close(ruleset)
    return known


def _allow_path(ruleset: int, path: Path, allowed: int) -> None:
    try:
        beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # not there, or not for this user: then there is nothing to allow
    try:
        if not path.is_dir():
            allowed &= OF_A_FILE
        _call(_ADD, ruleset, _PATH_BENEATH, struct.pack("=Qi", allowed, beneath), ctypes.c_uint32(0))
    finally:
        os.close(beneath)


def _call(number: int, *arguments: object) -> int:
    library = ctypes.CDLL(None, use_errno=True)
    result = library.syscall(number, *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), f"Landlock refused call {number}: {os.strerror(ctypes.get_errno())}")
    return int(result)
