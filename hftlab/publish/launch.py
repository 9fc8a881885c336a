"""Starting the viewers' server: a folder of its own, an environment by list, another user where that works, and a watch over it."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import SecretStr

from hftlab.errors import DataError, InputError
from hftlab.publish import landlock
from hftlab.publish.confine import PUBLISHED, Cage
from hftlab.publish.users import PACKAGES, choose

READY_S = 120.0
STOP_S = 20.0
PATH_MAX = 60  # of our folder: the path of a socket in it may have 107 characters
# What a viewer's process finds in its environment besides what is made for it. No token, no key, no path of the owner's.
PASSED_ON = ("LANG", "LC_ALL", "LC_CTYPE", "TZ", "SYSTEMROOT")
# Written by other parts of the engine when they have something to say. They are made empty here: a page may read only what exists
# when it is shut in.
_LATER = ("log.jsonl", "alerts.jsonl", "audit.jsonl", "stderr.txt")


@dataclass(frozen=True)
class Serving:
    """What to show, to how many, and how. `port` 0 takes a free one; `user` None finds one."""

    run: Path
    pages: Path
    gallery: Path
    port: int = 0
    viewers: int = 20
    ready: int = 1
    theme: str = "light"
    memory_mb: int = 1024
    niceness: int = 10
    user: str | None = None
    gone_s: float = 20.0  # a page whose socket broke may come back for so long; then its kernel ends
    prefix: str = "/"  # what stands before the path of every page, where a proxy adds it
    token: SecretStr | None = None  # of the pages; a new one if None
    head_s: float = 20.0  # so long may a request take to come in, and a connection be silent between two


def free_port(port: int) -> int:
    """Return `port`, or a free one for 0. Raises InputError when it is in use."""
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise InputError(f"port {port} is in use; pass another one with --port.") from error
        return int(probe.getsockname()[1])


def viewer_environment(cage: Cage) -> dict[str, str]:
    """Return the whole environment of a viewer's process."""
    private = cage.private
    return {name: os.environ[name] for name in PASSED_ON if name in os.environ} | {
        "HFTLAB_CAGE": cage.text(),
        "HFTLAB_RUN": cage.run,
        "HFTLAB_GALLERY": cage.gallery,
        "HOME": private,
        "TMPDIR": private,
        "PATH": os.defpath,
        "PYTHONPATH": str(PACKAGES),
        "PYTHONDONTWRITEBYTECODE": "1",
        "NUMBA_DISABLE_JIT": "1",  # a page compiles nothing: no compiler's memory, and no cache that somebody else's engine would load
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "IPYTHONDIR": f"{private}/ipython",
        "JUPYTER_CONFIG_DIR": f"{private}/config",
        "JUPYTER_DATA_DIR": f"{private}/data",
        "JUPYTER_RUNTIME_DIR": f"{private}/run",
        "JUPYTER_NO_CONFIG": "1",
        "JUPYTER_PLATFORM_DIRS": "1",
    }


