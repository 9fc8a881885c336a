"""Binance requests as bytes, and what its answers and events mean: against published examples and one message of each type."""

import json
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hftlab.instrument import Instrument
from hftlab.types import AMEND, ASK, BID, CANCEL, FOK, IOC, MARKET_ORDER, POST_ONLY, REDUCE_ONLY, SUBMIT
from hftlab.venues.live.binance_decode import STATUS, Decoder, Report, Trade
from hftlab.venues.live.binance_rejects import judge
from hftlab.venues.live.binance_sign import Encoder, Signer, symbol_of
from hftlab.venues.live.budgets import BUDGETS, cost_of
from hftlab.venues.live.keys import Keys
from hftlab.venues.live.model import OrderRequest, Outcome, Reject, VenueFill

SPOT = Instrument.bundled("binance:BTC/USDT")
PERP = Instrument.bundled("binanceusdm:BTC/USDT:USDT")
# The key pair of the venue's own documents (rest-api.md and web-socket-api.md, "SIGNED request examples").
KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
SIGNER = Signer(Keys.of(KEY, SECRET))


def request(kind=SUBMIT, **changes):
    usual = {"client_id": "habcdef-7", "venue_id": "", "instrument": 0, "side": BID, "price_ticks": 600_000, "qty_lots": 12, "flags": 0}
    return OrderRequest(number=41, kind=kind, **{**usual, **changes})


def sent(instrument, **changes):
    message = json.loads(Encoder(instrument.venue, (instrument,), SIGNER).signed(request(**changes), 1_700_000_000_123))
    return message["method"], message["params"]


# --- requests ---
def test_the_signatures_of_the_venues_own_examples():
    rest = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
    ws = (
        f"apiKey={KEY}&newOrderRespType=ACK&price=52000.00&quantity=0.01000000&recvWindow=100&side=SELL&symbol=BTCUSDT"
        "&timeInForce=GTC&timestamp=1645423376532&type=LIMIT"
    )
    assert SIGNER.sign(rest) == "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
    assert SIGNER.sign(ws) == "cc15477742bd704c29492d96c7ead9414dfd8e0ec4a00f947bb5bb454ddbd08a"
    assert SECRET not in repr(SIGNER)


@given(
    spot=st.booleans(),
    kind=st.sampled_from([SUBMIT, AMEND, CANCEL]),
    side=st.sampled_from([BID, ASK]),
    flags=st.sampled_from([0, POST_ONLY, IOC, FOK, MARKET_ORDER, POST_ONLY | REDUCE_ONLY]),
    price_ticks=st.integers(1, 10**9),
    qty_lots=st.integers(1, 10**9),
)
def test_every_message_is_signed_over_its_own_parameters_in_order(spot, kind, side, flags, price_ticks, qty_lots):
    instrument = SPOT if spot else PERP
    encoder = Encoder(instrument.venue, (instrument,), SIGNER)
    made = request(kind, side=side, flags=flags, price_ticks=price_ticks, qty_lots=qty_lots)
    message = json.loads(encoder.signed(made, 1_700_000_000_123))
    params = message["params"]
    signature = params.pop("signature")
    assert message["id"] == 41
    assert signature == SIGNER.sign("&".join(f"{name}={params[name]}" for name in sorted(params)))
    plain = encoder.plain(made)
    assert json.loads(plain)["params"] == {name: params[name] for name in params if name not in {"apiKey", "timestamp"}}
    assert KEY.encode() not in plain
    if kind != CANCEL:
        qty = Decimal(params.get("quantity") or params["newQty"])
        assert qty == instrument.qty(qty_lots)
    if "price" in params:
        assert Decimal(params["price"]) == instrument.price(price_ticks)


