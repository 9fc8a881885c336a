"""A/B: equal arms are not called different, another arm is; who had which turn is read from the journal."""

import dataclasses
import time

import numpy as np
import pytest
from sessions import run_session

import hftlab as hl
from hftlab.backtesting.ab_tests.ab import Schedule, ab, of_switched
from hftlab.backtesting.ab_tests.live import LiveAB, result
from hftlab.backtesting.ab_tests.result import AB, MEASURES, measures
from hftlab.engine.view import Session
from hftlab.errors import CommandRefused, EngineUnreachable, InputError, UnknownName

BTC = hl.Instrument.bundled("sim:BTC/USDT")
FREE = {"loss_quote_max": 1e9, "drawdown_frac_max": 1e9, "capital_quote": 1e9, "requests_per_s_max": 1e6, "requests_burst": 1e6}
LIMITS = hl.Limits(position_qty_max="0.5", **FREE)
A = hl.FixedSpread(order_qty="0.01", half_spread_ticks=0.5, skew_ticks_per_order=0.5)
WIDE = {"half_spread_ticks": 1.5}
TURNS = Schedule(pairs=20, block_s=10.0, washout_s=1.0, seed=4)


@pytest.fixture(scope="module")
def report():
    return hl.backtest(hl.sample(), None, A, LIMITS, latency=hl.Latency(order_ms=10))


@pytest.fixture(scope="module")
def both(report):
    return ab(report, WIDE)


def test_a_schedule_is_balanced_in_every_pair_and_drawn_from_its_seed():
    arms = TURNS.arms().reshape(-1, 2)
    assert (arms.sum(1) == 1).all()
    assert 0 < arms[:, 0].sum() < 20
    assert (TURNS.arms() == dataclasses.replace(TURNS).arms()).all()
    assert (TURNS.arms() != dataclasses.replace(TURNS, seed=5).arms()).any()
    starts, ends = TURNS.stretches(0)
    assert starts[:2].tolist() == [1_000_000_000, 11_000_000_000]
    assert (ends - starts == 9_000_000_000).all()
    with pytest.raises(InputError, match="wanted 8 or more"):
        Schedule(pairs=4)
    with pytest.raises(InputError, match="half of block_s"):
        Schedule(block_s=10, washout_s=6)


def test_the_measures_of_all_stretches_are_those_of_the_report(report):
    edges = np.linspace(report.facts.start_ns, report.facts.end_ns + 1, 6).astype(np.int64)
    found = dict(zip(MEASURES, measures(report, 0, edges[:-1], edges[1:]).T, strict=True))
    minutes = np.diff(edges) / 60e9
    makers = report.fills[report.fills["maker"] != 0]
    assert (found["fills"] * minutes).sum() == pytest.approx(len(makers))
    edge = makers["side"] * (makers["mid2"] / 2 - makers["price_ticks"]) * makers["qty_lots"] * BTC.ticklot_quote
    assert (found["edge"] * minutes).sum() == pytest.approx(edge.sum())
    assert np.nansum(found["pnl"] * minutes) == pytest.approx(report.curves()["pnl_quote"].iloc[-1], abs=0.5)
    assert 0.5 <= found["half_spread"].mean() < 2


def test_a_wider_arm_is_found_on_the_same_market(both):
    table = both.table()
    assert table.loc["half_spread", "found"]
    assert table.loc["half_spread", "low"] > 0.5
    assert table.loc["fills", "found"]
    assert table.loc["fills", "high"] < 0
    assert "B against A: half_spread" in both.verdict
    assert "fixed horizon of 12 pairs" in both._repr_html_()


def test_the_same_quoter_on_the_same_tape_is_no_difference(report):
    found = ab(report, {})
    assert found.verdict == "no difference found in 12 pairs"
    assert (found.table()["difference"].fillna(0) == 0).all()


def test_equal_arms_that_take_turns_are_seldom_called(report):
    called = 0
    for seed in range(40):
        schedule = dataclasses.replace(TURNS, seed=seed)
        starts, ends = schedule.stretches(report.facts.start_ns)
        called += of_switched(report, schedule.arms(), starts, ends, 0, 20, 0.95, "").table()["found"].any()
    assert called <= 6  # of 40 at 5 %: 2 expected; 7 or more once in 290


