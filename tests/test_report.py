"""The report of a run: closes against the ledger, counts its orders as the desk does, says what differs, and shows itself."""

import numpy as np
import pytest
from tapes import A, B, build_tape
from written import LINEAR, MS, START_NS, row, touch

import hftlab as hl
from hftlab.analytics.facts.collector import Collector
from hftlab.analytics.facts.figures import inventory, inventory_curve
from hftlab.analytics.facts.segments import covered_ns, quoted_s, segments, traded_at_our_prices
from hftlab.analytics.grow import Grow
from hftlab.analytics.report.compare import first_difference
from hftlab.analytics.report.origin import Origin
from hftlab.data.tape import Tape
from hftlab.errors import InputError, UnknownName
from hftlab.types import (
    ACCEPTED,
    AMEND,
    AMENDED,
    ASK,
    AT_DESK,
    AT_EXCHANGE,
    BID,
    CANCEL,
    CANCELED,
    EVENT,
    FEE,
    FILL,
    FUNDING,
    LAST,
    SAMPLE,
    SUBMIT,
    TIMER,
    TRADE,
)

LIMITS = hl.Limits(position_qty_max="0.05", loss_quote_max=200)
QUOTER = hl.FixedSpread(order_qty="0.01", half_spread_ticks=1, hysteresis_ticks=1, life_ms_min=0)
SETTING = {"latency": hl.Latency(order_ms=5), "fees": hl.Fees(maker_bps=-0.5, taker_bps=5)}


@pytest.fixture(scope="module")
def tape():
    return hl.sample()


@pytest.fixture(scope="module")
def report(tape):
    return hl.backtest(tape, None, QUOTER, LIMITS, **SETTING)


def test_the_identity_closes_on_a_run_and_the_headline_is_the_ledgers(report):
    table = report.pnl_table()
    assert (table["residual"] == 0).all()
    every = table.xs("all", level="of").iloc[0]
    parts = every[["half_spread", "adverse_selection", "inventory_carry", "fees", "funding"]].sum()
    assert parts == pytest.approx(every["account"])
    assert every["account"] == pytest.approx(report.pnl_quote)
    ledger, one = report.ledgers[0], report.instruments[0]
    mid = report.facts.paths[0].last_mid2 / 2
    by_hand = (ledger.cash_ticklots + ledger.position_lots * mid - ledger.fees_ticklots - ledger.fees_uticklots * 1e-6) * one.ticklot_quote
    assert report.pnl_quote == pytest.approx(by_hand)
    frame = report.frame()
    signed = np.where(frame["side"] == "buy", frame["qty"], -frame["qty"])
    assert signed.cumsum() == pytest.approx(frame["position_base"].to_numpy())
    with pytest.raises(InputError, match="horizon_s was 2"):
        report.identity(2)


def test_every_horizon_closes(report):
    for horizon_s in (0.1, 1.0, 5.0, 30.0, 60.0):
        assert report.identity(horizon_s)[0].total.residual == 0


def test_orders_are_counted_as_the_desk_counts_them(report):
    orders = report.journeys()
    assert len(orders) == report.desk["submits"] > 20
    assert orders["amend_requests"].sum() == report.desk["amends"]
    assert (report.facts.own["kind"] == CANCEL).sum() == report.desk["cancels"] >= orders["cancel"].notna().sum()
    assert orders["fills"].sum() == len(report.fills) == report.accounts[0]["fills"]
    assert orders["filled_qty"].sum() == pytest.approx(report.summary()["traded_base"])
    filled = orders[orders["status"] == "filled"]
    assert (filled["filled_qty"] == filled["last_qty"]).all()
    story = report.journey(int(filled["order_id"].iloc[0]))
    assert story["what"].iloc[0] == "asked to submit"
    assert "filled" in story["what"].iloc[-1] or "reject" in story["what"].iloc[-1]
    assert story["ts"].is_monotonic_increasing
    with pytest.raises(UnknownName):
        report.journey(1)