@pytest.mark.parametrize(
    ("flags", "spot", "perp"),
    [
        (0, {"type": "LIMIT", "timeInForce": "GTC"}, {"type": "LIMIT", "timeInForce": "GTC"}),
        (POST_ONLY, {"type": "LIMIT_MAKER"}, {"type": "LIMIT", "timeInForce": "GTX"}),
        (IOC, {"type": "LIMIT", "timeInForce": "IOC"}, {"type": "LIMIT", "timeInForce": "IOC"}),
        (FOK, {"type": "LIMIT", "timeInForce": "FOK"}, {"type": "LIMIT", "timeInForce": "FOK"}),
        (MARKET_ORDER, {"type": "MARKET"}, {"type": "MARKET"}),
        (IOC | REDUCE_ONLY, {"type": "LIMIT", "timeInForce": "IOC"}, {"type": "LIMIT", "timeInForce": "IOC", "reduceOnly": "true"}),
    ],
)
def test_flags_become_the_venues_order_types(flags, spot, perp):
    for instrument, wanted in ((SPOT, spot), (PERP, perp)):
        method, params = sent(instrument, flags=flags)
        assert method == "order.place"
        assert {name: params[name] for name in ("type", "timeInForce", "reduceOnly") if name in params} == wanted
        assert ("price" in params) == (flags != MARKET_ORDER)
        assert params["newClientOrderId"] == "habcdef-7"


def test_cancels_and_amends_go_by_our_own_id():
    assert sent(PERP, kind=CANCEL)[1]["origClientOrderId"] == "habcdef-7"
    method, params = sent(PERP, kind=AMEND, side=ASK)
    assert (method, params["price"], params["quantity"], params["side"]) == ("order.modify", "60000.0", "0.012", "SELL")
    # Spot knows one amend: a smaller size. Its client order id is made up anew unless the old one is given again.
    method, params = sent(SPOT, kind=AMEND)
    assert method == "order.amend.keepPriority"
    assert (params["newClientOrderId"], params["origClientOrderId"], params["newQty"]) == ("habcdef-7", "habcdef-7", "0.00012")


def test_the_venues_names_of_symbols():
    dated = Instrument("binanceusdm", "BTC/USDT:USDT-250926", "BTC", "USDT", Decimal("0.1"), Decimal("0.001"))
    assert (symbol_of(SPOT), symbol_of(PERP), symbol_of(dated)) == ("BTCUSDT", "BTCUSDT", "BTCUSDT_250926")


