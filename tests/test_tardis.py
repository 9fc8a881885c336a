"""Tables of Tardis.dev. Columns and rules: docs.tardis.dev, "Downloadable CSV files", "Data types"."""

import gzip

import numpy as np
import pytest
from captures import SPOT, USDM, book_of

from hftlab.data import tables
from hftlab.data.recordings import load
from hftlab.data.streaming import stream
from hftlab.errors import FormatError, InputError, OffGridPrice, OffGridQuantity, TapeError, TruncatedFile, UnknownInstrument
from hftlab.types import ASK, BBO, BID, CLEAR, DEPTH, FUNDING, LAST, NO_PRICE, SNAPSHOT, TRADE

US = 1_700_000_000_000_000
WHO = "binance-futures,BTCUSDT"
BOOK = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount"
TRADES = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount"
QUOTES = "exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount"
TICKER = "exchange,symbol,timestamp,local_timestamp,funding_timestamp,funding_rate,predicted_funding_rate,open_interest,last_price,index_price,mark_price"


def at(n, late_us=5_000, who=WHO):
    """Return the first four cells of step n: steps are 10 ms."""
    return f"{who},{US + 10_000 * n},{US + 10_000 * n + late_us}"


def a_book():
    return [
        f"{at(0)},false,bid,59000.0,9",  # from before the snapshot
        f"{at(1)},true,bid,60000.0,1",
        f"{at(1)},true,bid,59999.9,2",
        f"{at(1)},true,ask,60000.2,1.5",
        f"{at(2)},false,bid,60000.0,0.5",
        f"{at(2)},false,ask,60000.3,0.7",
        f"{at(4)},false,bid,60000.0,0",
        f"{at(6)},false,ask,60000.2,0",
    ]


def put(path, header, lines, *, end="\n"):
    text = "\n".join([header, *lines]) + end
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def plain(rows, *names):
    return [tuple(int(row[name]) for name in names) for row in rows]


@pytest.mark.parametrize("name", ["book.csv", "book.csv.gz"])
def test_a_book_by_hand(tmp_path, name):
    tape = load(put(tmp_path / name, BOOK, a_book()))
    assert tape.instruments == (USDM,)
    assert plain(tape.rows, "kind", "side", "price_ticks", "qty_lots", "flags") == [
        (CLEAR, 0, 0, 0, SNAPSHOT),
        (DEPTH, BID, 600000, 1000, SNAPSHOT),
        (DEPTH, BID, 599999, 2000, SNAPSHOT),
        (DEPTH, ASK, 600002, 1500, SNAPSHOT | LAST),
        (DEPTH, BID, 600000, 500, 0),
        (DEPTH, ASK, 600003, 700, LAST),
        (DEPTH, BID, 600000, 0, LAST),
        (DEPTH, ASK, 600002, 0, LAST),
    ]
    assert tape.rows["ts_exch_ns"].tolist() == [1000 * (US + 10_000 * n) for n in (1, 1, 1, 1, 2, 2, 4, 6)]
    assert np.all(tape.rows["ts_recv_ns"] - tape.rows["ts_exch_ns"] == 5_000_000)
    assert tape.report.dropped == {"update before the first snapshot": 1}


@pytest.mark.parametrize("block", [1, 100, 300, 1 << 20])
def test_a_file_read_in_blocks_of_any_size_is_the_same_tape(tmp_path, monkeypatch, block):
    path = put(tmp_path / "book.csv", BOOK, a_book())
    whole = load(path).rows.tobytes()
    monkeypatch.setattr(tables, "BLOCK", block)
    monkeypatch.setattr("hftlab.data.files.CHUNK", 50)
    assert load(path).rows.tobytes() == whole
    assert np.concatenate(list(stream(path).chunks(2))).tobytes() == whole


def test_a_snapshot_after_an_update_discards_the_book(tmp_path):
    lines = [*a_book(), f"{at(8)},true,bid,61000.0,3", f"{at(8)},true,ask,61000.1,4"]
    tape = load(put(tmp_path / "book.csv", BOOK, lines))
    assert tape.rows["kind"].tolist().count(CLEAR) == 2
    assert book_of(tape.rows) == ({610000: 3000}, {610001: 4000})


