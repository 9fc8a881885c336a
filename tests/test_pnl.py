"""The P&L identity: it closes to the last unit, over any tape, fed in any pieces, and says so when it does not."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from written import INVERSE, LINEAR, MS, START_NS, STORIES, Written, build, row, touch

from hftlab.analytics.exact import product, total, value2
from hftlab.analytics.facts.collector import Collector
from hftlab.analytics.facts.path import HORIZONS_NS, HORIZONS_S
from hftlab.analytics.facts.pnl import WHOLE, identity
from hftlab.errors import AccountingError, InputError
from hftlab.types import EVENT, FEE, FILL, NO_PRICE, TOUCH

BOTH = (LINEAR, INVERSE)


def collect(rows, instruments, cuts=(), **finish):
    collector = Collector(instruments)
    for part in np.split(rows, sorted(cuts)):
        collector.add(part)
    return collector.finish(**finish)


@settings(max_examples=1000)
@given(steps=STORIES, cuts=st.lists(st.integers(0, 150), max_size=8), horizon_s=st.sampled_from(HORIZONS_S))
def test_the_parts_add_up_to_the_account_for_a_thousand_tapes(steps, cuts, horizon_s):
    w = build(steps)
    rows = w.array()
    facts = collect(rows, BOTH, [c for c in cuts if c <= len(rows)])
    for i, one in enumerate(identity(facts, BOTH, w.ledgers(), horizon_s)):
        assert one.total.residual == 0
        assert all(part.residual == 0 for part in (*one.sides.values(), *one.hours.values()))
        assert one.total.inventory_carry == sum(one.sides[s].inventory_carry for s in (1, -1))
        assert sum(part.fills for part in one.hours.values()) == one.total.fills == (facts.fills["instrument"] == i).sum()
        if one.mark_mid2 != NO_PRICE and (expected := w.account(i, one.mark_mid2)) is not None:
            assert one.total.account == expected


@given(steps=STORIES, cuts=st.lists(st.integers(0, 150), max_size=20))
def test_pieces_do_not_matter(steps, cuts):
    rows = build(steps).array()
    whole, pieces = collect(rows, BOTH), collect(rows, BOTH, [c for c in cuts if c <= len(rows)])
    assert whole.fills.tobytes() == pieces.fills.tobytes()
    assert whole.digest == pieces.digest
    assert [p.carry2 for p in whole.paths] == [p.carry2 for p in pieces.paths]
    assert [p.hour_mid2 for p in whole.paths] == [p.hour_mid2 for p in pieces.paths]


@given(steps=STORIES)
def test_the_later_mids_are_what_a_slow_look_finds(steps):
    w = build(steps)
    rows = w.array()
    facts = collect(rows, BOTH)
    end_ns = max(int(r["ts_recv_ns"]) for r in rows)
    for fill in facts.fills:
        mine = rows[(rows["kind"] == TOUCH) & (rows["instrument"] == fill["instrument"])]
        mids = [
            (int(r["ts_exch_ns"]), int(r["price_ticks"] + r["leaves_lots"]))
            for r in mine
            if NO_PRICE not in (r["price_ticks"], r["leaves_lots"])
        ]
        for k, horizon_ns in enumerate(HORIZONS_NS):
            then = int(fill["ts_ns"]) + horizon_ns
            past = [mid2 for ts, mid2 in mids if ts <= then]
            if mids:
                assert fill["later_mid2"][k] == (past[-1] if past else mids[0][1])
            assert fill["past_end"][k] == (then > end_ns)


def story():
    """Bid 100, ask 102 (mid 101). Bought 3 at 100 as maker; 0.2 s later the mid falls to 99, 6 s later to 98; sold 1 at 99."""
    w = Written()
    w.touch(START_NS, 100, 102)
    w.fill(START_NS + 100 * MS, START_NS + 105 * MS, 1, 100, 3, fee_u=-1_500_000)
    w.touch(START_NS + 300 * MS, 98, 100)
    w.touch(START_NS + 6_000 * MS, 97, 99)
    w.fill(START_NS + 7_000 * MS, START_NS + 7_005 * MS, -1, 99, 1, fee_u=400_001)
    w.payment(START_NS + 8_000 * MS, 2, 50)
    return w


def test_a_story_by_hand():
    w = story()
    one = identity(collect(w.array(), (LINEAR,)), (LINEAR,), w.ledgers())[0]
    # Buy: 3 x (101 - 100) earned, 3 x (99 - 101) lost within 5 s, 3 x (98 - 99) carried. Sell: 1 x (99 - 98) earned.
    half = WHOLE // 2
    assert one.total.half_spread == half * (6 + 2)
    assert one.total.adverse_selection == half * -12
    assert one.total.inventory_carry == half * -6
    assert one.total.fees == 200 * (-1_500_000 + 400_001)
    assert one.total.funding == WHOLE * 2 + 2 * 50
    # Cash -300 + 99, 2 lots at 98: -5 before fees.
    assert one.total.account == WHOLE * -5 - one.total.fees - one.total.funding
    assert (one.sides[1].account, one.sides[-1].account) == (WHOLE * -6 + 200 * 1_500_000, WHOLE * 1 - 200 * 400_001)
    money = one.total.quote(LINEAR.ticklot_quote)
    assert money["fees"] == pytest.approx(1.099999 * 0.005)
    assert sum(v for name, v in money.items() if name != "account") == pytest.approx(money["account"])


def test_the_hours_are_marked_at_their_own_ends():
    # Ten seconds before the hour: bought 1 at 100, mid 101; mid 103 two seconds into the next hour; horizon 30 s.
    w = Written()
    w.touch(START_NS, 100, 102)
    w.fill(START_NS + MS, START_NS + MS, 1, 100, 1)
    w.touch(START_NS + 9_000 * MS, 101, 103)
    w.touch(START_NS + 12_000 * MS, 102, 104)
    w.touch(START_NS + 60_000 * MS, 103, 105)
    one = identity(collect(w.array(), (LINEAR,)), (LINEAR,), w.ledgers(), 30.0)[0]
    first, second = (one.hours[h] for h in sorted(one.hours))
    half = WHOLE // 2
    assert (first.half_spread, first.adverse_selection, first.inventory_carry, first.account) == (2 * half, 2 * half, 0, 4 * half)
    assert (second.half_spread, second.adverse_selection, second.inventory_carry, second.account) == (0, 2 * half, 2 * half, 4 * half)


@pytest.mark.parametrize(
    "name", ["position_lots", "cash_ticklots", "fees_ticklots", "fees_uticklots", "funding_ticklots", "funding_e8ticklots"]
)
def test_a_ledger_that_is_off_by_one_is_not_reported(name):
    w = story()
    rows = w.array()
    ledger = w.ledgers()[0]
    wrong = replace(ledger, **{name: getattr(ledger, name) + 1})
    with pytest.raises(AccountingError, match=r"differ by -(1|2|200)"):
        identity(collect(rows, (LINEAR,)), (LINEAR,), (wrong,))


def test_a_path_that_lost_a_move_is_not_reported():
    w = story()
    facts = collect(w.array(), (LINEAR,))
    hour = next(iter(facts.paths[0].carry2[2]))
    facts.paths[0].carry2[2][hour] += 1
    with pytest.raises(AccountingError, match="the parts and the P&L of the total differ"):
        identity(facts, (LINEAR,), w.ledgers())


def test_a_fee_row_that_is_missing_and_a_fill_that_comes_too_late_are_said():
    rows = story().array()
    with pytest.raises(AccountingError, match="2 fills but 1 fees"):
        collect(np.delete(rows, np.flatnonzero(rows["kind"] == FEE)[0]), (LINEAR,))
    w = Written()
    for s in range(0, 200, 10):
        w.touch(START_NS + s * 1000 * MS, 100 + s, 102 + s)
    w.fill(START_NS + 1, START_NS + 195_000 * MS, 1, 100, 1)
    late = w.array()
    with pytest.raises(AccountingError, match=r"keep_s"):
        collect(late, (LINEAR,), range(1, len(late)))
    with pytest.raises(InputError, match=r"wanted one of 0\.1, 1, 5, 30, 60"):
        identity(collect(rows, (LINEAR,)), (LINEAR,), (), 2.0)


def test_a_fill_happened_in_the_touch_that_was_written_for_it():
    # A venue that stamps milliseconds: the print that filled us, and the book after it, carry one time.
    w = Written()
    at = START_NS + 5 * MS
    w.touch(START_NS, 100, 102)
    w.touch(at, 100, 102, bid_lots=7, order_id=64)
    w.touch(at, 96, 98)
    w.touch(at, 94, 96)
    w.fill(at, at + 3 * MS, 1, 100, 2, order_id=64)
    w.fill(at, at + 4 * MS, 1, 100, 2, order_id=65)  # nothing was written for it: the last word of that time
    fills = collect(w.array(), (LINEAR,)).fills
    assert fills["mid2"].tolist() == [202, 190]
    assert (fills["bid_ticks"][0], fills["bid_lots"][0], fills["ask_ticks"][0]) == (100, 7, 102)
    # Learned of at once: what the book did later at that same time was not yet written.
    fill = [row(FILL, at, at, 100, 2, 0, 64, side=1), row(FEE, at, at, leaves=2)]
    rows = np.array([touch(START_NS, 100, 102), *fill, touch(at, 96, 98)], EVENT)
    for cuts in ([], [1], [1, 3]):
        assert collect(rows, (LINEAR,), cuts).fills["mid2"].tolist() == [202]


def test_touches_do_not_pile_up():
    sizes = {}
    for seconds in (600, 6000):
        collector = Collector((LINEAR,))
        for s in range(0, seconds, 60):
            w = Written()
            for k in range(600):
                w.touch(START_NS + (s * 1000 + k * 100) * MS, 100 + k % 3, 102 + k % 3)
            collector.add(w.array())
        sizes[seconds] = len(collector.paths[0].ts_ns)
    assert sizes[600] == sizes[6000] <= 1202


def test_without_a_touch_the_desks_fair_price_is_the_mid():
    w = Written()
    w.sample(START_NS, 100.0)
    w.fill(START_NS + MS, START_NS + MS, 1, 99, 2, fair=100.0)
    w.sample(START_NS + 6_000 * MS, 98.5)
    facts = collect(w.array(), (LINEAR,), end_ns=START_NS + 10_000 * MS, marks_mid2=(196,))
    one = identity(facts, (LINEAR,), w.ledgers())[0]
    assert (one.total.half_spread, one.total.adverse_selection, one.total.inventory_carry) == (WHOLE * 2, 0, WHOLE * -4)
    assert not facts.fills["touched"].any()


def test_sums_that_do_not_fit_into_64_bits_are_exact_all_the_same():
    a, b = np.array([3, -(1 << 40)]), np.array([5, 1 << 40])
    assert list(product(a, b)) == [15, -(1 << 80)]
    assert total(np.full(8, 1 << 61)) == 1 << 64
    assert product(np.array([2]), np.array([3])).dtype == np.int64


@given(price=st.integers(1, 10**7))
def test_a_half_tick_price_is_worth_the_mean_of_its_neighbours(price):
    for one in BOTH:
        assert value2(one, 2 * price) == 2 * one.value_of(price)
        assert value2(one, 2 * price + 1) == one.value_of(price) + one.value_of(price + 1)
