"""attribute: every lot that differs between a session and its backtest has one cause, and the money adds up to the unit."""

import numpy as np
import pytest
from sessions import BTC, NEVER, START, quoter, run_session

import hftlab as hl
from hftlab.analytics.divergence.causes import (
    BOUNDARY,
    CAUSES,
    CHAIN,
    DATA,
    ELSEWHEN,
    IMPACT,
    LATENCY,
    LIVE_ONLY,
    OTHER_ONLY,
    QUEUE,
    SIZE,
    UNEXPLAINED,
    Evidence,
    differences,
)
from hftlab.analytics.divergence.result import FUNDING
from hftlab.analytics.divergence.twins import Run, sides, twins
from hftlab.analytics.fit_fills.stays import STAY
from hftlab.backtesting.attribute import attribute
from hftlab.backtesting.replay import replay
from hftlab.data.synth import synth_rows
from hftlab.data.tape import Tape
from hftlab.errors import AccountingError
from hftlab.instrument import AMEND_RULES
from hftlab.types import ACCEPTED, ASK, BID, CANCEL, CANCELED, EVENT, FEE, FILL, IOC, MAKER, SUBMIT

MS = 1_000_000
TRUTH = {"queue": hl.Queue(model="power", power=2.0), "latency": hl.Latency(order_ms=4.0, report_ms=3.0)}


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """A session of modelled fills on a recording: its backtest can be the same to the last lot."""
    folder = tmp_path_factory.mktemp("played")
    rows = synth_rows(NEVER, 60.0, seed=5, latency_ns=2 * MS, jitter_ns=MS, trade_per_s=8.0)
    path = Tape(rows, (NEVER,), "made").save(folder / "tape.npz")
    venue = hl.PaperVenue(fills="modelled", fees=hl.Fees(maker_bps=-0.5, taker_bps=3), **TRUTH)
    commands = [(20, "set", {"half_spread_ticks": 1.0}), (30, "flatten", {}), (32, "resume", {})]
    with pytest.MonkeyPatch.context() as patch:
        feed = hl.ReplayFeed(path, speed=float("inf"))
        run_session(folder / "run", patch, feed=feed, instrument=NEVER, venue=venue, seconds=61, step_ms=50, commands=commands)
    return replay(folder / "run")


def test_with_the_true_models_nothing_differs(played):
    out = attribute(played, **TRUTH)
    summary = out.summary()
    assert summary["lots_live"] == summary["lots_backtest"] == summary["lots_in_both"] > 200
    assert summary["orders_live"] == summary["twins"]
    assert summary["differences"] == 0
    assert out.money == 0.0
    assert out.markets[0].first is None
    assert "no difference" in out._repr_html_()
    # The P&L of the fills is that of the ledger, to the unit.
    market = played.state.markets[0]
    (one,) = out.markets
    fees = 2 * (int(market["fees_ticklots"]) * 1_000_000 + int(market["fees_uticklots"]))
    cash = 2_000_000 * int(market["cash_ticklots"])
    held = one.live_half_u - cash + fees
    assert int(market["position_lots"]) == 0 or held % (1_000_000 * int(market["position_lots"])) == 0
    assert (held == 0) == (int(market["position_lots"]) == 0)


@pytest.mark.parametrize(
    ("change", "root"),
    [({"queue": "touch"}, QUEUE), ({"queue": "through"}, QUEUE), ({"latency": hl.Latency(order_ms=14.0, report_ms=3.0)}, LATENCY)],
    ids=["touch", "through", "slow"],
)
def test_a_wrong_model_is_the_root_of_what_differs(played, change, root):
    out = attribute(played, **(TRUTH | change))
    (one,) = out.markets
    assert len(one.found) > 20
    assert int(one.found["root"][0]) == root
    # An order that comes late also stands elsewhere in its queue, so not all is laid to the latency; nothing is left unexplained.
    assert np.mean(one.found["root"] == root) > 1 / 3
    assert set(np.unique(one.found["root"])) <= {QUEUE, LATENCY}
    assert out.unexplained == 0
    assert set(np.unique(one.found["cause"])) <= {QUEUE, LATENCY, CHAIN, SIZE}
    assert (one.found["root"] != CHAIN).all()


