"""The search for secrets: keys, passwords and tokens are planted where a person would put them, everything that can go wrong is made to go
wrong, and then every place where a text may end up is searched, in plain and in the usual encodings.

Planted: keys of real venues and of a testnet (environment and .env), a private key, addresses of alert channels with a password and a token,
and the keys with which the loopback venue is really signed for. What goes wrong: refused requests, a venue that is gone, an alert channel
that cannot be reached, a session whose venue does not exist, errors in a notebook whose frames hold the keys (shown with their values, as
`%xmode Verbose` does), an engine that is aborted, and one that is killed.
"""

import argparse
import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import nbformat
import psutil

from benchmarks.drills.desk import fresh_environment
from benchmarks.drills.kills import until
from hftlab.engine.view import engine_alive
from hftlab.venues.server.config import VenueConfig
from hftlab.venues.server.faults import Fault
from hftlab.venues.server.serve import LoopbackVenue

SKIN = "binanceusdm"
ROOT = Path(__file__).resolve().parents[2]
IN_ENVIRONMENT = {
    "HFTLAB_BINANCEUSDM_KEY": "plantedRealKey7Qx2",
    "HFTLAB_BINANCEUSDM_SECRET": "plantedRealSecret9Zk4",
    "HFTLAB_BINANCEUSDM_TESTNET_KEY": "plantedTestnetKey3Wv8",
    "HFTLAB_BINANCEUSDM_TESTNET_SECRET": "plantedTestnetSecret5Jm1",
    "HFTLAB_ALERT_URLS": "json://watcher:plantedPassword6Rt@127.0.0.1:9/alerts tgram://123456789:plantedBotToken0Lp/4242",
}
IN_FILE = {
    "HFTLAB_HYPERLIQUID_WALLET": "0x" + "ab" * 20,
    "HFTLAB_HYPERLIQUID_PRIVATE_KEY": "0x" + "5ec7e700" * 8,
    "HFTLAB_OKX_PASSWORD": "plantedOkx2Hd",
}
TOKEN_FILES = ("control.json", "read.token")  # where the door's tokens belong
PLANTED = 8
SAFE = {"HFTLAB_HYPERLIQUID_WALLET"}  # an address is public

NOTEBOOK = """
%xmode Verbose
import os
import hftlab as hl
from hftlab.engine.settings import settings_from
from hftlab.venues.live.endpoints import endpoint
from hftlab.venues.live.keys import keys_for
---
btc = hl.Instrument.bundled("binanceusdm:BTC/USDT:USDT")
quoter = hl.FixedSpread(order_qty="0.01", half_spread_ticks=1)
limits = hl.Limits(position_qty_max="0.05", order_qty_max="0.05", notional_quote_max=50_000, capital_quote=100_000)
session = hl.start(hl.LiveFeed(btc, server=os.environ["DRILL_VENUE"], audit_s=2), hl.LiveVenue("live"), quoter, limits, run="run")
---
session.wait(lambda frame: len(frame.orders()) >= 1, 60)
session
---
keys = keys_for(endpoint("binanceusdm"))
keys, repr(keys), str(keys), f"{keys.secret} {keys.key!r}"
---
settings = settings_from(None, "drill")
settings, settings.model_dump(), settings.model_dump_json()
---
def deep(keys, settings):
    return keys.secret / settings
deep(keys, settings)
---
keys_for(endpoint("hyperliquid"))
---
hl.start(hl.LiveFeed(btc, server="testnet"), hl.LiveVenue("live"), quoter, limits, run="nowhere")
---
session.set(order_qty="-1")
---
session.set_limits(no_such_limit=1)
---
from pydantic import SecretStr
right = session._control
session._control = right | {"token": SecretStr("wrong")}
session.pause()
---
session._control = right | {"url": "http://127.0.0.1:9"}
session.pause()
---
vars(session), right
---
hl.dashboard(session)
---
session.log(50), session.alerts(50), session.audit(50)
---
session.frame().engine
"""


