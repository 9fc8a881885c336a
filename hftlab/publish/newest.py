"""Which run a lab's pages show: the living one that was started last."""

import os
import re
from pathlib import Path

import psutil

from hftlab.engine.view import engine_alive


def newest_run(folder: Path, but: Path) -> Path | None:
    """Return the directory of the engine of ours that was started last under `folder`, `but` apart; None when none runs.

    Engines are looked for among the processes, so a run is found wherever under `folder` its notebook lies. One that has let go of its
    run has ended, though its process may take a moment to be gone.
    """
    found: list[tuple[float, Path]] = []
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
            if command[1:3] != ["-m", "hftlab.engine"] or process.uids().effective != os.geteuid():
                continue
            run = Path(command[3])
            if run != but and run.is_relative_to(folder) and (run / "snapshot.bin").exists() and engine_alive(run):
                found.append((process.create_time(), run))
        except (psutil.Error, IndexError):
            continue  # why: it ended while it was looked at, is another user's, or is a zombie without a command
    return max(found)[1] if found else None


def lab_theme() -> str:
    """Return "dark" when this user's JupyterLab has a dark theme, else "light"."""
    from jupyterlab.commands import get_user_settings_dir

    path = Path(get_user_settings_dir(), "@jupyterlab", "apputils-extension", "themes.jupyterlab-settings")
    if not path.exists():
        return "light"
    # JSON with comments, which JupyterLab writes: one entry a line.
    chosen = re.search(r'^\s*"theme":\s*"([^"]*)"', path.read_text(encoding="utf-8"), re.MULTILINE)
    return "dark" if chosen is not None and "dark" in chosen[1].lower() else "light"
