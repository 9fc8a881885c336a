"""Small recordings, written line by line as a recorder writes them."""

import gzip
import json

from hftlab.instrument import Instrument
from hftlab.types import CLEAR, DEPTH

USDM = Instrument.bundled("binanceusdm:BTC/USDT:USDT")  # tick 0.1, lot 0.001
SPOT = Instrument.bundled("binance:BTC/USDT")  # tick 0.01, lot 0.00001
START_MS = 1_700_000_000_000
LATENCY_MS = 5


def ms(n):
    """Return the exchange time of step n, ten ms apart."""
    return START_MS + 10 * n


def line(n, message, *, late_ms=LATENCY_MS, unit=1_000_000):
    """Return one line, received `late_ms` after step n."""
    return f"{(ms(n) + late_ms) * unit} {json.dumps(message, separators=(',', ':'))}"


def stream(name, data):
    return {"stream": name, "data": data}


def futures_diff(n, first, last, previous, bids=(), asks=(), **kw):
    data = {"e": "depthUpdate", "E": ms(n), "T": ms(n), "s": "BTCUSDT", "U": first, "u": last, "pu": previous}
    return line(n, stream("btcusdt@depth@0ms", {**data, "b": list(bids), "a": list(asks)}), **kw)


def spot_diff(n, first, last, bids=(), asks=()):
    data = {"e": "depthUpdate", "E": ms(n), "s": "BTCUSDT", "U": first, "u": last, "b": list(bids), "a": list(asks)}
    return line(n, stream("btcusdt@depth@100ms", data))


def futures_snapshot(n, last, bids=(), asks=(), *, taken=None):
    when = ms(n if taken is None else taken)
    return line(n, {"lastUpdateId": last, "E": when, "T": when, "bids": list(bids), "asks": list(asks)})


def spot_snapshot(n, last, bids=(), asks=()):
    return line(n, {"lastUpdateId": last, "bids": list(bids), "asks": list(asks)})


def futures_trade(n, number, price, qty, *, buyer_made=False, kind="MARKET", **kw):
    data = {"e": "trade", "E": ms(n), "T": ms(n), "s": "BTCUSDT", "t": number, "p": price, "q": qty, "X": kind, "m": buyer_made}
    return line(n, stream("btcusdt@trade", data), **kw)


def spot_trade(n, number, price, qty, *, buyer_made=False):
    data = {"e": "trade", "E": ms(n), "s": "BTCUSDT", "t": number, "p": price, "q": qty, "T": ms(n), "m": buyer_made, "M": True}
    return line(n, stream("btcusdt@trade", data))


def futures_ticker(n, last, bid, ask):
    data = {"e": "bookTicker", "u": last, "s": "BTCUSDT", "b": bid[0], "B": bid[1], "a": ask[0], "A": ask[1], "T": ms(n), "E": ms(n)}
    return line(n, stream("btcusdt@bookTicker", data))


def spot_ticker(n, last, bid, ask):
    return line(n, stream("btcusdt@bookTicker", {"u": last, "s": "BTCUSDT", "b": bid[0], "B": bid[1], "a": ask[0], "A": ask[1]}))


def write(path, lines, *, packed=True):
    """Write lines to a file, gzip unless told otherwise. Returns the path."""
    text = "".join(one + "\n" for one in lines).encode()
    path.write_bytes(gzip.compress(text) if packed else text)
    return path


def a_session():
    """Return the lines of a small sound futures capture: snapshot, diffs, prints."""
    return [
        futures_snapshot(0, 100, [["60000.0", "1.000"], ["59999.9", "2.000"]], [["60000.2", "1.500"]]),
        futures_diff(1, 99, 105, 98, [["60000.0", "0.500"]], [["60000.3", "0.700"]]),
        futures_trade(2, 1, "60000.0", "0.250", buyer_made=True),
        futures_diff(3, 106, 110, 105, [["60000.0", "0.000"], ["60000.1", "0.300"]]),
        futures_trade(4, 2, "60000.2", "0.125"),
        futures_diff(5, 111, 112, 110, [], [["60000.2", "0.000"]]),
    ]


def book_of(rows):
    """Return (bids, asks) as {ticks: lots}, the plain way."""
    sides = {1: {}, -1: {}}
    for row in rows:
        if row["kind"] == CLEAR:
            for side, levels in sides.items():
                if row["side"] in (0, side):
                    levels.clear()
        elif row["kind"] == DEPTH:
            sides[row["side"]][int(row["price_ticks"])] = int(row["qty_lots"])
    return tuple({price: lots for price, lots in sides[side].items() if lots} for side in (1, -1))
