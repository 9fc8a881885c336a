"""Files that venues publish: Binance's public archive (README of binance/binance-public-data) and Bybit's trades and ob500 books.

Bybit's messages: bybit-exchange.github.io/docs/v5/websocket/public/orderbook.
"""

import gzip
import json
import zipfile

import numpy as np
import pytest
from captures import SPOT, USDM, book_of

from hftlab.data.recordings import load
from hftlab.data.streaming import stream
from hftlab.errors import FormatError, InputError, OffGridPrice, TapeError, TruncatedFile
from hftlab.instrument import Instrument
from hftlab.types import ASK, BBO, BID, CLEAR, DEPTH, GAP, LAST, SNAPSHOT, TRADE

MS = 1_700_000_000_000
BYBIT = Instrument(venue="bybit", symbol="BTC/USDT:USDT", base="BTC", quote="USDT", tick_size="0.1", lot_size="0.001")


def zipped(path, text, *, name="data.csv", method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr(name, text)
    return path


def plain(rows, *names):
    return [tuple(int(row[name]) for name in names) for row in rows]


SPOT_TRADES = f"1001,60000.01,0.00250,150.0,{MS},True,True\n1002,60000.02,0.00100,60.0,{MS + 7},False,True\n"
SPOT_TRADES_US = SPOT_TRADES.replace(f"{MS},", f"{MS}000,").replace(f"{MS + 7},", f"{MS + 7}000,")
SPOT_AGG = f"55,60000.01,0.00250,1001,1001,{MS},True,True\n56,60000.02,0.00100,1002,1003,{MS + 7},False,True\n"
USDM_TRADES = f"id,price,qty,quote_qty,time,is_buyer_maker\n1001,60000.1,0.250,1.0,{MS},true\n1002,60000.2,0.100,1.0,{MS + 7},false\n"
USDM_AGG = (
    "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\n"
    f"55,60000.1,0.250,1001,1001,{MS},true\n56,60000.2,0.100,1002,1003,{MS + 7},false\n"
)


@pytest.mark.parametrize(
    ("text", "instrument", "first"),
    [
        (SPOT_TRADES, SPOT, (6000001, 250, 1001)),
        (SPOT_TRADES_US, SPOT, (6000001, 250, 1001)),  # "timestamp for SPOT Data from January 1st 2025 onwards will be in microseconds"
        (SPOT_AGG, SPOT, (6000001, 250, 55)),
        (USDM_TRADES, USDM, (600001, 250, 1001)),
        (USDM_TRADES.partition("\n")[2], USDM, (600001, 250, 1001)),
        (USDM_TRADES.replace("quote_qty", "base_qty"), USDM, (600001, 250, 1001)),
        (USDM_AGG, USDM, (600001, 250, 55)),
        (USDM_AGG.partition("\n")[2], USDM, (600001, 250, 55)),
    ],
)
@pytest.mark.parametrize("packed", [True, False])
def test_prints_of_binances_archive(tmp_path, text, instrument, first, packed):
    path = tmp_path / "BTCUSDT-x-2024-01-01"
    path = zipped(path, text) if packed else path
    if not packed:
        path.write_text(text)
    tape = load(path, instrument)
    assert plain(tape.rows, "kind", "side", "flags") == [(TRADE, ASK, LAST), (TRADE, BID, LAST)]  # the buyer was the maker: a seller took
    assert plain(tape.rows[:1], "price_ticks", "qty_lots", "seq") == [first]
    assert tape.rows["ts_exch_ns"].tolist() == [MS * 1_000_000, (MS + 7) * 1_000_000]
    assert np.array_equal(tape.rows["ts_recv_ns"], tape.rows["ts_exch_ns"])
    assert any("do not say when they were received" in finding.text for finding in tape.report.findings)


def test_best_prices_of_binances_archive_and_prints_by_time(tmp_path):
    header = "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,event_time\n"
    text = header + f"7,60000.1,1.5,60000.2,2.0,{MS},{MS + 2}\n9,60000.1,1.0,60000.2,2.0,{MS + 9},{MS + 10}\n"
    paths = [zipped(tmp_path / "ticker.zip", text), zipped(tmp_path / "trades.zip", USDM_TRADES)]
    tape = load(paths, USDM)
    assert plain(tape.rows, "kind", "side", "price_ticks", "qty_lots", "seq", "flags") == [
        (TRADE, ASK, 600001, 250, 1001, LAST),
        (BBO, BID, 600001, 1500, 7, 0),
        (BBO, ASK, 600002, 2000, 7, LAST),
        (TRADE, BID, 600002, 100, 1002, LAST),
        (BBO, BID, 600001, 1000, 9, 0),
        (BBO, ASK, 600002, 2000, 9, LAST),
    ]
    assert ((tape.rows["ts_recv_ns"] - tape.rows["ts_exch_ns"])[[0, 1, 4]] // 1_000_000).tolist() == [0, 2, 1]


def test_files_with_a_header_line_and_files_without_are_one_tape(tmp_path):
    """Each is read by its own first line: Binance's tables got a header line one day, and no first trade is taken for one."""
    header, _, lines = USDM_TRADES.partition("\n")
    later = lines.replace(f"{MS},", f"{MS + 20},").replace(f"{MS + 7},", f"{MS + 27},").replace("100", "200")
    for name, first, second in (("a", lines, f"{header}\n{later}"), ("b", f"{header}\n{lines}", later)):
        days = [tmp_path / f"{name}{n}.csv" for n in (1, 2)]
        for path, text in zip(days, (first, second), strict=True):
            path.write_text(text)
        assert load(days, USDM).rows["seq"].tolist() == [1001, 1002, 2001, 2002]


def test_an_archive_does_not_say_what_was_traded(tmp_path):
    path = zipped(tmp_path / "a.zip", SPOT_TRADES)
    for wanted in (None, [SPOT, USDM]):
        with pytest.raises(InputError, match=r"a\.zip does not say what was traded; pass one instrument="):
            load(path, wanted)
    with pytest.raises(OffGridPrice, match=r"a\.zip: price 60000\.01 in line 1 is not on the grid of binanceusdm:BTC/USDT:USDT"):
        load(path, USDM)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (SPOT_TRADES.replace(",False,True", ",perhaps,True"), r"line 2: column 'is_buyer_maker' was 'perhaps'; wanted"),
        (SPOT_TRADES.replace(f"{MS + 7}", "7"), r"line 2: column 'time' was 7; wanted us or ms since 1970"),
        (SPOT_TRADES.replace("0.00100", "x"), r"line 2: column 'qty' was 'x'; wanted a number"),
        ("id,open,high\n1,2,3\n", r"begins with line 1: 'id,open,high'"),
        ("1,2,3\n", r"begins with line 1: '1,2,3'"),
    ],
)
def test_an_archive_that_cannot_be_used(tmp_path, text, match):
    with pytest.raises(FormatError, match=match):
        load(zipped(tmp_path / "a.zip", text), SPOT)