def test_latencies_are_read_from_the_rows(report):
    table = report.latency()
    assert table.loc["entry", "p50_ms"] == table.loc["response", "p50_ms"] == 5.0
    assert table.loc["acceptance to first fill", "count"] > 0


def test_figures_of_quoting(report):
    figures = report.figures()["BTC/USDT"]
    assert 0.5 < figures["quoted_both_share"] <= min(figures["quoted_bid_share"], figures["quoted_ask_share"]) <= 1
    assert figures["traded_at_our_prices_base"] >= 0
    assert figures["position_base_min"] >= -0.05
    assert figures["orders"] == len(report.journeys())
    curve = report.inventory()
    assert curve["position_base"].iloc[-1] == pytest.approx(report.summary()["position_base"])
    assert (curve["low_base"] <= curve["position_base"]).all()
    assert (curve["position_base"] <= curve["high_base"]).all()


def test_a_bucket_names_its_fills(report):
    table = report.markouts("side").set_index(["bucket", "horizon_s"])
    sells = report.bucket("side", "sell")
    assert len(sells) == table.loc[("sell", 0.1), "fills"] + table.loc[("sell", 0.1), "excluded"] > 0
    assert set(sells["side"]) == {"sell"}
    with pytest.raises(UnknownName, match="Did you mean 'sell'"):
        report.bucket("side", "sel")


def test_what_differs_and_where_runs_part(report, tape):
    same = hl.backtest(tape, None, QUOTER, LIMITS, **SETTING)
    assert len(report.compare(same)) == 0
    assert report.diff(same).number is None
    assert "no difference" in report.diff(same)._repr_html_()
    slower = hl.backtest(tape, None, QUOTER, LIMITS, latency=hl.Latency(order_ms=60), fees=SETTING["fees"])
    table = report.compare(slower)
    assert table.loc["pnl_quote", "difference"] == pytest.approx(slower.pnl_quote - report.pnl_quote)
    assert "60 ms" in table.loc["assumed: latency", "other"]
    where = report.diff(slower)
    assert where.this["order_id"]
    assert where.ts_ns >= tape.start_ns
    assert "buy" in where.text() or "sell" in where.text()
    for book in where.books:
        assert (book["side"] == "bid").sum() == (book["side"] == "ask").sum() == 5
        bids = book[book["side"] == "bid"]["price_ticks"]
        assert bids.is_monotonic_decreasing
        assert bids.iloc[0] < book[book["side"] == "ask"]["price_ticks"].iloc[0]
    assert "table" in where._repr_html_()


def test_a_bracket_runs_the_same_run_three_times(report):
    bracket = report.bracket()
    assert list(bracket.reports) == ["pessimistic", "modelled", "optimistic"]
    assert bracket.reports["modelled"].digest == report.digest
    fills = [len(one.fills) for one in bracket.reports.values()]
    assert fills[0] <= fills[1] <= fills[2] != fills[0]
    assert bracket.frame().loc["queue", "pessimistic"] == "risk_averse"
    assert bracket.frame().loc["pnl_quote", "modelled"] == report.pnl_quote
    assert "bracket of assumptions" in bracket._repr_html_()


def test_two_instruments_close_each_for_itself():
    steps = [(i % 2, what, n, 40, 120) for i, (what, n) in enumerate([("trade", 1), ("move", 1), ("sweep", -2), ("move", -2)] * 30)]
    rows = build_tape(steps, copies=False, commands=False)
    tape = Tape(np.ascontiguousarray(rows[rows["kind"] < TIMER]), (A, B))
    quoters = (hl.FixedSpread(order_qty="0.2", half_spread_ticks=1), hl.FixedSpread(order_qty="20", half_spread_ticks=1))
    report = hl.backtest(tape, None, quoters, (hl.Limits(position_qty_max="1"), hl.Limits(position_qty_max="100")))
    assert [one.total.residual for one in report.pnl] == [0, 0]
    assert all(one.total.fills > 0 for one in report.pnl)
    assert report.summary()["half_spread_quote"] == pytest.approx(sum(a["half_spread_quote"] for a in report.accounts))
    assert list(report.figures().columns) == ["A/USD", "B/USD"]
    assert "A/USD" in report._repr_html_()