def test_arms_that_take_turns_have_the_spread_of_their_turn():
    found = ab(hl.sample(), WIDE, quoter=A, limits=LIMITS, schedule=TURNS, design="switched")
    table = found.table()
    assert table.loc["half_spread", "found"]
    # b is arm B: the order of the pairs was undone
    assert table.loc["half_spread", "b"] > table.loc["half_spread", "a"] + 0.5
    assert len(found.a) == 20


def test_nothing_is_called_before_it_is_over(both):
    early = dataclasses.replace(both, a=both.a[:9], b=both.b[:9], over=False)
    assert not early.table()["found"].any()
    assert early.table()["p"].isna().all()
    assert early.verdict.startswith("no call yet: 9 of 12 pairs")
    with pytest.raises(InputError, match="1 pairs so far"):
        AB(both.a[:1], both.b[:1], 12, 0.95, "").table()


def test_what_cannot_be_compared_says_why(report):
    with pytest.raises(UnknownName, match="Did you mean 'half_spread_ticks'"):
        ab(report, {"half_spread_tick": 1})
    with pytest.raises(InputError, match=r"wanted quoter=… \(arm A\)"):
        ab(hl.sample(), WIDE)
    with pytest.raises(InputError, match="was a list"):
        ab([], WIDE)
    with pytest.raises(InputError, match="fair cannot change while a quoter runs"):
        ab(report, {"fair": "micro"}, design="switched")
    with pytest.raises(InputError, match="need 2,400 s; the tape has 420 s"):
        ab(hl.sample(), WIDE, quoter=A, limits=LIMITS, design="switched")
    with pytest.raises(UnknownName, match="latensy"):
        ab(report, WIDE, latensy=1)


def test_what_a_sessions_arms_do_not_have_is_said(tmp_path, monkeypatch):
    told = [(5.0, "set", {"half_spread_ticks": 1.5, "skew_ticks_per_order": 0.1}), (6.0, "pause", {}), (7.0, "resume", {})]
    venue = hl.PaperVenue(BTC, fills="modelled")
    for name, commands, said in (("told", told, "without the 4 rows of commands that it got"), ("left", (), None)):
        run_session(tmp_path / name, monkeypatch, venue=venue, seconds=20, step_ms=5, commands=commands)
        for design in ({}, {"design": "switched", "schedule": Schedule(pairs=8, block_s=1.0, washout_s=0.1)}):
            found = ab(hl.attach(tmp_path / name), {"half_spread_ticks": 3.0}, **design)
            assert ("of the session without" in found.said) is (said is not None)
            assert said is None or said in found.said


# --- in a running session ------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def session(tmp_path_factory):
    feed = hl.SynthFeed(BTC, seed=3, speed=10.0, options={"activity": 0.3})
    made = hl.start(feed, hl.PaperVenue(BTC), A, hl.Limits(position_qty_max="0.5", **FREE), run=tmp_path_factory.mktemp("ab") / "run")
    yield made
    if made.alive():
        made.stop()


def ended(experiment):
    end = time.monotonic() + 90
    while not experiment.ended:
        assert time.monotonic() < end, experiment
        time.sleep(0.05)


def test_turns_of_a_session_are_commands_of_its_journal(session):
    before = session.frame().markets["params"]["half_spread_ticks"][0]
    plan = Schedule(pairs=8, block_s=3.0, washout_s=0.3, seed=2)
    with LiveABStopped(LiveAB(session, WIDE, schedule=plan, name="wider")) as experiment:
        experiment.start()
        with pytest.raises(InputError, match="runs already"):
            experiment.start()
        ended(experiment)
    assert experiment.ended == "all blocks were played"
    assert session.frame().markets["params"]["half_spread_ticks"][0] == before
    turns = [call for call in session.audit(None) if call["why"].startswith("A/B wider: block")]
    for call in turns:
        block = int(call["why"].split("block ")[1].split()[0]) - 1
        assert call["values"]["half_spread_ticks"] == (1.5 if plan.arms()[block] else 0.5)
        assert call["ok"]
    found = result(hl.attach(session.directory), "wider")  # another handle reads the same
    assert (found.a == experiment.result().a)[np.isfinite(found.a)].all()
    assert found.over
    wide, narrow = found.b[:, 0], found.a[:, 0]
    assert np.nanmean(wide) > np.nanmean(narrow) + 0.5
    with pytest.raises(InputError, match="has an A/B named 'wider' already"):
        LiveAB(session, WIDE, name="wider")


