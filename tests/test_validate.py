"""The full report: the clocks it fits, what it says of real recordings, and how it looks."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from captures import a_session, write
from hypothesis import given
from hypothesis import strategies as st

from hftlab.data.samples import sample
from hftlab.data.synth import synth_rows
from hftlab.data.validate import validate
from hftlab.data.validate_books import touches
from hftlab.data.validate_clock import fit_clock
from hftlab.instrument import Instrument
from hftlab.svg import Chart
from hftlab.types import ASK, BID, CLEAR, DEPTH, EVENT, GAP, LAST, NO_PRICE, SNAPSHOT, TRADE

SIM = Instrument.bundled("sim:BTC/USDT")
START_NS = 1_700_000_000_000_000_000


def messages(seconds, latency_ms):
    """Return one DEPTH message at each of `seconds`, received `latency_ms` after it happened."""
    rows = np.zeros(len(seconds), EVENT)
    rows["ts_exch_ns"] = START_NS + np.rint(np.asarray(seconds) * 1e9).astype(np.int64)
    rows["ts_recv_ns"] = rows["ts_exch_ns"] + np.rint(np.asarray(latency_ms) * 1e6).astype(np.int64)
    rows["kind"], rows["side"], rows["flags"] = DEPTH, BID, LAST
    rows["price_ticks"], rows["qty_lots"] = 100, 5
    return rows


# --- clocks ----------------------------------------------------------------------------------------------------------
@given(offset_ms=st.floats(-5000, 5000), drift_ppm=st.floats(-200, 200), seed=st.integers(0, 2**32 - 1), wrong=st.integers(0, 8))
def test_offset_and_drift_are_found_again_under_a_network_and_wrong_stamps(offset_ms, drift_ppm, seed, wrong):
    # 300 s of 20 messages a second; network 2 ms and an exponential of mean 10 ms; up to 8 stamps are nonsense: the line passes
    # above a tenth of the 120 bins.
    random = np.random.default_rng(seed)
    seconds = np.sort(random.uniform(0, 300, 6000))
    latency = offset_ms + 2 + random.exponential(10, 6000) + drift_ppm * 1e-3 * (seconds - 150)
    latency[random.choice(6000, wrong, replace=False)] -= 400
    fit = fit_clock(messages(seconds, latency), "here", START_NS)
    assert fit.drift_ppm == pytest.approx(drift_ppm, abs=3.0)
    assert fit.offset_ms == pytest.approx(offset_ms + 2, abs=1.0)


def test_a_still_clock_drifts_and_wanders_nowhere():
    random = np.random.default_rng(5)
    seconds = np.linspace(0, 300, 6000)
    fit = fit_clock(messages(seconds, 3 + random.exponential(10, 6000)), "here", START_NS)
    assert (fit.drifts, fit.wanders) == (False, False)
    assert "drift" in str(fit)


def test_a_clock_that_is_steered_is_said_to_wander():
    random = np.random.default_rng(6)
    seconds = np.linspace(0, 300, 6000)
    swing = 20 * np.sin(seconds / 40)
    rows = messages(seconds, 50 + swing + random.exponential(2, 6000))
    fit = fit_clock(rows, "here", START_NS)
    assert fit.wanders
    assert fit.wander_ms == pytest.approx(40, abs=6)
    assert any("is being steered" in finding.text for finding in validate(np.sort(rows, order="ts_recv_ns"), SIM).findings)


def test_two_messages_have_an_offset_and_no_drift():
    fit = fit_clock(messages([0, 1], [5, 7]), "here", START_NS)
    assert fit.offset_ms == 5
    assert np.isnan(fit.drift_ppm)
    assert "not to be told" in str(fit)


def test_each_venue_has_its_own_clock():
    other = Instrument.bundled("binance:BTC/USDT")
    near, far = messages(np.arange(0, 20, 0.1), np.full(200, 3.0)), messages(np.arange(0.05, 20, 0.1), np.full(200, -900.0))
    far["instrument"] = 1
    rows = np.concatenate([near, far])
    report = validate(rows[np.argsort(rows["ts_recv_ns"], kind="stable")], [SIM, other])
    assert {fit.venue: round(fit.offset_ms) for fit in report.clock} == {"sim": 3, "binance": -900}


# --- what it measures ------------------------------------------------------------------------------------------------
def test_the_latency_table_is_that_of_the_messages():
    rows = messages(np.arange(100), np.arange(1, 101))
    rows["kind"][::2] = TRADE
    table = validate(rows, SIM).latency
    assert table.loc["all", ["messages", "min", "p50", "max"]].tolist() == [100, 1, 50.5, 100]
    assert table.loc["TRADE", ["messages", "min", "max"]].tolist() == [50, 1, 99]
    assert table.loc["DEPTH", "p99"] == pytest.approx(np.percentile(np.arange(2, 101, 2), 99))


def test_the_touch_is_what_a_plain_book_shows():
    rows = synth_rows(SIM, 5.0, 4)
    at = touches(rows)
    levels = {BID: {}, ASK: {}}
    shown = (NO_PRICE, NO_PRICE)
    for k, row in enumerate(rows):
        if row["kind"] == CLEAR:
            levels[BID].clear()
            levels[ASK].clear()
        elif row["kind"] == DEPTH:
            levels[row["side"]][int(row["price_ticks"])] = int(row["qty_lots"])
        if row["flags"] & LAST and row["kind"] != TRADE:
            held = {side: [price for price, lots in levels[side].items() if lots] for side in levels}
            shown = (max(held[BID], default=NO_PRICE), min(held[ASK], default=NO_PRICE))
        assert (at[k, 0], at[k, 1]) == shown


def test_a_book_has_no_touch_between_a_gap_and_the_next_snapshot():
    rows = messages(np.arange(5), np.ones(5))
    rows["kind"] = [CLEAR, DEPTH, GAP, DEPTH, CLEAR]
    rows["flags"][[0, 4]] |= SNAPSHOT
    assert touches(rows)[:, 0].tolist() == [NO_PRICE, 100, NO_PRICE, NO_PRICE, NO_PRICE]


def test_crosses_are_timed():
    # bid 100, ask 99 from 2 s until 5 s, and from 7 s to the end at 8 s: by hand 3 s and 1 s.
    rows = messages(np.arange(1, 9), np.zeros(8))
    rows["kind"][0], rows["flags"][0] = CLEAR, SNAPSHOT
    rows["price_ticks"] = [0, 99, 98, 97, 99, 96, 99, 95]
    rows["side"] = [0, ASK, BID, BID, ASK, BID, ASK, BID]
    rows["qty_lots"] = [0, 5, 5, 5, 0, 5, 5, 5]
    rows = np.insert(rows, 1, messages([1.5], [0]))
    text = next(finding.text for finding in validate(rows, SIM).findings if finding.check == "crossed")
    assert "crossed after 5 messages" in text
    assert "in 2 stretches of 4,000.000 ms together, the longest 3,000.000 ms" in text


def test_a_cross_after_a_gap_is_said_to_come_from_it():
    rows = messages(np.arange(1, 5), np.zeros(4))
    rows["kind"] = [CLEAR, DEPTH, GAP, DEPTH]
    rows["side"], rows["price_ticks"], rows["flags"][0] = [0, BID, 0, ASK], [0, 100, 0, 90], SNAPSHOT
    text = next(finding.text for finding in validate(rows, SIM).findings if finding.check == "crossed")
    assert "always where the book is not to be trusted (from a gap to the next snapshot)" in text


def test_a_given_silence_and_distance_are_kept(tmp_path):
    path = write(tmp_path / "a.gz", a_session())
    assert any(finding.check == "silence" for finding in validate(path, quiet_s=0.015).findings) is False
    assert any(finding.check == "silence" for finding in validate(path, quiet_s=0.005).findings)


# --- how it shows itself ---------------------------------------------------------------------------------------------
def test_the_page_is_small_and_its_pictures_are_sound_xml_without_scripts():
    page = validate(sample())._repr_html_()
    assert len(page) < 60_000
    pictures = re.findall(r"<svg.*?</svg>", page)
    assert len(pictures) == 4
    for picture in pictures:
        ET.fromstring(picture)
    assert "<script" not in page
    assert "fit for use" in page


def test_the_quick_report_of_a_tape_has_no_pictures_and_the_same_counts():
    tape = sample()
    assert "<svg" not in tape.report._repr_html_()
    assert tape.report.crossed_messages == validate(tape).crossed_messages == 0
    assert tape.report.facts().items() <= validate(tape).facts().items()


def test_the_frame_has_one_row_a_finding(tmp_path):
    lines = a_session()
    report = validate(write(tmp_path / "a.gz", [*lines[:3], *lines[4:]]))
    frame = report.frame()
    assert list(frame.columns) == ["severity", "check", "place", "row", "column", "count", "found", "wanted", "fix"]
    assert len(frame) == len(report.findings)
    gap = frame[frame["check"] == "gaps"].iloc[0]
    assert gap["place"] == "a.gz, line 5"
    assert isinstance(frame, pd.DataFrame)


@pytest.mark.parametrize("x_log", [False, True])
def test_a_chart_keeps_its_points_inside(x_log):
    x, y = np.array([1.0, 10, 100]), np.array([-5.0, 0, 5e9])
    chart = Chart("a < b", x=(1, 50), y=(0, 1e9), x_log=x_log, x_unit="s", y_unit="/s")
    text = chart.line(x, y).band(x, y, y + 1).dots(x, y).bars(x, y[:2]).spans([(2.0, 3.0)]).svg()
    ET.fromstring(text)
    numbers = [float(value) for value in re.findall(r"[ML]([\d.]+),", text)]
    assert min(numbers) >= 0
    assert max(numbers) <= 470
    assert "a &lt; b" in text


def test_a_chart_of_one_value_is_drawn():
    ET.fromstring(Chart("one", x=(3, 3), y=(7, 7)).dots(np.array([3.0]), np.array([7.0])).svg())


# --- the recordings --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "name", ["binance_usdm_btcusdt_20240808.gz", "binance_coinm_btcusd_perp_20240808.gz", "binance_spot_btcusdt_20240808.gz"]
)
def test_the_clock_of_the_2024_recordings_is_1270_ms_behind_and_drifts_by_five_ppm(shared, name):
    # The three were recorded on one machine at one time: one clock, three venues.
    report = validate(shared / "data" / name)
    (fit,) = report.clock
    assert fit.offset_ms == pytest.approx(-1270, abs=5)
    assert fit.drift_ppm == pytest.approx(-4.7, abs=1.5)
    text = next(finding.text for finding in report.findings if finding.check == "clock")
    assert f"{name}, line " in text
    assert "negative latency" in text
    assert "clock='correct'" in text


def test_the_2023_recording_is_named_for_what_it_is(shared):
    report = validate(shared / "data" / "binance_usdm_btcusdt_20230405.dat.gz")
    said = {finding.check for finding in report.findings if finding.severity == "warning"}
    assert said == {"clock", "snapshot", "silence", "drift"}
    assert report.clock[0].wanders
