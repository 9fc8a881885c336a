"""Files that cannot be used: each is refused with what was found, what was wanted and what to do."""

import gzip
import json

import pytest
from captures import SPOT, USDM, a_session, book_of, futures_diff, futures_snapshot, line, ms, spot_diff, stream, write

from hftlab.data.recordings import load
from hftlab.errors import (
    FormatError,
    InputError,
    OffGridPrice,
    OffGridQuantity,
    TapeError,
    TruncatedFile,
    UnknownInstrument,
    UnknownName,
)


def refused(error, match, path, **options):
    with pytest.raises(error, match=match) as caught:
        load(path, **options)
    return str(caught.value)


def test_an_off_grid_price_names_line_value_and_likely_cause(tmp_path):
    lines = [*a_session(), futures_diff(6, 113, 114, 112, [["60000.05", "1.000"]])]
    text = refused(OffGridPrice, r"a\.gz, line 7: price 60000\.05 ", write(tmp_path / "a.gz", lines))
    assert "wrong instrument" in text


def test_many_sizes_between_two_lots_are_a_wrong_instrument(tmp_path):
    lines = [futures_diff(1, 1, 2, 0, [["60000.0", "0.0015"], ["60000.1", "1.000"]])]
    text = refused(OffGridQuantity, r"1 of 2 different quantities, the first 0\.0015", write(tmp_path / "a.gz", lines))
    assert "wrong instrument" in text


def test_a_long_file_with_odd_sizes_is_refused_at_the_line(tmp_path):
    bids = [[f"{60000 + k}.0", f"{k}.0005"] for k in range(100)]
    refused(OffGridQuantity, r"a\.gz, line 1: 21 of 21 ", write(tmp_path / "a.gz", [futures_diff(1, 1, 2, 0, bids)]))


def test_a_few_odd_sizes_are_rounded_never_to_nothing_and_said(tmp_path):
    # Binance spot holds levels such as 25.42618900 from before the lot size grew.
    bids = [[f"{60000 + k}.00", f"{k}.00000"] for k in range(1, 9)] + [["59999.00", "25.42618900"], ["59998.00", "0.00000400"]]
    tape = load(write(tmp_path / "a.gz", [spot_diff(1, 1, 2, bids)]))
    book, _ = book_of(tape.rows)
    assert (book[5999900], book[5999800]) == (2542619, 1)
    assert any("2 different sizes lie between two lots" in finding.text for finding in tape.report.findings)


@pytest.mark.parametrize("size", ["-1.000", "-0.0001"])
def test_a_negative_size(tmp_path, size):
    refused(OffGridQuantity, "line 1: .*negative", write(tmp_path / "a.gz", [futures_diff(1, 1, 2, 0, [["60000.0", size]])]))


@pytest.mark.parametrize("value", ["NaN", "inf", "", "12,5"])
def test_a_price_that_is_no_number(tmp_path, value):
    refused(InputError, "line 1: price was", write(tmp_path / "a.gz", [futures_diff(1, 1, 2, 0, [[value, "1.000"]])]))


def test_a_bare_nan_is_not_json(tmp_path):
    text = futures_diff(6, 113, 114, 112, [["60000.0", "1.000"]]).replace('"1.000"', "NaN")
    refused(FormatError, "line 7", write(tmp_path / "a.gz", [*a_session(), text]))


def test_a_line_that_is_not_json(tmp_path):
    lines = a_session()
    lines.insert(3, f"{ms(3) * 1_000_000} <html>502 Bad Gateway</html>")
    refused(FormatError, r"a\.gz, line 4: ", write(tmp_path / "a.gz", lines))


def test_a_first_line_that_is_not_json_shows_how_it_begins(tmp_path):
    refused(FormatError, "line 1: .*<html>", write(tmp_path / "a.gz", [f"{ms(1)} <html>"]))


def test_a_line_without_a_local_time(tmp_path):
    lines = [*a_session(), '{"stream":"x@trade","data":{}}']
    refused(FormatError, r"line 7: .*local_ts", write(tmp_path / "a.gz", lines))


def test_a_local_time_that_is_no_time(tmp_path):
    refused(FormatError, "line 1: .*ns, us or ms", write(tmp_path / "a.gz", ['12345 {"stream":"x@trade","data":{}}']))


def test_a_message_that_lacks_a_field(tmp_path):
    data = {"e": "depthUpdate", "E": ms(1), "s": "BTCUSDT", "U": 1, "b": [], "a": []}
    refused(FormatError, "line 1: .*`u`", write(tmp_path / "a.gz", [line(1, stream("btcusdt@depth", data))]))


def test_a_truncated_gzip_says_how_much_is_good_and_how_to_accept_it(tmp_path):
    whole = write(tmp_path / "whole.gz", a_session() * 1)
    path = tmp_path / "cut.gz"
    path.write_bytes(whole.read_bytes()[:-30])
    text = refused(TruncatedFile, "ends in the middle", path)
    assert "partial=True" in text
    assert "good lines" in text
    tape = load(path, partial=True)
    assert 0 < len(tape) < len(load(whole))
    assert any("ends in the middle" in finding.text for finding in tape.report.findings)


def test_a_last_line_cut_in_half_is_a_truncated_file(tmp_path):
    text = "\n".join(a_session())
    path = tmp_path / "cut.txt"
    path.write_text(text[:-10])
    refused(TruncatedFile, "after 5 good lines", path)
    assert len(load(path, partial=True)) == len(load(write(tmp_path / "five.gz", a_session()[:5])))
    path.write_text(text)  # whole, but for the last line end
    assert len(load(path)) == len(load(write(tmp_path / "six.gz", a_session())))