def test_a_book_and_its_trades_are_one_market_by_receive_time(tmp_path):
    book = put(tmp_path / "book.csv.gz", BOOK, a_book())
    trades = [
        f"{at(3)},17,sell,60000.0,0.25",
        f"{at(4)},18,sell,60000.0,0.25",
        f"{at(5)},,unknown,60000.0,1",
        f"{at(7)},x9,buy,60000.3,0.125",
    ]
    tape = load([book, put(tmp_path / "trades.csv.gz", TRADES, trades)])
    assert tape.instruments == (USDM,)
    assert plain(tape.rows[6:], "kind", "side", "price_ticks", "qty_lots", "seq", "flags") == [
        (TRADE, ASK, 600000, 250, 17, LAST),
        (DEPTH, BID, 600000, 0, 0, LAST),  # received with the print below: files on ties in the order given
        (TRADE, ASK, 600000, 250, 18, LAST),
        (DEPTH, ASK, 600002, 0, 0, LAST),
        (TRADE, BID, 600003, 125, 0, LAST),
    ]
    assert tape.report.dropped["trade of unknown side"] == 1
    days = [put(tmp_path / f"trades{n}.csv", TRADES, [f"{at(n)},{n},buy,60000.3,0.125"]) for n in (9, 8)]
    with pytest.raises(TapeError, match=r"trades8\.csv begins 0\.010000 s before trades9\.csv ends"):
        load([book, *days])
    assert len(load([book, *days[::-1]])) == len(load(book)) + 2


def test_quotes_are_the_venues_own_best_prices(tmp_path):
    lines = [f"{at(1)},1.5,60000.2,60000.0,1", f"{at(2)},,,60000.0,2"]
    tape = load(put(tmp_path / "quotes.csv", QUOTES, lines))
    assert plain(tape.rows, "kind", "side", "price_ticks", "qty_lots", "flags") == [
        (BBO, BID, 600000, 1000, 0),
        (BBO, ASK, 600002, 1500, LAST),
        (BBO, BID, 600000, 2000, LAST),
    ]


def test_every_line_of_book_snapshots_is_a_whole_book(tmp_path):
    header = "exchange,symbol,timestamp,local_timestamp," + ",".join(
        f"{side}[{n}].{what}" for n in (0, 1) for side in ("asks", "bids") for what in ("price", "amount")
    )
    lines = [f"{at(1)},60000.2,1,60000.0,2,60000.3,3,59999.9,4", f"{at(2)},60000.2,1,60000.1,2,,,59999.9,4"]
    tape = load(put(tmp_path / "book_snapshot_2.csv", header, lines))
    assert tape.rows["kind"].tolist() == [CLEAR] + 4 * [DEPTH] + [CLEAR] + 3 * [DEPTH]
    assert [int(at) for at in np.flatnonzero(tape.rows["flags"] & LAST)] == [4, 8]
    assert book_of(tape.rows[:5]) == ({600000: 2000, 599999: 4000}, {600002: 1000, 600003: 3000})
    assert book_of(tape.rows) == ({600001: 2000, 599999: 4000}, {600002: 1000})


def test_funding_is_paid_once_when_its_time_has_passed(tmp_path):
    due = US + 25_000
    lines = [
        f"{at(1)},,,,,60000.0,60000.0,",
        f"{at(2)},{due},0.0001,,,60000.0,60000.0,60000.14",
        f"{at(3)},{due},-0.00012345,,,60000.0,60000.0,60000.16",
        f"{at(4)},{due + 28_800_000_000},0.0003,,,60000.0,60000.0,",
        f"{at(5)},{due + 40_000},0.0003,,,60000.0,60000.0,",
        f"{at(6)},{due + 50_000},0.0003,,,60000.0,60000.0,",
        f"{at(9)},{due + 28_800_000_000},0.0002,,,60000.0,60000.0,",
    ]
    tape = load(put(tmp_path / "ticker.csv", TICKER, lines))
    # The times of steps 4 and 5 never come: they are changed before. Paid by what was announced last before: -0.00012345 is -12345 in 1e-8, the mark price 60000.16 lies nearest to tick 600002.
    assert plain(tape.rows, "kind", "qty_lots", "price_ticks", "ts_exch_ns", "ts_recv_ns", "flags") == [
        (FUNDING, -12345, 600002, 1000 * due, 1000 * (US + 45_000), LAST),
        (FUNDING, 30000, NO_PRICE, 1000 * (due + 50_000), 1000 * (US + 95_000), LAST),
    ]