def test_a_stop_gives_arm_a_back_and_makes_no_call(session):
    experiment = LiveAB(session, WIDE, schedule=Schedule(pairs=8, block_s=1000.0), name="short").start()
    session.wait(lambda frame: experiment._block == 0, 30)
    experiment.stop()
    assert experiment.ended == "stopped"
    assert session.frame().markets["params"]["half_spread_ticks"][0] == 0.5
    with pytest.raises(InputError, match="no pair of the A/B 'short' is over yet"):
        experiment.result()
    assert not experiment.step()


def test_a_refused_command_ends_it(session, monkeypatch):
    experiment = LiveAB(session, WIDE, name="refused")

    def refuse(*_, **__):
        raise CommandRefused("not now")

    monkeypatch.setattr(Session, "command", refuse)
    assert not experiment.step()
    assert experiment.ended == "CommandRefused: not now"


def test_a_turn_without_an_answer_may_have_been_done_and_arm_a_is_given_back(session, monkeypatch):
    experiment, command, asked = LiveAB(session, {"half_spread_ticks": 2.5}, name="unheard"), Session.command, []

    def heard_and_lost(self, *words, **values):
        answer = command(self, *words, **values)
        asked.append(values["half_spread_ticks"])
        if len(asked) == 1:
            raise EngineUnreachable("no answer; it may or may not have acted")
        return answer

    monkeypatch.setattr(Session, "command", heard_and_lost)
    assert not experiment.step()
    assert experiment.ended == "EngineUnreachable: no answer; it may or may not have acted"
    assert asked[1:] == [0.5]
    assert session.frame().markets["params"]["half_spread_ticks"][0] == 0.5


def test_a_thread_that_cannot_go_on_ends_the_experiment_and_says_so(session, monkeypatch):
    experiment, command = LiveAB(session, WIDE, schedule=Schedule(pairs=8, block_s=1000.0), name="torn"), Session.command

    def told(self, *words, **values):
        answer = command(self, *words, **values)
        monkeypatch.setattr(Session, "frame", broken)  # from the first turn on
        return answer

    def broken(self):
        raise OSError("the folder was taken away")

    monkeypatch.setattr(Session, "command", told)
    experiment.start()
    ended(experiment)
    experiment.stop()
    monkeypatch.undo()
    assert experiment.ended == "OSError: the folder was taken away"
    assert session.frame().markets["params"]["half_spread_ticks"][0] == 0.5


def test_what_no_command_can_set_is_refused_before_it_begins(session):
    with pytest.raises(UnknownName, match="half_spread_ticks"):
        LiveAB(session, {"half_spread": 2})
    with pytest.raises(InputError, match="other was empty"):
        LiveAB(session, {})
    with pytest.raises(InputError, match="wanted letters"):
        LiveAB(session, WIDE, name="a b")
    with pytest.raises(InputError, match="no A/B named 'none'"):
        result(session, "none")


def test_a_halt_ends_it_and_a_session_is_compared_on_its_own_market(session):
    experiment = LiveAB(session, WIDE, name="halted")
    assert experiment.step()
    session.halt("drill")
    session.wait(lambda frame: frame.state == "HALTED", 30)
    assert not experiment.step()
    assert experiment.ended == "the desk was halted"
    session.stop()
    found = ab(session, WIDE)
    assert found.table().loc["half_spread", "difference"] > 0.5


class LiveABStopped:
    """Stops an experiment whatever a test does."""

    def __init__(self, experiment):
        self.experiment = experiment

    def __enter__(self):
        return self.experiment

    def __exit__(self, *_):
        self.experiment.stop()
