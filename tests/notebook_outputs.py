"""Run notebooks and keep, of what they print, the outputs that are compared: those of cells tagged nbval-check-output.

    python tests/notebook_outputs.py notebooks/02_backtest.ipynb ...

Look at the difference before you commit it: each changed figure wants a reason.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

CHECKED = "nbval-check-output"


def keep_checked(stored: dict[str, Any], ran: dict[str, Any]) -> dict[str, Any]:
    """Return `stored` with the outputs that `ran` has in its checked cells; all others are emptied."""
    for cell, fresh in zip(stored["cells"], ran["cells"], strict=True):
        if cell["cell_type"] == "code":
            checked = CHECKED in cell["metadata"].get("tags", [])
            cell["execution_count"] = 1 if checked else None  # nbval takes outputs without a count for a mistake
            cell["outputs"] = [without_count(output) for output in fresh["outputs"]] if checked else []
    return stored


def without_count(output: dict[str, Any]) -> dict[str, Any]:
    """Return an output as it is stored: its text in lines, and not how many cells ran before it."""
    output = dict(output)
    if "text" in output:
        output["text"] = output["text"].splitlines(keepends=True)
    if "data" in output:
        output["data"] = {kind: text.splitlines(keepends=True) for kind, text in output["data"].items()}
    if "execution_count" in output:
        output["execution_count"] = 1
    return output


def main(paths: list[Path]) -> None:
    """Run each notebook in its folder, and write it back."""
    import nbformat
    from nbclient import NotebookClient

    os.environ.setdefault("HFTLAB_COUNT_RUNS", "off")
    os.environ.setdefault("HFTLAB_ALERTS__ON", "false")
    for path in paths:
        notebook: Any = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
        NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}}).execute()
        stored = keep_checked(json.loads(path.read_text(encoding="utf-8")), notebook)
        path.write_text(json.dumps(stored, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