def test_the_money_of_the_causes_is_the_difference_of_the_runs(played):
    out = attribute(played, queue="log", latency=hl.Latency(order_ms=7.0, report_ms=1.0, jitter_ms=1.0))
    (one,) = out.markets
    assert sum(one.found["half_u"].tolist()) == one.live_half_u - one.other_half_u != 0
    for by in ("cause", "root"):
        table = out.table(by)
        assert list(table.index) == [*CAUSES, FUNDING]
        assert table["money"].sum() == pytest.approx(out.money)
        assert table["differences"].sum() == len(one.found)
    shown = out.differences()
    assert shown["money"].sum() == pytest.approx(out.money)
    assert (np.diff(shown["ts"].astype("int64")) >= 0).all()
    # Every lot of both runs is in exactly one pair.
    for run, name in ((one.both.live, "live"), (one.both.other, "other")):
        lots = np.zeros(len(run.fills), np.int64)
        mine = one.both.pairs[one.both.pairs[name] >= 0]
        np.add.at(lots, mine[name], mine["lots"])
        assert lots.tolist() == run.fills["lots"].tolist()


def test_the_first_difference_is_shown_with_both_books(played):
    out = attribute(played, **(TRUTH | {"queue": "touch"}))
    (one,) = out.markets
    live, stripped = one.books
    assert len(live) == len(stripped) == 10
    html = out._repr_html_()
    assert "the live book, as received" in html
    assert "first at 2026" in html
    assert out.differences()["what"][0] in html
    assert "unexplained" in repr(out)


def test_a_session_in_a_living_market_is_attributed_to_the_last_lot(tmp_path, monkeypatch):
    # Own orders stand in the public book and move it; the fit is the session's own.
    venue = hl.PaperVenue(NEVER, latency=hl.Latency(order_ms=5.0, report_ms=3.0), fees=hl.Fees(maker_bps=1))
    commands = [(second, name, {}) for at in (20, 40) for second, name in ((at, "flatten"), (at + 2, "resume"))]
    run_session(tmp_path / "run", monkeypatch, venue=venue, instrument=NEVER, seconds=70, commands=commands, trade_per_s=8.0)
    out = attribute(tmp_path / "run")
    summary = out.summary()
    assert summary["lots_live"] > 300
    assert summary["lots_in_both"] > 0.5 * summary["lots_live"]
    assert summary["twins"] > 0.7 * summary["orders_live"]
    assert out.unexplained <= 0.05 * summary["differences"]
    (one,) = out.markets
    assert sum(one.found["half_u"].tolist()) == one.live_half_u - one.other_half_u
    # The latencies of this venue are constant and fitted exactly: what differs can only have begun in the queue.
    assert not (one.found["cause"] == LATENCY).any()
    assert np.mean(one.found["root"] == QUEUE) > 0.9
    assert "our lots were taken out" in out.assumptions["tape"]
    again = attribute(tmp_path / "run")
    assert again.differences().equals(out.differences())


def test_recorded_round_trips_leave_less_to_latency(tmp_path, monkeypatch):
    truth = hl.Latency(order_ms=4.0, report_ms=3.0, jitter_ms=3.0)
    rows = synth_rows(NEVER, 60.0, seed=6, latency_ns=2 * MS, trade_per_s=8.0)
    path = Tape(rows, (NEVER,), "made").save(tmp_path / "tape.npz")
    feed = hl.ReplayFeed(path, speed=float("inf"))
    venue = hl.PaperVenue(fills="modelled", queue="power", latency=truth)
    run_session(tmp_path / "run", monkeypatch, feed=feed, instrument=NEVER, venue=venue, seconds=61, step_ms=50)
    again = replay(tmp_path / "run")
    fit = hl_fit(again)
    drawn, recorded = (attribute(again, fit=fit, **more).markets[0].found for more in ({}, {"latency": fit.recorded}))
    # By share: how many differences follow from one is chance.
    assert np.mean(recorded["root"] == LATENCY) < np.mean(drawn["root"] == LATENCY)


