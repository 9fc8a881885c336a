"""A recording played live: every row once and in order, over a kill and a resume too."""

import os
import signal

import pytest
from drill import wait_dead

import hftlab as hl
from hftlab.data import journal as jn
from hftlab.errors import EngineDied, FormatError
from hftlab.types import BBO

LIMITS = hl.Limits(position_qty_max="0.05", loss_quote_max=200, requests_per_s_max=1000, requests_burst=1000)


@pytest.fixture
def recording(tmp_path):
    return hl.sample().slice(0.0, 60.0).save(tmp_path / "minute.npz")


def at_end(frame):
    return any("at its end" in message["text"] for message in frame.engine["messages"])


def start(recording, run, speed):
    quoter = hl.FixedSpread(order_qty="0.01", half_spread_ticks=0.5, life_ms_min=0)
    return hl.start(hl.ReplayFeed(recording, speed=speed), hl.PaperVenue(), quoter, LIMITS, run=run)


def test_a_killed_replay_goes_on_at_the_row_after_the_last_one_journaled(recording, tmp_path):
    session = start(recording, tmp_path / "run", speed=30.0)
    session.wait(lambda f: int(f.desk["rows"]) > 2000)
    os.kill(int(session.frame().engine["pid"]), signal.SIGKILL)
    wait_dead(session)
    again = hl.resume(tmp_path / "run")
    again.wait(at_end, timeout_s=30)
    report = again.stop()
    rows = jn.read(tmp_path / "run" / "journal")
    played = rows[rows["kind"] <= BBO]
    assert played.tobytes() == hl.load(recording).merge().rows.tobytes()
    assert report.summary()["fills"] > 0


def test_flat_out_a_replay_ends_and_what_is_stale_is_not_quoted(recording, tmp_path):
    session = start(recording, tmp_path / "run", speed=float("inf"))
    frame = session.wait(lambda f: at_end(f) and not f.orders(), timeout_s=30)
    assert frame.refusals()["stale data"] >= 1
    assert len(frame.fills()) > 0
    session.stop()


def test_a_recording_that_cannot_be_read_is_refused_before_an_engine_starts(tmp_path):
    bad = tmp_path / "bad.gz"
    bad.write_bytes(b"not a recording\n")
    with pytest.raises(FormatError):
        start(bad, tmp_path / "run", speed=1.0)
    assert not (tmp_path / "run").exists()
    with pytest.raises(FormatError, match="is no file"):
        hl.ReplayFeed(tmp_path / "missing.gz")


def test_a_recording_that_is_torn_further_on_ends_the_engine_with_words(tmp_path):
    # The first seconds are sound, so that only the engine, which reads all of it, can find the tear.
    whole = tmp_path / "whole.npz"
    hl.sample().slice(0.0, 30.0).save(whole)
    session = start(whole, tmp_path / "run", speed=1.0)
    session.stop()
    whole.write_bytes(whole.read_bytes()[:20_000])
    with pytest.raises(EngineDied, match=r"whole\.npz"):
        hl.resume(tmp_path / "run")
