"""When faults strike: every armed fault counts its own events with its own random numbers, and all that was injected is written down."""

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from hftlab.errors import InputError, UnknownName
from hftlab.venues.server.faults import SPELL, Fault

NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Injected:
    """The truth of one injection: which fault (by its number), when (ns of the venue's own clock, unfaulted), to whom, what was done."""

    fault: int
    name: str
    ts_ns: int
    skin: str
    target: str
    detail: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {name: getattr(self, name) for name in self.__slots__}


class Armed:
    """A fault that is waiting: how many events it has seen, how often it struck. Deterministic in the order of its own events."""

    def __init__(self, number: int, fault: Fault, seed: int, now_ns: int) -> None:
        self.number, self.fault = number, fault
        self.rng = random.Random(f"{seed}/{number}/{fault.name}")
        self.from_ns = now_ns + round(fault.at_s * NS)
        self.seen = self.struck = 0
        self.forced = False
        self._next = self._gap() if fault.every else max(1, fault.at_event)

    @property
    def over(self) -> bool:
        """Return whether it has struck as often as it may."""
        return bool(self.fault.times) and self.struck >= self.fault.times

    def strikes(self, now_ns: int) -> bool:
        """Count an event that concerns this fault, and say whether it strikes it."""
        if self.forced:
            self.forced = False
        elif self.over or now_ns < self.from_ns:
            return False
        else:
            self.seen += 1
            if not self._due():
                return False
        self.struck += 1
        return True

    def begins(self, now_ns: int) -> bool:
        """Say whether a spell that goes by the clock begins now."""
        if not self.forced and (self.over or now_ns < self.from_ns):
            return False
        self.forced = False
        self.struck += 1
        every_s = self.fault.every_s
        if every_s:
            self.from_ns += round(every_s * NS)
        elif self.fault.times == 0:
            self.from_ns = now_ns + max(NS, round(float(self.fault.options.get("s", 0.0)) * 2 * NS))  # on and off again, without end
        return True

    def _due(self) -> bool:
        if self.fault.p:
            return self.rng.random() < self.fault.p
        if self.seen < self._next:
            return False
        if self.fault.every:
            self._next = self.seen + self._gap()
        return True

    def _gap(self) -> int:
        jitter = self.fault.jitter
        return max(1, int(self.fault.every + self.rng.randint(-jitter, jitter)))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"number": self.number, **self.fault.to_dict(), "seen": self.seen, "struck": self.struck, "over": self.over}


@dataclass(slots=True)
class Spell:
    """A fault that is going on. `until_ns` 0 is for good; `memo` belongs to whoever acts on it."""

    armed: Armed
    from_ns: int
    until_ns: int
    memo: dict[Any, Any] = field(default_factory=dict)

    @property
    def fault(self) -> Fault:
        """Return what is going on."""
        return self.armed.fault


