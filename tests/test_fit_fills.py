"""fit_fills: the queue model that filled a session is found again, and it is judged on orders that it has not seen."""

import numpy as np
import pytest
from sessions import BTC, NEVER, START, limits, quoter, run_session

import hftlab as hl
from hftlab.analytics.fit_fills.play import Stage, judge, order_rows, taker_rows
from hftlab.analytics.fit_fills.queue import NOT_TRIED, RATES, fit_queue
from hftlab.analytics.fit_fills.races import mid_ticks, races
from hftlab.analytics.fit_fills.stays import CANCELLED, FILLED, MOVED, OPEN, PART, STAY, stays
from hftlab.assumptions import QUEUES
from hftlab.backtesting.fit_fills import fit_fills
from hftlab.backtesting.replay import replay
from hftlab.data.synth import synth_rows
from hftlab.data.tape import Tape
from hftlab.errors import InputError
from hftlab.instrument import AMEND_RULES
from hftlab.kernels.jit import records
from hftlab.types import (
    ACCEPTED,
    AMEND,
    AMENDED,
    ASK,
    BID,
    CANCEL,
    CANCELED,
    CLEAR,
    DEPTH,
    EVENT,
    FILL,
    IOC,
    LAST,
    MAKER,
    POST_ONLY,
    SNAPSHOT,
    SUBMIT,
    TIMER,
    TRADE,
)

MS = 1_000_000
KEEPS, NEVER_AMEND = AMEND_RULES["keeps_smaller"], AMEND_RULES["never"]


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """A session of modelled fills, power n = 2.5, on a recording: the exchange sees each row at its own time."""
    folder = tmp_path_factory.mktemp("played")
    rows = synth_rows(BTC, 300.0, seed=5, latency_ns=2 * MS, jitter_ns=MS, trade_per_s=6.0)
    path = Tape(rows, (BTC,), "made").save(folder / "tape.npz")
    truth = hl.Queue(model="power", power=2.5)
    latency = hl.Latency(order_ms=4.0, report_ms=3.0, jitter_ms=1.0, jitter_log_sd=0.6)
    with pytest.MonkeyPatch.context() as patch:
        run_session(
            folder / "run",
            patch,
            feed=hl.ReplayFeed(path, speed=float("inf")),
            venue=hl.PaperVenue(fills="modelled", queue=truth, latency=latency),
            by=quoter(levels=3),
            seconds=301,
            step_ms=50,
        )
    return folder / "run"


@pytest.fixture(scope="module")
def fitted(played):
    return fit_fills(played)


def test_a_known_exponent_and_known_latencies_are_recovered_within_a_tenth(fitted):
    assert fitted.queue.model == "power"
    assert fitted.queue.power == pytest.approx(2.5, rel=0.1)
    (market,) = fitted.markets
    assert market.queue.low <= 2.5 <= market.queue.high
    assert market.queue.high - market.queue.low < 0.5
    for name, value in {"order_ms": 4.0, "report_ms": 3.0, "jitter_ms": 1.0, "jitter_log_sd": 0.6}.items():
        assert getattr(fitted.latency, name) == pytest.approx(value, rel=0.1), name
    assert fitted.latency.feed_share == 0.0


def test_what_filled_the_session_fills_it_again_lot_for_lot(tmp_path, monkeypatch):
    path = Tape(synth_rows(NEVER, 60.0, seed=5, latency_ns=2 * MS, jitter_ns=MS, trade_per_s=8.0), (NEVER,), "made").save(
        tmp_path / "tape.npz"
    )
    venue = hl.PaperVenue(fills="modelled", queue="log", latency=hl.Latency(order_ms=4.0, report_ms=3.0, jitter_ms=1.0))
    feed = hl.ReplayFeed(path, speed=float("inf"))
    run_session(tmp_path / "run", monkeypatch, feed=feed, instrument=NEVER, venue=venue, seconds=61, step_ms=50)
    again = replay(tmp_path / "run")
    tape = again.tape()
    found, parts, _ = stays(again.own, [NEVER_AMEND], int(tape.rows["ts_exch_ns"].max()))
    assert len(parts) > 200
    model, _ = Stage.of(tape.rows, 0, NEVER).play(hl.Queue(model="log"), order_rows(found, 0))
    assert model.tobytes() == parts.tobytes()


