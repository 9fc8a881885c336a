"""The tear sheet and the session summary: of a backtest, of a session that runs and of an old journal; what latency cost; the grade."""

import re

import numpy as np
import pytest
from sessions import BTC, close, quoter, run_session
from test_quality import AT, asked, report_of, two_sided
from test_tca import collect
from written import MS

import hftlab as hl
from hftlab.analytics.costs import latency as latency_report
from hftlab.analytics.costs.advice import NOTHING
from hftlab.analytics.sheets.grade import performance_grade, sure
from hftlab.analytics.sheets.sections import SECTIONS
from hftlab.engine.figures import Figures
from hftlab.engine.session import Driver
from hftlab.engine.spec import load_spec
from hftlab.types import AMEND, AMENDED, NO_PRICE

LIMITS = hl.Limits(position_qty_max="0.05", loss_quote_max=200)


@pytest.fixture(scope="module")
def report():
    fixed = hl.FixedSpread(order_qty="0.01", half_spread_ticks=1, life_ms_min=0)
    setting = {"latency": hl.Latency(order_ms=5), "fees": hl.Fees(maker_bps=0.2, taker_bps=5)}
    return hl.backtest(hl.sample().slice(0, 120), None, fixed, LIMITS, **setting)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A session of twelve seconds in the simulated market's own queues."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    venue = hl.PaperVenue(BTC, latency=hl.Latency(order_ms=2.0), fees=hl.Fees(maker_bps=-0.5))
    patch = pytest.MonkeyPatch()
    run_session(folder, patch, venue=venue, by=quoter(), seconds=12, commands=[(8, "target", {"qty": "0.05"})], trade_per_s=12.0)
    return folder


def whole(page):
    """The page names every section, and nothing outside itself."""
    for number, (title, _) in enumerate(SECTIONS):
        assert f"<h2>{title.replace('&', '&amp;')}</h2>" in page
        assert number == 0 or page.index(f"<h2>{SECTIONS[number - 1][0].replace('&', '&amp;')}</h2>") < page.index(
            f"<h2>{title.replace('&', '&amp;')}</h2>"
        )
    assert not re.search(r"<script|<link|<img|@import|url\(|https?://", page)
    words = re.sub(r"<[^>]*>", " ", page).lower().split()
    assert not [word for word in words if re.fullmatch(r"\W*nan\W*", word)]


def test_the_tear_sheet_of_a_backtest_is_one_file_and_the_same_inline(report, tmp_path):
    sheet = report.tear_sheet(tmp_path / "sheet.html")
    page = (tmp_path / "sheet.html").read_text(encoding="utf-8")
    whole(page)
    assert page == sheet.document()
    assert "color-scheme:light dark" in page
    assert "width=device-width" in page
    assert all(body in sheet._repr_html_() and body in page for body in sheet.sections.values())
    for text in report.warnings():
        assert text.replace("&", "&amp;").replace("'", "&#x27;") in sheet.sections["What to know first"]
    assert f"{report.pnl_quote:+,.4f}"[:6] in sheet.sections["What to know first"]
    assert "maker 0.2 bps" in sheet.sections["Assumed"]
    assert "not saved" in repr(report.tear_sheet())


def test_a_session_that_runs_and_an_old_journal_have_the_same_sheet_and_summary(run):
    driver = Driver(load_spec(run), run, Figures())  # it runs again, from its journal
    for _ in range(40):
        driver.turn()
    live = hl.View(run).report()
    close(driver)
    old = hl.attach(run).report()
    for one in (live, old):
        whole(one.tear_sheet().document())
        assert "FixedSpread" in one.tear_sheet().sections["Whose P&L it was"]
        assert len(one.session_summary().splitlines()) < 66
        assert one.attribution("volatility")["pnl_quote"].sum() == pytest.approx(one.pnl_quote)
    assert live.digest == old.digest
    # What a person wished for by command is a parent, as a strategy's target is.
    (parent,) = old.shortfall("targets").to_dict("records")
    assert parent["wanted"] == pytest.approx(0.05 - _held_at(old, parent["decided"]))
    # The feed shows what the venue's book held: prices of the session, though its exchange wrote none down.
    assert not old.facts.paths[0].touched
    assert len(old.facts.prices[0]) > 10
    told = old.facts.prices[0][old.facts.prices[0]["bid_ticks"] != NO_PRICE]  # none before a snapshot
    assert len(told) > len(old.facts.prices[0]) - 5
    assert (told["ask_ticks"] > told["bid_ticks"]).all()
    assert 0.3 < old.quality().loc["uptime_share", "BTC/USDT"] <= 1