def hl_fit(again):
    from hftlab.backtesting.fit_fills import fit_fills

    return fit_fills(again, replicates=20)


def test_two_instruments_are_attributed_apart(tmp_path, monkeypatch):
    second = hl.Instrument.bundled("sim:ETH/USDT")
    both = Tape.join(
        [Tape(synth_rows(one, 30.0, seed=n, latency_ns=MS, trade_per_s=8.0), (one,), "made") for n, one in enumerate((BTC, second))]
    )
    path = both.save(tmp_path / "tape.npz")
    spec = {
        "feed": hl.ReplayFeed(path, speed=float("inf")),
        "venue": hl.PaperVenue(fills="modelled", **TRUTH),
        "instrument": both.instruments,
    }
    run_session(tmp_path / "run", monkeypatch, seconds=31, step_ms=50, by=(quoter(), quoter(order_qty="0.1")), **spec)
    exact, wrong = attribute(tmp_path / "run", **TRUTH), attribute(tmp_path / "run", **(TRUTH | {"queue": "touch"}))
    assert exact.summary()["differences"] == 0
    assert all(len(one.both.live.fills) > 10 for one in exact.markets)
    assert all(len(one.found) > 5 for one in wrong.markets)
    assert wrong.money == pytest.approx(sum(one.money for one in wrong.markets))
    assert set(wrong.differences()["instrument"]) == {"BTC/USDT", "ETH/USDT"}


# --- worked stories ------------------------------------------------------------------------------------------------------------
class Book:
    """Writes the rows of one run; every fill is followed by its fee."""

    def __init__(self):
        self.rows, self.fees = [], []

    def add(self, kind, order_id, exch_ms, recv_ms, side=BID, ticks=100, qty=10, leaves=10, flags=0):
        self.rows.append((START + exch_ms * MS, START + recv_ms * MS, ticks, qty, leaves, order_id, 0, kind, side, flags, 0))
        return self

    def order(self, order_id, sent, came, told, **place):
        return self.add(SUBMIT, order_id, 0, sent, **place).add(ACCEPTED, order_id, came, told, **place)

    def cancel(self, order_id, sent, came, told, **place):
        return self.add(CANCEL, order_id, 0, sent, **place).add(CANCELED, order_id, came, told, **place)

    def fill(self, order_id, exch_ms, told, qty, leaves, ticks=100, side=BID, flags=MAKER, fee=0):
        self.fees.append((0, 0, fee, 0, 0, order_id, 0, FEE, side, 0, 0))
        return self.add(FILL, order_id, exch_ms, told, side, ticks, qty, leaves, flags)

    def run(self):
        own = np.array(self.rows, EVENT)
        return Run.of(own, np.array(self.fees, EVENT), (AMEND_RULES["never"],), 0, START + 10_000 * MS)


def causes(live, other, **known):
    """Return (kind, cause, root, lots) of each difference; by default the data allow everything and nothing of ours is at the touch."""
    ours, theirs = live.run(), other.run()
    both = sides(ours, theirs, 50 * MS, 2 * 90, BTC)
    early, never = np.full(100, START), np.zeros(0, np.int64)
    count = len(ours.found)
    evidence = {"touch_ns": [early] * count, "through_ns": [never] * count, "boundaries_ns": never, "at_touch": lambda _: False} | known
    found = differences(both, Evidence(**evidence), 50 * MS)
    assert sum(found["half_u"].tolist()) == ours.pnl(180, BTC) - theirs.pnl(180, BTC)
    return [(int(d["kind"]), int(d["cause"]), int(d["root"]), int(d["lots"])) for d in found]