def test_the_out_of_sample_rates_are_those_of_the_right_model(fitted):
    (market,) = fitted.markets
    table = market.judged()
    assert list(table.index) == list(RATES)
    assert table.loc["false_fills", "queue"] < 0.01
    assert table.loc["missed_lots", "queue"] < 0.01
    assert 0 < market.queue.stays_judged < market.queue.stays
    # Latencies drawn anew cost something: the orders come at other times than they came.
    assert table.loc["false_lots", "queue and latency"] >= table.loc["false_lots", "queue"]
    models = market.queue.table()
    assert models.index[0] == fitted.queue.text()
    assert models.loc["touch", "false_fills"] > models.loc["risk_averse", "false_fills"]
    assert models.loc["through", "missed_fills"] > models.loc["touch", "missed_fills"]
    assert market.queue.wins["power"] > 0.9
    assert sum(market.queue.wins.values()) == pytest.approx(1.0)


def test_every_model_of_the_backtester_is_tried_or_named(fitted):
    tried = {queue.model for queue in fitted.markets[0].queue.tried.queues}
    assert tried | set(NOT_TRIED) == set(QUEUES)


def test_the_fit_is_ready_for_a_backtest_and_shows_itself(played, fitted):
    tape = replay(played).tape()
    report = hl.backtest(tape.slice(0.0, 20.0), BTC, quoter(), limits(), queue=fitted.queue, latency=fitted.latency)
    assert fitted.queue.text() in report.assumptions["queue"]
    html = fitted._repr_html_()
    assert "<svg" in html
    assert "Out of sample" in html
    summary = fitted.summary()
    assert summary["order_ms_low"] <= summary["order_ms"] <= summary["order_ms_high"]
    assert "power" in repr(fitted)


def test_the_same_session_gives_the_same_fit(played, fitted):
    again = fit_fills(played)
    assert again.summary() == pytest.approx(fitted.summary(), nan_ok=True)


def test_orders_in_a_living_queue_are_fitted_by_its_true_share(tmp_path, monkeypatch):
    # Each order of this crowd is cancelled with the same hazard wherever it stands: P(behind) = behind / (behind + ahead), n = 1.
    venue = hl.PaperVenue(NEVER, latency=hl.Latency(order_ms=6.0, report_ms=3.0))
    commands = [(second, name, {}) for at in range(10, 160, 20) for second, name in ((at, "flatten"), (at + 5, "resume"))]
    run_session(
        tmp_path / "run",
        monkeypatch,
        venue=venue,
        instrument=NEVER,
        by=quoter(levels=3),
        seconds=160,
        step_ms=2,
        commands=commands,
        trade_per_s=8.0,
    )
    fit = fit_fills(tmp_path / "run")
    (market,) = fit.markets
    assert (fit.latency.order_ms, fit.latency.report_ms, fit.latency.jitter_ms) == (6.0, 3.0, 0.0)
    assert fit.queue.model == "power"
    assert 0.6 < fit.queue.power < 1.5
    assert market.queue.low <= fit.queue.power <= market.queue.high
    assert market.judged().loc["wrong", "queue"] < 0.1
    # What we took stands in the stripped book when a modelled taker comes for it, at the same prices.
    assert market.takers.orders >= 3
    assert market.takers.model_lots == market.takers.live_lots
    assert market.takers.more_ticks == pytest.approx(0.0)
    assert market.races.asked > 100
    assert 0 < market.races.lost < market.races.asked
    # With constant latencies the modelled requests come exactly when the live ones came; only an order that was filled while its
    # cancel travelled may not be filled later than that.
    for name in ("false_fills", "missed_fills", "false_lots"):
        assert market.judged_travelling[name] == market.queue.judged[name]


def test_too_few_orders_are_refused(tmp_path, monkeypatch):
    run_session(tmp_path / "run", monkeypatch, seconds=1)
    with pytest.raises(InputError, match="accepted requests; wanted 20"):
        fit_fills(tmp_path / "run")
    with pytest.raises(InputError, match="orders that rested"):
        fit_queue(Stage.of(synth_rows(BTC, 1.0, seed=1), 0, BTC), np.zeros(3, STAY), np.zeros(0, PART))
    with pytest.raises(InputError, match="train"):
        fit_fills(tmp_path / "run", train=1.0)


