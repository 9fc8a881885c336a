"""What a sweep tries: a quoter, and for each of its parameters that shall vary a list of values, or a range to draw from."""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from hftlab.assumptions import Fees, Latency, Queue
from hftlab.errors import InputError, UnknownName, did_you_mean
from hftlab.params import Limits, Quoter, UserQuoter
from hftlab.strict import number

if TYPE_CHECKING:
    from hftlab.backtesting.sweeps.search import Search

PARTS: Mapping[str, type] = {"limits": Limits, "queue": Queue, "latency": Latency, "fees": Fees}
"""What else of a backtest may vary: as a whole (`queue=["power", "risk_averse"]`), or one field of it (`latency_order_ms=[1, 20]`)."""

POINTS_MAX = 1_000_000


@dataclass(frozen=True)
class Range:
    """Values between `low` and `high`, by their logarithm if `log`; whole numbers where both ends are."""

    low: float
    high: float
    log: bool = False

    @property
    def whole(self) -> bool:
        """Return whether only whole numbers are meant."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def draw(self, u: float) -> float:
        """Return the value at the share `u` (0 to 1) of the range."""
        if self.whole and not self.log:
            return min(int(self.low + u * (self.high - self.low + 1)), int(self.high))
        value = self.low * (self.high / self.low) ** u if self.log else self.low + u * (self.high - self.low)
        return round(value) if self.whole else float(value)

    def __str__(self) -> str:
        return f"{self.low:g} … {self.high:g}{' (log)' if self.log else ''}"


@dataclass(frozen=True)
class Point:
    """One point of a sweep: its number, and the value of each axis."""

    number: int
    params: Mapping[str, Any]


@dataclass(frozen=True, repr=False)
class Grid:
    """Quoters that differ in some parameters. `axes` name -> tuple of values, or a Range; `len` is the number of points.

    `points` are all combinations, the last axis fastest; after `sample` those that were drawn.
    """

    quoter: Quoter | tuple[Quoter, ...]
    axes: Mapping[str, tuple[Any, ...] | Range]
    drawn: tuple[Point, ...] | None = None

    def __len__(self) -> int:
        if self.drawn is not None:
            return len(self.drawn)
        return math.prod(len(self._values(name)) for name in self.axes)

    def __iter__(self) -> Iterator[Point]:
        return iter(self.points)

    @cached_property
    def points(self) -> tuple[Point, ...]:
        """Return the points. Raises InputError where an axis is a range, of which there is no end."""
        return self.drawn if self.drawn is not None else tuple(self._point(n, n) for n in range(len(self)))

    def sample(self, n: int, seed: int = 0) -> "Grid":
        """Return a grid of `n` points drawn at random: of lists without repeating a point, of ranges evenly. The same for the same seed."""
        rng = np.random.default_rng(seed)
        if any(isinstance(values, Range) for values in self.axes.values()):
            drawn = tuple(Point(k, {name: self._drawn(name, rng) for name in self.axes}) for k in range(_count(n, POINTS_MAX)))
            return dataclasses.replace(self, drawn=drawn)
        chosen = rng.choice(len(self), _count(n, len(self)), replace=False)
        return dataclasses.replace(self, drawn=tuple(self._point(k, int(at)) for k, at in enumerate(chosen)))

    def search(self, trials: int = 100, seed: int = 0, *, prune: bool = True, study: Any = None) -> "Search":
        """Return a search (optuna) of `trials` points that chooses each next one by the results so far, from `seed` on.

        See `hftlab.backtesting.sweeps.search.Search`. Raises InputError.
        """
        from hftlab.backtesting.sweeps.search import Search

        return Search(self, trials=_count(trials, POINTS_MAX), seed=seed, prune=prune, study=study)

    def arguments(self, point: Point, call: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments of hl.backtest at a point: those of `call` (limits, queue, latency, fees), changed, and its quoter."""
        found: dict[str, Any] = {"quoter": self.quoter, **call}
        for name, value in point.params.items():
            part, field = _place(self.quoter, name)
            found[part] = value if field is None else _changed(found[part], PARTS.get(part), field, value)
        return found

    def _values(self, name: str) -> tuple[Any, ...]:
        values = self.axes[name]
        if isinstance(values, Range):
            raise InputError(
                f"{name} is a range ({values}), which has no end of points. Draw some with .sample(n), or let .search(trials) choose."
            )
        return values

    def _point(self, number_of_point: int, at: int) -> Point:
        found: dict[str, Any] = {}
        for name in reversed(tuple(self.axes)):
            values = self._values(name)
            at, here = divmod(at, len(values))
            found[name] = values[here]
        return Point(number_of_point, {name: found[name] for name in self.axes})

    def _drawn(self, name: str, rng: np.random.Generator) -> Any:
        values = self.axes[name]
        return values.draw(rng.random()) if isinstance(values, Range) else values[int(rng.integers(len(values)))]

    def _quoter_name(self) -> str:
        quoters = (self.quoter,) if isinstance(self.quoter, Quoter) else self.quoter
        return ", ".join(dict.fromkeys(type(one).__name__ for one in quoters))

    def _size(self) -> str:
        endless = self.drawn is None and any(isinstance(values, Range) for values in self.axes.values())
        return "no end of points" if endless else f"{len(self):,} points"

    def __repr__(self) -> str:
        return f"<Grid of {self._quoter_name()}: {self._size()} over {', '.join(self.axes) or 'nothing'}>"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left'>{escape(name)}</th><td style='text-align:left'>{escape(_listed(values))}</td></tr>"
            for name, values in self.axes.items()
        )
        return f"<b>{escape(self._quoter_name())}: {self._size()}</b><table>{rows}</table>"