def test_the_one_was_reached_and_the_other_not():
    live = Book().order(7, 0, 4, 8).fill(7, 50, 54, 4, 6).cancel(7, 90, 94, 98)
    other = Book().order(9, 0, 4, 8).cancel(9, 90, 94, 98)
    assert causes(live, other) == [(LIVE_ONLY, QUEUE, QUEUE, 4)]
    assert causes(other, live) == [(OTHER_ONLY, QUEUE, QUEUE, 4)]
    late = Book().order(9, 0, 4, 8).fill(9, 70, 74, 4, 6).cancel(9, 90, 94, 98)
    assert causes(live, late) == [(ELSEWHEN, QUEUE, QUEUE, 4)]
    assert causes(live, live) == []


def test_a_print_that_nobody_saw_is_no_matter_of_the_queue():
    live = Book().order(7, 0, 4, 8).fill(7, 50, 54, 4, 6).cancel(7, 90, 94, 98)
    other = Book().order(9, 0, 4, 8).cancel(9, 90, 94, 98)
    never = np.zeros(0, np.int64)
    assert causes(live, other, touch_ns=[never]) == [(LIVE_ONLY, DATA, DATA, 4)]
    # Only three of the four lots could have filled, were we ever so far in front.
    assert causes(live, other, touch_ns=[np.full(3, START)]) == [(LIVE_ONLY, DATA, DATA, 4)]
    # A print went through the price of a live order that it did not fill.
    unfilled = Book().order(7, 0, 4, 8).cancel(7, 900, 904, 908)
    filled = Book().order(9, 0, 4, 8).fill(9, 500, 504, 10, 0)
    assert causes(unfilled, filled, through_ns=[np.full(10, START + 300 * MS)])[0] == (OTHER_ONLY, DATA, DATA, 10)


def test_an_order_that_came_too_late_or_whose_cancel_came_first():
    early = Book().order(7, 0, 4, 8).fill(7, 6, 10, 10, 0)
    late = Book().order(9, 0, 9, 13).cancel(9, 60, 69, 73)
    assert causes(early, late) == [(LIVE_ONLY, LATENCY, LATENCY, 10)]
    # Decided later, it came later: that is no matter of latency, and here nothing says why.
    hesitant = Book().order(9, 5, 9, 13).cancel(9, 60, 69, 73)
    assert causes(early, hesitant) == [(LIVE_ONLY, UNEXPLAINED, UNEXPLAINED, 10)]
    raced = Book().order(7, 0, 4, 8).add(CANCEL, 7, 0, 20).fill(7, 24, 28, 10, 0)
    saved = Book().order(9, 0, 4, 8).cancel(9, 20, 23, 27)
    assert causes(raced, saved) == [(LIVE_ONLY, LATENCY, LATENCY, 10)]


def test_what_follows_from_a_difference_is_its_chain():
    # Live is filled at 50 ms for its place in the queue; so it sends another order at 60 ms, which fills too.
    live = Book().order(7, 0, 4, 8).fill(7, 50, 54, 10, 0).order(8, 60, 64, 68, ticks=99).fill(8, 80, 84, 10, 0, ticks=99)
    other = Book().order(7, 0, 4, 8)
    assert causes(live, other) == [(LIVE_ONLY, QUEUE, QUEUE, 10), (LIVE_ONLY, CHAIN, QUEUE, 10)]
    # The same order sent at 60 ms with no difference before it: nobody knows why, unless ours stood at the best price.
    lonely = Book().order(7, 0, 4, 8).order(8, 60, 64, 68, ticks=99).fill(8, 80, 84, 10, 0, ticks=99)
    assert causes(lonely, other) == [(LIVE_ONLY, UNEXPLAINED, UNEXPLAINED, 10)]
    assert causes(lonely, other, at_touch=lambda _: True) == [(LIVE_ONLY, IMPACT, IMPACT, 10)]
    # A report that was on its way to the one and had reached the other is latency.
    slow = Book().order(7, 0, 4, 64)
    assert causes(lonely, slow) == [(LIVE_ONLY, LATENCY, LATENCY, 10)]


