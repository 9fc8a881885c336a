"""What a person could try who somehow ran code in a viewer's kernel. This file is a page's one cell; it prints a line an attempt.

Where things lie is told it (FOUND): an attacker would guess.
"""

import json
import os
import signal
import socket
import subprocess
import urllib.request
from pathlib import Path

FOUND = json.loads("FOUND_HERE")
RUN, PID = Path(FOUND["run"]), FOUND["pid"]


def attempt(what, call):
    """Print what came of one attempt: held unless it returned something that is worth having."""
    try:
        got = call()
    except (OSError, ValueError, MemoryError, subprocess.SubprocessError) as error:
        got, said = None, f"{type(error).__name__}: {getattr(error, 'strerror', None) or getattr(error, 'reason', '') or str(error)[:60]}"
    else:
        said = f"got {got!r}"[:80] if got else "nothing there"
    print("ATTEMPT " + json.dumps([what, said, not got]))


def secrets_in(text):
    """Return which planted secrets are in a text."""
    return [name for name, value in FOUND["planted"].items() if value in text]


def write(path, text="x"):
    """Write a file."""
    Path(path).write_text(text)
    return "written"


def connect(where):
    """Open a TCP connection."""
    with socket.create_connection(where, timeout=5):
        return "connected"


def post():
    """Command the engine without a token."""
    body = json.dumps({"command": "halt", "who": "visitor"}).encode()
    request = urllib.request.Request(FOUND["url"] + "/command", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        return answer.status


def inbox():
    """Listen on a port."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()


def kill(number):
    """Send a signal to the engine."""
    os.kill(PID, number)
    return "sent"


def run(*command):
    """Start a program."""
    return subprocess.run(command, capture_output=True, check=False, timeout=20).returncode == 0


def append():
    """Write over the frame that other viewers read."""
    with (RUN / "snapshot.bin").open("r+b") as file:
        file.write(b"0" * 64)
    return "written"


attempt("read control.json", lambda: (RUN / "control.json").read_text())
attempt("open it through /proc", lambda: Path(f"/proc/{PID}/root{RUN}/control.json").read_text())
attempt("link it to a place of its own", lambda: os.link(RUN / "control.json", Path.home() / "copy") or (Path.home() / "copy").read_text())
attempt("read .env beside the run", lambda: (RUN.parent / ".env").read_text())
attempt("secrets in its own environment", lambda: secrets_in(json.dumps(dict(os.environ))))
attempt(
    "names like a secret in its environment",
    lambda: [n for n in os.environ if any(w in n for w in ("TOKEN", "SECRET", "PASSWORD", "API_KEY"))],
)
attempt("environment of the engine", lambda: Path(f"/proc/{PID}/environ").read_bytes())
attempt("environment of its server", lambda: secrets_in(Path(f"/proc/{os.getppid()}/environ").read_text()))
attempt("command line of the engine", lambda: secrets_in(Path(f"/proc/{PID}/cmdline").read_text()))
attempt("memory of the engine", lambda: Path(f"/proc/{PID}/mem").read_bytes())
attempt("read /etc/shadow", lambda: Path("/etc/shadow").read_text())
attempt("list the owner's home", lambda: sorted(map(str, Path(FOUND["home"]).iterdir())))
attempt("POST halt to the engine's door", post)
attempt("connect to the engine's door", lambda: connect((FOUND["host"], FOUND["port"])))
attempt("connect to its own server", lambda: connect(("127.0.0.1", FOUND["voila"])))
attempt("listen on a port", inbox)
attempt("write a file into the run directory", lambda: write(RUN / "halt"))
attempt("write over the published frame", append)
attempt("change the spec", lambda: write(RUN / "spec.yaml"))
attempt("delete the spec", lambda: (RUN / "spec.yaml").unlink() or "deleted")
attempt("rename the journal", lambda: (RUN / "journal").rename(RUN / "gone"))
attempt("open the run directory to all", lambda: RUN.chmod(0o777) or "changed")
attempt("open control.json to all", lambda: (RUN / "control.json").chmod(0o666) or "changed")
attempt("write into the package", lambda: write(Path(FOUND["package"]) / "planted.py"))
attempt("write into the compile cache", lambda: write(Path(FOUND["cache"]) / "planted.nbc"))
attempt("write into the pages", lambda: write(Path(FOUND["pages"]) / "planted.ipynb"))
attempt("SIGTERM to the engine", lambda: kill(signal.SIGTERM))
attempt("SIGSTOP to the engine", lambda: kill(signal.SIGSTOP))
attempt("start a shell", lambda: run("/bin/sh", "-c", "true"))
attempt("become root", lambda: os.setuid(0) if os.geteuid() else None)
attempt("take 4 GB of memory", lambda: len(bytearray(4 << 30)))
attempt("give itself a better niceness", lambda: os.nice(-5) <= 5 and "nicer")
