"""Intervals of figures whose observations hang together in time: whole blocks of the session are drawn anew."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

BLOCKS_MAX = 40


@dataclass(frozen=True)
class Blocks:
    """`edges` i8 (blocks + 1,): times that cut a session into blocks; `picks` i8 (replicates, blocks): which blocks each replicate has."""

    edges: np.ndarray
    picks: np.ndarray

    @classmethod
    def of(cls, ts_ns: np.ndarray, *, replicates: int = 200, seed: int = 0) -> "Blocks":
        """Return blocks of about equally many observations, at most BLOCKS_MAX, each of five or more."""
        count = int(np.clip(len(ts_ns) // 5, 1, BLOCKS_MAX))
        edges = np.quantile(ts_ns, np.linspace(0, 1, count + 1), method="inverted_cdf").astype(np.int64)
        edges[-1] += 1
        edges = np.unique(edges)
        picks = np.random.default_rng(seed).integers(0, len(edges) - 1, (replicates, len(edges) - 1))
        return cls(edges, picks)

    def number(self, ts_ns: np.ndarray) -> np.ndarray:
        """Return the block of each time, i8."""
        return np.clip(np.searchsorted(self.edges, ts_ns, side="right") - 1, 0, len(self.edges) - 2)

    def weights(self, ts_ns: np.ndarray) -> np.ndarray:
        """Return how often each observation is in each replicate: f8 (replicates, n)."""
        counts = np.stack([np.bincount(row, minlength=len(self.edges) - 1) for row in self.picks])
        return counts[:, self.number(ts_ns)].astype(np.float64)

    def draws(self, parts: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield each replicate of parts that have `ts_ns` and `take(index)`; one in which a part is empty is left out."""
        members = {}
        for name, part in parts.items():
            block = self.number(part.ts_ns)
            members[name] = [np.flatnonzero(block == b) for b in range(len(self.edges) - 1)]
        for row in self.picks:
            index = {name: np.concatenate([blocks[b] for b in row]) for name, blocks in members.items()}
            if all(len(index[name]) or not len(parts[name].ts_ns) for name in parts):
                yield {name: parts[name].take(index[name]) for name in parts}

    def interval(self, parts: Mapping[str, Any], figure: Callable[[Mapping[str, Any]], float], level: float = 0.95) -> tuple[float, float]:
        """Return low and high of a figure of the parts."""
        return interval_of([figure(part) for part in self.draws(parts)], level)


def interval_of(values: Sequence[float] | np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Return low and high of replicated figures, NaN where none is known."""
    known = np.asarray(values, np.float64)
    known = known[~np.isnan(known)]
    if not len(known):
        return np.nan, np.nan
    low, high = np.quantile(known, ((1 - level) / 2, (1 + level) / 2)).tolist()
    return low, high
