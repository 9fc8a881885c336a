"""A `decide` that a session's file names: `decide: own_quoter.py:decide`, a file beside it and a function in that file."""

import importlib.util
from pathlib import Path
from typing import Any

from hftlab.errors import UserCodeError, did_you_mean


def decide_in(named: Any, folder: Path) -> Any:
    """Return the function that `named` names as "FILE.py:FUNCTION", the file as seen from `folder`. Raises UserCodeError."""
    file, colon, name = named.rpartition(":") if isinstance(named, str) else ("", "", "")
    if not (colon and file.endswith(".py") and name.isidentifier()):
        raise UserCodeError(
            f"decide was {named!r}; wanted FILE.py:FUNCTION, e.g. decide: own_quoter.py:decide, with the file beside this one."
        )
    path = (folder / file).resolve()
    if not path.is_file():
        raise UserCodeError(f"decide was {named!r}; there is no file {path}.")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # why: whatever a user's file raises while it is read, its own words are what helps
        raise UserCodeError(f"{path} could not be run: {type(error).__name__}: {error}") from error
    if not hasattr(module, name):
        functions = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise UserCodeError(f"{path} has no {name!r}.{did_you_mean(name, functions)}")
    return getattr(module, name)
