"""`hftlab serve`: pages for others to look at a run."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hftlab.engine.view import Session
    from hftlab.publish.launch import Serving

Add = Callable[[str, Callable[[argparse.Namespace], int]], argparse.ArgumentParser]
NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
DEMO = NOTEBOOKS / "runs" / "demo"
VOILA_PORT = 8866


def serve(options: argparse.Namespace) -> int:
    """Show a run to others as read-only pages (Voila) on the loopback address; the engine is not touched."""
    from hftlab.errors import HftlabError

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: with the pages
    try:
        return _for_lab(options) if options.lab is not None else _one_run(options)
    except HftlabError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


def _one_run(options: argparse.Namespace) -> int:
    from hftlab.engine.process import run_directory

    demo = None
    try:
        if options.demo:
            demo = _demo(options, DEMO if options.run is None else Path(options.run))
        run = demo.directory if demo is not None else run_directory(options.run or NOTEBOOKS / "runs" / "first-quote")
        return _show(_serving(options, run, theme=options.theme or "light"))
    finally:
        if demo is not None:
            demo.stop()


def _for_lab(options: argparse.Namespace) -> int:
    """Show the run that was started last under this folder, the demo while there was none, until the lab is gone."""
    from pydantic import SecretStr

    from hftlab.engine.view import engine_alive
    from hftlab.publish.lab_entry import TOKEN
    from hftlab.publish.newest import lab_theme, newest_run

    given, folder, lab = os.environ.pop(TOKEN, None), Path.cwd(), os.getppid()
    token = None if given is None else SecretStr(given)
    demo, shown, code = None, newest_run(folder, DEMO), 0
    try:
        if shown is None and not engine_alive(DEMO):
            demo = _demo(options, DEMO)
        while os.getppid() == lab and code == 0:
            showing = shown or DEMO
            serving = _serving(options, showing, theme=options.theme or lab_theme(), prefix=options.lab, token=token)
            code = _show(serving, partial(_another, folder, showing, lab))
            shown = newest_run(folder, DEMO) or shown  # a run that ended stays on its page until another one starts
            if demo is not None and shown is not None:
                demo.stop()
                demo = None
    finally:
        if demo is not None:
            demo.stop()
    return code


def _another(folder: Path, shown: Path, lab: int) -> bool:
    """Say whether a run was started after the one shown, or the lab is gone."""
    from hftlab.publish.newest import newest_run

    return os.getppid() != lab or newest_run(folder, DEMO) not in {None, shown}


def _demo(options: argparse.Namespace, directory: Path) -> "Session":
    """Start the demo's session; where there is no gallery, fill one meanwhile."""
    from hftlab.publish.demo import demo_gallery, demo_run

    gallery = Path(options.gallery)
    if not gallery.is_dir():
        gallery.mkdir(parents=True)  # a page may read what is there when it is shut in, and what comes into it later
        threading.Thread(target=demo_gallery, args=(gallery,), name="gallery", daemon=True).start()
    return demo_run(directory)


def _serving(options: argparse.Namespace, run: Path, **more: Any) -> "Serving":
    from hftlab.publish.launch import Serving

    return Serving(
        run=run,
        pages=NOTEBOOKS / "dashboards",
        gallery=Path(options.gallery),
        port=options.port,
        viewers=options.viewers,
        ready=options.ready,
        user=options.user,
        **more,
    )


def _show(serving: "Serving", enough: Callable[[], bool] = lambda: False) -> int:
    """Show a run until `enough()`; return 1 when its server ended by itself."""
    from hftlab.engine.view import engine_alive
    from hftlab.publish.launch import Publisher

    with Publisher(serving) as publisher:
        print(publisher.text(), flush=True)
        if not engine_alive(serving.run):
            print("No engine runs there: the pages show its last state and say how old it is.", flush=True)
        if publisher.watch(enough):
            return 0
        print(f"the viewers' server ended. Its last words:\n{publisher.log_tail()}", file=sys.stderr)
        return 1


def add_serve_command(add: Add) -> None:
    """Add the command to the parser of `hftlab`."""
    viewer = add("serve", serve)
    viewer.add_argument(
        "run", nargs="?", help="the run to show, a directory or a name in ./runs (default: the one that notebook 01 starts)"
    )
    viewer.add_argument("--demo", action="store_true", help="start a simulated session to show; it ends with this command")
    viewer.add_argument("--lab", metavar="PATH", help="what JupyterLab's launcher starts: the newest run, behind its proxy at PATH")
    viewer.add_argument("--port", type=int, default=VOILA_PORT)
    viewer.add_argument("--viewers", type=int, default=20, help="seats: each costs a process of about 100 MB (default 20)")
    viewer.add_argument(
        "--ready", type=int, default=1, help="kernels of each page that are kept ready, so that it opens at once (default 1)"
    )
    viewer.add_argument("--theme", choices=("light", "dark"), help="default: light; in a lab, what the lab has")
    viewer.add_argument("--gallery", default=str(NOTEBOOKS / "runs" / "gallery"), help="the folder of saved backtests")
    viewer.add_argument("--user", help="the system user for the viewers, when started as root (default: hftlab-viewer or nobody)")