def test_a_report_without_orders_says_so(tape, tmp_path):
    report = hl.backtest(tape.slice(0, 5), None, hl.WorkTarget(order_qty="0.01"), LIMITS)
    assert len(report.journeys()) == len(report.frame()) == len(report.markouts()) == 0
    assert report.pnl_quote == 0.0
    assert "No fills" in report._repr_html_()


def test_a_session_has_a_report_but_no_second_run(report):
    from dataclasses import replace

    with pytest.raises(InputError, match="cannot run again"):
        replace(report, origin=None).bracket()


# --- pieces ------------------------------------------------------------------------------------------------------------------


def lives():
    """Order 64 bids 100 from 0 to 40 s, amended to 101 at 10 s; order 65 asks 105 from 20 s to the end (60 s); 66 asks 105 too."""
    s = 1000 * MS

    def at(kind, second, order_id, price, side, leaves=1):
        ts = START_NS + second * s
        return row(kind, ts, ts, price, 1, leaves, order_id, side=side)

    return np.array(
        [
            at(SUBMIT, 0, 64, 100, 1),
            at(ACCEPTED, 0, 64, 100, 1),
            at(AMENDED, 10, 64, 101, 1),
            at(ACCEPTED, 20, 65, 105, -1),
            at(ACCEPTED, 30, 66, 105, -1),
            at(CANCEL, 39, 64, 101, 1),
            at(CANCELED, 40, 64, 101, 1),
            at(FILL, 50, 66, 105, -1, leaves=0),
        ],
        EVENT,
    )


