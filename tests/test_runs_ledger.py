"""The lab counts its runs: what is one trial, where it is written, and that nothing about it can stop a backtest."""

import dataclasses
import json
import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numba import njit

import hftlab as hl
from hftlab.analytics.luck import ledger as runs_ledger
from hftlab.analytics.luck import luck as lk
from hftlab.analytics.luck import runs_file
from hftlab.analytics.luck.runs_file import Place
from hftlab.analytics.returns.deflated import deflated_sharpe
from hftlab.backtesting.ab_tests.ab import Schedule, ab
from hftlab.backtesting.counting import RULE, rule_of, text
from hftlab.errors import InputError

ROOT = Path(__file__).resolve().parents[1]
LIMITS = hl.Limits(position_qty_max="0.05", loss_quote_max=200)


@pytest.fixture(autouse=True)
def counting(monkeypatch):
    """The count is on in these tests, and what other tests have counted in this process is forgotten."""
    monkeypatch.setenv("HFTLAB_COUNT_RUNS", "on")
    for name in ("HFTLAB_STATE_DIR", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    runs_file.forget()
    yield
    runs_file.forget()


@pytest.fixture(scope="module")
def short():
    return hl.sample().slice(0, 60)


@pytest.fixture
def tape(short, tmp_path):
    """A tape that was read from a file of its own."""
    return hl.load(short.save(tmp_path / "day.npz"))


def quoter(**values):
    return hl.AvellanedaStoikov(**({"risk_aversion": 0.1, "order_qty": "0.01"} | values))


def run(tape, one=None, **options):
    return hl.backtest(tape, None, one or quoter(), LIMITS, **options)


def lines_beside(tape):
    path = tape.files[0]
    text = path.with_name(path.name + ".runs.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


# --- what is counted ---
def test_runs_are_counted_beside_the_data_and_the_same_rule_is_one_trial(tape):
    first = run(tape)
    run(tape)
    run(tape, queue="touch")  # another assumption is no other rule
    last = run(tape, quoter(order_qty="0.02"))
    found = last.luck()
    assert (found.run, found.runs, found.trials) == (4, 4, 2)
    assert first.luck().run == 1
    assert "Run 4 of 4" in str(found)
    assert "Run 4 of 4" in last._repr_html_()
    assert [line["rule"] for line in lines_beside(tape)[:3]] == [lines_beside(tape)[0]["rule"]] * 3
    line = lines_beside(tape)[-1]
    assert line["pnl_quote"] == pytest.approx(last.samples["leaves_lots"].view(np.float64)[-1])
    assert line["fills"] == len(last.fills)
    assert line["code"].startswith(hl.__version__)


def test_a_slice_counts_for_the_whole_and_one_half_says_nothing_of_the_other(tape):
    early, late = tape.slice(0, 25), tape.slice(30)
    run(early)
    run(late, quoter(order_qty="0.02"))
    assert run(early, quoter(order_qty="0.03")).luck().trials == 2
    assert run(late, quoter(order_qty="0.03")).luck().trials == 2
    assert run(tape, quoter(order_qty="0.04")).luck().trials == 4


def test_the_deflated_value_is_the_formula_on_what_was_counted(tape):
    # Ratios of three rules are written by hand, steps of 1 s and of 10 s: they are compared per second.
    span = runs_ledger.span_of(tape, np.zeros(0, np.int64))
    ratios = {"a": (0.10, 1.0), "b": (0.02, 1.0), "c": (-0.1, 10.0)}
    for rule, (ratio, step) in ratios.items():
        base = runs_ledger.line_of(span, rule, "", np.zeros(0, np.int64), np.zeros(0), when_ns=1, said=f"rule {rule}")
        runs_ledger.count_runs(tape, [base | {"sharpe": ratio, "step_s": step, "n": 400, "skew": -0.5, "kurtosis": 4.0, "id": rule}])
    report = run(tape)
    found = report.luck()
    mine = lines_beside(tape)[-1]
    per_s = [0.10, 0.02, -0.1 / math.sqrt(10), *([mine["sharpe"] / math.sqrt(mine["step_s"])] if mine["sharpe"] is not None else [])]
    assert found.trials == 4
    assert found.best_said == "rule a"
    assert found.best_sharpe == pytest.approx(0.10 * 60)
    assert found.best_deflated == pytest.approx(deflated_sharpe(0.10, 400, -0.5, 4.0, trials=4, trials_variance=np.var(per_s, ddof=1)))
    assert found.best_deflated < found.best_raw
    trials, variance = found.trials_of(3600 * 10**9)
    assert (trials, variance) == (4, pytest.approx(3600 * np.var(per_s, ddof=1)))
    assert report.performance(capital_quote=1000, every="1s").sharpe.trials == 4


def test_of_equal_rules_the_run_with_the_same_assumptions_speaks(tape):
    assert runs_ledger.trials(
        [
            {"rule": "a", "assumed": "kind", "n": 50, "sharpe": 9.0},
            {"rule": "a", "assumed": "mine", "n": 40, "sharpe": 1.0},
            {"rule": "a", "assumed": "mine", "n": 40, "sharpe": 2.0},
            {"rule": "a", "assumed": "kind", "n": 60, "sharpe": 8.0},
        ],
        "mine",
    ) == [{"rule": "a", "assumed": "mine", "n": 40, "sharpe": 2.0}]


# --- what is one rule ---
def test_rules_that_had_a_part_in_a_run_are_trials(tape):
    report = run(tape)
    hl.at(report, 0.5).run(quoter=quoter(risk_aversion=0.3))
    hl.at(report, 0.5).run(for_s=1.0)  # nothing is other: no rule was tried
    ab(
        tape,
        {"risk_aversion": 0.5},
        quoter=quoter(),
        limits=LIMITS,
        design="switched",
        schedule=Schedule(pairs=8, block_s=0.5, washout_s=0.1),
    )
    lines = lines_beside(tape)
    assert [line["said"] for line in lines[1:]] == [text(quoter(risk_aversion=n)) for n in (0.3, 0.1, 0.5)]
    assert [(line["n"], line["sharpe"]) for line in lines[1:]] == [(0, None)] * 3
    # Each is the rule that a whole backtest of it is: run as one it is no new trial. The same of a point of a sweep.
    run(tape, quoter(risk_aversion=0.3))
    hl.backtest(tape, tape.instruments[0], quoter(risk_aversion=0.5), LIMITS)
    hl.sweep(tape, tape.instruments[0], hl.grid(quoter(), risk_aversion=[0.5]), LIMITS, workers=1).wait()
    lines = lines_beside(tape)
    assert len({line["rule"] for line in lines}) == 3
    assert lines[-1]["rule"] == lines[-2]["rule"]
    assert lines[-1]["assumed"] == lines[-2]["assumed"]


def call(**values):
    return dict.fromkeys(RULE) | {"quoter": quoter(), "limits": LIMITS, "queue": "power"} | values


def test_the_same_rule_in_other_words_is_the_same_rule():
    first = rule_of(call())
    assert rule_of(call(quoter=quoter(order_qty=0.010))).rule == first.rule
    assert rule_of(call(queue="touch")).rule == first.rule
    assert rule_of(call(queue="touch")).assumed != first.assumed
    assert rule_of(call(quoter=quoter(order_qty="0.011"))).rule != first.rule
    assert rule_of(call(limits=hl.Limits(position_qty_max="0.04", loss_quote_max=200))).rule != first.rule
    assert rule_of(call(timer_ms=50.0)).rule != first.rule
    assert "AvellanedaStoikov" in first.said


def _decide(half):
    @njit
    def decide(desk, market, params, quote):
        quote.bid_ticks = market.fair_ticks - half

    return decide


def test_a_rule_of_the_users_is_known_by_its_code():
    def rule(decide):
        return text(hl.UserQuoter(order_qty="0.01", decide=decide))

    assert rule(_decide(3)) == rule(_decide(3))  # made twice, as in a cell that was run again
    assert rule(_decide(3)) != rule(_decide(4))


class Strange:
    every_s = 1.0

    def __init__(self, look_back):
        self.look_back = look_back

    def on_timer(self, frame):
        return None


class Broken(Strange):
    def to_dict(self):
        raise RuntimeError("no")


def test_a_strategy_is_known_by_its_class_code_and_plain_fields():
    assert text(Strange(3)) == text(Strange(3))
    assert text(Strange(3)) != text(Strange(4))
    assert text(Strange(3)) != text(Broken.__base__(5))


def test_a_strategy_that_cannot_be_told_apart_is_counted_by_what_it_did(tape):
    report = run(tape, hl.WorkTarget(order_qty="0.01"), strategy=Broken(1))
    assert lines_beside(tape)[0]["rule"] == report.digest
    assert "RuntimeError" in lines_beside(tape)[0]["said"]


# --- where it is written ---
def test_switched_off_nothing_is_written_and_nothing_is_said(tape, monkeypatch):
    monkeypatch.setenv("HFTLAB_COUNT_RUNS", "off")
    report = run(tape)
    assert [path.name for path in tape.files[0].parent.iterdir()] == ["day.npz"]
    assert report.luck() == lk.NOTHING
    assert "not counted" in str(report.luck())
    assert not any("count" in text for text in report.warnings())


def test_data_without_a_file_are_counted_in_memory_and_the_home_stays_as_it_is(short, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    run(short)
    assert run(short, quoter(order_qty="0.02")).luck().trials == 2
    assert list(tmp_path.iterdir()) == []
    other = hl.sample().slice(100, 160)
    assert run(other).luck().trials == 1  # the same data set, at another time


@pytest.mark.parametrize(("name", "folder"), [("HFTLAB_STATE_DIR", "kept"), ("XDG_STATE_HOME", "state/hftlab")])
def test_who_asks_for_it_keeps_them_in_a_folder(short, tmp_path, monkeypatch, name, folder):
    monkeypatch.setenv(name, str(tmp_path / folder.split("/")[0]))
    run(short)
    assert len(list((tmp_path / folder).glob("*.runs.jsonl"))) == 1
    runs_file.forget()  # another process
    assert run(short, quoter(order_qty="0.02")).luck().runs == 2


def test_a_place_that_cannot_be_written_is_a_warning_once_and_no_failure(tape, tmp_path):
    gone = dataclasses.replace(tape, files=(tmp_path / "gone" / "day.npz",))
    first, second = run(gone), run(gone, quoter(order_qty="0.02"))
    assert any("cannot be written" in said and "HFTLAB_STATE_DIR" in said for said in first.warnings())
    assert not any("cannot be written" in said for said in second.warnings())
    assert second.luck().runs == 2


def test_data_of_two_files_are_counted_beside_both_and_once(short, tmp_path):
    a, b = (short.save(tmp_path / name) for name in ("a.npz", "b.npz"))
    both = dataclasses.replace(hl.load(a), files=(a, b))
    assert run(both).luck().runs == 1
    assert run(hl.load(b), quoter(order_qty="0.02")).luck().trials == 2
    assert run(both, quoter(order_qty="0.03")).luck().runs == 3


def test_a_stream_is_counted_as_the_tape_of_the_same_file(tape):
    run(tape)
    found = run(hl.stream(tape.save(tape.files[0].with_name("rows.tape"), mapped=True)))
    assert found.luck().runs == 1  # a file of another name is another data set
    assert run(hl.load(tape.files[0].with_name("rows.tape")), quoter(order_qty="0.02")).luck().trials == 2


def test_a_line_that_was_cut_is_passed_over_and_the_next_stands_on_its_own(tape):
    run(tape)
    path = tape.files[0].with_name("day.npz.runs.jsonl")
    with path.open("ab") as file:
        file.write(b'{"v":1,"kind":"run","rule":"x')  # killed in the middle
    assert run(tape, quoter(order_qty="0.02")).luck().runs == 2
    assert len(path.read_bytes().splitlines()) == 3


MANY = """
import sys
from pathlib import Path
from hftlab.analytics.luck.runs_file import Place
place = Place("x", (Path(sys.argv[1]),))
for k in range(100):
    assert place.write([{"id": f"{sys.argv[2]} {k} {j}", "fill": "x" * 300} for j in range(3)]) == ""
"""


def test_many_threads_and_processes_write_whole_lines(tmp_path):
    data = tmp_path / "day.gz"
    others = [subprocess.Popen([sys.executable, "-c", MANY, str(data), name], cwd=ROOT) for name in ("p", "q")]
    place = Place("x", (data,))
    with ThreadPoolExecutor(8) as pool:
        done = [pool.submit(place.write, [{"id": f"t {k} {j}", "fill": "y" * 300} for j in range(3)]) for k in range(100)]
        assert [one.result() for one in done] == [""] * 100
    assert [other.wait(timeout=60) for other in others] == [0, 0]
    lines = place.read()
    assert len({line["id"] for line in lines}) == len(lines) == 900
    ids = [line["id"] for line in lines]
    assert all(ids[k].rsplit(" ", 1)[0] == ids[k + 1].rsplit(" ", 1)[0] == ids[k + 2].rsplit(" ", 1)[0] for k in range(0, 900, 3))


# --- a ratio needs steps ---
def test_steps_are_as_long_as_the_run_allows():
    def steps(seconds, every_s=0.25):
        ts_ns = (np.arange(0, seconds, every_s) * 1e9).astype(np.int64)
        return runs_ledger.steps(ts_ns, np.arange(len(ts_ns), dtype=float))

    assert steps(345)[0] == 1
    assert steps(86_400, 10.0)[0] == 600
    assert steps(345, 20.0)[0] == 60  # no shorter than the samples
    assert (steps(345)[1] == 4).all()  # four samples a second, one unit each
    assert len(steps(0.4)[1]) == 0


# --- a sealed part ---
def test_a_sealed_part_can_be_opened_and_from_the_second_time_on_every_report_says_so(tape):
    front, sealed = hl.holdout(tape, share=0.3)
    assert "never opened" in repr(sealed)
    assert front.end_ns < sealed.span.start_ns
    assert front.span_s == pytest.approx(0.7 * tape.span_s, rel=0.01)
    assert run(front).luck().marks == ()
    opened = sealed.open(why="the rule is chosen")
    assert opened.start_ns == sealed.span.start_ns
    assert run(opened).luck().marks == ()
    _, again = hl.holdout(tape, share=0.3)  # in another notebook: the same seal
    again.open(why="once more")
    assert [one["why"] for one in again.openings] == ["the rule is chosen", "once more"]
    for seen in (again.open(why="and again"), opened.slice(2), tape):
        (said,) = run(seen).luck().marks
        assert "opened 3 times, first" in said
        assert "the rule is chosen" in said
    assert not any("sealed" in said for said in run(front).warnings())


def test_whoever_runs_the_whole_tape_is_told_that_a_part_was_sealed(tape):
    run(tape)
    _, sealed = hl.holdout(tape, from_ns=tape.start_ns + 40 * 10**9)
    assert sealed.runs_seen == 1
    assert repr(sealed).endswith("seen by 1 run>")
    report = run(tape)
    assert any("never opened" in said for said in report.warnings())
    assert "never opened" in report._repr_html_()
    assert lines_beside(tape)[1]["kind"] == "sealed"


def test_a_seal_of_data_without_a_file_lives_in_this_process(short):
    _, sealed = hl.holdout(short, share=0.5)
    sealed.open(why="one")
    _, again = hl.holdout(short, share=0.5)
    assert len(again.openings) == 1


@pytest.mark.parametrize(
    ("values", "says"),
    [({}, "either share"), ({"share": 0.3, "from_ns": 5}, "either share"), ({"share": 1.5}, "share"), ({"from_ns": 5}, "inside the tape")],
)
def test_a_cut_that_leaves_nothing_is_refused(short, values, says):
    with pytest.raises(InputError, match=says):
        hl.holdout(short, **values)


def test_an_opening_wants_a_reason(short):
    _, sealed = hl.holdout(short, share=0.3)
    with pytest.raises(InputError, match="a reason in words"):
        sealed.open(why=" ")
    assert sealed.openings == []
