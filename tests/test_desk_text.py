"""What the desk's panels say in a few characters: amounts of money of any size, and orders in a narrow column."""

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
from fake_desk import Clock, FakeView
from hypothesis import given
from hypothesis import strategies as st

from hftlab.data.frame import Gauge, OrderRow
from hftlab.instrument import Instrument
from hftlab.types import FILLS
from hftlab.widgets import blotter, ladder, performance, risk, scrubber_pack, strip
from hftlab.widgets.curves import PnlCurve
from hftlab.widgets.text import amount, money, number, places, table

sizes = st.floats(1e-6, 1e9)


@given(sizes, st.booleans())
def test_money_is_shown_to_half_a_percent_however_small_its_market(size, loss):
    value = -size if loss else size
    text = money(value, "USDT")
    assert text[0] == ("\N{MINUS SIGN}" if loss else "+")
    assert abs(float(text.removesuffix(" USDT")[1:]) - size) <= 0.005001 * size


@given(sizes, sizes)
def test_amounts_that_are_shown_together_have_the_decimals_of_the_largest(one, other):
    assert places(one, -other) == places(max(one, other))
    assert number(one, places(one, -other)).count(".") == 1


@given(sizes)
def test_an_amount_is_shown_to_half_a_percent_however_small(size):
    assert abs(float(amount(size)) - size) <= 0.005001 * size


COIN = Instrument(venue="x", symbol="BTCUSD", base="BTC", quote="USD", tick_size="0.5", lot_size="1", multiplier="100", inverse=True)


def shown(amount, limit, unit):
    """Return amount and limit of a gauge of a contract that is settled in BTC, as texts."""
    gauge = Gauge("any", amount, limit, unit)
    text = risk.gauge_html(gauge, risk.decimals(gauge, COIN))
    return tuple(re.findall(r'hft-n [\w-]*">([^<]*)<', text)[0].strip().split(" / "))


def test_a_gauge_rounds_neither_its_amount_nor_its_limit_away():
    inf = float("inf")
    assert shown(0.0012, 0.004, "BTC") == ("0.00120", "0.00400")  # two decimals: 0.00 of 0.00
    assert shown(0.0123, inf, "BTC") == ("0.0123", "no limit")  # none: 0
    assert shown(0.74, 0.75, "VPIN") == ("0.740", "0.750")  # one: 0.7 of 0.8
    assert shown(0.12, 0.25, "%") == ("0.120", "0.250")
    assert shown(1200.0, 250000.0, "BTC") == ("1200", "250000")
    assert (shown(3.0, 5.0, "prices"), shown(7.0, 40.0, "")) == (("3", "5"), ("7", "40"))
    assert shown(25.0, 100.0, "contracts") == ("25", "100")


def test_no_money_is_no_reason_for_decimals():
    assert (money(0.0), money(-0.0), money(float("nan")), places()) == ("+0.00", "+0.00", "–", 2)


def test_fees_and_edges_of_fills_are_not_rounded_to_nothing():
    view = FakeView()
    frame = view.frame()
    fills = frame.markets[0]["fills"][: int(frame.markets[0]["fills_count"])]
    fills["fee_ticklots"], fills["fee_uticklots"] = 0, 300  # 3e-4 x 0.0005 USDT
    fills["price_ticks"], fills["fair_ticks"], fills["side"] = 100_000, 100_000.04, 1  # 0.04 ticks of 0.5: 0.02 USDT
    html = blotter.Fills().render(frame)
    assert ">+0.02<" in html
    assert ">0.00000015<" in html


def test_the_ladder_says_what_its_sizes_count_and_the_strip_how_long_it_is():
    clock = Clock()
    view = FakeView(clock_ns=clock, history=0)
    view.instruments = (COIN,)
    clock.ns += 90 * 10**9
    one, other = ladder.Ladder(), strip.Strip()
    one.draw(view.frame())
    other.draw(view.frame())
    assert "contracts: size" in one._head.value
    assert " · last 80 s · " in other._head.value  # "2 min" of a minute and a half, "0 min" of twenty seconds


def test_what_is_counted_since_the_start_is_not_mixed_with_what_is_remembered():
    view = FakeView()
    frame = view.frame()
    frame.markets[0]["bought_lots"], frame.markets[0]["sold_lots"], frame.markets[0]["fills_count"] = 7000, 5000, FILLS + 1
    found = dict(performance.figures(frame, 0))
    assert (found["bought"], found["sold"]) == ("7.000 BTC", "5.000 BTC")
    assert f"of the last {FILLS} fills" in performance.Execution().render(frame)
    fills = blotter.Fills()
    fills.render(frame)
    assert f"{FILLS + 1} · of the last {FILLS}: maker" in fills._head.value


@given(sizes, st.booleans())
def test_a_curve_of_money_fills_its_axis_however_small_its_market(size, loss):
    curve = np.array([0.0, -size if loss else size])
    for panel in (PnlCurve(), performance.Equity(None)):
        low, high = panel.bounds(None, curve)
        assert low < curve.min() <= curve.max() < high
        assert np.ptp(curve) > 0.25 * (high - low)
        panel.close()


def test_the_pnl_beside_a_position_in_the_replay_is_that_of_its_market():
    frame = FakeView(markets=2).frame()
    frame.markets["pnl_quote"], frame.desk["pnl_quote"] = (3.0, -5.0), -2.0
    state = SimpleNamespace(frame=lambda **_: frame, markets=frame.markets)
    assert [scrubber_pack.frame_of(state, 0, 0, i, 10)[4] for i in range(2)] == [3.0, -5.0]


def test_of_many_orders_those_of_unknown_fate_and_those_nearest_are_shown():
    orders = [OrderRow(k, side, 100.0 - side * (1 + k), 1.0, 1.0, 0.0, "live", k) for side in (1, -1) for k in range(6)]
    orders[5] = replace(orders[5], status="unknown")  # the bid at 94, furthest out
    view = FakeView()
    frame = view.frame()
    html = blotter.Orders().render(SimpleNamespace(orders=lambda _: orders, instruments=frame.instruments))
    assert html.count(">buy<") + html.count(">sell<") == blotter.ORDER_ROWS
    assert min(html.count(">buy<"), html.count(">sell<")) >= 3
    assert "unknown" in html
    assert "and 4 more" in html


def test_an_order_says_what_is_done_with_it_and_pointing_at_it_says_why():
    live = OrderRow(1, 1, 100.0, 1.0, 1.0, 0.5, "live", 0, decision="keep: within hysteresis")
    changes = ({}, {"decision": ""}, {"status": "pending cancel"}, {"status": "unknown"})
    assert [blotter._now(replace(live, **change))[0] for change in changes] == ["keep", "live", "pending cancel", "unknown"]
    assert 'title="live; keep: within hysteresis"' in table([("now", "l"), ("price", "")], [[blotter._now(live), ("x", "l")]])
