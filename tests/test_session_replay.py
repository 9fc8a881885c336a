"""A session's journal through the backtester: the same requests byte for byte, the same state; and its market without us."""

import numpy as np
import pytest
from sessions import BTC, close, quoter, run_session

import hftlab as hl
from hftlab.backtesting.replay import replay
from hftlab.engine.figures import Figures
from hftlab.engine.session import Driver
from hftlab.engine.spec import load_spec
from hftlab.errors import DataError
from hftlab.types import ACCEPTED, CANCEL, DEPTH, EVENT, FILL, SUBMIT

COMMANDS = [
    (4, "set", {"half_spread_ticks": 1.5}),
    (6, "pause", {}),
    (7, "resume", {}),
    (9, "flatten", {}),
    (10, "target", {"qty": "0.05"}),
]


@pytest.mark.parametrize(
    "venue",
    [
        hl.PaperVenue(BTC, latency=hl.Latency(order_ms=2.0, report_ms=3.0)),
        hl.PaperVenue(BTC, fills="modelled", latency=hl.Latency(order_ms=2.0, jitter_ms=1.0), fees=hl.Fees(maker_bps=1)),
    ],
    ids=["matched", "modelled"],
)
def test_a_replayed_journal_sends_the_requests_of_the_session_byte_for_byte(tmp_path, monkeypatch, venue):
    driver, sent = run_session(tmp_path / "run", monkeypatch, venue=venue, seconds=12, commands=COMMANDS, trade_per_s=12.0)
    again = replay(tmp_path / "run")
    assert len(sent) > 50
    assert again.requests.tobytes() == sent.tobytes()
    assert again.digest == driver.state.digest()
    assert again.published is True
    assert again.rows == int(driver.state.desk["rows"][0])
    fills = int(driver.state.markets["fills_count"][0])
    assert fills > 5
    assert np.count_nonzero(again.own["kind"] == FILL) == fills
    assert np.count_nonzero(again.own["kind"] == ACCEPTED) > 0
    assert np.isin(again.own["kind"], (SUBMIT, CANCEL)).any()
    assert again.modelled == (venue.fills == "modelled")


def test_a_session_that_was_resumed_replays_as_one(tmp_path, monkeypatch):
    _, sent = run_session(tmp_path / "run", monkeypatch, seconds=3)
    driver = Driver(load_spec(tmp_path / "run"), tmp_path / "run", Figures())
    for _ in range(100):
        driver.turn()
    driver.publish(1)
    close(driver)
    again = replay(tmp_path / "run")
    assert again.digest == driver.state.digest()
    assert again.published is True
    assert again.requests[: len(sent)].tobytes() == sent.tobytes()
    assert len(again.requests) > len(sent)


def test_a_frame_of_the_middle_is_compared_in_the_middle(tmp_path, monkeypatch):
    # A killed engine journaled more than it published: the bytes are compared at the row of the frame.
    driver, _ = run_session(tmp_path / "run", monkeypatch, seconds=2)
    again = Driver(load_spec(tmp_path / "run"), tmp_path / "run", Figures())
    again.publish(1)
    for _ in range(10):
        again.turn()
    close(again)
    found = replay(tmp_path / "run")
    assert found.published is True
    assert found.rows > int(driver.state.desk["rows"][0])
    assert found.digest == again.state.digest()


def test_a_changed_journal_is_not_what_was_published(tmp_path, monkeypatch):
    run_session(tmp_path / "run", monkeypatch, seconds=2)
    path = tmp_path / "run" / "journal" / "000000.rows"
    rows = np.frombuffer(path.read_bytes(), EVENT).copy()
    rows["qty_lots"][np.flatnonzero(rows["kind"] == DEPTH)[-1]] += 1  # one lot of one level
    path.write_bytes(rows.tobytes())
    assert replay(tmp_path / "run").published is False
    (tmp_path / "run" / "snapshot.bin").unlink()
    assert replay(tmp_path / "run").published is None
    assert "nothing published" in repr(replay(tmp_path / "run"))


def test_what_is_no_run_is_said_so(tmp_path):
    with pytest.raises(DataError, match="is no directory"):
        replay(tmp_path / "nothing")


def test_a_view_can_be_replayed(tmp_path, monkeypatch):
    driver, _ = run_session(tmp_path / "run", monkeypatch, seconds=1, by=quoter(half_spread_ticks=2))
    assert replay(hl.attach(tmp_path / "run")).digest == driver.state.digest()
