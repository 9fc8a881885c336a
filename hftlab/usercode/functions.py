"""The Python functions behind a user's `decide`: what they use, where they stand, and the same ones under another decorator."""

import builtins
import dis
import inspect
import linecache
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

from hftlab.errors import InputError, UserCodeError
from hftlab.params import Quoter, UserQuoter

PARAMETERS = ("desk", "market", "params", "quote")
_KERNELS = "hftlab.kernels."
_FIXED = ("math", "numpy", "hftlab")  # packages whose numbers stay what they are; a module of the user's is edited and loaded anew


def python_function(decide: Any) -> FunctionType:
    """Return the plain function of a `decide`, decorated with @njit or not. Raises UserCodeError for what is no such function."""
    function = getattr(decide, "py_func", decide)
    if not isinstance(function, FunctionType):
        raise UserCodeError(f"decide was {decide!r}; wanted a function decide({', '.join(PARAMETERS)}).")
    kinds = [p.kind for p in inspect.signature(function).parameters.values()]
    positional = all(kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD) for kind in kinds)
    if len(kinds) != len(PARAMETERS) or not positional:
        raise UserCodeError(
            f"{function.__name__}{inspect.signature(function)} takes {len(kinds)} parameters ({where(function)}, line "
            f"{function.__code__.co_firstlineno}); wanted four: def {function.__name__}({', '.join(PARAMETERS)})."
        )
    return function


def decide_of(quoters: Sequence[Quoter]) -> Any:
    """Return the one `decide` of the quoters of a desk, None when they are built in. Raises InputError for a mix: a run has one; UserCodeError."""
    own = [quoter.decide for quoter in quoters if isinstance(quoter, UserQuoter)]
    for decide in own:  # None would run, and quote nothing without a word
        python_function(decide)
    if own and (len(own) < len(quoters) or any(decide is not own[0] for decide in own)):
        raise InputError(
            "the instruments were given different quoters, one of them a UserQuoter; wanted one decide for all of them. "
            "Inside it market.spec, params.user0 … and the market itself tell the instruments apart."
        )
    return own[0] if own else None


def is_kernel(value: Any) -> bool:
    """Say whether `value` is one of the project's own kernels, which are used as they are."""
    plain = getattr(value, "py_func", value)
    return isinstance(plain, FunctionType) and (plain.__module__ or "").startswith(_KERNELS)


def helper(value: Any) -> FunctionType | None:
    """Return the plain function when `value` is a function of the user's, decorated with @njit or not."""
    plain = getattr(value, "py_func", value)
    return plain if isinstance(plain, FunctionType) and not is_kernel(value) else None


@dataclass
class Used:
    """What a function takes from outside: found values by name, and the names that stand for nothing."""

    found: dict[str, Any] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)


def used(function: FunctionType) -> Used:
    """Return the globals and closure variables that the code loads: by instruction, so an attribute of the same name is none."""
    closure = inspect.getclosurevars(function).nonlocals
    scope, result = function.__globals__, Used(dict(closure))
    for name in dict.fromkeys(_loaded(function.__code__)):
        if name in scope:
            result.found[name] = scope[name]
        elif not hasattr(builtins, name):
            result.missing.append(name)
    return result


def _loaded(code: CodeType) -> Iterator[str]:
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield step.argval
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _loaded(inner)


def family(decide: Any) -> list[FunctionType]:
    """Return the function and every function of the user's that it calls, itself first."""
    first = getattr(decide, "py_func", decide)
    result, waiting = [], [first]
    while waiting:
        function = waiting.pop()
        if function in result:
            continue
        result.append(function)
        waiting += [plain for value in used(function).found.values() if (plain := helper(value)) is not None]
    return result


