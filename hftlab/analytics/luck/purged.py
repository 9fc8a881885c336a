"""Folds over time that do not leak: purged and embargoed K-fold, walk-forward, and combinatorial purged cross-validation.

A sample made at `ts_ns` may be labelled by what happens later, until `until_ns`. A training sample whose label reaches into the test, or
which a test label reaches into, knows the answer: it is left out (purged). After a test a stretch is left out too, for what
lingers (embargo). Lopez de Prado, "Advances in Financial Machine Learning" (2018), chapters 7 and 12.
"""

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hftlab.errors import InputError

Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Fold:
    """One division: `train` and `test` are indices i8 of the samples, ascending; `groups` which groups of the time are the test."""

    train: Index
    test: Index
    groups: tuple[int, ...]

    def __repr__(self) -> str:
        return f"<Fold test {self.groups}: {len(self.train):,} to train, {len(self.test):,} to test>"


def folds(ts_ns: Any, count: int = 5, *, horizon_ns: Any = 0, embargo_ns: int = 0) -> list[Fold]:
    """Return `count` purged and embargoed folds of samples at ascending `ts_ns`, i8 (n,); each sample is in one test.

    `horizon_ns`: how far a label looks ahead, a number or i8 (n,). Raises InputError.
    """
    times, until = _samples(ts_ns, horizon_ns, count, embargo_ns)
    return [_fold(times, until, _groups(len(times), count), (k,), embargo_ns) for k in range(count)]


def combinatorial(ts_ns: Any, groups: int = 6, tests: int = 2, *, horizon_ns: Any = 0, embargo_ns: int = 0) -> list[Fold]:
    """Return a fold for every choice of `tests` of `groups` pieces of the time as test; arguments as of `folds`. Raises InputError."""
    if not 0 < tests < groups:
        raise InputError(f"tests={tests} of groups={groups}; wanted at least one group to test and one to train.")
    times, until = _samples(ts_ns, horizon_ns, groups, embargo_ns)
    cut = _groups(len(times), groups)
    return [_fold(times, until, cut, chosen, embargo_ns) for chosen in itertools.combinations(range(groups), tests)]


def paths(groups: int, tests: int) -> list[list[tuple[int, int]]]:
    """Return the backtest paths of `combinatorial`: each goes through all groups once, as (number of the fold, group).

    There are C(groups, tests) tests / groups of them, and each test of each fold is in just one.
    """
    chosen = list(itertools.combinations(range(groups), tests))
    of_group = [[number for number, one in enumerate(chosen) if group in one] for group in range(groups)]
    return [[(of_group[group][path], group) for group in range(groups)] for path in range(len(of_group[0]))]


def walk_forward(
    ts_ns: Any, count: int = 5, *, horizon_ns: Any = 0, embargo_ns: int = 0, anchored: bool = False, train_groups: int = 1
) -> list[Fold]:
    """Return `count` folds that train on the past only: the time is cut into count + `train_groups` pieces, each test follows its training.

    `anchored` trains on all that was before; else on the last `train_groups` pieces. What ends within `embargo_ns` before the test is
    left out, and labels that reach into it. Raises InputError.
    """
    if train_groups < 1:
        raise InputError(f"train_groups was {train_groups}; wanted at least one piece to train on.")
    times, until = _samples(ts_ns, horizon_ns, count + train_groups, embargo_ns)
    cut = _groups(len(times), count + train_groups)
    made = []
    for k in range(train_groups, count + train_groups):
        test = np.arange(cut[k], cut[k + 1])
        low = 0 if anchored else cut[k - train_groups]
        past = np.arange(low, cut[k])
        made.append(Fold(past[until[past] < times[test[0]] - embargo_ns], test, (k,)))
    return made


def spans(start_ns: int, end_ns: int, count: int = 5, *, embargo_ns: int = 0, anchored: bool = False) -> list[tuple[int, int, int, int]]:
    """Return (train from, train to, test from, test to) in ns, ends not included: walk-forward over the time of a tape, in equal pieces.

    The training ends `embargo_ns` before the test begins: what was quoted there is still filled after it. Raises InputError.
    """
    edges = np.linspace(start_ns, end_ns, count + 2).astype(np.int64).tolist() if count >= 1 else []
    if not edges or embargo_ns < 0 or edges[1] - edges[0] <= embargo_ns:
        raise InputError(
            f"{(end_ns - start_ns) / 1e9:,.3f} s in {count} folds with an embargo of {embargo_ns / 1e9:g} s; wanted at least one fold, and "
            "pieces longer than the embargo."
        )
    return [(edges[0] if anchored else edges[k], edges[k + 1] - embargo_ns, edges[k + 1], edges[k + 2]) for k in range(count)]


def _samples(ts_ns: Any, horizon_ns: Any, groups: int, embargo_ns: int) -> tuple[Index, Index]:
    times = np.asarray(ts_ns, np.int64)
    horizon = np.asarray(horizon_ns, np.int64)
    if times.ndim != 1 or (np.diff(times) < 0).any():
        raise InputError("ts_ns was not a series of ascending times; sort the samples by when they were made.")
    if horizon.shape not in {(), times.shape} or (horizon < 0).any() or embargo_ns < 0:
        raise InputError("horizon_ns and embargo_ns want nanoseconds of zero or more, and a horizon that is one number or one a sample.")
    if groups < 2 or len(times) < groups:
        raise InputError(f"{len(times):,} samples in {groups} pieces; wanted two pieces or more, and a sample in each.")
    return times, times + horizon


def _groups(n: int, count: int) -> list[int]:
    """Return the edges of `count` pieces of n samples, sizes equal to within one."""
    return [int(edge) for edge in np.linspace(0, n, count + 1).round()]


def _fold(times: Index, until: Index, cut: list[int], chosen: tuple[int, ...], embargo_ns: int) -> Fold:
    """Return the fold whose tests are the pieces `chosen`; pieces that touch are one test, with one embargo behind it."""
    keep = np.ones(len(times), bool)
    for group in chosen:
        low, high = cut[group], cut[group + 1]
        begins, ends = times[low], until[low:high].max()
        keep[low:high] = False
        # A label is a closed stretch of time [made, known]; it may touch no test, nor begin in the embargo behind one.
        keep &= (until < begins) | (times > ends + embargo_ns)
    test = np.concatenate([np.arange(cut[group], cut[group + 1]) for group in chosen])
    return Fold(np.flatnonzero(keep), test, chosen)