def test_zips_that_cannot_be_used(tmp_path):
    path = zipped(tmp_path / "two.zip", SPOT_TRADES)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("more.csv", SPOT_TRADES)
    with pytest.raises(FormatError, match=r"two\.zip packs 2 files \(data\.csv, more\.csv\); wanted one"):
        load(path, SPOT)
    lines = "".join(f"{n},60000.01,0.{n:05d},1.0,{MS + n},True,True\n" for n in range(1, 2000))
    whole = zipped(tmp_path / "whole.zip", lines)
    cut = tmp_path / "cut.zip"
    cut.write_bytes(whole.read_bytes()[:5000])
    with pytest.raises(TruncatedFile, match=r"cut\.zip ends in the middle .*partial=True"):
        load(cut, SPOT)
    part = load(cut, SPOT, partial=True)
    assert 100 < len(part) < 1999
    assert part.rows.tobytes() == load(whole, SPOT).rows[: len(part)].tobytes()
    damaged = bytearray(whole.read_bytes())
    damaged[2000] ^= 0xFF
    (tmp_path / "bad.zip").write_bytes(bytes(damaged))
    with pytest.raises((FormatError, InputError), match=r"bad\.zip"):
        load(tmp_path / "bad.zip", SPOT)


# --- Bybit -----------------------------------------------------------------------------------------------------------
BYBIT_TRADES = (
    "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,foreignNotional\n"
    "1700000000.0974,BTCUSDT,Buy,0.010,60000.1,PlusTick,m-1,6e+10,0.01,600.0\n"
    "1700000000.7,BTCUSDT,Sell,0.020,60000.2,MinusTick,m-2,1e+11,0.02,1200.0\n"
)


def test_prints_of_bybits_archive(tmp_path):
    path = tmp_path / "BTCUSDT2023-11-14.csv.gz"
    path.write_bytes(gzip.compress(BYBIT_TRADES.encode()))
    tape = load(path, BYBIT)
    assert plain(tape.rows, "kind", "side", "price_ticks", "qty_lots", "ts_exch_ns") == [
        (TRADE, BID, 600001, 10, 1_700_000_000_097_400_000),
        (TRADE, ASK, 600002, 20, 1_700_000_000_700_000_000),
    ]
    spot = tmp_path / "spot.csv"
    spot.write_text(f"id,timestamp,price,volume,side,rpi\n1,{MS},60000.1,0.010,buy,0\n2,{MS + 5},60000.2,0.020,sell,1\n")
    assert plain(load(spot, BYBIT).rows, "side", "price_ticks", "qty_lots") == [(BID, 600001, 10), (ASK, 600002, 20)]
    older = BYBIT_TRADES.splitlines(keepends=True)
    path.write_bytes(gzip.compress("".join([older[0], older[2], older[1]]).encode()))  # files of some years run backwards
    with pytest.raises(TapeError, match="sort=True"):
        load(path, BYBIT)
    assert load(path, BYBIT, sort=True).rows.tobytes() == tape.rows.tobytes()


