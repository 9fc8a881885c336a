"""`hftlab serve`: pages for others to look at a run."""

import argparse
import signal
import sys
from collections.abc import Callable
from pathlib import Path

Add = Callable[[str, Callable[[argparse.Namespace], int]], argparse.ArgumentParser]
NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
VOILA_PORT = 8866


def serve(options: argparse.Namespace) -> int:
    """Show a run to others as read-only pages (Voila) on the loopback address; the engine is not touched."""
    from hftlab.engine.view import engine_alive
    from hftlab.errors import HftlabError
    from hftlab.publish.demo import demo_gallery, demo_run
    from hftlab.publish.launch import Publisher, Serving

    demo = None
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: with the pages
    try:
        if options.demo:
            demo = demo_run(NOTEBOOKS / "runs" / "demo" if options.run is None else Path(options.run))
            if not Path(options.gallery).is_dir():
                print("six backtests of the shipped sample, for the gallery …", flush=True)
                demo_gallery(Path(options.gallery))
        run = demo.directory if demo is not None else Path(options.run or NOTEBOOKS / "runs" / "first-quote").resolve()
        serving = Serving(
            run=run,
            pages=NOTEBOOKS / "dashboards",
            gallery=Path(options.gallery),
            port=options.port,
            viewers=options.viewers,
            ready=options.ready,
            theme=options.theme,
            user=options.user,
        )
        with Publisher(serving) as publisher:
            print(publisher.text(), flush=True)
            if not engine_alive(run):
                print("No engine runs there: the pages show its last state and say how old it is.", flush=True)
            publisher.watch()
            print(f"the viewers' server ended. Its last words:\n{publisher.log_tail()}", file=sys.stderr)
            return 1
    except HftlabError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    finally:
        if demo is not None:
            demo.stop()


def add_serve_command(add: Add) -> None:
    """Add the command to the parser of `hftlab`."""
    viewer = add("serve", serve)
    viewer.add_argument("run", nargs="?", help="the run directory to show (default: the one that notebook 01 starts)")
    viewer.add_argument("--demo", action="store_true", help="start a simulated session to show; it ends with this command")
    viewer.add_argument("--port", type=int, default=VOILA_PORT)
    viewer.add_argument("--viewers", type=int, default=20, help="seats: each costs a process of about 100 MB (default 20)")
    viewer.add_argument(
        "--ready", type=int, default=1, help="kernels of each page that are kept ready, so that it opens at once (default 1)"
    )
    viewer.add_argument("--theme", choices=("light", "dark"), default="light")
    viewer.add_argument("--gallery", default=str(NOTEBOOKS / "runs" / "gallery"), help="the folder of saved backtests")
    viewer.add_argument("--user", help="the system user for the viewers, when started as root (default: hftlab-viewer or nobody)")
