"""Databento market by order: orders, the levels they make up, and places in the queue."""

import builtins
import datetime as dt
from types import SimpleNamespace

import numpy as np
import pytest
from captures import book_of
from hypothesis import given
from hypothesis import strategies as st

from hftlab.codes import L3_ORDER
from hftlab.data import recordings_databento
from hftlab.data.recordings import load
from hftlab.data.streaming import stream
from hftlab.errors import FormatError, InputError, OffGridPrice, TruncatedFile
from hftlab.instrument import Instrument
from hftlab.types import ASK, BID, CLEAR, DEPTH, LAST, SNAPSHOT, TRADE

dbn = pytest.importorskip("databento_dbn", reason="the optional extra hftlab[databento] is not installed")

ES = Instrument(venue="glbx", symbol="ESH4", base="ES", quote="USD", tick_size="0.25", lot_size="1", multiplier="50")
NQ = Instrument(venue="glbx", symbol="NQH4", base="NQ", quote="USD", tick_size="0.25", lot_size="1", multiplier="20")
NOW = 1_703_422_805_000_000_000
LAYOUT = np.dtype(dbn.MBOMsg._dtypes)
F_LAST = int(dbn.F_LAST)


def record(n, action, order_id=0, side="N", price=None, size=0, flags=F_LAST, instrument_id=17077):
    row = np.zeros(1, LAYOUT)
    row["length"], row["rtype"], row["publisher_id"], row["instrument_id"] = LAYOUT.itemsize // 4, 160, 1, instrument_id
    row["ts_event"], row["ts_recv"], row["sequence"] = NOW + n * 1_000_000, NOW + n * 1_000_000 + 300_000, n
    row["order_id"], row["size"], row["flags"], row["action"], row["side"] = order_id, size, flags, action, side
    row["price"] = int(dbn.UNDEF_PRICE) if price is None else round(price * 10**9)
    return row


def put(path, records, *, schema=None, symbols=(("ESH4", 17077),)):
    days = {"start_date": dt.date(2023, 12, 24), "end_date": dt.date(2023, 12, 25)}
    meta = dbn.Metadata(
        dataset="GLBX.MDP3",
        start=NOW,
        stype_in=dbn.SType.RAW_SYMBOL,
        stype_out=dbn.SType.INSTRUMENT_ID,
        schema=schema or dbn.Schema.MBO,
        symbols=[name for name, _ in symbols],
        mappings=[SimpleNamespace(raw_symbol=name, intervals=[SimpleNamespace(**days, symbol=str(number))]) for name, number in symbols],
    )
    path.write_bytes(meta.encode() + b"".join(row.tobytes() for row in records))
    return path


def orders_of(rows):
    """Return {order id: (side, price, lots, place)} as the order rows tell it, the plain way; each row must fit what was before."""
    orders = {}
    for row in rows:
        if row["kind"] == CLEAR:
            orders.clear()
        elif row["kind"] == L3_ORDER:
            key, held = int(row["order_id"]), int(row["qty_lots"])
            assert orders.get(key, (0, 0, 0, 0))[2] == held
            orders[key] = (int(row["side"]), int(row["price_ticks"]), int(row["leaves_lots"]), int(row["seq"]))
            if not row["leaves_lots"]:
                del orders[key]
    return orders


def levels_of(orders):
    sides = ({}, {})
    for side, price, lots, _ in orders.values():
        levels = sides[0 if side == BID else 1]
        levels[price] = levels.get(price, 0) + lots
    return sides


def plain(rows, *names):
    return [tuple(int(row[name]) for name in names) for row in rows]


def test_every_action_by_hand(tmp_path):
    path = put(
        tmp_path / "a.dbn",
        [
            record(1, "R"),
            record(2, "A", 11, "B", 4800.0, 3),
            record(3, "A", 12, "B", 4800.0, 2),
            record(4, "M", 11, "B", 4800.0, 2),  # smaller: keeps its place
            record(5, "M", 12, "B", 4800.0, 4),  # larger: goes to the back
            record(6, "M", 11, "B", 4799.75, 2),  # another price: goes to the back there
            record(7, "T", 0, "A", 4800.0, 3, flags=0),  # one packet: the print, the fill, and the cancel that takes the lots away
            record(7, "F", 12, "B", 4800.0, 3, flags=0),
            record(7, "C", 12, "B", 4800.0, 3),
            record(8, "C", 12, "B", 4800.0, 1),
        ],
    )
    tape = load(path, ES)
    assert plain(tape.rows, "kind", "side", "price_ticks", "qty_lots", "leaves_lots", "order_id", "seq", "flags") == [
        (CLEAR, 0, 0, 0, 0, 0, 1, LAST),
        (L3_ORDER, BID, 19200, 0, 3, 11, 2, 0),
        (DEPTH, BID, 19200, 3, 0, 0, 2, LAST),
        (L3_ORDER, BID, 19200, 0, 2, 12, 3, 0),
        (DEPTH, BID, 19200, 5, 0, 0, 3, LAST),
        (L3_ORDER, BID, 19200, 3, 2, 11, 2, 0),
        (DEPTH, BID, 19200, 4, 0, 0, 4, LAST),
        (L3_ORDER, BID, 19200, 2, 4, 12, 5, 0),
        (DEPTH, BID, 19200, 6, 0, 0, 5, LAST),
        (L3_ORDER, BID, 19200, 2, 0, 11, 2, 0),
        (DEPTH, BID, 19200, 4, 0, 0, 6, 0),
        (L3_ORDER, BID, 19199, 0, 2, 11, 6, 0),
        (DEPTH, BID, 19199, 2, 0, 0, 6, LAST),
        (TRADE, ASK, 19200, 3, 0, 0, 7, 0),
        (L3_ORDER, BID, 19200, 4, 1, 12, 5, 0),
        (DEPTH, BID, 19200, 1, 0, 0, 9, LAST),
        (L3_ORDER, BID, 19200, 1, 0, 12, 5, 0),
        (DEPTH, BID, 19200, 0, 0, 0, 10, LAST),
    ]
    assert tape.rows["ts_recv_ns"][0] - tape.rows["ts_exch_ns"][0] == 300_000
    assert orders_of(tape.rows) == {11: (BID, 19199, 2, 6)}


