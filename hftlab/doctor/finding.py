"""One line of the doctor's."""

from dataclasses import asdict, dataclass

OK, WARN, FAIL = "ok", "warn", "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, how it stands, what was found; for a warning or a failure what was wanted, and what to do."""

    name: str
    level: str
    found: str
    wanted: str = ""
    todo: str = ""

    def to_dict(self) -> dict[str, str]:
        """Return plain values."""
        return asdict(self)


def judged(name: str, found: str, *, fine: bool, wanted: str, todo: str, otherwise: str = FAIL) -> Finding:
    """Return a finding that is fine, or as grave as `otherwise` with what was wanted and what to do."""
    return Finding(name, OK, found) if fine else Finding(name, otherwise, found, wanted, todo)