def wanted() -> dict[str, str]:
    """Return the secrets by what they are."""
    found = {name: value for name, value in (IN_ENVIRONMENT | IN_FILE).items() if name not in SAFE and name != "HFTLAB_ALERT_URLS"}
    found |= {"alert password": "plantedPassword6Rt", "alert token": "plantedBotToken0Lp"}
    return found | {f"loopback {name}": value for name, value in VenueConfig().keys(SKIN).items()}


def forms(secret: str) -> dict[str, bytes]:
    """Return a secret as it stands and as it might be written by something that encodes."""
    raw = secret.encode()
    joined = base64.b64encode(b":" + raw + b":").strip(b"=")[4:-4]  # the middle is the same wherever it stands by threes
    return {
        "plain": raw,
        "base64": base64.b64encode(raw).rstrip(b"="),
        "base64 within": joined,
        "hex": raw.hex().encode(),
        "url": quote(secret, safe="").encode(),
        "reversed": raw[::-1],
        "utf-16": secret.encode("utf-16-le"),
    }


def hits(data: bytes, secrets: Mapping[str, str]) -> list[str]:
    """Return what of the secrets is found in the bytes, and in which form."""
    return [f"{name} ({form})" for name, secret in secrets.items() for form, text in forms(secret).items() if text in data]


def notebook_of(folder: Path, environ: dict[str, str]) -> Path:
    """Run the notebook of mistakes in `folder`; return it with its outputs."""
    path = folder / "mistakes.ipynb"
    cells = [nbformat.v4.new_code_cell(code.strip()) for code in NOTEBOOK.split("---\n")]
    book = nbformat.v4.new_notebook(cells=cells)
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(book, path)
    command = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", "--allow-errors", "--inplace", "mistakes.ipynb"]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, timeout=400, check=False)
    (folder / "nbconvert.out").write_bytes(done.stdout + done.stderr)
    assert done.returncode == 0, done.stderr[-2000:]
    return path


def process_list() -> bytes:
    """Return the command lines of all processes, as `ps` shows them to anybody."""
    found = psutil.process_iter(["cmdline", "name"])
    return "\n".join(" ".join(one.info["cmdline"] or [one.info["name"] or ""]) for one in found).encode()


def places(folder: Path, seen: Mapping[str, bytes]) -> Iterator[tuple[str, str, bytes]]:
    """Yield (place, what, bytes) of all that is searched."""
    for what, data in seen.items():
        yield what, "", data
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != ".env":
            yield _place(path.relative_to(folder)), str(path.relative_to(folder)), path.read_bytes()


def _place(path: Path) -> str:
    for part, name in (("journal", "journal"), ("home", "home: history, caches, Jupyter's files")):
        if part in path.parts:
            return name
    known = {".ipynb": "notebook outputs", ".jsonl": "logs, alerts, audit trail", ".bin": "snapshot", ".out": "what programs printed"}
    return known.get(path.suffix, "other files of the run")


def make_trouble(venue: LoopbackVenue, folder: Path, environ: dict[str, str]) -> dict[str, bytes]:
    """Do everything that goes wrong; return what is no file: process lists, what commands printed."""
    for fault in ("reset_after", "rate_limit", "garbage"):
        venue.add_fault(Fault(fault, at_s=1.0, times=5))
    found = {"process list": b""}
    notebook_of(folder, environ)
    found["process list"] += process_list()
    run = folder / "runs" / "run"
    for command in (["doctor"], ["alert", "test"], ["latency", "run"]):
        done = subprocess.run(
            [sys.executable, "-m", "hftlab", *command], cwd=folder, env=environ, capture_output=True, timeout=200, check=False
        )
        found[f"hftlab {' '.join(command)}"] = done.stdout + done.stderr
    venue.down()
    time.sleep(3.0)
    venue.up()
    control = json.loads((run / "control.json").read_text())
    found["process list"] += process_list()
    os.kill(control["pid"], signal.SIGABRT)  # a crash: what it dumps is searched too
    until(lambda: not engine_alive(run), "the engine is dead")
    until(lambda: (run / "watchdog.jsonl").exists() and '"swept"' in (run / "watchdog.jsonl").read_text(), "the watchdog has swept")
    again = (
        "import hftlab as hl, os, signal; s = hl.resume('run'); s.wait(lambda f: f.state != '', 30); os.kill(s.frame().engine['pid'], 9)"
    )
    done = subprocess.run([sys.executable, "-c", again], cwd=folder, env=environ, capture_output=True, timeout=200, check=False)
    found["resume, then kill -9"] = done.stdout + done.stderr
    for one in (folder / "runs").iterdir():
        _kill(one)
    return found