@pytest.mark.filterwarnings("ignore::hftlab.errors.DataWarning")
def test_two_symbols_of_one_file(tmp_path):
    lines = [f"{at(1)},1,buy,60000.0,1", f"{at(1, who='binance-futures,ETHUSDT')},1,buy,3000.00,2", f"{at(2)},2,buy,60000.0,3"]
    path = put(tmp_path / "trades.csv", TRADES, lines)
    tape = load(path)
    assert [one.symbol for one in tape.instruments] == ["BTC/USDT:USDT", "ETH/USDT:USDT"]
    assert plain(tape.rows, "instrument", "qty_lots") == [(0, 1000), (1, 2000), (0, 3000)]
    assert plain(load(path, USDM).rows, "instrument", "qty_lots") == [(0, 1000), (0, 3000)]
    assert any("ETHUSDT is also recorded" in finding.text for finding in load(path, USDM).report.findings)
    with pytest.raises(InputError, match=r"records binanceusdm:BTCUSDT.*; the instrument given was binance:BTC/USDT"):
        load(path, SPOT)
    with pytest.raises(UnknownInstrument, match="DOGEUSDT of binanceusdm"):
        load(put(tmp_path / "doge.csv", TRADES, [f"{at(1, who='binance-futures,DOGEUSDT')},1,buy,1,1"]))


def test_a_venue_that_the_vendor_spells_otherwise_is_taken_by_symbol(tmp_path):
    from hftlab.instrument import Instrument

    perp = Instrument(venue="deribit", symbol="BTC-PERPETUAL", base="BTC", quote="USD", tick_size="0.5", lot_size="10")
    path = put(tmp_path / "trades.csv", TRADES, [f"{at(1, who='deribit,BTC-PERPETUAL')},1,buy,60000.5,20"])
    assert plain(load(path, perp).rows, "price_ticks", "qty_lots") == [(120001, 2)]


def test_an_exchange_time_that_goes_back_within_the_book_is_raised_and_said(tmp_path):
    lines = [*a_book(), f"{WHO},{US + 50_000},{US + 70_000},false,bid,59999.9,1"]
    tape = load(put(tmp_path / "book.csv", BOOK, lines))
    assert tape.rows["ts_exch_ns"][-1] == 1000 * (US + 60_000)
    assert any("exchange time of 1 rows of the book went back" in finding.text for finding in tape.report.findings)


@pytest.mark.parametrize(
    ("line", "error", "match"),
    [
        (f"{at(7)},false,bid,60000.05,1", OffGridPrice, r"book\.csv: price 60000\.05 in line 10 is not on the grid"),
        (f"{at(7)},false,bid,60000.0,-1", OffGridQuantity, r"negative quantity in line 10"),
        (f"{at(7)},false,bid,nan,1", FormatError, r"line 10: column 'price' was 'nan'; wanted a number"),
        (f"{at(7)},false,bid,,1", FormatError, r"line 10: column 'price' was ''; wanted a number"),
        (f"{at(7)},false,bid,12;5,1", FormatError, r"line 10: column 'price' was '12;5'; wanted a number"),
        (f"{at(7)},false,buy,60000.0,1", FormatError, r"line 10: column 'side' was 'buy'; wanted bid or ask"),
        (f"{at(7)},maybe,bid,60000.0,1", FormatError, r"line 10: column 'is_snapshot' was 'maybe'; wanted true or false"),
        (f"{at(7)},false,bid,60000.0", FormatError, r"line 10: .* has 7 columns; wanted 8"),
        (f"{at(7)},false,bid,60000.0,1,2", FormatError, r"line 10: .* has 9 columns; wanted 8"),
        (
            f"{WHO},{US // 1000 + 70},{US // 1000 + 75},false,bid,60000.0,1",
            FormatError,
            r"line 10: column 'timestamp' was \d+; wanted us since 1970",
        ),
        (f"{WHO},today,{US},false,bid,60000.0,1", FormatError, r"line 10: column 'timestamp' was 'today'; wanted a whole number"),
        (f"{at(3)},false,bid,60000.0,1", TapeError, r"book\.csv: the receive time goes back by 0\.030000 s .*sort=True"),
    ],
)
def test_corruptions_are_named_with_line_and_column(tmp_path, line, error, match):
    path = put(tmp_path / "book.csv", BOOK, [*a_book(), line, f"{at(9)},false,bid,60000.0,1"])
    with pytest.raises(error, match=match):
        load(path)


