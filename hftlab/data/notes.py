"""What a reader met on its way: counted by name, so that nothing that was left out is left out silently."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from hftlab.data.rows import SizeGrid


@dataclass
class Notes:
    """Counts of a reader: `ignored` event types by name, `dropped` messages by reason, and sentences for people."""

    lines: int = 0
    ignored: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    sentences: list[tuple[str, str]] = field(default_factory=list)  # (severity, text)
    clock_shift_ns: int = 0  # added to every receive time

    def say(self, severity: str, text: str) -> None:
        """Keep one sentence; severity is "info", "warning" or "error"."""
        self.sentences.append((severity, text))

    def add(self, other: "Notes") -> None:
        """Take over the counts and sentences of another reader."""
        self.lines += other.lines
        self.ignored.update(other.ignored)
        self.dropped.update(other.dropped)
        self.sentences += [pair for pair in other.sentences if pair not in self.sentences]
        self.clock_shift_ns += other.clock_shift_ns

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values from which `from_dict` makes the same notes."""
        return {
            "lines": self.lines,
            "ignored": dict(self.ignored),
            "dropped": dict(self.dropped),
            "sentences": self.sentences,
            "clock_shift_ns": self.clock_shift_ns,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Notes":
        """Return the notes that `to_dict` wrote."""
        return cls(
            values["lines"],
            Counter(values["ignored"]),
            Counter(values["dropped"]),
            [(severity, text) for severity, text in values["sentences"]],
            values["clock_shift_ns"],
        )


def say_rounded(sizes: SizeGrid, notes: Notes) -> None:
    """Report the sizes that were rounded. Raises OffGridQuantity when they are too many for a right instrument."""
    sizes.check()
    if sizes.off:
        notes.say(
            "info",
            f"{sizes.instrument.name}: {sizes.off:,} different sizes lie between two lots (leftovers of a finer lot size) and were "
            "rounded to the nearest.",
        )