class Schedule:
    """Faults to come and spells that are on. `clock` gives ns; `seed` makes every fault's own random numbers.

    `begin` and `end` are told of every spell. All methods belong to the thread of the venue.
    """

    def __init__(self, faults: Iterable[Fault] = (), *, seed: int = 0, clock: Callable[[], int]) -> None:
        self.seed, self.clock = seed, clock
        self.log: list[Injected] = []
        self.armed: dict[int, Armed] = {}
        self.spells: list[Spell] = []
        self.begin: Callable[[Spell], None] = _nothing
        self.end: Callable[[Spell], None] = _nothing
        self._number = 0
        self._at: dict[str, list[Armed]] = {}
        for fault in faults:
            self.add(fault)

    # --- what people do with it ---
    def add(self, fault: Fault) -> int:
        """Arm a fault from now on; returns its number."""
        self._number += 1
        self.armed[self._number] = Armed(self._number, fault, self.seed, self.clock())
        self._at.clear()
        return self._number

    def fire(self, number: int) -> None:
        """Have an armed fault strike at its next event, whatever its own time is. Raises UnknownName."""
        self._known(number).forced = True

    def remove(self, number: int) -> None:
        """Disarm a fault and end its spells. Raises UnknownName."""
        self._known(number)
        for spell in [one for one in self.spells if one.armed.number == number]:
            self._over(spell)
        del self.armed[number]
        self._at.clear()

    def clear(self) -> None:
        """Disarm everything and end every spell; the log stays."""
        for number in list(self.armed):
            self.remove(number)

    def listed(self) -> list[dict[str, Any]]:
        """Return every armed fault with its counts, and whether a spell of it is on."""
        on = {spell.armed.number for spell in self.spells}
        return [{**one.to_dict(), "on": one.number in on} for one in self.armed.values()]

    def counts(self) -> dict[str, int]:
        """Return how often each kind of fault was injected."""
        names = [injected.name for injected in self.log]
        return {name: names.count(name) for name in sorted(set(names))}

    # --- what the injectors ask ---
    def strikes(self, point: str, /, **target: Any) -> list[Armed]:
        """Count an event of a point against every fault armed there that it concerns; returns those that strike."""
        waiting = self._waiting(point)
        if not waiting:
            return []
        now_ns = self.clock()
        return [one for one in waiting if one.fault.concerns(**target) and one.strikes(now_ns)]

    def moment(self, moment: str, /, **target: Any) -> None:
        """Count an event that spells may begin on."""
        for one in self._waiting(f"on {moment}"):
            if one.fault.concerns(**{**target, "kind": one.fault.options["kind"]}) and one.strikes(self.clock()):
                self._on(one)

    def on(self, name: str, /, **target: Any) -> list[Spell]:
        """Return the spells of a kind that are on and concern a target."""
        return [one for one in self.spells if one.fault.name == name and one.fault.concerns(**target)]

    def note(self, armed: Armed, skin: str, target: str, detail: str = "") -> None:
        """Write down what was done."""
        self.log.append(Injected(armed.number, armed.fault.name, self.clock(), skin, target, detail))

    def tick(self) -> None:
        """End the spells whose time is over and begin those whose time has come."""
        if not (self.spells or self._waiting("clock")):
            return
        now_ns = self.clock()
        for spell in [one for one in self.spells if one.until_ns and now_ns >= one.until_ns]:
            self._over(spell)
        for one in self._waiting("clock"):
            if one.begins(now_ns):
                self._on(one)

    def _waiting(self, point: str) -> list[Armed]:
        """Return the armed faults of a point; of spells, those that begin "on order" and so on, or by the "clock"."""
        if point not in self._at:
            self._at[point] = [one for one in self.armed.values() if _place(one.fault) == point]
        return self._at[point]

    def _on(self, armed: Armed) -> None:
        now_ns = self.clock()
        seconds = armed.fault.options.get("s")
        # Without a length it is over as soon as it has begun; a length of 0 is for good.
        until_ns = now_ns if seconds is None else (now_ns + round(seconds * NS) if seconds else 0)
        spell = Spell(armed, now_ns, until_ns)
        self.spells.append(spell)
        self.begin(spell)

    def _over(self, spell: Spell) -> None:
        self.spells.remove(spell)
        self.end(spell)

    def _known(self, number: int) -> Armed:
        if number not in self.armed:
            raise UnknownName(f"no fault has number {number}; armed are {', '.join(map(str, self.armed)) or 'none'}.")
        return self.armed[number]


def _nothing(spell: Spell) -> None:
    """Hear of a spell that nobody acts on."""


def _place(fault: Fault) -> str:
    if fault.spec.point != SPELL:
        return fault.spec.point
    return f"on {fault.on}" if fault.on else "clock"


def load_faults(source: str | Path | Mapping[str, Any] | Iterable[Any]) -> tuple[list[Fault], int]:
    """Return faults and seed of a file (YAML), or of the same as plain data: `{seed: 7, faults: [{fault: gap, every: 500}]}`, or the list.

    Raises InputError, UnknownName, OSError.
    """
    data: Any = yaml.safe_load(Path(source).read_text(encoding="utf-8")) if isinstance(source, str | Path) else source
    seed = 0
    if isinstance(data, Mapping):
        unknown = set(data) - {"seed", "faults"}
        if unknown:
            raise UnknownName(f"a schedule of faults had {', '.join(sorted(map(str, unknown)))}; it has seed and faults.")
        seed, data = int(data.get("seed", 0)), data.get("faults", [])
    if not isinstance(data, list | tuple):
        raise InputError(f"faults were {data!r}; wanted a list like [{{fault: gap, every: 500}}].")
    return [one if isinstance(one, Fault) else Fault.from_dict(one) for one in data], seed
