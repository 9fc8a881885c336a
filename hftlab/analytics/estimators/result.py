"""What an estimator says: a number with its unit, how sure it is, from how much, and whether its law fits the data."""

import math
from dataclasses import dataclass

FEW = 30
"""Below so many samples a band is not believed, whatever it says."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """`value` in `unit` with its band [`low`, `high`], which covers the truth with probability `level`.

    `samples`: independent observations behind it. `fit_p`: the p-value of the test that the data follow the law that was fitted,
    NaN where there is no law to test. `said`: how it was made, and of which kind the band is, in a few words.
    """

    name: str
    value: float
    low: float
    high: float
    unit: str
    samples: int
    fit_p: float = math.nan
    level: float = 0.90
    said: str = ""

    @property
    def flag(self) -> str:
        """Return "too few", "unknown" (no value, or no band), "wrong law" (p below 1 %) or "good"."""
        if self.samples < FEW:
            return "too few"
        if not (math.isfinite(self.value) and math.isfinite(self.low) and math.isfinite(self.high)):
            return "unknown"
        return "wrong law" if self.fit_p < 0.01 else "good"

    @property
    def width(self) -> float:
        """Return the width of the band."""
        return self.high - self.low

    def __str__(self) -> str:
        return f"{self.name} {self.value:.6g} [{self.low:.6g}, {self.high:.6g}] {self.unit} (n={self.samples:,}, {self.flag})"