def grid(quoter: Quoter | Sequence[Quoter], /, **axes: Any) -> Grid:
    """Return the points of a sweep: `quoter` with each named parameter at each of its values.

    A list holds the values of an axis, a tuple (low, high) or (low, high, "log") a range to draw from (`.sample`, `.search`). Names are
    those of the quoter (of a UserQuoter also those of its `values`), or of limits, queue, latency and fees with that word in front:
    `limits_position_qty_max`, `latency_order_ms`; these four may also vary as a whole. Several quoters, one an instrument, vary together.
    Raises UnknownName, InputError.
    """
    quoters = (quoter,) if isinstance(quoter, Quoter) else tuple(quoter)
    if not quoters or not all(isinstance(one, Quoter) for one in quoters):
        raise InputError(f"quoter was {quoter!r}; wanted a quoter such as hl.FixedSpread(…), or one for each instrument.")
    kept = quoters[0] if isinstance(quoter, Quoter) else quoters
    for name in axes:
        _place(kept, name)
    made = Grid(kept, {name: _axis(name, values) for name, values in axes.items()})
    lists = [len(values) for values in made.axes.values() if not isinstance(values, Range)]
    if math.prod(lists) > POINTS_MAX:
        raise InputError(
            f"the grid has {math.prod(lists):,} points; wanted at most {POINTS_MAX:,}. Give ranges, and draw points with .sample(n)."
        )
    return made


def _count(n: int, most: int) -> int:
    if n != int(number(n, "the number of points", 1, most)):
        raise InputError(f"the number of points was {n!r}; wanted a whole one.")
    return int(n)


def _axis(name: str, values: Any) -> tuple[Any, ...] | Range:
    if isinstance(values, tuple) and len(values) in {2, 3} and all(isinstance(one, int | float) for one in values[:2]):
        return _range(name, values)
    if isinstance(values, str | Mapping) or not hasattr(values, "__iter__"):
        raise InputError(f"{name} was {values!r}; wanted a list of values, or a range (low, high) or (low, high, 'log').")
    found = tuple(value.item() if isinstance(value, np.generic) else value for value in values)
    if not found:
        raise InputError(f"{name} has no values; wanted at least one.")
    twice = next((value for k, value in enumerate(found) if value in found[:k]), None)
    if twice is not None:
        raise InputError(f"{name} has {twice!r} twice; every point of a grid is run once.")
    return found


def _range(name: str, values: tuple[Any, ...]) -> Range:
    low, high = values[:2]
    if len(values) == 3 and values[2] != "log":
        raise InputError(
            f"{name} was {values!r}; wanted (low, high) or (low, high, 'log'). Values to try stand in a list: {list(values)!r}."
        )
    log = len(values) == 3
    if not (math.isfinite(low) and math.isfinite(high) and low < high) or (log and low <= 0):
        raise InputError(f"{name} was {values!r}; wanted low < high{' and above zero for a logarithm' if log else ''}.")
    return Range(low, high, log)


def _place(quoter: Quoter | Sequence[Quoter], name: str) -> tuple[str, str | None]:
    """Return which argument of a backtest an axis changes, and its field there; None for the whole. Raises UnknownName."""
    quoters = (quoter,) if isinstance(quoter, Quoter) else quoter
    known = set.intersection(*(_names(one) for one in quoters))
    if name in known:
        return "quoter", name
    if name in PARTS:
        return name, None
    part, _, field = name.partition("_")
    if part in PARTS and field in _fields(PARTS[part]):
        return part, field
    every = [*sorted(known), *PARTS, *(f"{word}_{one}" for word, kind in PARTS.items() for one in sorted(_fields(kind)))]
    kind = " and ".join(dict.fromkeys(type(one).__name__ for one in quoters))
    raise UnknownName(f"{kind} has no parameter {name!r} that could vary.{did_you_mean(name, every)}")


def _names(quoter: Quoter) -> set[str]:
    own = set(quoter.values) if isinstance(quoter, UserQuoter) else set()
    return own | (_fields(type(quoter)) - {"decide", "values"})


def _fields(kind: type) -> set[str]:
    return {one.name for one in dataclasses.fields(kind)}


def _changed(value: Any, kind: type | None, field: str, to: Any) -> Any:
    """Return a part of a call, or each of several, with one field changed."""
    if kind is Queue and isinstance(value, str):
        value = Queue.of(value)
    if value is None and kind is not None:
        value = kind()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(_changed(one, kind, field, to) for one in value)
    if isinstance(value, UserQuoter) and field in value.values:
        return dataclasses.replace(value, values={**value.values, field: to})
    return dataclasses.replace(value, **{field: to})


def label(value: Any) -> Any:
    """Return the value of an axis as it stands in a table: numbers and texts as they are, models in their own words."""
    if isinstance(value, int | float | str | None):
        return value
    return value.text() if hasattr(value, "text") else str(value)


def _listed(values: tuple[Any, ...] | Range) -> str:
    if isinstance(values, Range):
        return str(values)
    words = [str(label(value)) for value in values]
    return ", ".join(words if len(words) <= 12 else [*words[:6], "…", *words[-3:]])
