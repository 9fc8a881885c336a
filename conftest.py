"""For the notebooks under test: an engine that a notebook leaves running on purpose is stopped when the tests end."""

from pathlib import Path

NOTEBOOK_RUNS = Path(__file__).parent / "notebooks" / "runs"


def pytest_sessionfinish(session, exitstatus):
    """Stop what runs, from the process that leads the test session; an engine that will not stop fails it."""
    if hasattr(session.config, "workerinput") or not NOTEBOOK_RUNS.is_dir():
        return
    from hftlab.cli import main

    if main(["stop", "--all", str(NOTEBOOK_RUNS)]) != 0:
        session.exitstatus = 1
