"""Python strategies: called on timers with a read-only frame; they answer with a wished position.

Whatever they answer becomes a SET_TARGET row in the journal, so a session with any library behind its strategy replays
exactly. In a backtest they are called inline, in a live engine in a process of their own.
"""

import importlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Protocol, runtime_checkable

from hftlab.data.frame import Frame
from hftlab.errors import UserCodeError


@runtime_checkable
class Strategy(Protocol):
    """What a strategy is: an object with `every_s` and `on_timer`."""

    every_s: float

    def on_timer(self, frame: Frame) -> Mapping[int, Any] | None:
        """Return wished positions by market number, in base units or contracts (None as position: no wish), or None for no change."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return plain values from which `strategy_from_dict` makes the same strategy."""
        ...


class Described:
    """Base of dataclass strategies: their class and fields as plain values."""

    def to_dict(self) -> dict[str, Any]:
        """Return module, class and fields."""
        return {"module": type(self).__module__, "class": type(self).__qualname__, "values": asdict(self)}  # type: ignore[call-overload]


def strategy_from_dict(values: Mapping[str, Any]) -> Strategy:
    """Return the strategy that `to_dict` described. Raises UserCodeError when its module cannot be imported."""
    try:
        made = getattr(importlib.import_module(values["module"]), values["class"])(**values["values"])
    except (ImportError, AttributeError) as error:
        raise UserCodeError(
            f"strategy {values['class']} of module {values['module']} cannot be imported by the engine ({error}); "
            "put the class into a .py file on the path, a class of a notebook cell exists only there."
        ) from error
    if not isinstance(made, Strategy):
        raise UserCodeError(f"{values['class']} is no strategy; wanted every_s, on_timer(frame) and to_dict().")
    return made