class Publisher:
    """The viewers' server while it runs. `close()`, or leaving the `with` block, ends it and its kernels; the engine never notices."""

    def __init__(self, serving: Serving) -> None:
        run = serving.run.resolve()
        if not (run / "snapshot.bin").exists():
            raise DataError(f"{run} has published nothing yet; wanted the directory of a run. `hftlab serve --demo` shows one of its own.")
        for name in _LATER:
            _touch(run / name)
        self.seat = choose(run, serving.user)
        self.port = free_port(serving.port)  # before there is a folder, which a refused port would leave behind
        self.private = Path(tempfile.mkdtemp(prefix="hftlab-view-"))  # mode 0700
        if len(str(self.private)) > PATH_MAX:
            self.private.rmdir()
            raise InputError(
                f"{self.private} is too long for the path of a socket. Set TMPDIR to a shorter folder, such as the system's own."
            )
        if self.seat.other:
            os.chown(self.private, self.seat.uid, self.seat.gid)
        self.token = serving.token or SecretStr(secrets.token_urlsafe(24))
        self._cookies = SecretStr(secrets.token_hex(32))  # the same when the server is started again: who was let in may reload his page
        self.serving, self.run = serving, run
        self.cage = Cage(
            run=str(run),
            pages=str(serving.pages.resolve()),
            gallery=str(serving.gallery.resolve()),
            private=str(self.private),
            port=self.port,
            memory_mb=serving.memory_mb,
            niceness=serving.niceness,
        )
        self.landlock = landlock.version()
        self._inode = (run / "snapshot.bin").stat().st_ino
        self.process: subprocess.Popen[bytes] | None = None
        try:
            self.start()
        except BaseException:  # why: whatever stopped the start, no process and no folder may stay behind; it is raised again
            self.close()
            raise

    @property
    def url(self) -> str:
        """Return the address without its token."""
        return f"http://127.0.0.1:{self.port}{self.serving.prefix}"

    @property
    def address(self) -> str:
        """Return the address that lets one in."""
        return f"{self.url}?token={self.token.get_secret_value()}"

    def start(self) -> None:
        """Start the server and wait until it listens. Raises DataError with its last words."""
        environment = viewer_environment(self.cage)
        given: dict[str, Any] = {
            "cage": self.cage.text(),
            "token": self.token.get_secret_value(),
            "cookies": self._cookies.get_secret_value(),
            "prefix": self.serving.prefix,
            "theme": self.serving.theme,
            "ready": self.serving.ready,
            "viewers": self.serving.viewers,
            "gone_s": self.serving.gone_s,
            "head_s": self.serving.head_s,
            "env": environment,
        }
        with (self.private / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.seat.prefix, sys.executable, "-m", "hftlab.publish.server"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=environment,
                cwd=self.private,
                start_new_session=True,  # Ctrl-C is for us; and its kernels can be ended together
                **self.seat.options,
            )
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(given).encode() + b"\n")  # neither a process list nor an environment shows the token
        self.process.stdin.flush()  # and stays open: when we are gone, the server sees its end
        end_s = time.monotonic() + READY_S
        while time.monotonic() < end_s:
            if self.process.poll() is not None:
                break
            with closing(socket.socket()) as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise DataError(f"the viewers' server did not start. Its last words:\n{self.log_tail()}")

    def log_tail(self, lines: int = 12) -> str:
        """Return the end of what the server said."""
        path = self.private / "server.log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""

    def text(self) -> str:
        """Return in words what is shown, and what protects the engine from those who look."""
        held = {0: "this kernel has no Landlock: their files and network are those of their user"}.get(
            self.landlock,
            f"shut in by Landlock {self.landlock}: they read {', '.join(PUBLISHED[:3])} … of this run, and write nowhere else",
        )
        return (
            f"{self.run.name}: {self.address if self.serving.token is None else self.url}\n"
            f"viewers run {self.seat.said};\n{held}.\n"
            f"Up to {self.serving.viewers} at once, {self.serving.memory_mb} MB each, niceness {self.serving.niceness}. "
            "Who has the address may look; nobody may command. Ctrl-C ends the pages, not the engine."
        )

    def watch(self, enough: Callable[[], bool] = lambda: False) -> bool:
        """Return False when the server has ended, True as soon as `enough()`, which is asked every second.

        The server is started again when the run was replaced, for its old pages look at deleted files.
        """
        while self.process is not None and self.process.poll() is None:
            time.sleep(1.0)
            if enough():
                return True
            path = self.run / "snapshot.bin"
            inode = path.stat().st_ino if path.exists() else 0
            if inode not in {0, self._inode}:
                self._inode = inode
                self.stop()
                for name in _LATER:
                    _touch(self.run / name)
                self.start()
        return False

    def stop(self) -> None:
        """End the server and its kernels."""
        process, self.process = self.process, None
        if process is None:
            return
        process.terminate()
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def close(self) -> None:
        """End the server and delete its folder."""
        self.stop()
        shutil.rmtree(self.private, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _touch(path: Path) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.close(fd)