def book(n, kind, bids, asks, *, u, late_ms=3):
    data = {"s": "BTCUSDT", "b": bids, "a": asks, "u": u, "seq": 10 * u}
    return json.dumps({"topic": "orderbook.500.BTCUSDT", "type": kind, "ts": MS + 100 * n + late_ms, "data": data, "cts": MS + 100 * n})


def books():
    return [
        book(0, "snapshot", [["60000.0", "1"], ["59999.9", "2"]], [["60000.2", "1.5"]], u=100),
        book(1, "delta", [["60000.0", "0"]], [["60000.3", "0.7"]], u=101),
        book(2, "delta", [], [["60000.2", "0"]], u=102),
    ]


def test_books_of_bybits_archive_by_hand(tmp_path):
    path = zipped(tmp_path / "2023-11-14_BTCUSDT_ob500.data.zip", "\n".join(books()) + "\n", name="x.data")
    tape = load(path, BYBIT)
    assert plain(tape.rows, "kind", "side", "price_ticks", "qty_lots", "seq", "flags") == [
        (CLEAR, 0, 0, 0, 100, SNAPSHOT),
        (DEPTH, BID, 600000, 1000, 100, SNAPSHOT),
        (DEPTH, BID, 599999, 2000, 100, SNAPSHOT),
        (DEPTH, ASK, 600002, 1500, 100, SNAPSHOT | LAST),
        (DEPTH, BID, 600000, 0, 101, 0),
        (DEPTH, ASK, 600003, 700, 101, LAST),
        (DEPTH, ASK, 600002, 0, 102, LAST),
    ]
    assert tape.rows["ts_exch_ns"][4] == (MS + 100) * 1_000_000
    assert tape.rows["ts_recv_ns"][4] == (MS + 103) * 1_000_000
    assert book_of(tape.rows) == ({599999: 2000}, {600003: 700})
    assert np.concatenate(list(stream(path, BYBIT).chunks(3))).tobytes() == tape.rows.tobytes()
    trades = tmp_path / "t.csv"
    trades.write_text(BYBIT_TRADES)
    assert load([path, trades], BYBIT).rows["kind"].tolist() == [CLEAR, DEPTH, DEPTH, DEPTH, TRADE, DEPTH, DEPTH, DEPTH, TRADE]


def test_a_book_of_bybit_that_goes_back_is_a_gap_until_the_next_snapshot(tmp_path):
    lines = [*books(), book(3, "delta", [["60000.0", "3"]], [], u=7), book(4, "snapshot", [["60000.1", "1"]], [], u=1)]
    tape = load(zipped(tmp_path / "a.zip", "\n".join(lines), name="x.data"), BYBIT)
    assert tape.rows["kind"].tolist()[7:] == [GAP, DEPTH, CLEAR, DEPTH]
    early = load(
        zipped(tmp_path / "b.zip", "\n".join([books()[2], *books()[:1]]).replace(str(MS + 200), str(MS)), name="x.data"), BYBIT, sort=True
    )
    assert early.report.dropped == {"update before the first snapshot": 1}


@pytest.mark.parametrize(
    ("line", "error", "match"),
    [
        ('{"topic": "orderbook.500.BTCUSDT"', FormatError, r"line 2: .*Wanted an order book message as JSON"),
        (book(1, "delta", [["60000.05", "1"]], [], u=101), OffGridPrice, r"line 2: price 60000\.05"),
        (book(1, "update", [["60000.0", "1"]], [], u=101), FormatError, r"line 2: .*type 'update', not 'snapshot' or 'delta'"),
        (book(1, "delta", [["60000.0", "-1"]], [], u=101), InputError, r"line 2: .*negative"),
    ],
)
def test_a_book_of_bybit_that_cannot_be_used(tmp_path, line, error, match):
    with pytest.raises(error, match=match):
        load(zipped(tmp_path / "a.zip", "\n".join([books()[0], line, books()[2]]) + "\n", name="x.data"), BYBIT)


def test_a_cut_book_of_bybit(tmp_path):
    path = tmp_path / "x.data"
    path.write_text("\n".join(books())[:-20])
    with pytest.raises(TruncatedFile, match=r"last line is incomplete\) after 2 good lines"):
        load(path, BYBIT)
    tape = load(path, BYBIT, partial=True)
    assert len(tape) == 6
    assert any("its first 2 lines were read" in finding.text for finding in tape.report.findings)