def test_a_later_slice_begins_with_the_orders_in_their_places(tmp_path):
    records = [record(1, "R")]
    records += [record(2 + n, "A", n, "B" if n % 2 else "A", 100.0 + (n % 2 == 0), 2 + n) for n in range(6)]
    records += [record(10, "M", 1, "B", 100.0, 9), record(11, "C", 3, "B", 100.0, 9), record(12, "A", 8, "B", 99.0, 1), record(13, "N")]
    tape = load(put(tmp_path / "a.dbn", records), ES)
    part = tape.slice(0.0105)  # after the modify and the cancel
    assert orders_of(part.rows) == orders_of(tape.rows)
    assert book_of(part.rows) == book_of(tape.rows)
    head = part.rows[part.rows["kind"] == L3_ORDER][:-1]
    assert head["order_id"].tolist() == [0, 2, 4, 5, 1]  # 1 grew and went to the back, 3 is gone
    frame = part.frame()
    assert frame["qty"][frame["kind"] == "L3_ORDER"].tolist() == [2.0, 4.0, 6.0, 7.0, 9.0, 1.0]


@pytest.mark.parametrize("batch", [1, 2, 1 << 16])
def test_a_packet_closed_by_a_record_without_a_row_is_closed_all_the_same(tmp_path, monkeypatch, batch):
    monkeypatch.setattr(recordings_databento, "_RECORDS", batch)
    two = (("ESH4", 0), ("NQH4", 1))
    records = [
        record(1, "A", 1, "B", 100.0, 1, flags=0, instrument_id=0),
        record(1, "A", 2, "A", 101.0, 1, flags=0, instrument_id=1),
        record(1, "N", flags=F_LAST, instrument_id=0),
        record(1, "N", flags=F_LAST, instrument_id=1),
        record(2, "N", flags=F_LAST, instrument_id=1),
    ]
    tape = load(put(tmp_path / "a.dbn", records, symbols=two), [ES, NQ])
    assert plain(tape.rows, "kind", "instrument", "flags") == [(L3_ORDER, 0, 0), (DEPTH, 0, LAST), (L3_ORDER, 1, 0), (DEPTH, 1, LAST)]


STEP = st.tuples(
    st.sampled_from("AAAACCMMR"),
    st.integers(0, 6),
    st.sampled_from("BA"),
    st.integers(0, 3),
    st.integers(1, 5),
    st.booleans(),
    st.integers(0, 1),
)


@given(steps=st.lists(STEP, min_size=1, max_size=60), batch=st.sampled_from([1, 3, 1 << 16]))
def test_the_book_of_levels_is_the_book_of_orders_at_the_end_of_every_packet(tmp_path_factory, steps, batch):
    records, resting = [], {}
    for n, (wish, key, wished_side, level, size, last, market) in enumerate(steps):
        order_id = 100 * market + key
        action = "M" if wish == "A" and order_id in resting else wish
        side = resting[order_id][0] if action == "M" and order_id in resting else wished_side
        if action in "CM" and order_id not in resting:
            continue
        price = (100.0 if side == "B" else 110.0) + level / 4
        if action == "R":
            resting = {one: value for one, value in resting.items() if one // 100 != market}
        elif action == "C":
            resting[order_id] = (resting[order_id][0], resting[order_id][1] - size)
            if resting[order_id][1] <= 0:
                del resting[order_id]
        else:
            resting[order_id] = (side, size)
        records.append(
            record(n, action, order_id, side, price, size, flags=F_LAST if last or n == len(steps) - 1 else 0, instrument_id=market)
        )
    if not records:
        return
    path = put(tmp_path_factory.mktemp("dbn") / "a.dbn", records, symbols=(("ESH4", 0), ("NQH4", 1)))
    wanted = [(ES, NQ)[market] for market in sorted({int(one["instrument_id"][0]) for one in records})]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recordings_databento, "_RECORDS", batch)
        rows = np.concatenate(list(stream(path, wanted).chunks(5)))
    assert rows.tobytes() == load(path, wanted).rows.tobytes()
    for i in np.unique(rows["instrument"]):
        mine = rows[rows["instrument"] == i]
        for end in np.flatnonzero(mine["flags"] & LAST) + 1:
            assert book_of(mine[:end]) == levels_of(orders_of(mine[:end]))
    held = sorted((order_id, lots) for order_id, (_, lots) in resting.items())
    found = [(key, value[2]) for i in np.unique(rows["instrument"]) for key, value in orders_of(rows[rows["instrument"] == i]).items()]
    assert sorted(found) == held