def test_an_order_withdrawn_in_one_run_only_is_a_decision():
    live = Book().order(7, 0, 4, 8).fill(7, 400, 404, 10, 0)
    other = Book().order(7, 0, 4, 8).cancel(7, 200, 204, 208)
    assert causes(live, other) == [(LIVE_ONLY, UNEXPLAINED, UNEXPLAINED, 10)]
    first = Book().order(5, 0, 4, 8, ticks=98).order(7, 0, 4, 8).fill(7, 400, 404, 10, 0)
    filled = Book().order(5, 0, 4, 8, ticks=98).fill(5, 100, 104, 10, 0, ticks=98).order(7, 0, 4, 8).cancel(7, 200, 204, 208)
    assert causes(first, filled) == [(OTHER_ONLY, QUEUE, QUEUE, 10), (LIVE_ONLY, CHAIN, QUEUE, 10)]


def test_a_restart_ends_orders_of_which_the_backtest_knows_nothing():
    live = Book().order(7, 0, 4, 8).add(CANCELED, 7, 300, 300)
    other = Book().order(7, 0, 4, 8).fill(7, 400, 404, 10, 0)
    assert causes(live, other, boundaries_ns=np.array([START + 300 * MS])) == [(OTHER_ONLY, BOUNDARY, BOUNDARY, 10)]


def test_a_smaller_order_fills_less():
    live = Book().order(7, 0, 4, 8).fill(7, 50, 54, 10, 0)
    other = Book().order(7, 0, 4, 8, qty=6, leaves=6).fill(7, 50, 54, 6, 0)
    assert causes(live, other) == [(LIVE_ONLY, SIZE, SIZE, 4)]


def test_takers_meet_another_book_at_another_time():
    def taker(came, ticks, qty=10):
        return Book().add(SUBMIT, 7, 0, 0, ticks=110, qty=10, flags=IOC).fill(7, came, came + 4, qty, 10 - qty, ticks=ticks, flags=0, fee=3)

    assert causes(taker(4, 101), taker(4, 101)) == []
    found = causes(taker(4, 101), taker(4, 102))
    assert [(cause, lots) for _, cause, _, lots in found] == [(IMPACT, 10)]
    assert [cause for _, cause, _, _ in causes(taker(4, 101), taker(14, 102))] == [LATENCY]
    assert [(cause, lots) for _, cause, _, lots in causes(taker(4, 101), taker(4, 101, qty=7)) if lots == 3] == [(IMPACT, 3)]


def test_twins_are_the_nearest_in_time_and_each_is_one():
    def stays_at(*rows):
        found = np.zeros(len(rows), STAY)
        for k, (sent_ms, side, ticks) in enumerate(rows):
            found["sent_ns"][k], found["side"][k], found["price_ticks"][k] = START + sent_ms * MS, side, ticks
        return found

    live = stays_at((0, BID, 100), (100, BID, 100), (100, ASK, 101), (300, BID, 99))
    other = stays_at((90, BID, 100), (5, BID, 100), (100, ASK, 102), (900, BID, 99))
    assert twins(live, other, 500 * MS).tolist() == [1, 0, -1, -1]
    assert twins(live, other, 700 * MS).tolist() == [1, 0, -1, 3]
    assert twins(live[:0], other, 1).tolist() == []


def test_a_fill_without_a_fee_or_without_an_order_is_said():
    book = Book().order(7, 0, 4, 8).fill(7, 50, 54, 10, 0)
    own = np.array(book.rows, EVENT)
    with pytest.raises(AccountingError, match="1 fills but 0 fees"):
        Run.of(own, np.zeros(0, EVENT), (0,), 0, START)
    taken = Book().fill(7, 50, 54, 10, 0, flags=0)
    with pytest.raises(AccountingError, match="order 7 took, and nothing says that it was sent"):
        taken.run()
