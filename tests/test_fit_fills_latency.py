"""What a journal teaches of latencies: known worlds give back what they were made of."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sessions import BTC, NEVER, START, run_session

import hftlab as hl
from hftlab.analytics.fit_fills.latency import PARAMETERS, fit_latency, lognormal_above
from hftlab.analytics.fit_fills.trips import TRIP, _mark_held, trips
from hftlab.analytics.stats.resample import Blocks
from hftlab.backtesting.replay import replay
from hftlab.errors import InputError
from hftlab.types import ACCEPTED, AMEND, BACKFILL, CANCEL, CANCELED, DEPTH, EVENT, FILL, LAST, MAKER, REJECTED, SUBMIT

MS = 1_000_000


def fitted(run):
    again = replay(run)
    tape = again.tape()
    return fit_latency(trips(again.own, tape.notes.clock_shift_ns), tape.rows)


def test_an_exact_world_gives_its_latencies_back_exactly(tmp_path, monkeypatch):
    venue = hl.PaperVenue(BTC, latency=hl.Latency(order_ms=2.0, report_ms=3.0))
    run_session(tmp_path / "run", monkeypatch, venue=venue, seconds=20)
    fit = fitted(tmp_path / "run")
    assert (fit.model.order_ms, fit.model.report_ms, fit.model.jitter_ms, fit.model.feed_share) == (2.0, 3.0, 0.0, 0.0)
    assert fit.model.ns() == (2 * MS, 3 * MS)
    assert fit.low == fit.high == fit.fitted
    table = fit.table()
    assert table.loc["round trip", "max_ms"] == 5.0
    assert fit.offset_ms == pytest.approx(-0.5)


def test_a_jittery_venue_is_recovered_within_a_tenth(tmp_path, monkeypatch):
    truth = hl.Latency(order_ms=4.0, cancel_ms=2.5, report_ms=3.0, jitter_ms=2.0, jitter_log_sd=0.8)
    venue = hl.PaperVenue(NEVER, fills="modelled", latency=truth)
    run_session(tmp_path / "run", monkeypatch, venue=venue, instrument=NEVER, seconds=240, step_ms=5, trade_per_s=4.0)
    fit = fitted(tmp_path / "run")
    assert fit.fitted["feed_share"] == 0.0  # the feed of this market always takes the same time
    for name in PARAMETERS:
        if name != "feed_share":
            assert fit.fitted[name] == pytest.approx(getattr(truth, name), rel=0.1), name
            assert fit.low[name] <= fit.fitted[name] <= fit.high[name], name
    table = fit.table()
    assert table.loc["cancel", "p50_ms"] < table.loc["entry", "p50_ms"]
    assert table.loc["entry", "min_ms"] >= 4.0


def test_classes_that_vary_differently_share_the_jitter_of_the_requests():
    rng = np.random.default_rng(1)
    made = made_trips(rng.lognormal(0, 0.5, 800) * MS + 5 * MS, np.full(800, 2 * MS))
    fit = fit_latency(made, np.zeros(0, EVENT))
    assert fit.model.order_ms == pytest.approx(5.0, rel=0.05)
    assert fit.model.jitter_ms == pytest.approx(np.exp(0.125), rel=0.1)
    # Constant reports, and a jitter that is added to them too: their constant part makes room for its usual size.
    assert fit.model.report_ms + np.exp(np.log(fit.model.jitter_ms) - fit.model.jitter_log_sd**2 / 2) == pytest.approx(2.0, rel=0.05)


def test_what_comes_with_the_load_of_the_feed_is_told_from_what_does_not():
    rng = np.random.default_rng(2)
    feed_ms = np.repeat(rng.uniform(1, 20, 300), 10)
    market = np.zeros(3000, EVENT)
    market["kind"], market["flags"] = DEPTH, LAST
    market["ts_recv_ns"] = START + 100 * MS * np.arange(3000)
    market["ts_exch_ns"] = market["ts_recv_ns"] - (feed_ms * MS).astype(np.int64)
    entry = (3 + 0.5 * feed_ms + rng.normal(0, 0.1, 3000)) * MS
    fit = fit_latency(made_trips(entry, (2 + 0.5 * feed_ms) * MS), market)
    assert fit.model.feed_share == pytest.approx(0.5, rel=0.1)
    # A recorded constant part and the jitter are told apart only by the jitter's shape; together they are 3 ms.
    assert fit.model.order_ms + fit.model.jitter_ms == pytest.approx(3.0, rel=0.1)
    free = fit_latency(made_trips(np.full(3000, 3.0) * MS, np.full(3000, 2.0) * MS), market)
    assert free.model.feed_share == 0.0


def made_trips(entry_ns, report_ns):
    made = np.zeros(len(entry_ns), TRIP)
    made["kind"], made["order_id"] = SUBMIT, np.arange(len(made))
    made["sent_ns"] = START + 100 * MS * np.arange(len(made))
    made["matched_ns"] = made["sent_ns"] + np.asarray(entry_ns).astype(np.int64)
    made["learned_ns"] = made["matched_ns"] + np.asarray(report_ns).astype(np.int64)
    return made


def row(kind, order_id, exch_ms, recv_ms, flags=0):
    return (START + exch_ms * MS, START + recv_ms * MS, 100, 5, 5, order_id, 0, kind, 1, flags, 0)


def test_trips_by_hand():
    own = np.array(
        [
            row(SUBMIT, 1, 0, 10),
            row(SUBMIT, 2, 0, 10),
            row(ACCEPTED, 1, 12, 15),
            row(ACCEPTED, 2, 14, 17),
            row(AMEND, 1, 0, 20),
            row(FILL, 1, 21, 24, MAKER),
            row(FILL, 1, 22, 99, MAKER | BACKFILL),  # fetched after an outage: nobody knows how long it travelled
            row(CANCEL, 2, 0, 30),
            row(CANCEL, 2, 0, 31),  # asked again: the answer is taken to be to the last asking
            row(CANCELED, 2, 33, 36),
            row(SUBMIT, 3, 0, 40),
            row(REJECTED, 3, 40, 40),
            row(CANCELED, 4, 50, 51),  # nobody asked
        ],
        EVENT,
    )
    found = trips(own)
    told = [tuple(int(one[name] - START) // MS for name in ("sent_ns", "matched_ns", "learned_ns")) for one in found]
    assert told == [(10, 12, 15), (10, 14, 17), (21, 21, 24), (31, 33, 36)]
    assert found["kind"].tolist() == [SUBMIT, SUBMIT, FILL, CANCEL]
    assert found["held"].tolist() == [0, 0, 0, 0]  # the first of the two came as fast as any: it held nobody up
    assert trips(own, 5 * MS)["sent_ns"][0] == START + 15 * MS


def test_what_may_have_waited_for_another_is_left_out_by_the_other_alone():
    # Sent together with 2 ms at best: the second may have waited for the first, which took 9 ms; the third was sent later than that.
    made = np.zeros(4, TRIP)
    made["kind"] = SUBMIT
    made["sent_ns"] = START + np.array([0, 1, 20, 21]) * MS
    made["matched_ns"] = START + np.array([9, 9, 22, 25]) * MS
    made["learned_ns"] = made["matched_ns"] + MS
    _mark_held(made)
    assert made["held"].tolist() == [0, 1, 0, 0]


@given(base=st.floats(0.1, 50), mean=st.floats(0.5, 20), sd=st.floats(0.3, 1.2), seed=st.integers(0, 50))
def test_a_lognormal_above_a_base_is_found(base, mean, sd, seed):
    draws = np.random.default_rng(seed).lognormal(np.log(mean) - sd**2 / 2, sd, 20_000) + base
    found_base, found_mean, found_sd = lognormal_above(draws * MS)
    assert (found_base + found_mean) / MS == pytest.approx(base + mean, rel=0.05)
    assert found_sd == pytest.approx(sd, rel=0.15)


def test_too_few_orders_are_refused():
    with pytest.raises(InputError, match="3 accepted requests; wanted 20"):
        fit_latency(made_trips(np.full(3, MS), np.full(3, MS)), np.zeros(0, EVENT))


def test_the_sessions_own_round_trips_are_a_latency():
    fit = fit_latency(made_trips(np.full(30, 2 * MS), np.full(30, 3 * MS)), np.zeros(0, EVENT))
    rows = fit.recorded.rows(0)
    assert len(rows) == 30
    assert set(rows["price_ticks"].tolist()) == {2 * MS}
    assert set(rows["leaves_lots"].tolist()) == {3 * MS}


def test_blocks_are_drawn_whole():
    blocks = Blocks.of(np.arange(100) * 7, replicates=50)
    weights = blocks.weights(np.arange(100) * 7)
    assert weights.shape == (50, 100)
    number = blocks.number(np.arange(100) * 7)
    for block in np.unique(number):
        assert (np.ptp(weights[:, number == block], axis=1) == 0).all()
    assert weights.sum(axis=1).mean() == pytest.approx(100, rel=0.05)
