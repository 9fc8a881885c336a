"""A JupyterLab or Voila of one's own, on a free port of loopback in a folder of its own, and the few things that are done with its page."""

import os
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WAIT_MS = 90_000  # a page that is reloaded fetches the state of every widget, and machines that test are loaded
ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = Path(sysconfig.get_path("scripts"))
BROWSER_ARGS = ("--no-sandbox", "--disable-gpu")  # a root user inside a container has no sandbox to offer

CONNECTED = """() => { const kernel = window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel;
return kernel?.connectionStatus === 'connected' && kernel.status === 'idle'; }"""


@contextmanager
def serve(folder: Path, *command: str) -> Iterator[str]:
    """Run a server in `folder`, with configuration and data there too; give its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = os.environ | {
        "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "IPYTHONDIR": str(folder / "ipython"),
    }
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen([*command, f"--port={port}"], cwd=folder, env=env, stdout=log, stderr=log)
        try:
            end = time.monotonic() + WAIT_MS / 1e3
            while time.monotonic() < end and server.poll() is None:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.2)
            assert server.poll() is None, (folder / "server.log").read_text()[-2000:]
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(20)


@contextmanager
def lab(folder: Path) -> Iterator[str]:
    """Run a JupyterLab over `folder` that asks nobody for news; give its address."""
    settings = folder / "config/lab/user-settings/@jupyterlab/apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false", "checkForUpdates": false}')
    flags = ("--no-browser", "--ip=127.0.0.1", "--allow-root", "--IdentityProvider.token=", "--expose-app-in-browser")
    with serve(folder, sys.executable, "-m", "jupyterlab", *flags) as url:
        yield url


def command(page: Any, name: str, **arguments: Any) -> None:
    """Start a command of JupyterLab. Not awaited: some promises last as long as a dialog or a kernel, and `evaluate` has no time-out."""
    page.evaluate("([name, arguments]) => void window.jupyterapp.commands.execute(name, arguments)", [name, arguments])


def open_notebook(page: Any, address: str) -> None:
    """Open the notebook at `address` and wait for its kernel: cells that are run before it is connected wait for ever."""
    page.goto(address, timeout=WAIT_MS)
    page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=WAIT_MS)
    page.wait_for_function(CONNECTED, timeout=WAIT_MS)
