"""The recordings beside the repository: the book built from them is the venue's own."""

import warnings

import pytest

from hftlab.data.recordings import load
from hftlab.data.validate import compare_bbo
from hftlab.errors import DataWarning

RECORDED = {
    "binance_usdm_btcusdt_20240808.gz": 629,
    "binance_spot_btcusdt_20240808.gz": 564,
    "binance_spot_btcusdt_20240809.gz": 507,
    "binance_coinm_btcusd_perp_20240808.gz": 1124,
    "binance_usdm_btcusdt_20230405.dat.gz": 1255,
}


@pytest.mark.parametrize(("name", "compared"), RECORDED.items())
def test_the_built_book_is_the_venues_own_at_every_matching_update_id(shared, name, compared):
    # 629 in the first file is the count of a plain dict of Decimal over the raw lines too.
    tape = load(shared / "data" / name, clock="correct", bbo=True)
    assert compare_bbo(tape) == (compared, 0)
    report = tape.report
    assert (report.gaps, report.crossed_messages, report.recv_regressions, report.exch_regressions, report.duplicates) == (0, 0, 0, 0, 0)


def test_the_clock_of_the_2024_recordings_is_found_behind(shared):
    with pytest.warns(DataWarning, match="local clock"):
        tape = load(shared / "data" / "binance_usdm_btcusdt_20240808.gz", end_s=30)
    assert -1_300_000_000 < tape.report.latency_min_ns < -1_200_000_000


def test_two_spot_files_are_one_tape_without_a_gap(shared):
    names = ("binance_spot_btcusdt_20240808.gz", "binance_spot_btcusdt_20240809.gz")
    tape = load([shared / "data" / name for name in names], clock="correct", bbo=True)
    assert tape.report.gaps == 0
    assert tape.report.rows_by_kind["CLEAR"] == 1
    assert tape.report.bbo_different == 0
    assert tape.report.bbo_compared > 564 + 507 - 10
    assert tape.span_s == pytest.approx(650.6, abs=0.5)


def test_the_hyperliquid_recording_reads_without_a_warning(shared):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tape = load(shared / "data" / "hyperliquid_btcusd_20250126.gz")
    assert tape.report.rows_by_kind == {"DEPTH": 1840, "TRADE": 34, "CLEAR": 46}