def again(decide: Any, decorate: Callable[[FunctionType], Any], other: Callable[[Any], Any] = lambda value: value) -> Any:
    """Return `decide` made anew: it and the user's functions that it calls through `decorate`, what else they use through `other`.

    So one source runs compiled with our flags or as plain Python, whatever decorators stand over it.
    """
    made: dict[FunctionType, tuple[FunctionType, Any]] = {}
    for function in family(decide):
        cells = tuple(CellType() for _ in function.__closure__ or ())
        copy = FunctionType(function.__code__, dict(function.__globals__), function.__name__, function.__defaults__, cells)
        copy.__kwdefaults__, copy.__module__, copy.__qualname__ = function.__kwdefaults__, function.__module__, function.__qualname__
        made[function] = (copy, decorate(copy))

    def new(value: Any) -> Any:
        plain = helper(value)
        return made[plain][1] if plain in made else other(value)

    for function, (copy, _) in made.items():
        inside = function.__code__.co_freevars
        copy.__globals__.update({name: new(value) for name, value in used(function).found.items() if name not in inside})
        for cell, old in zip(copy.__closure__ or (), function.__closure__ or (), strict=True):
            cell.cell_contents = new(old.cell_contents)
    return made[getattr(decide, "py_func", decide)][1]


def plain(decide: Any) -> Any:
    """Return `decide` as plain Python, with the kernels that it calls as plain Python too: a debugger steps into them.

    Compiled ones could not be called from there: a record with fields that overlap, as PARAMS has, is no buffer to numba.
    """
    return again(decide, lambda copy: copy, _interpreted)


def _interpreted(value: Any) -> Any:
    """Return a kernel, or a module of kernels, uncompiled; anything else as it is."""
    if is_kernel(value):
        home = getattr(value, "py_func", value)
        return getattr(_plain_module(home.__module__), home.__name__)
    return _plain_module(value.__name__) if isinstance(value, ModuleType) and value.__name__.startswith(_KERNELS) else value


@cache
def _plain_module(name: str) -> ModuleType:
    """Return a copy of a kernels' module in which every kernel is a plain function that calls plain functions."""
    real, copy = sys.modules[name], ModuleType(name)
    scope = vars(copy)
    scope.update(vars(real))
    for key, value in vars(real).items():
        if is_kernel(value) and getattr(value, "py_func", value).__module__ == name:
            function = getattr(value, "py_func", value)
            scope[key] = FunctionType(function.__code__, scope, function.__name__, function.__defaults__, function.__closure__)
    for key, value in vars(real).items():  # kernels import each other's modules downwards only, so this ends
        if isinstance(value, ModuleType) or (is_kernel(value) and getattr(value, "py_func", value).__module__ != name):
            scope[key] = _interpreted(value)
    return copy


# --- where the user's lines stand ------------------------------------------------------------------------------------------


def where(function: FunctionType) -> str:
    """Return the place of a function in words: "cell In[3]" or a path."""
    return place(function.__code__.co_filename)


def place(filename: str) -> str:
    """Return a file in the words of its user: a notebook's cell by its number."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    named = shell.compile.format_code_name(filename) if shell is not None else None
    return f"cell {named[1]}" if named and named[0] == "Cell" else filename.removeprefix("<").removesuffix(">")


def line_text(filename: str, line: int) -> str:
    """Return one line of source, stripped; empty when it cannot be read."""
    return linecache.getline(filename, line).strip()


def source_of(function: FunctionType) -> str | None:
    """Return the source without the indent of its surroundings, or None where there is none (made by exec)."""
    try:
        return textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        return None


def fault(filename: str, line: int, name: str, sentence: str, *, details: BaseException | None = None) -> UserCodeError:
    """Return the error that names a user's line: function, line and place, the line itself, and one sentence."""
    text = line_text(filename, line)
    error = UserCodeError(f"{name}, line {line} of {place(filename)}:\n{f'    {text}' if text else ''}\n{sentence}")
    error.line, error.details = line, details
    error.__suppress_context__ = True
    return error


def key_of(decide: Any) -> tuple[Any, ...] | None:
    """Return what the compiled form depends on, code and numbers; None when it uses anything that may change unseen."""
    result: list[Any] = []
    for function in family(decide):
        result.append(function.__code__)
        named: list[tuple[Any, Any]] = [*enumerate(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).items()]
        named += used(function).found.items()  # defaults are no part of the code, nor is what stands outside of it
        for name, value in named:
            if isinstance(value, int | float | bool | str):
                result.append((name, type(value), value))
            elif is_kernel(value):
                kernel: Any = getattr(value, "py_func", value)
                result.append((name, kernel.__module__, kernel.__qualname__))
            elif isinstance(value, ModuleType) and value.__name__.partition(".")[0] in _FIXED:
                result.append((name, value.__name__))
            elif value is not None and helper(value) is None:
                return None
    return tuple(result)
