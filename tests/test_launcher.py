"""The tiles in JupyterLab's launcher: a click shows the newest run, or the demo, to whom the lab has let in, and to nobody else."""

import os
import socket
import subprocess
import sys
import time
import tomllib
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

import hftlab as hl
from hftlab.engine.process import start
from hftlab.publish import lab_entry
from hftlab.publish.newest import lab_theme, newest_run

ROOT = Path(__file__).resolve().parents[1]
READY_MS = 120_000
TOKEN = "the-labs-own"
ENTRIES = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["jupyter_serverproxy_servers"]
quiet = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


def started(directory):
    btc = hl.Instrument.bundled("binance:BTC/USDT")
    quoter = hl.AvellanedaStoikov(risk_aversion=0.1, order_qty="0.01")
    session = start(hl.SynthFeed(btc, seed=3), hl.PaperVenue(btc), quoter, hl.Limits(position_qty_max="0.05"), run=directory)
    try:
        session.wait(lambda frame: len(frame.orders()) == 2, timeout_s=60)
    except BaseException:  # why: nobody else knows of this engine yet; it is raised again
        session.stop()
        raise
    return session


def installed(folder):
    """Write what an installation writes, so that the entry points are found in an environment where the project only lies on the path."""
    info = folder / "hftlab-0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hftlab\nVersion: 0\n")
    lines = "\n".join(f"{name} = {target}" for name, target in ENTRIES.items())
    (info / "entry_points.txt").write_text(f"[jupyter_serverproxy_servers]\n{lines}\n")
    return str(folder)


@contextmanager
def lab(folder, root, *options):
    """Run a JupyterLab with a token and a prefix, as on Binder; give its address and its process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folders = {f"JUPYTER_{kind}_DIR": str(folder / kind.lower()) for kind in ("CONFIG", "DATA", "RUNTIME")}
    env = os.environ | folders | {"PYTHONPATH": os.pathsep.join([str(ROOT), installed(folder)])}
    settings = folder / "config/lab/user-settings/@jupyterlab/apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false", "checkForUpdates": false}')
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", "--allow-root", f"--port={port}"]
    command += [f"--IdentityProvider.token={TOKEN}", "--ServerApp.base_url=/user/ann/", "--ServerApp.port_retries=0", *options]
    with (folder / "lab.log").open("wb") as log:
        server = subprocess.Popen(command, cwd=root, env=env, stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{port}/user/ann/"
            end_s = time.monotonic() + 180
            while server.poll() is None and time.monotonic() < end_s:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            yield url, server
        finally:
            server.terminate()
            server.wait(120)


def pages_of(server):
    """Return the processes that a lab has started for its pages."""
    return [one for one in psutil.Process(server.pid).children(recursive=True) if "hftlab" in " ".join(one.cmdline())]


@pytest.mark.browser
@quiet
def test_a_click_on_the_tile_shows_the_newest_run_and_the_lab_takes_its_pages_with_it(browser, tmp_path):
    root = tmp_path / "work"
    session = started(root / "notebooks" / "runs" / "mine")
    try:
        with lab(tmp_path, root) as (url, server):
            stranger = httpx.get(f"{url}hftlab/voila/render/trading_desk.ipynb")
            assert stranger.status_code == 302  # to the log-in; nothing was started for a stranger
            assert pages_of(server) == []

            page = browser.new_page(viewport={"width": 1500, "height": 950})
            errors = []
            page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
            page.goto(f"{url}lab?token={TOKEN}", timeout=READY_MS)
            for title in ("hftlab desk", "hftlab risk", "hftlab market quality", "hftlab backtests"):
                page.wait_for_selector(f".jp-LauncherCard[title='{title}'] img", timeout=READY_MS)
            page.click(".jp-LauncherCard[title='hftlab desk']")
            inside = page.frame_locator("iframe")
            inside.locator(".hft-state").wait_for(timeout=READY_MS)
            inside.locator(".hft-canvas canvas").first.wait_for(timeout=READY_MS)
            inside.locator(".hft-band").wait_for(state="hidden", timeout=READY_MS)
            assert inside.locator(".hft-halt, .hft-controls").count() == 0  # it looks, and commands nothing
            assert "mine" in inside.locator("body").inner_text()
            assert errors == []
            page.close()
            served = pages_of(server)
            assert len(served) > 2  # the command, its server, and a kernel for each page that is kept ready
            assert TOKEN not in " ".join(" ".join(one.cmdline()) for one in served)
        _, alive = psutil.wait_procs(served, timeout=60)
        assert alive == []
        assert session.alive()
    finally:
        session.stop()


def test_the_newest_run_under_the_labs_folder_is_shown_and_the_demo_is_none(tmp_path):
    older = started(tmp_path / "lab" / "runs" / "older")
    newer = None
    try:
        assert newest_run(tmp_path / "lab", tmp_path / "demo") == older.directory
        assert newest_run(tmp_path / "lab", older.directory) is None
        assert newest_run(tmp_path / "elsewhere", tmp_path / "demo") is None
        newer = started(tmp_path / "lab" / "deep" / "in" / "it" / "runs" / "newer")
        assert newest_run(tmp_path / "lab", tmp_path / "demo") == newer.directory
        newer.stop()
        assert newest_run(tmp_path / "lab", tmp_path / "demo") == older.directory
    finally:
        for session in (older, newer):
            if session is not None and session.alive():
                session.stop()


@pytest.mark.parametrize(
    ("text", "theme"),
    [(None, "light"), ('{\n  // "theme": "JupyterLab Dark"\n}', "light"), ('{\n    // chosen\n    "theme": "JupyterLab Dark"\n}', "dark")],
)
def test_the_pages_take_the_theme_of_the_lab(tmp_path, monkeypatch, text, theme):
    monkeypatch.setenv("JUPYTERLAB_SETTINGS_DIR", str(tmp_path))
    if text is not None:
        file = tmp_path / "@jupyterlab" / "apputils-extension" / "themes.jupyterlab-settings"
        file.parent.mkdir(parents=True)
        file.write_text(text)
    assert lab_theme() == theme


def test_what_the_proxy_is_told():
    from jupyter_server_proxy.config import ServerProcess

    made = {name: getattr(lab_entry, target.split(":")[1])() for name, target in ENTRIES.items()}
    servers = {name: ServerProcess(name=name, **one) for name, one in made.items()}
    assert all(one.launcher_entry.path_info.startswith("hftlab/voila/render/") for one in servers.values())
    assert all(Path(one.launcher_entry.icon_path).exists() for one in servers.values())
    told = made["hftlab"]
    token = told["environment"][lab_entry.TOKEN]
    assert token not in " ".join(told["command"])
    assert told["request_headers_override"]["Cookie"] == ""  # the lab's own log-in does not reach the pages
    assert token != lab_entry.desk()["environment"][lab_entry.TOKEN]
