"""A quoter written in a notebook cell, carried to the engine process as text.

Text and not a pickle: it is in the spec for anyone to read, and a replay years later runs the same source.
"""

import importlib
import linecache
from collections.abc import Mapping
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from hftlab.errors import UserCodeError
from hftlab.usercode.functions import helper, is_kernel, place, source_of, used
from hftlab.usercode.lint import check

_PLAIN = (int, float, bool, str)
_KINDS = ("constants", "modules", "imports", "aliases")  # of what a name can stand for
_MODULES = (
    "math",
    "numpy",
    "hftlab",
    "hftlab.types",
    *(f"hftlab.kernels.{name}" for name in ("book", "orders", "own", "pricing", "quote")),
)


def capture(decide: Any) -> dict[str, Any]:
    """Return source, name and the constants of a user's `decide`. Raises UserCodeError for what cannot be carried.

    Allowed beside its arguments are plain numbers and texts, other functions of the notebook, and the modules math, numpy
    and hftlab. `places` keep the file or cell and the line of each function, so that an error names them in the engine too.
    """
    code: dict[str, Any] = {"name": "", "functions": {}, "constants": {}, "modules": {}, "imports": {}, "aliases": {}, "places": {}}
    function = check(decide)
    code["name"] = function.__name__
    _collect(function, code, {})
    code["aliases"] = {other: name for other, name in code["aliases"].items() if other != name}
    for kind in _KINDS:
        for name in code[kind].keys() & code["functions"].keys():
            raise _two_meanings(name, code[kind][name], f"the function {name}")
    return code


def _collect(function: FunctionType, code: dict[str, Any], done: dict[str, FunctionType]) -> None:
    name = function.__name__
    if done.setdefault(name, function) is not function:
        raise UserCodeError(f"two functions of the name {name} are used; give one of them another name.")
    if name in code["functions"]:
        return
    lines = (source_of(function) or "").splitlines()
    start = next((i for i, line in enumerate(lines) if line.startswith("def ")), None)
    if start is None:
        raise UserCodeError(f"the source of {name} cannot be read; define it with def in a notebook cell or a file, not in exec.")
    code["functions"][name] = "\n".join(lines[start:])
    # Of a file its name only: a spec is read on other machines. The brackets keep it from being taken for the file itself.
    code["places"][name] = [f"<{Path(place(function.__code__.co_filename)).name}>", function.__code__.co_firstlineno + start]
    for other, found in used(function).found.items():
        value = found.item() if isinstance(found, np.generic) else found  # the spec is plain YAML: no numbers of numpy's
        called = helper(value)
        if isinstance(value, _PLAIN):
            _carry(code, "constants", other, value)
        elif isinstance(value, ModuleType) and value.__name__ in _MODULES:
            _carry(code, "modules", other, value.__name__)
        elif is_kernel(value):
            kernel: Any = getattr(value, "py_func", value)
            _carry(code, "imports", other, [kernel.__module__, kernel.__name__])
        elif called is not None:
            _carry(code, "aliases", other, called.__name__)
            _collect(called, code, done)
        else:
            raise UserCodeError(
                f"{name} uses {other!r}, a {type(value).__name__}, which cannot travel to the engine. "
                "Wanted numbers, functions, math, numpy or hftlab; pass other numbers as values={…}."
            )


def _carry(code: dict[str, Any], kind: str, name: str, value: Any) -> None:
    """Note what a name stands for. In the engine all functions share their names, so one that means two things is refused."""
    for one in _KINDS:
        if name in code[one] and (one, repr(code[one][name])) != (kind, repr(value)):
            raise _two_meanings(name, code[one][name], value)
    code[kind][name] = value


def _two_meanings(name: str, one: Any, other: Any) -> UserCodeError:
    return UserCodeError(
        f"{name!r} stands for {one!r} in one of the functions and for {other!r} in another; in the engine both would be the same. "
        "Give one of them another name."
    )


def restore(code: Mapping[str, Any]) -> Any:
    """Return the `decide` that `capture` described, as a plain function; `usercode.run.runner` compiles it."""
    scope: dict[str, Any] = dict(code["constants"])
    for alias, module in code["modules"].items():
        scope[alias] = importlib.import_module(module)
    for alias, (module, name) in code.get("imports", {}).items():
        scope[alias] = getattr(importlib.import_module(module), name)
    sources: dict[str, dict[int, str]] = {}
    for name, source in code["functions"].items():
        filename, first = code.get("places", {}).get(name, (f"<{name}>", 1))
        sources.setdefault(filename, {}).update({first + i: line for i, line in enumerate(source.splitlines(keepends=True))})
        exec(compile("\n" * (first - 1) + source, filename, "exec"), scope)  # noqa: S102  # the user's own code, in the user's own engine
    for filename, known in sources.items():
        lines = [known.get(n, "\n").rstrip("\n") + "\n" for n in range(1, max(known) + 1)]
        linecache.cache[filename] = (sum(map(len, lines)), None, lines, filename)
    for alias, name in code.get("aliases", {}).items():
        scope[alias] = scope[name]
    return scope[code["name"]]