# --- stays by hand -----------------------------------------------------------------------------------------------------------
def row(kind, order_id, exch_ms, recv_ms, side=BID, ticks=100, qty=10, leaves=10, flags=0):
    return (START + exch_ms * MS, START + recv_ms * MS, ticks, qty, leaves, order_id, 0, kind, side, flags, 0)


def at(ms):
    return START + ms * MS


def test_an_order_that_is_moved_stays_twice():
    own = np.array(
        [
            row(SUBMIT, 7, 0, 1),
            row(ACCEPTED, 7, 3, 5),
            row(FILL, 7, 10, 12, qty=4, leaves=6, flags=MAKER),
            row(AMEND, 7, 0, 20, ticks=101, qty=10),
            row(AMENDED, 7, 22, 24, ticks=101, qty=10, leaves=6),
            row(CANCEL, 7, 0, 30),
            row(CANCELED, 7, 32, 34, leaves=6),
        ],
        EVENT,
    )
    found, parts, taken = stays(own, [KEEPS], at(50))
    assert [(s["price_ticks"], s["qty_lots"], s["filled_lots"], s["ended"]) for s in found] == [(100, 10, 4, MOVED), (101, 6, 0, CANCELLED)]
    times = [[int(s[name] - START) // MS for name in ("sent_ns", "start_ns", "end_sent_ns", "end_ns")] for s in found]
    assert times == [[1, 3, 20, 22], [20, 22, 30, 32]]
    assert parts.tolist() == [(0, at(10), 4, 100)]
    assert not len(taken)


def test_an_amend_that_keeps_the_place_only_lowers_what_can_fill():
    own = np.array(
        [
            row(SUBMIT, 7, 0, 1),
            row(ACCEPTED, 7, 3, 5),
            row(AMEND, 7, 0, 20, qty=6),
            row(AMENDED, 7, 22, 24, qty=6, leaves=6),
            row(FILL, 7, 40, 42, qty=6, leaves=0, flags=MAKER),
        ],
        EVENT,
    )
    found, _, _ = stays(own, [KEEPS], at(50))
    assert [(s["qty_lots"], s["cap_lots"], s["ended"], s["end_sent_ns"]) for s in found] == [(10, 6, FILLED, 0)]
    again, _, _ = stays(own, [AMEND_RULES["requeues"]], at(50))
    assert [(s["qty_lots"], s["ended"]) for s in again] == [(10, MOVED), (6, FILLED)]


def test_a_lost_race_is_an_order_that_was_filled_while_its_cancel_travelled():
    own = np.array(
        [
            row(SUBMIT, 7, 0, 1),
            row(ACCEPTED, 7, 3, 5),
            row(CANCEL, 7, 0, 20),
            row(FILL, 7, 21, 23, qty=10, leaves=0, flags=MAKER),
        ],
        EVENT,
    )
    found, parts, _ = stays(own, [NEVER_AMEND], at(50))
    assert (found["ended"][0], found["end_sent_ns"][0]) == (FILLED, at(20))
    touches = np.array([(at(0), 100, 102), (at(500), 96, 98)], [("ts_ns", "i8"), ("bid_ticks", "i8"), ("ask_ticks", "i8")])
    lost = races(found, parts, touches, found["end_sent_ns"])
    # Bought 10 at 100; a second later the mid is 97: three ticks a lot. By hand.
    assert (lost.asked, lost.lost, lost.lots, lost.cost_ticklots, lost.share) == (1, 1, 10, -30.0, 1.0)
    assert np.isnan(mid_ticks(touches, np.array([at(-1)]))).all()


def test_an_order_that_takes_and_rests_is_both():
    own = np.array(
        [
            row(SUBMIT, 7, 0, 1, qty=10, ticks=101),
            row(ACCEPTED, 7, 3, 5, ticks=101),
            row(FILL, 7, 3, 5, qty=4, leaves=6, ticks=100),
            row(SUBMIT, 8, 0, 1, qty=5, ticks=101, flags=IOC),
            row(ACCEPTED, 8, 4, 6, qty=5, leaves=5, ticks=101),
            row(CANCELED, 8, 4, 6, leaves=5, ticks=101),
        ],
        EVENT,
    )
    found, parts, taken = stays(own, [NEVER_AMEND], at(50))
    assert [(s["order_id"], s["qty_lots"], s["ended"], s["end_ns"]) for s in found] == [(7, 6, OPEN, at(50))]
    assert not len(parts)
    assert [(t["order_id"], t["filled_lots"], t["paid_ticklots"], t["start_ns"]) for t in taken] == [(7, 4, 400.0, at(3))]


def test_lots_are_compared_first_with_first():
    # Live 5 at 10 ms and 5 at 20 ms; the model 4 at 10 ms, 3 at 30 ms: one lot 20 ms late, 2 lots 10 ms late, 3 missed. By hand.
    live = np.array([(0, 10 * MS, 5, 100), (0, 20 * MS, 5, 100), (2, 0, 1, 100)], PART)
    model = np.array([(0, 10 * MS, 4, 100), (0, 30 * MS, 3, 100), (1, 0, 9, 100), (2, 0, 4, 100)], PART)
    figures = np.zeros((3, 4))
    judge(records(live), records(model), np.array([10, 7, 2]), 100.0 * MS, figures)
    assert figures[0].tolist() == [3.0, 0.0, pytest.approx(0.2 + 0.2), 40.0 * MS]
    assert figures[1].tolist() == [0.0, 7.0, 0.0, 0.0]  # no more than the order could have filled
    assert figures[2].tolist() == [0.0, 1.0, 0.0, 0.0]


def test_orders_rest_behind_what_the_book_shows_when_they_come():
    def market(n, kind, side, ticks, lots, flags=LAST):
        return (at(n), at(n), ticks, lots, 0, 0, n, kind, side, flags, 0)

    rows = np.array(
        [
            market(0, CLEAR, 0, 0, 0, SNAPSHOT),
            market(0, DEPTH, BID, 100, 20, SNAPSHOT),
            market(0, DEPTH, ASK, 101, 20, SNAPSHOT | LAST),
            market(10, TRADE, ASK, 100, 15),
            market(10, DEPTH, BID, 100, 5),
            market(20, TRADE, ASK, 100, 9),
        ],
        EVENT,
    )
    found = np.zeros(1, STAY)
    found["side"], found["price_ticks"], found["qty_lots"], found["start_ns"], found["end_ns"] = BID, 100, 10, at(5), at(40)
    look = np.zeros(2, EVENT)
    look["kind"], look["ts_exch_ns"], look["seq"] = TIMER, (at(6), at(15)), (0, 1)
    own = np.concatenate([order_rows(found, 0), look])
    own = own[np.argsort(own["ts_exch_ns"], kind="stable")]
    parts, ahead = Stage.of(rows, 0, BTC).play(hl.Queue(model="risk_averse"), own, looks=2)
    # 20 in front; a print of 15 leaves 5; one of 9 takes these and 4 of ours. By hand.
    assert ahead.tolist() == [20.0, 5.0]
    assert parts.tolist() == [(0, at(20), 4, 100)]


def test_a_taker_takes_what_the_book_shows_and_leaves_nothing():
    rows = np.array(
        [
            (at(0), at(0), 0, 0, 0, 0, 0, CLEAR, 0, SNAPSHOT, 0),
            (at(0), at(0), 100, 20, 0, 0, 0, DEPTH, BID, SNAPSHOT, 0),
            (at(0), at(0), 101, 3, 0, 0, 0, DEPTH, ASK, SNAPSHOT | LAST, 0),
            (at(9), at(9), 101, 8, 0, 0, 0, DEPTH, ASK, LAST, 0),
        ],
        EVENT,
    )
    own = np.array([row(SUBMIT, 7, 0, 1, qty=10, ticks=101, flags=POST_ONLY), row(FILL, 7, 3, 5, qty=3, leaves=7, ticks=101)], EVENT)
    _, _, taken = stays(own, [NEVER_AMEND], at(50))
    parts, _ = Stage.of(rows, 0, BTC).play(hl.Queue(), taker_rows(taken))
    assert parts.tolist() == [(0, at(3), 3, 101)]
