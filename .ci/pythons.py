"""The kernels on other Pythons than that of the environment.

`quick` (a part of `make test`): the kernels as plain Python, run by the newest other Python of this machine; where there is none, by
our own. `all` (`make versions`): every other Python, with every locked package, imports every module, and compiles and runs the same.
Either way one backtest of the shipped sample must leave the same digest as compiled on our own Python.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OURS = sys.version_info[:2]
OLDEST, NEWEST = 11, 14
UV = (sys.executable, "-m", "uv")
# What the kernels, a backtest and their tests import.
KERNELS = ("numba", "numpy", "pandas", "msgspec", "orjson", "pydantic", "pyyaml", "hypothesis", "pytest")
DIGEST = """
import hftlab as hl

tape = hl.sample().slice(0, 2)
limits = hl.Limits(position_qty_max="0.05", loss_quote_max=200)
print(hl.backtest(tape, None, hl.AvellanedaStoikov(risk_aversion=0.1, order_qty="0.01"), limits).digest)
"""
IMPORTS = """
import importlib, pkgutil, hftlab

names = [one.name for one in pkgutil.walk_packages(hftlab.__path__, "hftlab.") if not one.name.endswith("__main__")]
for name in names:
    importlib.import_module(name)
print(len(names), "modules")
"""


def others() -> dict[str, str]:
    """Return the programs of the other Pythons on PATH and of pyenv, newest first. One may be a shim with nothing behind it: each is run."""
    found = {}
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv", "versions")
    for minor in range(NEWEST, OLDEST - 1, -1):
        programs = [shutil.which(f"python3.{minor}"), *map(str, sorted(pyenv.glob(f"3.{minor}.*/bin/python3.{minor}"), reverse=True))]
        for program in programs if (3, minor) != OURS else []:
            said = subprocess.run([program or "false", "-c", "import sys; print(sys.version)"], capture_output=True, text=True, check=False)
            if said.stdout.startswith(f"3.{minor}."):
                found[f"3.{minor}"] = program
                break
    return found


def prepared(version: str, program: str, *, every: bool) -> Path:
    """Return the Python of `.venv-VERSION`, made when it is missing, with the packages at the versions of the lock."""
    folder = ROOT / f".venv-{version}"
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([*UV, "venv", "--quiet", "--python", program, folder], check=True)
    lock = ROOT / "requirements.lock"
    pins = folder / "pins.txt"
    pins.write_text("\n".join(line.rstrip(" \\") for line in lock.read_text().splitlines() if line[:1].isalnum()))
    wanted = ["--require-hashes", "-r", str(lock)] if every else ["-c", str(pins), *KERNELS]
    subprocess.run([*UV, "pip", "install", "--quiet", "--python", python, *wanted], check=True)
    return python


def ran(python: Path | str, *arguments: str, **environment: str) -> str:
    """Run a Python on this checkout and return what it printed."""
    env = os.environ | {"PYTHONPATH": str(ROOT)} | environment
    return subprocess.run([python, *arguments], cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def tested(python: Path | str, tests: list[str], **environment: str) -> None:
    """Run tests of the kernels, with their output on the screen."""
    subprocess.run([python, "-m", "pytest", "-q", *tests], cwd=ROOT, env=os.environ | environment, check=True)


def main(how: str, *tests: str) -> int:
    """Run one of the two; `tests` are the files and options of the tests of the kernels."""
    plain, found = {"NUMBA_DISABLE_JIT": "1"}, others()
    if not found or subprocess.run([*UV, "--version"], capture_output=True, check=False).returncode != 0:
        print(f"{'no uv' if found else 'no other Python'} here: {'.'.join(map(str, OURS))} runs the kernels as plain Python itself")
        tested(sys.executable, list(tests), **plain)
        return 0
    ours = ran(sys.executable, "-c", DIGEST)
    for version, program in list(found.items())[: None if how == "all" else 1]:
        python = prepared(version, program, every=how == "all")
        theirs = [ran(python, "-c", DIGEST, **plain)]
        if how == "all":
            print(f"Python {version}: {ran(python, '-W', 'ignore', '-c', IMPORTS)}", flush=True)
            theirs.append(ran(python, "-c", DIGEST))
            tested(python, list(tests))
        print(f"Python {version}: a backtest gives {theirs}, compiled by ours {ours}", flush=True)
        if set(theirs) != {ours}:
            return 1
        tested(python, list(tests), **plain)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
