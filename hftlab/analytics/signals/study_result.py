"""What a signal study found: one table, and three pictures a signal."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hftlab.analytics.signals import study_pictures as pictures
from hftlab.analytics.stats.regression import Floats
from hftlab.errors import UnknownName, did_you_mean

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Touch:
    """What joined orders made, by tenth of the signal. `share` (signals, tenths) that was met; the others (signals, horizons, tenths)."""

    share: Floats
    made: Floats
    reach: Floats
    count: np.ndarray


@dataclass(frozen=True, repr=False)
class SignalStudy:
    """The answer of `hl.study_signal`. Arrays are (signals, horizons), `by_block` has a block more, `tenths` (…, mean or reach, tenth).

    `ic`: rank correlation of the signal with the next move of the mid; `linear`: Pearson's; `…_reach`: half the width of their intervals
    at `level`, from whole blocks. `p`: corrected over all signals and horizons (Romano–Wolf), `p_raw`: not. Tenths of the signal are
    those of the whole tape: they describe it, and are no rule that could have been traded. `looks_ahead`: signals whose function used
    the future.
    """

    names: tuple[str, ...]
    horizons_s: tuple[float, ...]
    level: float
    every_s: float
    join_s: float
    samples: int
    blocks: int
    bps_per_tick: float
    ic: Floats
    ic_reach: Floats
    linear: Floats
    linear_reach: Floats
    by_block: Floats
    used: np.ndarray
    p_raw: Floats
    p: Floats
    tenths: Floats
    touch: dict[str, Touch]
    looks_ahead: tuple[str, ...]

    def table(self) -> "pd.DataFrame":
        """Return one row a signal and horizon: correlations with intervals, p corrected and raw, blocks that agree, outer tenths, touch.

        `top_less_bottom_bps`: mean move of the highest tenth less that of the lowest; `hit_ticks`: mean markout of a lot joined on the
        signal's side in the outer tenths, when a print reached it; `queue_ticks`: when prints ate the queue before it.
        """
        import pandas as pd

        rows = []
        for s, name in enumerate(self.names):
            for k, horizon in enumerate(self.horizons_s):
                mean = self.tenths[s, k, 0]
                rows.append(
                    {
                        "signal": name,
                        "horizon_s": horizon,
                        "ic": self.ic[s, k],
                        "ic_low": self.ic[s, k] - self.ic_reach[s, k],
                        "ic_high": self.ic[s, k] + self.ic_reach[s, k],
                        "linear": self.linear[s, k],
                        "linear_low": self.linear[s, k] - self.linear_reach[s, k],
                        "linear_high": self.linear[s, k] + self.linear_reach[s, k],
                        "p": self.p[s, k],
                        "p_raw": self.p_raw[s, k],
                        "found": bool(self.p[s, k] <= 1 - self.level),
                        "blocks": self.blocks,
                        "blocks_agree": float(np.mean(np.sign(self.by_block[s, k]) == np.sign(self.ic[s, k]))),
                        "samples": int(self.used[s, k]),
                        "top_less_bottom_bps": (_outer(mean, -1) - _outer(mean, 0)) * self.bps_per_tick,
                        "hit_ticks": self._outer_touch("hit", s, k),
                        "queue_ticks": self._outer_touch("queue", s, k),
                    }
                )
        return pd.DataFrame(rows)

    def deciles(self) -> "pd.DataFrame":
        """Return one row a signal, horizon and tenth: the mean move of the mid in ticks and bps, with the interval in ticks."""
        import pandas as pd

        s, k, t = (axis.ravel() for axis in np.indices((len(self.names), len(self.horizons_s), self.tenths.shape[-1])))
        mean, reach = self.tenths[s, k, 0, t], self.tenths[s, k, 1, t]
        columns = {
            "signal": np.array(self.names)[s],
            "horizon_s": np.array(self.horizons_s)[k],
            "tenth": t + 1,
            "move_ticks": mean,
            "low_ticks": mean - reach,
            "high_ticks": mean + reach,
            "move_bps": mean * self.bps_per_tick,
        }
        return pd.DataFrame(columns)

    def markouts(self, fill: str = "hit") -> "pd.DataFrame":
        """Return one row a signal, horizon and tenth: what a lot joined at the touch on the signal's side made after it was met, in ticks.

        `fill`: "hit", a print reached its price within `join_s`; "queue", prints ate all that stood before it (cancels not credited).
        Above the median it joins the bid, below the ask. `share`: of the orders of that tenth, how many were met. Raises UnknownName.
        """
        import pandas as pd

        if fill not in self.touch:
            raise UnknownName(f"fill was {fill!r}.{did_you_mean(fill, self.touch)}")
        touch = self.touch[fill]
        s, k, t = (axis.ravel() for axis in np.indices(touch.made.shape))
        mean, reach = touch.made[s, k, t], touch.reach[s, k, t]
        columns = {
            "signal": np.array(self.names)[s],
            "horizon_s": np.array(self.horizons_s)[k],
            "tenth": t + 1,
            "share": touch.share[s, t],
            "fills": touch.count[s, k, t],
            "markout_ticks": mean,
            "low_ticks": mean - reach,
            "high_ticks": mean + reach,
            "markout_bps": mean * self.bps_per_tick,
        }
        return pd.DataFrame(columns)

    def blocks_table(self) -> "pd.DataFrame":
        """Return the rank correlation of each block: one row a signal and horizon, one column a block."""
        import pandas as pd

        index = pd.MultiIndex.from_product([self.names, self.horizons_s], names=["signal", "horizon_s"])
        return pd.DataFrame(self.by_block.reshape(-1, self.blocks), index=index)

    def picture(self) -> str:
        """Return SVG: of each signal its correlation by horizon, the moves by tenth, and the markouts of joined orders."""
        return "".join(pictures.row(self, s) for s in range(len(self.names)))

    def _outer_touch(self, kind: str, s: int, k: int) -> float:
        made, count = self.touch[kind].made[s, k], self.touch[kind].count[s, k]
        filled = np.flatnonzero(count > 0)
        if not len(filled):
            return float("nan")
        outer = filled[[0, -1]] if len(filled) > 1 else filled
        return float(np.average(made[outer], weights=count[outer]))

    def __repr__(self) -> str:
        found = [
            f"{name} at {self.horizons_s[k]:g} s" for s, name in enumerate(self.names) for k in np.flatnonzero(self.p[s] <= 1 - self.level)
        ]
        words = ", ".join(found) if found else "nothing"
        return f"<SignalStudy of {self.samples:,} samples in {self.blocks} blocks: {words} found at {self.level:.0%} after correction>"

    def _repr_html_(self) -> str:
        return pictures.page(self)


def _outer(mean: Floats, at: int) -> float:
    """Return the first (0) or last (-1) tenth that has a value: tied signals leave some empty."""
    known = mean[np.isfinite(mean)]
    return float(known[at]) if len(known) else float("nan")
