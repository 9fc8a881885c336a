"""What panels read beside the records, one function each: the one place that knows who keeps it."""

from hftlab.data.frame import Frame
from hftlab.types import NO_HALTED, VERDICT_NAMES

STATE_LEVELS = {"ACTIVE": "ok", "WIDEN": "warn", "PAUSED": "warn", "REDUCING": "warn", "HALTED": "bad", "STOPPED": "bad"}


def state_reason(frame: Frame) -> str:
    """Return why the desk is in its state, in words; empty when there is nothing to say."""
    # "halted" says that it was a command
    return "" if frame.halt_reason == VERDICT_NAMES[NO_HALTED] else frame.halt_reason


def active(frame: Frame, i: int) -> bool:
    """Return whether the strategy of market `i` is switched on."""
    return int(frame.markets[i]["inactive"]) == 0


def toxicity(frame: Frame, i: int) -> float:
    """Return VPIN 0 to 1, NaN where it is not measured."""
    return float(frame.markets[i]["vpin"])