def _kill(run: Path) -> None:
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        os.kill(json.loads((run / "control.json").read_text())["pid"], signal.SIGKILL)
    until(lambda: not engine_alive(run), "the engine is dead")


def main(arguments: list[str]) -> int:
    """Run the drill; prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drills secrets")
    parser.add_argument("--keep", type=Path, help="leave everything that was searched in this folder")
    options = parser.parse_args(arguments)
    fresh_environment()
    folder = options.keep or Path(tempfile.mkdtemp(prefix="hftlab-secrets-"))
    (folder / "home").mkdir(parents=True, exist_ok=True)
    env_file = folder / ".env"
    env_file.write_text("".join(f"{name}={value}\n" for name, value in IN_FILE.items()))
    env_file.chmod(0o600)
    try:
        with LoopbackVenue(VenueConfig(skins=(SKIN,), seed=1, tls=False)) as venue:
            environ = {k: v for k, v in os.environ.items() if not k.startswith("HFTLAB_") or k == "HFTLAB_CACHE_DIR"}
            environ |= IN_ENVIRONMENT | {"DRILL_VENUE": venue.url, "HOME": str(folder / "home"), "PYTHONPATH": str(ROOT)}
            seen = make_trouble(venue, folder, environ)
        token = json.loads((folder / "runs" / "run" / "control.json").read_text())
        secrets = wanted() | {f"door {name}": token[name] for name in ("token", "read_token")}
        return report(folder, seen, secrets)
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)


def report(folder: Path, seen: Mapping[str, bytes], secrets: Mapping[str, str]) -> int:
    """Search, print the table, return how many finds were none of the allowed ones."""
    table: dict[str, list[int]] = {}
    bad = []
    for place, what, data in places(folder, seen):
        row = table.setdefault(place, [0, 0, 0])
        row[0] += 1
        row[1] += len(data)
        found = [one for one in hits(data, secrets) if not (what.endswith(TOKEN_FILES) and one.startswith("door "))]
        row[2] += len(found)
        bad += [(what or place, one) for one in found]
    print(f"{len(secrets)} secrets, {len(forms('x'))} forms each\n\n| place | texts | bytes | found |\n|---|---|---|---|")
    for place, (texts, size, found_count) in table.items():
        print(f"| {place} | {texts} | {size:,} | {found_count} |")
    open_to_others = [path.name for path in folder.rglob("*") if path.name in TOKEN_FILES and path.stat().st_mode & 0o077]
    print(f"\nThe door's tokens stand in {' and '.join(TOKEN_FILES)} alone; readable to others: {open_to_others or 'none'}.")
    planted = "\n".join(f"{name}={value}" for name, value in (IN_ENVIRONMENT | IN_FILE).items()).encode()
    seen_there = len({one.split(" (")[0] for one in hits(planted, wanted())})
    print(f"Control: the same search finds {seen_there} of the planted ones in the environment and .env themselves.")
    for what, one in bad:
        print(f"FOUND {one} in {what}")
    return len(bad) + len(open_to_others) + int(seen_there < PLANTED)
