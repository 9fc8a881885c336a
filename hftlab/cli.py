"""The command line: `hftlab lab | serve | run | record | venue | stop | warm | doctor`."""

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

FIRST_NOTEBOOK = Path(__file__).resolve().parents[1] / "notebooks" / "01_first_quote.ipynb"


def lab(options: argparse.Namespace) -> int:
    """Open JupyterLab on the first notebook; further options go to JupyterLab as they are."""
    command = [sys.executable, "-m", "jupyterlab"]
    if FIRST_NOTEBOOK.exists():
        # As the lab's own address, and not as a file to open: so the address that is printed leads there too, on a machine without a browser.
        root = FIRST_NOTEBOOK.parents[1]
        command += [f"--ServerApp.root_dir={root}", f"--LabApp.default_url=/lab/tree/{FIRST_NOTEBOOK.relative_to(root).as_posix()}"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")  # a container's user; the server still asks for its token and listens on loopback only
    # In the lab's own terminals `hftlab` is a command: a login shell, which they would be without a terminal here, may forget the path.
    shell = os.environ.get("SHELL") or shutil.which("bash") or "sh"
    command.append(f"--ServerApp.terminado_settings={{'shell_command': [{shell!r}]}}")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    os.execve(sys.executable, command + options.rest, os.environ | {"PATH": path})  # noqa: S606  # this terminal and its Ctrl-C are JupyterLab's from here


def venue(options: argparse.Namespace) -> int:
    """Run a loopback exchange that speaks Binance's and Hyperliquid's protocols, for any real client."""
    from hftlab.venues.server.command import run

    return run(options)


def stop(options: argparse.Namespace) -> int:
    """Stop engines, all at once: cancel everything, wait until nothing rests, end the process."""
    from concurrent.futures import ThreadPoolExecutor

    from hftlab.engine.process import attach, run_directory
    from hftlab.engine.view import engine_alive
    from hftlab.errors import HftlabError

    paths = [Path(run) for run in options.runs]
    runs = [one for path in paths for one in (sorted(path.iterdir()) if options.all and path.is_dir() else [path])]
    running = [run for run in runs if not options.all or engine_alive(run)]

    def end(run: Path) -> int:
        try:
            print(f"{run}: {attach(run_directory(run), control=True).stop()}")
        except HftlabError as error:
            print(f"{run}: {type(error).__name__}: {error}", file=sys.stderr)
            return 1
        return 0

    # Side by side: one that is slow to end, or whose report takes long, keeps no other in the market.
    with ThreadPoolExecutor(max(1, len(running))) as pool:
        return max(pool.map(end, running), default=0)


def warm(options: argparse.Namespace) -> int:
    """Compile the kernels into their cache; with --check, fail when anything had to be compiled."""
    from hftlab.kernels.jit import cache_dir
    from hftlab.warm import GROUPS, warm_up

    print(f"compiled kernels: {cache_dir()}", flush=True)
    width, terminal = max(map(len, GROUPS)), sys.stdout.isatty()
    back = "\r\x1b[K" if terminal else ""
    compiled: list[str] = []
    begun: dict[str, int] = {}

    def tell(group: str, count: int) -> None:
        begun[group] = count
        if terminal:
            print(f"{back}  compiling {', '.join(f'{name} ({n})' for name, n in begun.items())} …", end="", flush=True)

    for result in warm_up(tell, processes=1 if options.check else min(2, os.cpu_count() or 1)):
        del begun[result.group]
        said = f"{len(result.compiled)} compiled" if result.compiled else "from the cache"
        print(f"{back}  {result.group:<{width}} {result.seconds:6.1f} s  {said}", flush=True)
        compiled += result.compiled
    if options.check and compiled:
        print(f"wanted everything from the cache; compiled: {', '.join(compiled)}. Run `hftlab warm` first.", file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser; each command holds its function in `call`."""
    from hftlab.cli_live import add_live_commands
    from hftlab.cli_ops import add_ops_commands
    from hftlab.cli_serve import add_serve_command
    from hftlab.venues.server.options import add_venue_options

    made = argparse.ArgumentParser(prog="hftlab", description="A Jupyter-first market-making laboratory.")
    commands = made.add_subparsers(required=True, metavar="command")

    def add(name: str, call: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=call.__doc__, description=call.__doc__)
        added.set_defaults(call=call)
        return added

    add("lab", lab)
    add_serve_command(add)
    add_venue_options(add("venue", venue))
    add_live_commands(add)
    add_ops_commands(add)
    stopper = add("stop", stop)
    stopper.add_argument("runs", nargs="+", help="run directories, or names of runs in ./runs")
    stopper.add_argument("--all", action="store_true", help="the folders named hold runs: stop every running one in them")
    add("warm", warm).add_argument("--check", action="store_true", help="fail when anything had to be compiled")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    made = parser()
    options, rest = made.parse_known_args(arguments)
    if rest and options.call is not lab:
        made.error(f"unrecognized arguments: {' '.join(rest)}")
    options.rest = rest
    return int(options.call(options))
