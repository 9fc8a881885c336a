"""The field reference: complete, in step with the records, and the same in the notebook and in docs/decide.md."""

import math
from pathlib import Path

import pytest

import hftlab as hl
from hftlab.errors import InputError
from hftlab.kernels import book, own, pricing
from hftlab.kernels import quote as q
from hftlab.types import ASK, BID, MARKET
from hftlab.usercode.fields import CALLS, END, fields, rewrite, unit
from hftlab.usercode.lint import RECORDS
from hftlab.usercode.meanings import MEANINGS, RECORDS_MEAN
from hftlab.usercode.run import runner

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "decide.md"


@pytest.mark.parametrize("record", RECORDS)
def test_every_field_has_a_meaning(record):
    names = [name for name in RECORDS[record].names if not name.startswith("pad")]
    assert not [name for name in names if len(MEANINGS[record].get(name, "")) < 5]
    assert [row[0] for row in fields(record).rows] == names
    assert not set(MEANINGS[record]) - set(names), "a meaning without its field"
    assert RECORDS_MEAN[record]


def test_every_record_inside_of_a_market_has_its_own_table():
    inside = {MARKET[name].base for name in MARKET.names if MARKET[name].base.names}
    assert inside <= set(RECORDS.values())


def test_the_document_holds_the_reference_of_these_records():
    text = DOCUMENT.read_text(encoding="utf-8")
    assert rewrite(text) == text, "run: python -m hftlab.usercode.fields docs/decide.md"
    with pytest.raises(InputError, match="has no lines"):
        rewrite(text.replace(END, ""))


def test_the_quoter_of_the_document_runs():
    block = DOCUMENT.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    source = block.split("\n\n")[1]
    scope = {"math": math}
    exec(source, scope)
    report = hl.backtest(
        hl.sample().slice(0, 20),
        None,
        hl.UserQuoter(decide=scope["decide"], order_qty="0.001", values={"lean": 0.1}),
        hl.Limits(position_qty_max="0.01"),
    )
    assert report.desk["submits"] > 0


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("bid_ticks", "ticks"),
        ("variance_ticks2_per_s", "ticks²/s"),
        ("fees_uticklots", "ticklot/10⁶"),
        ("skew_ticks_per_lot", "ticks/lot"),
        ("risk_aversion_per_ticklot", "1/ticklot"),
        ("half_spread_ticks_min", "ticks"),
        ("stale_ns_max", "ns"),
        ("maker_centibps", "bps/100"),
        ("horizon_s", "s"),
        ("pnl_quote", "settlement currency"),
        ("trades", ""),
    ],
)
def test_a_unit_is_the_end_of_the_name(name, said):
    assert unit(name) == said


def test_the_table_is_shown_as_text_as_html_and_as_a_frame():
    table = fields("quote")
    assert "bid_lots" in repr(table)
    assert "<code>bid_lots</code>" in table._repr_html_()
    frame = table.frame().set_index("name")
    assert frame.loc["bid_lots", "type"] == "integer"
    assert frame.loc["fair_ticks", "unit"] == "ticks"
    assert fields("market").frame().set_index("name").loc["bars", "type"].startswith("record[")
    assert [row[0] for row in fields().rows] == [*RECORDS_MEAN, "functions"]
    with pytest.raises(InputError, match="Did you mean 'market'"):
        fields("markets")


def test_the_listed_functions_can_be_called_from_a_decide():
    assert set(CALLS) == {"book", "own", "quote", "pricing"}
    assert len(fields("functions").rows) == sum(len(names) for names in CALLS.values())
    runner(calls_everything)


def calls_everything(desk, market, params, quote):
    best = q.public_touch(market, BID)
    lots = book.lots_at(market.book, BID, best) + book.next_level(market.book, BID, best)
    lots += own.public_lots(market, BID, best) + own.own_lots(market, BID, best) + own.open_lots(market, ASK)
    k, a = q.decay_per_tick(market, params), q.arrival_per_s(market, params)
    q.around(quote, params, market.fair_ticks, 1.0, 1.0)
    q.avellaneda_stoikov(desk, market, params, quote)
    fair = pricing.as_reservation_ticks(market.fair_ticks, 1.0, 0.1, 1.0, 1.0) + pricing.as_spread(0.1, 1.0, 1.0, k, 1.0)
    bid, ask = pricing.glft_depths(1.0, 0.1, 1.0, k, a, 1.0)
    weight = pricing.ewma_weight(1_000_000, 1.0) + pricing.ewma_variance_per_s(1.0, 0.5, 1_000_000, 1.0)
    quote.bid_ticks = int(fair - bid - weight)
    quote.ask_ticks = int(fair + ask + lots)