def test_the_recorded_snapshot_of_the_e_mini(shared):
    path = shared / "data" / "esh4-glbx-mdp3-20231224.mbo.dbn.zst"
    pytest.importorskip("zstandard", reason="the optional extra hftlab[databento] is not installed")
    tape = load(path, ES)
    # 8,725 resting orders in one packet, counted from the raw records: 5,192 bids and 3,533 offers.
    orders = orders_of(tape.rows)
    assert (len(orders), sum(side == BID for side, *_ in orders.values())) == (8725, 5192)
    assert book_of(tape.rows) == levels_of(orders)
    assert np.flatnonzero(tape.rows["flags"] & LAST).tolist() == [len(tape) - 1]
    assert np.all(tape.rows["flags"] & SNAPSHOT)
    bids, asks = book_of(tape.rows)
    assert max(bids) < min(asks)
    assert np.concatenate(list(stream(path, ES).chunks())).tobytes() == tape.rows.tobytes()


@pytest.mark.parametrize(
    ("records", "error", "match"),
    [
        ([record(1, "A", 1, "B", 100.1, 1)], OffGridPrice, r"record 1: price 100\.1 is not on the grid of glbx:ESH4"),
        (
            [record(1, "A", 1, "B", 100.0, 1), record(2, "A", 1, "B", 100.0, 1)],
            FormatError,
            "record 2: order 1 is added, but rests already",
        ),
        ([record(1, "A", 1, "N", 100.0, 1)], FormatError, "record 1: order 1 has no side"),
        ([record(1, "A", 1, "B", None, 1)], FormatError, "record 1: an order without a price"),
        ([record(1, "X", 1, "B", 100.0, 1)], FormatError, r"record 1: action b'X'; wanted"),
    ],
)
def test_records_that_cannot_be_used(tmp_path, records, error, match):
    with pytest.raises(error, match=match):
        load(put(tmp_path / "a.dbn", records), ES)


def test_files_that_cannot_be_used(tmp_path):
    good = put(tmp_path / "a.dbn", [record(n, "A", n, "B", 100.0, 1) for n in range(1, 9)])
    data = good.read_bytes()
    cut = tmp_path / "cut.dbn"
    cut.write_bytes(data[:-20])
    with pytest.raises(TruncatedFile, match=r"after 7 good records.*partial=True"):
        load(cut, ES)
    tape = load(cut, ES, partial=True)
    assert tape.rows.tobytes() == load(good, ES).rows[: len(tape)].tobytes()
    assert any("its first 7 records were read" in finding.text for finding in tape.report.findings)
    cut.write_bytes(data[:50])
    with pytest.raises(TruncatedFile, match="within its description"):
        load(cut, ES)
    with pytest.raises(FormatError, match="holds trades; wanted the schema mbo"):
        load(put(tmp_path / "b.dbn", [], schema=dbn.Schema.TRADES), ES)
    cut.write_bytes(data[:-56] + b"\x05" + data[-55:])
    with pytest.raises(FormatError, match="record 8: length 20 bytes; wanted 56"):
        load(cut, ES)
    with pytest.raises(InputError, match="records databento:ESH4; the instrument given was glbx:NQH4"):
        load(good, NQ)


def test_cancels_and_prints_that_are_left_out_are_counted(tmp_path):
    records = [record(1, "C", 5, "B", 100.0, 1), record(2, "T", 0, "N", 100.0, 1), record(3, "A", 6, "A", 101.0, 2)]
    report = load(put(tmp_path / "a.dbn", records), ES).report
    assert report.dropped == {"cancel of an order from before the recording": 1, "trade of unknown side": 1}


@pytest.mark.parametrize(("missing", "name"), [("databento_dbn", "a.dbn"), ("zstandard", "a.dbn.zst")])
def test_without_the_optional_extra_it_says_what_to_install(tmp_path, monkeypatch, missing, name):
    path = put(tmp_path / name, [record(1, "A", 1, "B", 100.0, 1)])
    if name.endswith("zst"):
        path.write_bytes(pytest.importorskip("zstandard").compress(path.read_bytes()))
    real = builtins.__import__

    def without(name, *rest, **options):
        if name == missing:
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"pip install 'hftlab\[databento\]'"):
        load(path, ES)