# --- refusals ---
@pytest.mark.parametrize(
    ("status", "code", "text", "kind", "outcome", "reason"),
    [
        (400, -2010, "Order would immediately match and take.", SUBMIT, Outcome.REJECTED, Reject.WOULD_TAKE),
        (400, -2010, "Account has insufficient balance for requested action.", SUBMIT, Outcome.REJECTED, Reject.INSUFFICIENT),
        (400, -2010, "Duplicate order sent.", SUBMIT, Outcome.REJECTED, Reject.DUPLICATE_ID),
        (400, -2010, "Market is closed.", SUBMIT, Outcome.REJECTED, Reject.CLOSED),
        (400, -1013, "Filter failure: PRICE_FILTER", SUBMIT, Outcome.REJECTED, Reject.BAD_PRICE),
        (400, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE", SUBMIT, Outcome.REJECTED, Reject.BAD_PRICE),
        (400, -1013, "Filter failure: LOT_SIZE", SUBMIT, Outcome.REJECTED, Reject.BAD_QTY),
        (400, -1013, "Filter failure: NOTIONAL", SUBMIT, Outcome.REJECTED, Reject.MIN_NOTIONAL),
        (400, -1111, "Parameter 'quantity' has too much precision.", SUBMIT, Outcome.REJECTED, Reject.BAD_QTY),
        (400, -2011, "Unknown order sent.", CANCEL, Outcome.REJECTED, Reject.UNKNOWN_ORDER),
        (400, -2013, "Order does not exist.", 0, Outcome.REJECTED, Reject.UNKNOWN_ORDER),
        (400, -2019, "Margin is insufficient.", SUBMIT, Outcome.REJECTED, Reject.INSUFFICIENT),
        (400, -4164, "Order's notional must be no smaller than 100", SUBMIT, Outcome.REJECTED, Reject.MIN_NOTIONAL),
        (400, -4116, "ClientOrderId is duplicated.", SUBMIT, Outcome.REJECTED, Reject.DUPLICATE_ID),
        (
            400,
            -5022,
            "Due to the order could not be executed as maker, the Post Only order will be rejected.",
            SUBMIT,
            Outcome.REJECTED,
            Reject.WOULD_TAKE,
        ),
        (
            400,
            -5022,
            "Due to the order could not be executed as maker, the Post Only order will be rejected.",
            AMEND,
            Outcome.REJECTED,
            Reject.ENDED_BY_AMEND,
        ),
        (400, -5027, "No need to modify the order.", AMEND, Outcome.REJECTED, Reject.NO_CHANGE),
        (400, -2022, "ReduceOnly Order is rejected.", SUBMIT, Outcome.REJECTED, Reject.REDUCE_ONLY),
        (400, -1021, "Timestamp for this request is outside of the recvWindow.", SUBMIT, Outcome.REJECTED, Reject.CLOCK),
        (401, -2015, "Invalid API-key, IP, or permissions for action.", SUBMIT, Outcome.REJECTED, Reject.KEYS),
        (400, -9999, "Something new.", SUBMIT, Outcome.REJECTED, Reject.OTHER),
        (429, -1003, "Too many requests.", SUBMIT, Outcome.NOT_SENT, Reject.RATE),
        (418, -1003, "Way too much request weight used; IP banned.", CANCEL, Outcome.NOT_SENT, Reject.RATE),
        (429, -1015, "Too many new orders.", SUBMIT, Outcome.NOT_SENT, Reject.RATE),
        (503, 0, "Service Unavailable.", SUBMIT, Outcome.NOT_SENT, Reject.CLOSED),
        # "Unknown error, please check your request or try again later": the venue's pages say that it may have been executed
        (503, 0, "Unknown error, please check your request or try again later.", SUBMIT, Outcome.UNSURE, None),
        (504, 0, "", SUBMIT, Outcome.UNSURE, None),
        (
            408,
            -1007,
            "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
            SUBMIT,
            Outcome.UNSURE,
            None,
        ),
        (500, -1000, "An unknown error occurred while processing the request.", CANCEL, Outcome.UNSURE, None),
    ],
)
def test_what_the_venues_codes_mean(status, code, text, kind, outcome, reason):
    assert judge(status, code, text, kind) == (outcome, reason)


@given(st.integers(400, 599), st.integers(-9999, -1), st.text(max_size=40), st.sampled_from([SUBMIT, AMEND, CANCEL]))
def test_a_refusal_has_a_reason_and_a_doubt_has_none(status, code, text, kind):
    outcome, reason = judge(status, code, text, kind)
    assert (reason is None) == (outcome == Outcome.UNSURE)


# --- what the venue says ---
def instrument_for(symbol, venue="binance"):
    pair, _, dated = symbol.partition("_")
    base, quote = next((pair[: -len(q)], q) for q in ("USDT", "USD", "BTC") if pair.endswith(q))
    step = Decimal("0.00000001")
    return Instrument(venue, f"{base}/{quote}{'-' if dated else ''}{dated}", base, quote, step, step)


def spot_messages(shared):
    for path in sorted((shared / "wire" / "binance_types").glob("*execution_report*.json")):
        message = json.loads(path.read_text())
        message = message.get("data") or message.get("event") or message
        if isinstance(message, dict) and message.get("e") == "executionReport":
            yield path.name, message


def futures_messages(shared):
    for path in sorted((shared / "wire" / "binance_types").glob("*order_update*.json")):
        message = json.loads(path.read_text())
        yield path.name, message.get("data", message)["o"]


def test_every_recorded_report_becomes_the_order_that_it_tells_of(shared):
    seen = 0
    for name, message in [*spot_messages(shared), *futures_messages(shared)]:
        instrument = instrument_for(message["s"])
        events = Decoder((instrument,)).report(msgspec.convert(message, Report))
        state, fills = events[-1], events[:-1]
        assert state.venue_id == str(message["i"]), name
        assert state.client_id == (message.get("C") or message["c"]), name
        assert instrument.qty(state.filled_lots) == Decimal(message["z"]), name
        assert state.status in {"open", "filled", "canceled", "rejected"}, name
        told = message["x"] in {"TRADE", "CALCULATED"} and Decimal(message["l"]) > 0 and Decimal(message["L"]) > 0
        assert len(fills) == told, name
        for fill in fills:
            assert (fill.trade_id, instrument.qty(fill.qty_lots), fill.fee) == (
                message["t"],
                Decimal(message["l"]),
                Decimal(message.get("n") or 0),
            ), name
            assert instrument.price(fill.price_ticks) == Decimal(message["L"]), name
        seen += 1
    assert seen > 20


def test_a_cancel_of_spot_names_the_order_by_its_original_id():
    # web-socket streams, "C": the original client order ID of the order being cancelled; "c" is then the cancel's own.
    report = Report(
        "BTCUSDT",
        "cancel-id",
        "SELL",
        "0.00100000",
        "60000.00",
        "CANCELED",
        "CANCELED",
        9,
        "0",
        "0.00040000",
        "0",
        1_700_000_000_000,
        C="habcdef-7",
    )
    (state,) = Decoder((SPOT,)).report(report)
    assert (state.client_id, state.status, state.side, state.filled_lots, state.leaves_lots) == ("habcdef-7", "canceled", ASK, 40, 0)


def test_reports_of_other_symbols_are_nobodys():
    report = Report("ETHUSDT", "a", "SELL", "1", "1", "NEW", "NEW", 9, "0", "0", "0", 1)
    assert Decoder((SPOT,)).report(report) == []


def test_replies_of_spot_with_the_fills_in_them(shared):
    row = json.loads((shared / "wire" / "binance_types" / "new_order_full_response.json").read_text())
    instrument = Instrument("binance", "BTC/USDT", "BTC", "USDT", Decimal(1), Decimal(1))
    decoder = Decoder((instrument,))
    state, fills = decoder.order(row), decoder.fills_of(row)
    assert (state.status, state.qty_lots, state.filled_lots) == ("filled", 10, 10)
    # By hand from the message: 1 + 5 + 2 + 1 + 1 lots, fees 4 + 19.995 + 7.996 + 3.997 + 3.995
    assert sum(fill.qty_lots for fill in fills) == 10
    assert sum(fill.fee for fill in fills) == Decimal("39.983")
    assert {fill.fee_asset for fill in fills} == {"USDT"}
    assert all(isinstance(fill, VenueFill) and not fill.maker for fill in fills)


@pytest.mark.parametrize("name", ["order_response", "cancel_order_response"])
def test_replies_about_one_order(shared, name):
    row = json.loads((shared / "wire" / "binance_types" / f"{name}.json").read_text())
    state = Decoder((instrument_for(row["symbol"]),)).order(row)
    assert state.client_id == "myOrder1"  # of the cancel: origClientOrderId
    assert state.status == STATUS[row["status"]]
    assert state.ts_ns == (row.get("updateTime") or row["transactTime"]) * 1_000_000


def test_lists_of_trades(shared):
    (row,) = json.loads((shared / "wire" / "binance_types" / "account_trades_response.json").read_text())
    fill = Decoder((instrument_for("BNBBTC"),)).trade(msgspec.convert(row, Trade))
    assert (fill.trade_id, fill.side, fill.maker, fill.fee, fill.fee_asset) == (28457, BID, False, Decimal("10.1"), "BNB")
    rows = json.loads((shared / "wire" / "binance_types" / "http_futures_account_trades.json").read_text())
    sold, bought = (Decoder((instrument_for("ETHUSDT"),)).trade(trade) for trade in msgspec.convert(rows, list[Trade]))
    assert (sold.side, bought.side, sold.venue_id) == (ASK, BID, "831238666")


def test_costs_are_of_budgets_that_there_are():
    for venue, budgets in BUDGETS.items():
        for kind in (SUBMIT, AMEND, CANCEL):
            assert set(cost_of(venue, kind)) <= set(budgets)
    assert cost_of("binanceusdm", AMEND) == {"orders_10s": 1.0, "orders_1m": 1.0}
    assert cost_of("binance", AMEND) == {"weight_1m": 4.0}
