"""For the notebooks under test: an engine that a notebook leaves running on purpose is stopped when the tests end."""

import os
from pathlib import Path

# Each engine would start a process of alerts; the tests of alerts ask for it.
os.environ.setdefault("HFTLAB_ALERTS__ON", "false")
# A test leaves nothing beside the recordings; the tests of the count ask for it, in a folder of their own.
os.environ.setdefault("HFTLAB_COUNT_RUNS", "off")

NOTEBOOK_RUNS = Path(__file__).parent / "notebooks" / "runs"


# nbval waits 5 s for what a cell prints, and no option changes that; a machine that is busy elsewhere takes longer to hand it over.
OUTPUT_S = 60


def pytest_collection_modifyitems(items):
    """Give the cells of notebooks the time that tests have."""
    for item in items:
        if hasattr(item, "output_timeout"):
            item.output_timeout = OUTPUT_S


# Notebook 01 leaves its market maker running, and says so. Here it would take its part of a core from all tests that come after.
LEFT_RUNNING = {"01_first_quote.ipynb": "first-quote"}


def pytest_runtest_teardown(item, nextitem):
    """Stop what a notebook left running as soon as its last cell has run."""
    run = LEFT_RUNNING.get(item.path.name)
    if run is None or (nextitem is not None and nextitem.path == item.path):
        return
    from hftlab.cli import main
    from hftlab.engine.view import engine_alive

    if engine_alive(NOTEBOOK_RUNS / run):
        assert main(["stop", str(NOTEBOOK_RUNS / run)]) == 0


def pytest_sessionfinish(session, exitstatus):
    """Stop what runs, from the process that leads the test session; an engine that will not stop fails it.

    Not at the end of a session without notebooks: it may run beside one that has them, and would stop their engines.
    """
    notebooks = any(session.config.getoption(name, default=False) for name in ("nbval", "nbval_lax"))
    if not notebooks or hasattr(session.config, "workerinput") or not NOTEBOOK_RUNS.is_dir():
        return
    from hftlab.cli import main

    if main(["stop", "--all", str(NOTEBOOK_RUNS)]) != 0:
        session.exitstatus = 1
