"""How values of a person are taken: keyword-only dataclasses that answer a misspelt name, numbers with bounds, named choices."""

import dataclasses
import functools
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, dataclass_transform

from hftlab.errors import InputError, UnknownName, did_you_mean

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


def keywords(function: F) -> F:
    """Make a function, or the constructor of a class, answer a misspelt keyword with the nearest known one (UnknownName)."""
    if isinstance(function, type):
        made: Any = function
        made.__init__ = keywords(made.__init__)
        return function
    known = [name for name in inspect.signature(function).parameters if name != "self"]

    @functools.wraps(function)
    def checked(*args: Any, **values: Any) -> Any:
        for name in values:
            if name not in known:
                owner = function.__qualname__.removesuffix(".__init__")
                raise UnknownName(f"{owner} has no parameter {name!r}.{did_you_mean(name, known)}")
        return function(*args, **values)

    return checked  # type: ignore[return-value]


@dataclass_transform(frozen_default=True, kw_only_default=True)
def strict(cls: type[T]) -> type[T]:
    """Make a frozen keyword-only dataclass whose misspelt keywords are answered with the nearest name."""
    made: Any = dataclass(frozen=True, kw_only=True)(cls)
    plain_init = made.__init__

    # So that a notebook completes the names of the fields, and help() shows them.
    @functools.wraps(plain_init)
    def strict_init(self: Any, *args: Any, **values: Any) -> None:
        known = {f.name for f in dataclasses.fields(made) if f.init}
        for name in values:
            if name not in known:
                raise UnknownName(f"{made.__name__} has no parameter {name!r}.{did_you_mean(name, known)}")
        missing = [f.name for f in dataclasses.fields(made) if f.init and f.name not in values and _required(f)]
        if args or missing:
            wanted = ", ".join(f"{name}=…" for name in (missing or sorted(known)))
            raise UnknownName(f"{made.__name__} takes keywords only; wanted {wanted}.")
        plain_init(self, **values)

    made.__init__ = strict_init
    return made


def _required(f: dataclasses.Field[Any]) -> bool:
    return f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING


def number(value: Any, what: str, low: float = -math.inf, high: float = math.inf) -> float:
    """Return `value` as a float within its bounds; InputError says what was wanted."""
    try:
        result = float(value)
    except (TypeError, ValueError) as error:
        raise InputError(f"{what} was {value!r}; wanted a number.") from error
    if math.isnan(result) or not low <= result <= high:
        raise InputError(f"{what} was {value!r}; wanted a number from {low:g} to {high:g}.")
    return result


def choice(value: str, names: Mapping[str, int], what: str) -> int:
    """Return the code of a named choice; InputError names the nearest."""
    if value not in names:
        raise InputError(f"{what} was {value!r}.{did_you_mean(value, names)}")
    return names[value]


def spread(value: Any, count: int, what: str) -> tuple[Any, ...]:
    """Return one value for each instrument: the one given (a text is one), or the sequence given if it has the right length."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        return (value,) * count
    if len(value) != count:
        raise InputError(f"{len(value)} {what} were given for {count} instruments; wanted one, or one for each.")
    return tuple(value)
