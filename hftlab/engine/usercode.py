"""A quoter written in a notebook cell, carried to the engine process as text.

Text and not a pickle: it is in the spec for anyone to read, and a replay years later runs the same source.
"""

import inspect
import textwrap
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np

from hftlab.errors import UserCodeError
from hftlab.kernels import core

_PLAIN = (int, float, bool, str)
_MODULES = ("math", "numpy", "hftlab", "hftlab.types", "hftlab.kernels.pricing", "hftlab.kernels.book")


def capture(decide: Any) -> dict[str, Any]:
    """Return source, name and the constants of a user's `decide`. Raises UserCodeError for what cannot be carried.

    Allowed beside its arguments are plain numbers and texts, other functions decorated with @njit in the notebook, and the
    modules math, numpy and hftlab.
    """
    functions: dict[str, str] = {}
    constants: dict[str, Any] = {}
    modules: dict[str, str] = {}
    _collect(decide, functions, constants, modules)
    return {"name": python_function(decide).__name__, "functions": functions, "constants": constants, "modules": modules}


def python_function(decide: Any) -> Any:
    """Return the plain function behind a numba dispatcher. Raises UserCodeError for anything else."""
    function = getattr(decide, "py_func", None)
    if function is None:
        raise UserCodeError(f"decide was {decide!r}; wanted a function decorated with @njit (from numba import njit).")
    return function


def _collect(decide: Any, functions: dict[str, str], constants: dict[str, Any], modules: dict[str, str]) -> None:
    function = python_function(decide)
    name = function.__name__
    if name in functions:
        return
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError) as error:
        raise UserCodeError(f"the source of {name} cannot be read; define it in a notebook cell or a file, not in exec.") from error
    functions[name] = "\n".join(_body_lines(source))
    wanted = inspect.getclosurevars(function)
    for other, found in {**wanted.globals, **wanted.nonlocals}.items():
        value = found.item() if isinstance(found, np.generic) else found  # the spec is plain YAML: no numbers of numpy's
        if isinstance(value, _PLAIN):
            constants[other] = value
        elif isinstance(value, ModuleType) and value.__name__ in _MODULES:
            modules[other] = value.__name__
        elif hasattr(value, "py_func"):
            _collect(value, functions, constants, modules)
        else:
            raise UserCodeError(
                f"{name} uses {other!r}, a {type(value).__name__}, which cannot travel to the engine. "
                "Wanted numbers, @njit functions, math, numpy or hftlab; pass other numbers as values={…}."
            )


def _body_lines(source: str) -> list[str]:
    lines = source.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("def "))
    return lines[start:]


def restore(code: Mapping[str, Any]) -> Any:
    """Return the compiled `decide` that `capture` described."""
    import importlib
    import linecache

    import numba

    scope: dict[str, Any] = dict(code["constants"])
    for alias, module in code["modules"].items():
        scope[alias] = importlib.import_module(module)
    # Callees come after their callers in `functions`: a function is only compiled when first called, so order is free.
    for name, source in code["functions"].items():
        filename = f"<{name}>"
        linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
        exec(compile(source, filename, "exec"), scope)  # noqa: S102  # the user's own code, in the user's own engine
        scope[name] = numba.njit(nogil=True, error_model="numpy")(scope[name])
    return scope[code["name"]]


def runner(decide: Any) -> Any:
    """Return `run` compiled around a user's `decide`. It compiles once a process, in some seconds: nothing can cache it."""
    import numba

    @numba.njit(nogil=True, error_model="numpy")
    def run_with_user_code(desk: Any, markets: Any, exchanges: Any, events: Any, out: Any) -> int:
        return core.loop(desk, markets, exchanges, events, out, decide)

    return run_with_user_code
