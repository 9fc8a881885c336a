"""All the checks, one after another."""

from collections.abc import Callable, Iterator

from hftlab.doctor import access, machine, packages, runs
from hftlab.doctor.finding import FAIL, Finding
from hftlab.doctor.world import World

Check = Callable[[World], Iterator[Finding]]

CHECKS: tuple[Check, ...] = (
    machine.python,
    machine.capacity,
    machine.kernels,
    machine.clock,
    packages.versions,
    packages.extras,
    packages.assets,
    access.network,
    access.settings,
    access.keys,
    runs.runs,
)


def examine(world: World, checks: tuple[Check, ...] = CHECKS) -> list[Finding]:
    """Return every finding about a world. A check that breaks is itself a finding: this never raises."""
    findings: list[Finding] = []
    for check in checks:
        try:
            findings.extend(check(world))
        except Exception as error:  # why: a doctor is called when things are broken, in ways that nobody thought of
            what = f"the check broke: {type(error).__name__}: {error}"
            findings.append(Finding(check.__name__, FAIL, what, "an answer", "please report it, with this line"))
    return findings
