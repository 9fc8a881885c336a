"""What `hftlab doctor` looks at. Each part yields findings about a World; `examine` runs them all and never raises."""

from hftlab.doctor.examine import CHECKS, examine
from hftlab.doctor.finding import FAIL, OK, WARN, Finding
from hftlab.doctor.world import World, this_world

__all__ = ["CHECKS", "FAIL", "OK", "WARN", "Finding", "World", "examine", "this_world"]