def test_resting_time_by_hand():
    found = segments(lives(), START_NS + 60_000 * MS)
    spans = [
        (int(o["order_id"]), int(o["price_ticks"]), (int(o["from_ns"]) - START_NS) // 10**9, (int(o["until_ns"]) - START_NS) // 10**9)
        for o in found
    ]
    assert spans == [(64, 100, 0, 10), (64, 101, 10, 40), (65, 105, 20, 60), (66, 105, 30, 50)]
    assert quoted_s(found) == {"bid": 40.0, "ask": 40.0, "both": 20.0, "either": 60.0}
    assert covered_ns(found[:0]) == 0


def test_prints_at_our_prices_count_once():
    def trade(second, price, lots, side, flags=0, instrument=0):
        ts = START_NS + second * 1000 * MS
        return row(TRADE, ts, ts + MS, price, lots, side=side, flags=flags, instrument=instrument)

    tape = np.array(
        [
            trade(5, 100, 7, ASK),  # a seller at our bid
            trade(5, 100, 3, BID),  # a buyer at that price takes no bid
            trade(15, 100, 5, ASK),  # we were at 101 by then
            trade(35, 105, 4, BID),  # two of our asks at that price: the print is one
            trade(35, 105, 4, BID, AT_DESK),  # our copy of it
            trade(36, 105, 2, BID, AT_EXCHANGE),
            trade(37, 105, 9, BID, 0, 1),  # another market
        ],
        EVENT,
    )
    found = segments(lives(), START_NS + 60_000 * MS)
    for cuts in ([], [3], [1, 2, 3, 4, 5, 6]):
        assert traded_at_our_prices(found, np.split(tape, cuts)) == {(0, 1): 7, (0, -1): 6}


def test_inventory_by_hand():
    collector = Collector((LINEAR,))
    at = [START_NS + s * 1000 * MS for s in (0, 2, 6, 10)]
    rows = [touch(at[0], 100, 102)]
    for ts, side, lots, position in ((at[1], 1, 3, 3), (at[2], -1, 5, -2)):
        rows += [row(FILL, ts, ts, 101, lots, 0, 64, side=side), row(FEE, ts, ts, leaves=position)]
    collector.add(np.array(rows, EVENT))
    facts = collector.finish(end_ns=at[3])
    held = inventory(facts.fills, LINEAR, at[0], at[3])
    # Flat for 2 s, 3 lots for 4 s, -2 lots for 4 s: mean 0.4, of the size 2 lots.
    assert held["position_base_mean"] == pytest.approx(0.004)
    assert held["position_base_abs_mean"] == pytest.approx(0.02)
    assert (held["long_share"], held["short_share"], held["turnover_base"]) == (0.4, 0.4, pytest.approx(0.08))
    curve = inventory_curve(facts.fills, LINEAR, at[0], at[3], points=5)
    assert curve["position_base"].tolist() == pytest.approx([0.03, 0.03, -0.02, -0.02, -0.02])
    assert curve["high_base"].tolist() == pytest.approx([0.03, 0.03, 0.03, -0.02, -0.02])


def test_the_first_difference_of_two_lists():
    one = lives()
    assert first_difference(one, one) is None
    assert first_difference(one, one[:5]) == 5
    other = one.copy()
    other["price_ticks"][3] += 1
    assert first_difference(one, other) == 3
    other = one.copy()
    other["ts_exch_ns"][[1, 7]] += 1  # a report's time is not our act; a fill's match is
    assert first_difference(one, other) == 7


def test_long_runs_spill_to_disk_and_samples_thin_out(monkeypatch):
    grown = Grow(EVENT, spill_bytes=1 << 16)
    parts = []
    for n in range(40):
        part = np.zeros(300, EVENT)
        part["seq"] = np.arange(n * 300, (n + 1) * 300)
        grown.append(part)
        parts.append(part)
    assert isinstance(grown.rows, np.memmap)
    assert np.array_equal(grown.rows, np.concatenate(parts))
    monkeypatch.setattr("hftlab.analytics.facts.collector.SAMPLES_MAX", 100)
    collector = Collector((LINEAR, LINEAR))
    for n in range(1001):
        ts = START_NS + n * MS
        collector.add(np.array([row(SAMPLE, ts, ts, instrument=0), row(SAMPLE, ts, ts, instrument=1)], EVENT))
    kept = collector.finish().samples
    assert len(kept) <= 104
    times = (kept["ts_recv_ns"][::2] - START_NS) // MS
    assert (times[0], times[-1]) == (0, 1000)
    assert np.array_equal(kept["ts_recv_ns"][::2], kept["ts_recv_ns"][1::2])
    assert len(set(np.diff(times[:-1]))) == 1


def test_books_are_rebuilt_on_both_clocks(tape):
    origin = Origin(tape, {}, hl.backtest)
    at_ns = int(tape.rows["ts_recv_ns"][50_000])
    ours, theirs = origin.book_at(at_ns, 0, 3), origin.book_at(at_ns, 0, 3, exchange=True)
    before = tape.rows[:50_001]
    before = before[before["ts_recv_ns"] <= at_ns]
    levels = {}
    for one in before:
        if one["kind"] == 3:
            levels = {k: v for k, v in levels.items() if one["side"] not in (0, k[0])}
        elif one["kind"] == 1:
            levels[int(one["side"]), int(one["price_ticks"])] = int(one["qty_lots"])
    bids = sorted(((p, q) for (s, p), q in levels.items() if s == 1 and q), reverse=True)[:3]
    assert list(zip(ours["price_ticks"][:3], ours["qty_lots"][:3], strict=True)) == bids
    assert len(theirs) == 6


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_stands_alone_and_shows_its_pictures(report, tmp_path, browser, scheme):
    path = report.save_html(tmp_path / "report.html")
    text = path.read_text(encoding="utf-8")
    assert "http" not in text.replace("http-equiv", "")
    page = browser.new_page(color_scheme=scheme)
    page.goto(path.as_uri())
    assert page.locator("svg").count() >= 4
    assert page.get_by_text("residual 0").count() == 1
    page.get_by_text("Orders and fills", exact=True).click()
    assert page.get_by_text("quoted both share").is_visible()
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (dark != "rgb(255, 255, 255)") == (scheme == "dark")
    page.close()


def test_funding_is_a_part_of_its_own(tape):
    rows = tape.rows.copy()
    at = np.flatnonzero(rows["flags"] & LAST)[[20_000, 60_000]]
    funding = rows[at].copy()
    funding["kind"], funding["price_ticks"], funding["qty_lots"], funding["side"] = FUNDING, 120_000, (10_123, -4_001), 0
    paid = hl.backtest(Tape(np.insert(rows, at + 1, funding), tape.instruments), None, QUOTER, LIMITS, **SETTING)
    plain = hl.backtest(tape, None, QUOTER, LIMITS, **SETTING)
    one = paid.pnl[0].total
    assert one.residual == 0
    assert one.funding != 0
    assert one.account == plain.pnl[0].total.account - one.funding
    assert paid.summary()["funding_quote"] == pytest.approx(plain.pnl_quote - paid.pnl_quote)


def test_an_inverse_contract_closes_in_its_own_currency(shared):
    tape = hl.load(shared / "data" / "binance_coinm_btcusd_perp_20240808.gz", clock="correct").slice(0, 60)
    assert tape.instruments[0].inverse
    quoter = hl.FixedSpread(order_qty="1", half_spread_ticks=2.0, life_ms_min=0)
    limits = hl.Limits(position_qty_max="10", loss_quote_max=1e6, drawdown_frac_max=1, requests_per_s_max=1000, requests_burst=1000)
    report = hl.backtest(tape, None, quoter, limits, fees=hl.Fees(maker_bps=1), latency=hl.Latency(order_ms=5))
    assert len(report.fills) > 10
    assert (report.pnl_table()["residual"] == 0).all()
    assert report.pnl_quote == pytest.approx(report.desk["pnl_quote"], abs=1e-6)
    assert "BTC" in repr(report)


def test_the_recording_closes_with_partial_fills(shared):
    tape = hl.load(shared / "data" / "binance_usdm_btcusdt_20240808.gz", clock="correct")
    quoter = hl.FixedSpread(order_qty="0.01", half_spread_ticks=2.0, skew_ticks_per_order=0.5)
    limits = hl.Limits(position_qty_max="0.2", loss_quote_max=1e6, drawdown_frac_max=1, requests_per_s_max=1000, requests_burst=1000)
    report = hl.backtest(tape, None, quoter, limits, fees=hl.Fees(maker_bps=-0.5, taker_bps=7), latency=hl.Latency(order_ms=5))
    fills, ledger = report.fills, report.ledgers[0]
    assert len(fills) > 500
    signed = fills["side"].astype(np.int64) * fills["qty_lots"]
    assert int(signed.sum()) == ledger.position_lots
    assert -int((signed * fills["price_ticks"]).sum()) == ledger.cash_ticklots
    assert (report.pnl_table()["residual"] == 0).all()
    orders = report.journeys()
    assert len(orders) == report.desk["submits"]
    assert orders["fills"].sum() == len(fills)
    left, filled, asked = {}, {}, {}
    for one in report.facts.own:
        order, kind = int(one["order_id"]), int(one["kind"])
        if kind in (SUBMIT, AMEND):
            asked[order] = max(asked.get(order, 0), int(one["qty_lots"]))
        elif kind in (ACCEPTED, AMENDED):
            left[order] = int(one["leaves_lots"])
        elif kind == FILL:
            left[order] -= int(one["qty_lots"])
            filled[order] = filled.get(order, 0) + int(one["qty_lots"])
            assert left[order] == int(one["leaves_lots"]) >= 0
            assert filled[order] <= asked[order]
    assert (fills["leaves_lots"] > 0).sum() > 50  # partial fills there were
