"""What a caller sends: who asks, why, and values in human units. Everything is bounded before it reaches the engine."""

from decimal import Decimal, InvalidOperation
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictFloat, StrictInt, StrictStr

SIZE_MAX = 10**15


def _usable(value: float | str | None) -> float | str | None:
    """Refuse numbers that no market has: the exact arithmetic behind the door would take minutes over a quantity of 1e999999."""
    if value is None:
        return None
    try:
        exact = Decimal(str(value))
    except InvalidOperation:
        return value  # words are answered by the engine, which knows what was wanted
    if not exact.is_finite() or abs(exact) > SIZE_MAX or (exact and exact.adjusted() < -30):
        raise ValueError(f"was {str(value)[:40]}; wanted a number of at most 15 digits before the point")
    return value


Value = Annotated[StrictInt | StrictFloat | Annotated[StrictStr, Field(max_length=40)] | None, AfterValidator(_usable)]
Name = Annotated[str, Field(max_length=40, pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]
Market = Annotated[int, Field(ge=0, le=1000, strict=True, description="number of the market, from 0")]


class Body(BaseModel):
    """Who asks, and why: both are written into the audit trail."""

    model_config = ConfigDict(extra="forbid")

    who: Annotated[str, Field(max_length=60)] = "api"
    why: Annotated[str, Field(max_length=200)] = ""


class ValuesBody(Body):
    """New values by name, in human units: as in `session.set(…)` and `session.set_limits(…)`."""

    market: Market = 0
    values: Annotated[dict[Name, Value], Field(max_length=40)]


class CommandBody(Body):
    """A command as sent: its name, the market's number, its values."""

    command: Name
    market: Market = 0
    values: Annotated[dict[Name, Value], Field(max_length=40)] = {}
