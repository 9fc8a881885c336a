"""Folds that do not leak: no training label touches a test, whatever the times and horizons."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hftlab.analytics.luck.purged import combinatorial, folds, paths, spans, walk_forward
from hftlab.errors import InputError

samples = st.lists(st.integers(0, 300), min_size=12, max_size=60).map(lambda values: np.sort(np.array(values, np.int64)))
horizons = st.integers(0, 40)


def assert_nothing_leaks(fold, ts_ns, horizon_ns, embargo_ns, pieces):
    """`pieces` are the tests in one stretch each."""
    until = ts_ns + horizon_ns
    assert not set(fold.train) & set(fold.test)
    for piece in pieces:
        begins, ends = ts_ns[piece[0]], until[piece].max()
        for i in fold.train:
            assert until[i] < begins or ts_ns[i] > ends + embargo_ns


@given(samples, horizons, st.integers(0, 30), st.integers(2, 6))
def test_no_training_label_touches_a_test_and_each_sample_is_tested_once(ts_ns, horizon_ns, embargo_ns, count):
    made = folds(ts_ns, count, horizon_ns=horizon_ns, embargo_ns=embargo_ns)
    assert np.concatenate([fold.test for fold in made]).tolist() == list(range(len(ts_ns)))
    for fold in made:
        assert_nothing_leaks(fold, ts_ns, horizon_ns, embargo_ns, [fold.test])
        far = (ts_ns + horizon_ns < ts_ns[fold.test[0]]) | (ts_ns > ts_ns[fold.test[-1]] + horizon_ns + embargo_ns)
        assert set(np.flatnonzero(far)) == set(fold.train)  # and nothing is thrown away without need


@given(samples, horizons, st.integers(0, 30), st.booleans())
def test_walk_forward_trains_on_the_past_only(ts_ns, horizon_ns, embargo_ns, anchored):
    for fold in walk_forward(ts_ns, 3, horizon_ns=horizon_ns, embargo_ns=embargo_ns, anchored=anchored):
        assert (ts_ns[fold.train] + horizon_ns < ts_ns[fold.test[0]] - embargo_ns).all()
        assert len(fold.test)


@given(samples, horizons, st.integers(0, 20))
def test_combinations_leak_nothing_and_their_paths_see_all_time_once(ts_ns, horizon_ns, embargo_ns):
    made = combinatorial(ts_ns, 5, 2, horizon_ns=horizon_ns, embargo_ns=embargo_ns)
    assert len(made) == 10
    cut = np.linspace(0, len(ts_ns), 6).round().astype(int)
    for fold in made:
        assert_nothing_leaks(fold, ts_ns, horizon_ns, embargo_ns, [np.arange(cut[g], cut[g + 1]) for g in fold.groups])
    walked = paths(5, 2)
    assert len(walked) == 4
    used = [step for path in walked for step in path]
    assert len(set(used)) == len(used) == 20
    for path in walked:
        assert [group for _, group in path] == list(range(5))
        assert all(group in made[fold].groups for fold, group in path)


def test_labels_that_each_look_ahead_by_their_own_time():
    # Sample 2 is known at 9 only: of a test at 5 to 6 it would know the answer.
    fold = folds(np.arange(10), 5, horizon_ns=np.array([0, 0, 7, 0, 0, 0, 0, 0, 0, 0]))[2]
    assert fold.test.tolist() == [4, 5]
    assert fold.train.tolist() == [0, 1, 3, 6, 7, 8, 9]


def test_spans_of_a_tape():
    assert spans(0, 60, 5) == [(0, 10, 10, 20), (10, 20, 20, 30), (20, 30, 30, 40), (30, 40, 40, 50), (40, 50, 50, 60)]
    assert spans(0, 30, 2, embargo_ns=3, anchored=True) == [(0, 7, 10, 20), (0, 17, 20, 30)]


@pytest.mark.parametrize(
    "call",
    [
        lambda: folds([3, 2, 1], 2),
        lambda: folds([1, 2], 3),
        lambda: folds([1, 2, 3], 2, horizon_ns=-1),
        lambda: folds([1, 2, 3], 2, horizon_ns=[1, 2]),
        lambda: combinatorial(range(10), 3, 3),
        lambda: walk_forward(range(10), 2, train_groups=0),
        lambda: spans(0, 10, 5, embargo_ns=2),
        lambda: spans(0, 10, 0),
    ],
)
def test_bad_folds_are_refused(call):
    with pytest.raises(InputError):
        call()
