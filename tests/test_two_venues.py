"""One run over two venues and three instruments: each on its own grid, rules, latency and fees, all on one desk."""

import numpy as np
import pytest

import hftlab as hl
from hftlab.data.merging import merge_rows
from hftlab.data.synth import synth_rows
from hftlab.data.tape import Tape
from hftlab.types import ACCEPTED, AMEND, AMENDED, AT_DESK, CANCEL, CANCELED, DEPTH, FILL, REJECTED, SUBMIT, TRADE

MS = 1_000_000
SECONDS = 60
BTC, ETH = (hl.Instrument.bundled(f"sim:{base}/USDT") for base in ("BTC", "ETH"))
PERP = hl.Instrument(
    venue="elsewhere",
    symbol="BTC/USDT:USDT",
    base="BTC",
    quote="USDT",
    tick_size="2",
    lot_size="0.0005",
    notional_quote_min="50",
    amend="never",
)
MARKETS = (BTC, ETH, PERP)
FEED_MS = (1, 3, 12)
ORDER_MS, REPORT_MS = (2, 5, 20), (1, 4, 30)
MAKER_BPS = (-0.5, 1, 2)
MODELS = ("power", "risk_averse", "log")
SIZES = ("0.02", "0.4", "0.015")
WIDE = {"capital_quote": 1e9, "loss_quote_max": 1e9, "drawdown_frac_max": 1e6, "requests_per_s_max": 1e6, "requests_burst": 1e6}


def a_tape(i):
    """Return one simulated market, with a feed latency and a seed of its own."""
    return Tape(synth_rows(MARKETS[i], SECONDS, seed=20 + i, latency_ns=FEED_MS[i] * MS), (MARKETS[i],), MARKETS[i].name)


def run(tape, which):
    """Backtest the instruments numbered `which`."""

    def each(values):
        return [values[i] for i in which]

    return hl.backtest(
        tape,
        None,
        each([hl.FixedSpread(order_qty=size, half_spread_ticks=1, hysteresis_ticks=1, life_ms_min=0) for size in SIZES]),
        each([hl.Limits(position_qty_max=5 * float(size), **WIDE) for size in SIZES]),
        queue=each(MODELS),
        latency=each([hl.Latency(order_ms=there, report_ms=back) for there, back in zip(ORDER_MS, REPORT_MS, strict=True)]),
        fees=each([hl.Fees(maker_bps=maker, taker_bps=5) for maker in MAKER_BPS]),
    )


@pytest.fixture(scope="module")
def tapes():
    return [a_tape(i) for i in range(3)]


@pytest.fixture(scope="module")
def together(tapes):
    return run(Tape.join(tapes), (0, 1, 2))


def test_each_account_closes_and_the_desk_is_their_sum(together):
    assert together.instruments == MARKETS
    for i, closed in enumerate(together.pnl):
        fills, ledger = together.fills[together.fills["instrument"] == i], together.ledgers[i]
        assert len(fills) > 5
        assert closed.total.residual == 0
        signed = fills["side"].astype(np.int64) * fills["qty_lots"]
        assert int(signed.sum()) == ledger.position_lots
        assert -int((signed * fills["price_ticks"]).sum()) == ledger.cash_ticklots
        # A fee is maker_bps of the fill's notional, to a millionth of a ticklot: exact in integers, rests carried.
        bought = int((fills["qty_lots"] * fills["price_ticks"]).sum())
        paid = 1_000_000 * ledger.fees_ticklots + ledger.fees_uticklots
        assert fills["maker"].all()
        assert paid == int(MAKER_BPS[i] * 100) * bought
    assert together.pnl_quote == pytest.approx(sum(one["pnl_quote"] for one in together.accounts), abs=1e-9)
    assert together.desk["pnl_quote"] == pytest.approx(sum(one["desk_pnl_quote"] for one in together.accounts), abs=1e-6)


def test_requests_and_reports_travel_as_their_own_venue_says(together):
    own = together.facts.own
    for i in range(3):
        mine = own[own["instrument"] == i]
        asked = {(int(row["order_id"]), int(row["ts_recv_ns"])) for row in mine[np.isin(mine["kind"], (SUBMIT, AMEND, CANCEL))]}
        answers = mine[np.isin(mine["kind"], (ACCEPTED, AMENDED, REJECTED, CANCELED))]
        assert len(answers) > 10
        for row in answers:
            assert (int(row["order_id"]), int(row["ts_exch_ns"]) - ORDER_MS[i] * MS) in asked
        reports = mine[np.isin(mine["kind"], (ACCEPTED, AMENDED, REJECTED, CANCELED, FILL))]
        assert set((reports["ts_recv_ns"] - reports["ts_exch_ns"]).tolist()) == {REPORT_MS[i] * MS}


def test_every_fill_happened_in_its_own_market(together, tapes):
    for i, tape in enumerate(tapes):
        mine = together.fills[together.fills["instrument"] == i]
        theirs = {int(ts_ns) for ts_ns in tape.rows["ts_exch_ns"][np.isin(tape.rows["kind"], (TRADE, DEPTH))]}
        others = {int(ts_ns) for j, other in enumerate(tapes) if j != i for ts_ns in other.rows["ts_exch_ns"]}
        assert {int(ts_ns) for ts_ns in mine["ts_ns"]} <= theirs - others


def test_an_order_is_moved_as_its_venue_allows(together):
    own = together.facts.own
    for i, one in enumerate(MARKETS):
        kinds = own["kind"][own["instrument"] == i]
        moved = int((kinds == AMEND).sum())
        if one.amend == "never":
            assert moved == (kinds == AMENDED).sum() == 0
            assert (kinds == CANCELED).sum() > 10
        else:
            assert moved == (kinds == AMENDED).sum() > 10
            assert (kinds == CANCEL).sum() == 0


def test_messages_stay_whole_and_in_order(tapes):
    joined = Tape.join(tapes)
    assert (np.diff(joined.rows["ts_recv_ns"]) >= 0).all()
    merged = merge_rows(joined.rows)
    desk = merged[(merged["flags"] & AT_DESK) != 0]
    for i, tape in enumerate(tapes):
        mine, alone = joined.rows[joined.rows["instrument"] == i], tape.rows.copy()
        alone["instrument"] = i
        assert mine.tobytes() == alone.tobytes()
        assert desk["seq"][desk["instrument"] == i].tolist() == tape.rows["seq"].tolist()


@pytest.mark.parametrize("i", [0, 1, 2])
def test_an_instrument_alone_does_what_it_does_beside_others(together, tapes, i):
    alone = run(tapes[i], (i,))
    kinds = (SUBMIT, AMEND, CANCEL, FILL)
    one, other = (report.facts.own[np.isin(report.facts.own["kind"], kinds)] for report in (alone, together))
    other = other[other["instrument"] == i]
    names = ["ts_exch_ns", "ts_recv_ns", "price_ticks", "qty_lots", "leaves_lots", "kind", "side", "flags"]
    assert len(one) == len(other) > 20
    for name in names:  # order ids are the desk's, and it has more orders here
        assert one[name].tolist() == other[name].tolist()
    assert alone.pnl[0].total == together.pnl[i].total