def test_rows_out_of_order_are_sorted_on_request(tmp_path):
    lines = [f"{at(n)},{n},buy,60000.0,1" for n in (1, 3, 2)]
    tape = load(put(tmp_path / "trades.csv", TRADES, lines), sort=True)
    assert tape.rows["seq"].tolist() == [1, 2, 3]
    assert any("put in order" in finding.text for finding in tape.report.findings)


@pytest.mark.filterwarnings("ignore::hftlab.errors.DataWarning")
def test_rows_of_several_symbols_out_of_order_are_not_sorted_unasked(tmp_path):
    eth = "binance-futures,ETHUSDT"
    lines = [f"{at(n, who=who)},{n},buy,3000.0,1" for n, who in ((1, WHO), (4, eth), (2, WHO), (3, eth))]
    path = put(tmp_path / "trades.csv", TRADES, lines)
    with pytest.raises(TapeError, match=r"trades\.csv, line 4: received 0\.020000 s before the line above it \(1 times\).*sort=True"):
        load(path)
    tape = load(path, sort=True)
    assert tape.rows["seq"].tolist() == [1, 2, 3, 4]
    assert any("went back 1 times; the rows were put in order" in finding.text for finding in tape.report.findings)
    assert load(path, USDM).rows["seq"].tolist() == [1, 2]  # of one symbol alone nothing is out of order


def test_books_of_one_level_and_of_two_are_one_tape(tmp_path):
    def header(levels):
        names = [f"{side}[{n}].{what}" for n in range(levels) for side in ("asks", "bids") for what in ("price", "amount")]
        return "exchange,symbol,timestamp,local_timestamp," + ",".join(names)

    days = [
        put(tmp_path / "1.csv", header(1), [f"{at(1)},60000.2,1,60000.0,2"]),
        put(tmp_path / "2.csv", header(2), [f"{at(2)},60000.2,1,60000.0,2,60000.3,3,59999.9,4"]),
    ]
    assert load(days).rows["kind"].tolist() == [CLEAR, DEPTH, DEPTH, CLEAR, DEPTH, DEPTH, DEPTH, DEPTH]


def test_a_cut_file(tmp_path):
    whole = put(tmp_path / "book.csv.gz", BOOK, a_book())
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(whole.read_bytes()[:-25])
    with pytest.raises(TruncatedFile, match=r"packed stream ends early\) after \d+ good lines.*partial=True"):
        load(cut)
    assert 0 < len(load(cut, partial=True)) < len(load(whole))
    half = put(tmp_path / "half.csv", BOOK, [*a_book(), f"{at(7)},fal"], end="")
    with pytest.raises(TruncatedFile, match=r"last line is incomplete\) after 9 good lines"):
        load(half)
    tape = load(half, partial=True)
    assert tape.rows.tobytes() == load(whole).rows.tobytes()
    assert any("its first 9 lines were read" in finding.text for finding in tape.report.findings)
    odd = put(tmp_path / "odd.csv", BOOK, a_book(), end="")
    assert any("last line has no line end" in finding.text for finding in load(odd).report.findings)


def test_a_table_that_is_not_known(tmp_path):
    path = put(tmp_path / "x.csv", "exchange,symbol,timestamp,local_timestamp,strike,iv", [f"{at(1)},1,2"])
    with pytest.raises(
        FormatError, match=r"line 1: a table of Tardis\.dev with the columns strike, iv.*; wanted one of incremental_book_L2"
    ):
        load(path)
    with pytest.raises(FormatError, match="no market data in 1 lines"):
        load(put(tmp_path / "empty.csv", TRADES, []))