def test_a_damaged_gzip(tmp_path):
    packed = bytearray(write(tmp_path / "a.gz", a_session()).read_bytes())
    packed[-6] ^= 0xFF  # the checksum
    path = tmp_path / "bad.gz"
    path.write_bytes(bytes(packed))
    refused(FormatError, "damaged", path)


def test_an_empty_file(tmp_path):
    path = tmp_path / "empty"
    path.write_bytes(b"")
    refused(FormatError, "0 bytes", path)


def test_a_file_that_is_not_there(tmp_path):
    refused(FormatError, "cannot be read: No such file", tmp_path / "none.gz")


@pytest.mark.parametrize(
    ("content", "named"),
    [(b"\x28\xb5\x2f\xfd1234", "zstd"), (b"PAR1xxxx", "Parquet"), (b"\x89PNG1234", "begins with"), (b"a,b\n1,2\n", "begins")],
)
def test_a_file_of_another_kind(tmp_path, content, named):
    path = tmp_path / "x"
    path.write_bytes(content)
    refused(FormatError, named, path)


def test_a_gzip_of_something_else(tmp_path):
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(b"time,price\n1,2\n"))
    refused(FormatError, "line 1: 'time,price'", path)


def test_json_lines_of_an_unknown_venue(tmp_path):
    text = refused(FormatError, "no line of the first 3", write(tmp_path / "a.gz", [line(n, {"topic": "orderbook"}) for n in range(3)]))
    assert "Binance" in text


def test_a_capture_without_market_data(tmp_path):
    data = {"e": "markPriceUpdate", "E": ms(9), "s": "BTCUSDT", "p": "60000.1"}
    refused(FormatError, "no market data in 1 lines .*markPrice", write(tmp_path / "a.gz", [line(9, stream("btcusdt@markPrice", data))]))


def test_an_unknown_symbol_says_how_to_name_its_grid(tmp_path):
    text = a_session()[1].replace("BTCUSDT", "DOGEUSDT").replace("btcusdt", "dogeusdt")
    assert "tick_size=" in refused(UnknownInstrument, "DOGEUSDT of binanceusdm", write(tmp_path / "a.gz", [text]))


def test_an_instrument_that_is_not_in_the_recording(tmp_path):
    refused(
        InputError,
        "records binanceusdm:BTCUSDT; the instrument given was binance:BTC/USDT",
        write(tmp_path / "a.gz", a_session()),
        instrument=SPOT,
    )
    refused(UnknownInstrument, "no bundled instrument 'BTCUSDT'", write(tmp_path / "b.gz", a_session()), instrument="BTCUSDT")
    refused(InputError, "instrument was 7", write(tmp_path / "c.gz", a_session()), instrument=[7])


def test_only_the_instrument_asked_for_is_read(tmp_path):
    other = a_session()[1].replace("BTCUSDT", "DOGEUSDT").replace("btcusdt", "dogeusdt")
    lines = [text for text in a_session() if "lastUpdateId" not in text]
    tape = load(write(tmp_path / "a.gz", [lines[0], other, *lines[1:]]), USDM)
    assert tape.instruments == (USDM,)
    assert any("DOGEUSDT is also recorded" in finding.text for finding in tape.report.findings)


def test_a_snapshot_without_a_symbol_among_several_symbols(tmp_path):
    other = a_session()[1].replace("BTCUSDT", "ETHUSDT").replace("btcusdt", "ethusdt").replace("60000.", "3000.")
    lines = [a_session()[1], other.replace(other.split()[0], a_session()[1].split()[0]), futures_snapshot(3, 105)]
    refused(FormatError, "line 3: .*one symbol a file", write(tmp_path / "a.gz", lines))


def test_lines_out_of_order_are_refused_and_sorted_on_request(tmp_path):
    lines = a_session()
    lines[2], lines[4] = lines[4], lines[2]
    path = write(tmp_path / "a.gz", lines)
    assert "sort=True" in refused(TapeError, r"a\.gz, line 4: received 0\.010000 s before", path)
    tape = load(path, sort=True)
    assert (tape.rows == load(write(tmp_path / "b.gz", a_session())).rows).all()
    assert any("put in order" in finding.text for finding in tape.report.findings)
    lines[3] = lines[3].replace("60000.1", "60000.15")
    refused(OffGridPrice, r"a\.gz, line 4: price", write(tmp_path / "a.gz", lines), sort=True)


def test_a_misspelt_keyword_or_choice(tmp_path):
    path = write(tmp_path / "a.gz", a_session())
    refused(UnknownName, "no option 'instrumnet'. Did you mean 'instrument'", path, instrumnet=USDM)
    refused(UnknownName, "clock was 'corect'. Did you mean 'correct'", path, clock="corect")


def test_times_that_are_none(tmp_path):
    path = write(tmp_path / "a.gz", a_session())
    refused(InputError, "start_s was nan", path, start_s=float("nan"))
    refused(InputError, "start_s was -1", path, start_s=-1)
    refused(InputError, "no rows between", path, start_s=10.0)


def test_no_files():
    refused(InputError, "no files", [])


def test_a_crossed_book_is_found_with_its_row(tmp_path):
    lines = [*a_session(), futures_diff(6, 113, 114, 112, [["60000.4", "1.000"]])]
    tape = load(write(tmp_path / "a.gz", lines))
    assert tape.report.crossed_messages == 1
    assert tape.report.crossed_first_row == len(tape) - 1
    assert not tape.report.ok
    assert "crossed" in json.dumps(tape.report.facts())
