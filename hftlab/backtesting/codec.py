"""The arguments of a backtest as plain JSON values and back, so that anyone can read what was run and run it again.

Quoters, limits and models are data; a user's `decide` travels as its source; a strategy as its class and fields.
"""

import base64
import dataclasses
import math
from collections.abc import Mapping
from decimal import Decimal
from types import FunctionType
from typing import Any

import numpy as np

from hftlab import assumptions, params
from hftlab.assumptions import Latency
from hftlab.errors import FormatError, InputError
from hftlab.instrument import Instrument
from hftlab.limits import Limits
from hftlab.strategies.base import Strategy, strategy_from_dict
from hftlab.usercode.travel import capture, restore

_CLASSES = {
    "Instrument": Instrument,
    "Limits": Limits,
    **{
        name: value
        for module in (assumptions, params)
        for name, value in vars(module).items()
        if isinstance(value, type) and dataclasses.is_dataclass(value) and value.__module__ == module.__name__
    },
}


def encode(value: Any, what: str = "the call") -> Any:
    """Return plain JSON values for an argument. Raises InputError for what cannot travel, UserCodeError for user code that cannot."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": repr(value)}
    if isinstance(value, Decimal):
        return {"decimal": str(value)}
    if isinstance(value, list | tuple):
        return [encode(one, what) for one in value]
    if isinstance(value, Mapping):
        return {"dict": {str(name): encode(one, f"{what}, {name}") for name, one in value.items()}}
    if isinstance(value, np.ndarray):
        data = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
        return {"array": data, "dtype": value.dtype.str, "shape": list(value.shape)}
    if type(value).__name__ in _CLASSES and dataclasses.is_dataclass(value):
        # A Latency may hold its recording as a table of any kind; its own plain values are the same for all of them.
        fields = value.to_dict() if isinstance(value, Latency) else {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        return {"type": type(value).__name__, "values": {name: encode(one, f"{what}, {name}") for name, one in fields.items()}}
    if isinstance(value, FunctionType) or hasattr(value, "py_func"):
        return {"code": capture(value)}
    if isinstance(value, Strategy):
        described = value.to_dict()
        if described.get("module") == "__main__":
            raise InputError(f"{what}: strategy {described['class']} is defined in a notebook; put its class into a .py file to bundle it.")
        return {"strategy": {"described": encode(described, what)}}
    raise InputError(f"{what} was a {type(value).__name__}, which cannot travel in a bundle; wanted what hl.backtest documents.")


def decode(value: Any) -> Any:
    """Return what `encode` was given, made anew. Raises FormatError for values that nobody encoded."""
    if isinstance(value, list):
        return [decode(one) for one in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"float": text}:
            return float(text)
        case {"decimal": text}:
            return Decimal(text)
        case {"dict": values}:
            return {name: decode(one) for name, one in values.items()}
        case {"array": data, "dtype": dtype, "shape": shape}:
            return np.frombuffer(base64.b64decode(data), np.dtype(dtype)).reshape(shape).copy()
        case {"type": name, "values": values} if name in _CLASSES:
            made: Any = _CLASSES[name]
            return made(**{field: decode(one) for field, one in values.items()})
        case {"code": code}:
            return restore(code)
        case {"strategy": {"described": described}}:
            return strategy_from_dict(decode(described))
    raise FormatError(f"the bundle holds {sorted(value)} where an argument should be; it was made by another version of hftlab.")
