"""The two clocks of a recording: told apart, reported, corrected on request."""

import numpy as np
import pytest
from captures import a_session, futures_diff, futures_trade, ms, write

from hftlab.data.recordings import LATENCY_FLOOR_NS, load
from hftlab.errors import DataWarning


def test_a_clock_that_cannot_be_right_is_said_and_corrected_on_request(tmp_path):
    lines = [futures_diff(n, n, n, n - 1, [["60000.0", f"{n}.000"]], late_ms=-1272 + 3 * n) for n in range(1, 5)]
    path = write(tmp_path / "a.gz", lines)
    with pytest.warns(DataWarning, match=r"local clock is at least 1\.269 s behind"):
        tape = load(path)
    assert not tape.report.clock_ok
    assert tape.report.latency_min_ns == -1_269_000_000
    right = load(path, clock="correct")
    assert right.report.latency_min_ns == LATENCY_FLOOR_NS
    assert right.report.clock_shift_ns == 1_270_000_000
    assert np.array_equal(right.rows["ts_recv_ns"], tape.rows["ts_recv_ns"] + 1_270_000_000)
    assert np.array_equal(right.rows["ts_exch_ns"], tape.rows["ts_exch_ns"])


def test_a_clock_far_ahead_is_said_and_corrected_too(tmp_path):
    lines = [futures_trade(n, n, "60000.0", "1.000", late_ms=60_000 + n) for n in range(1, 5)]
    path = write(tmp_path / "a.gz", lines)
    with pytest.warns(DataWarning, match=r"even the fastest message took 60\.001 s"):
        load(path)
    assert load(path, clock="correct").report.latency_ms[100] == pytest.approx(LATENCY_FLOOR_NS / 1e6 + 3)


def test_an_exchange_time_that_goes_back_within_the_book_is_raised_and_said(tmp_path):
    early = futures_diff(1, 2, 2, 1, [["60000.0", "2.000"]], late_ms=25)
    tape = load(write(tmp_path / "a.gz", [futures_diff(2, 1, 1, 0, [["60000.0", "1.000"]]), early]))
    assert tape.rows["ts_exch_ns"].tolist() == [ms(2) * 1_000_000] * 3
    assert any("exchange time of 1 diffs went back" in finding.text for finding in tape.report.findings)


def test_a_right_clock_is_left_alone(tmp_path):
    path = write(tmp_path / "a.gz", a_session())
    assert np.array_equal(load(path, clock="correct").rows, load(path).rows)