def _held_at(report, moment):
    before = report.fills["ts_ns"] <= moment.value
    return float((report.fills["side"] * report.fills["qty_lots"])[before].sum()) * 0.001


def test_a_report_without_fills_or_samples_still_has_a_page():
    far = hl.FixedSpread(order_qty="0.01", half_spread_ticks=5_000)
    nothing = hl.backtest(hl.sample().slice(0, 5), None, far, LIMITS, sample_ms=0)
    assert not len(nothing.fills)
    whole(nothing.tear_sheet().document())
    assert "P&L after fees and funding: 0 USDT" in nothing.session_summary()
    assert "none: fewer than 30 fills" in nothing.session_summary()
    assert performance_grade(nothing) is None


def test_the_summary_is_a_page_and_hides_no_loss(report):
    text = report.session_summary()
    lines = text.splitlines()
    assert len(lines) < 66
    assert max(map(len, lines)) <= 100
    assert report.pnl_quote < 0
    assert f"P&L after fees and funding: {report.pnl_quote:+.4f}" in text
    warned = "\n".join(lines[3:])
    assert all(warned.replace("\n  ", " ").find(said[:60]) >= 0 for said in report.warnings())
    assert lines[3].startswith("! ") or lines[3] == "No warnings."


def test_the_grade_after_a_loss_is_an_f(report):
    grade = performance_grade(report)
    assert report.pnl_quote < 0
    assert grade.points <= 59
    assert grade.letter == "F"
    assert grade.parts["limits"] == 25
    assert 0 <= grade.parts["uptime"] <= 25
    assert grade.parts["P&L"] in {0.0, 12.5}
    assert [sure(0.1, 2.0), sure(-2.0, -0.1), sure(-1.0, 1.0), sure(np.nan, np.nan)] == [1.0, 0.0, 0.5, 0.5]


# --- latency -----------------------------------------------------------------------------------------------------------------
def test_late_fills_by_hand():
    """An amend is on its way from 5.4 s to 5.7 s: the fill at 5.5 s is late, the one at 6 s is not."""
    w = two_sided()
    w.add(AT + 5_400 * MS, asked(AMEND, 5_400, 1, 1, 99, 5))
    w.add(AT + 5_700 * MS, report_of(AMENDED, 5_700, 1, 1, 101, 3))
    facts = collect(w.array())
    assert list(latency_report.in_flight(facts)) == [True, False]
    late = latency_report.late_fills(facts)
    assert (late.late, late.others, late.share) == (1, 1, 0.5)
    # Bought at 101: the mid was 101 a second after each.
    assert (late.late_ticks[0], late.other_ticks[0]) == (0.0, 0.0)
    assert "1 of 2 maker fills (50%)" in latency_report._late(late, assumed=True)
    assert not latency_report.in_flight(collect(two_sided().array())).any()


@pytest.mark.parametrize(
    ("p50", "p99", "said"),
    [
        (5.0, 6.0, NOTHING),
        (80.0, 90.0, "venue's region"),
        (1.0, 40.0, "40 times the typical"),
        (-3.0, 1.0, "set the clock"),
        (np.nan, np.nan, "not measured"),
    ],
)
def test_each_stage_says_what_to_do(p50, p99, said):
    assert said in latency_report._stage("entry", p50, p99, assumed=False)


def test_the_advice_stands_in_the_sheet(report):
    advice = latency_report.advise_report(report)
    assert (advice[0].stage, advice[0].p50_ms) == ("order to the venue", 5.0)
    assert sum(one.share for one in advice) == pytest.approx(1)
    assert "maker fills" in advice[-1].what_to_do
    html = report.tear_sheet().sections["Latency"]
    assert all(one.stage in html for one in advice)
