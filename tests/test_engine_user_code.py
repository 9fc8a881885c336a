"""Code of a user's in the engine: a compiled quoter from a cell, and a Python strategy in a process of its own."""

import os
import signal

import psutil
import pytest
from drill import BTC, LIMITS, wait_dead
from numba import njit

import hftlab as hl
from hftlab.errors import UserCodeError

EDGE_TICKS = 2


@njit
def beside(fair_ticks, side):
    return int(fair_ticks - side * EDGE_TICKS)


@njit
def decide(desk, market, params, quote):
    quote.bid_ticks = beside(market.fair_ticks, 1)
    quote.ask_ticks = beside(market.fair_ticks, -1) + 1
    quote.bid_lots = quote.ask_lots = int(params.order_lots)
    quote.levels = 1


@njit
def broken(desk, market, params, quote):
    quote.no_such_field = 1


def texts(desk, market, params, quote):
    quote.bid_ticks = "high"


def fails(desk, market, params, quote):
    if market.messages > 20:
        raise ValueError("on purpose")


def test_a_quoter_from_a_cell_runs_in_the_engine_and_replays(tmp_path):
    quoter = hl.UserQuoter(decide=decide, order_qty="0.01")
    session = hl.start(hl.SynthFeed(BTC, seed=7), hl.PaperVenue(BTC), quoter, LIMITS, run=tmp_path / "own")
    frame = session.wait(lambda f: {o.status for o in f.orders()} == {"live"} and len(f.orders()) == 2)
    bid, ask = (next(o.price for o in frame.orders() if o.side == side) for side in (1, -1))
    assert ask - bid >= 2 * EDGE_TICKS * float(BTC.tick_size)
    report = session.stop()
    assert report.desk["state"] == "STOPPED"
    assert "def decide" in (tmp_path / "own" / "spec.yaml").read_text()


def test_a_quoter_that_does_not_compile_is_refused_before_anything_starts(tmp_path):
    for decide, words in ((broken, "quote has no field 'no_such_field'"), (lambda *_: None, "wanted four"), (texts, "cannot be put there")):
        with pytest.raises(UserCodeError, match=words):
            hl.start(hl.SynthFeed(BTC), hl.PaperVenue(BTC), hl.UserQuoter(decide=decide, order_qty="0.01"), LIMITS, run=tmp_path / "no")
    assert not (tmp_path / "no").exists()


def test_a_quoter_that_fails_ends_the_engine_with_the_users_line(tmp_path):
    session = hl.start(
        hl.SynthFeed(BTC, seed=7), hl.PaperVenue(BTC), hl.UserQuoter(decide=fails, order_qty="0.01"), LIMITS, run=tmp_path / "f"
    )
    wait_dead(session)
    words = (tmp_path / "f" / "log.jsonl").read_text()
    line = fails.__code__.co_firstlineno + 2
    assert f"fails, line {line} of test_engine_user_code.py" in words
    assert "ValueError: on purpose" in words


def test_a_strategy_works_beside_the_engine_and_its_death_pauses_the_desk(tmp_path):
    strategy = hl.ZScoreReversion(qty="0.02", lookback=3, entry_z=0.6, exit_z=0.1, every_s=0.1)
    session = hl.start(
        hl.SynthFeed(BTC, seed=7),
        hl.PaperVenue(BTC),
        hl.WorkTarget(order_qty="0.01"),
        LIMITS,
        run=tmp_path / "z",
        strategy=strategy,
        bar_s=0.3,
    )
    session.wait(lambda f: int(f.markets[0]["has_target"]) == 1, timeout_s=30)
    engine = psutil.Process(int(session.frame().engine["pid"]))
    worker = next(p for p in engine.children() if "hftlab.engine.worker" in p.cmdline())
    os.kill(worker.pid, signal.SIGKILL)
    frame = session.wait(lambda f: f.state == "PAUSED")
    assert any("it died" in m["text"] for m in frame.engine["messages"])
    session.stop()
    wait_dead(session)
    assert not psutil.pid_exists(worker.pid) or psutil.Process(worker.pid).status() == psutil.STATUS_ZOMBIE
