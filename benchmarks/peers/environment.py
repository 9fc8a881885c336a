"""hftbacktest in an environment of its own: nothing of it is installed beside hftlab, nothing of hftlab beside it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

REQUIREMENT = "hftbacktest==2.4.4"
THEIRS = Path(__file__).with_name("theirs.py")


def default_dir() -> Path:
    """Return where the environment and the converted recording are kept: beside hftlab's own compile cache."""
    root = os.environ.get("HFTLAB_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "hftlab" / "peers"


def python_of(folder: Path) -> Path:
    """Return the path of the environment's python, made or not."""
    venv = folder / "hftbacktest-2.4.4"
    return venv / "Scripts" / "python.exe" if os.name == "nt" else venv / "bin" / "python"


def setup(folder: Path) -> Path:
    """Make the environment unless it stands, and return its python. Raises subprocess.CalledProcessError.

    What hftbacktest wants (numba, numpy, polars, …) is chosen by its own metadata. `uv` is used where it runs: it takes seconds.
    """
    python = python_of(folder)
    venv = str(python.parents[1])
    if _version(python) == REQUIREMENT.partition("==")[2]:
        return python
    folder.mkdir(parents=True, exist_ok=True)
    uv = _uv()
    if uv is None:
        subprocess.run([sys.executable, "-m", "venv", "--clear", venv], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", REQUIREMENT], check=True)
    else:
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, venv], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python), REQUIREMENT], check=True)
    return python


def _uv() -> str | None:
    """Return uv, or None. A name found on PATH may be a shim with nothing behind it, so it is run."""
    found = shutil.which("uv")
    if found is None or subprocess.run([found, "--version"], capture_output=True, check=False).returncode != 0:
        return None
    return found


def _version(python: Path) -> str | None:
    if not python.is_file():
        return None
    asked = "import importlib.metadata as m; print(m.version('hftbacktest'))"
    done = subprocess.run([str(python), "-c", asked], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


class Peer:
    """A process of that environment which runs theirs.py and answers one line of JSON to each line of JSON."""

    def __init__(self, python: Path, data: Path) -> None:
        # Its numba may cache as it likes; ours must not be reached by it, so no setting of hftlab's or of numba's goes along.
        env = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA_", "HFTLAB_", "PYTHON"))}
        self._process = subprocess.Popen(
            [str(python), str(THEIRS), str(data)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
        )

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and return the answer. Raises RuntimeError when the process has ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"hftbacktest's process ended with {self._process.wait()} on {request}; its words are above.")
        return json.loads(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        assert self._process.stdout is not None
        self._process.stdout.close()
