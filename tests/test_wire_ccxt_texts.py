"""Orders as calls of ccxt, its exceptions in our words, its rows as ours; and what is never sent to Hyperliquid."""

import asyncio
import json
import socket
from decimal import Decimal

import aiohttp
import pytest
from ccxt.base import errors as wrong

from hftlab.errors import InputError, VenueDown, VenueRefused
from hftlab.instrument import Instrument
from hftlab.types import AMEND, ASK, BID, CANCEL, FOK, IOC, MARKET_ORDER, POST_ONLY, REDUCE_ONLY, SUBMIT
from hftlab.venues.live.ccxt_calls import call_for
from hftlab.venues.live.ccxt_decode import CcxtDecoder, number_of
from hftlab.venues.live.ccxt_exchange import asked, exchange_for, shortened
from hftlab.venues.live.ccxt_rejects import judge_error
from hftlab.venues.live.endpoints import endpoint
from hftlab.venues.live.keys import Keys
from hftlab.venues.live.model import OrderRequest, Outcome, Reject

SPOT = Instrument.bundled("binance:BTC/USDT")
PERP = Instrument.bundled("binanceusdm:BTC/USDT:USDT")
HL = Instrument.bundled("hyperliquid:BTC/USDC:USDC")
WALLET = Keys.of(wallet="0x" + "1" * 40, private_key="0x" + "2" * 64)


def request(kind=SUBMIT, **changes):
    usual = {"client_id": "habcdef-7", "venue_id": "", "instrument": 0, "side": BID, "price_ticks": 60_000, "qty_lots": 12, "flags": 0}
    return OrderRequest(number=41, kind=kind, **{**usual, **changes})


# --- calls ---
@pytest.mark.parametrize(
    ("flags", "kind", "params"),
    [
        (0, "limit", {}),
        (POST_ONLY, "limit", {"postOnly": True}),
        (IOC, "limit", {"timeInForce": "IOC"}),
        (FOK | REDUCE_ONLY, "limit", {"timeInForce": "FOK", "reduceOnly": True}),
        (MARKET_ORDER, "market", {}),
    ],
)
def test_submits_carry_our_id_and_exact_texts(flags, kind, params):
    call = call_for("binanceusdm", PERP, request(flags=flags, price_ticks=600_001), contract=True)
    price = None if kind == "market" else "60000.1"
    assert (call.method, call.arguments) == ("create_order", ("BTC/USDT:USDT", kind, "buy", "0.012", price))
    assert call.params == {"clientOrderId": "habcdef-7", **params}


def test_reduce_only_means_nothing_in_spot():
    assert "reduceOnly" not in call_for("binance", SPOT, request(flags=REDUCE_ONLY), contract=False).params


def test_an_amend_keeps_the_order_where_the_venue_can_and_replaces_it_where_not():
    amend = request(AMEND, qty_lots=12, filled_lots=5, new_client_id="habcdef-8", flags=POST_ONLY, venue_id="77", side=ASK)
    in_place = call_for("binanceusdm", PERP, amend, contract=True)
    assert in_place.arguments == ("77", "BTC/USDT:USDT", "limit", "sell", "0.012", "6000.0")  # the total, as the venue counts
    assert in_place.params == {"origClientOrderId": "habcdef-7"}
    spot = call_for("binance", SPOT, amend, contract=False)
    assert spot.arguments[4] == "0.00007"  # 12 wished, 5 of them filled: the new order is for 7
    assert spot.params == {"cancelOrigClientOrderId": "habcdef-7", "newClientOrderId": "habcdef-8", "postOnly": True}
    hyperliquid = call_for("hyperliquid", HL, amend, contract=True)
    assert hyperliquid.params == {"clientOrderId": "habcdef-8", "postOnly": True}  # dropped by the venue unless passed again


def test_a_cancel_goes_by_our_id_and_shows_as_json():
    call = call_for("binance", SPOT, request(CANCEL), contract=False)
    assert json.loads(call.text()) == {"call": "cancel_order", "arguments": [None, "BTC/USDT"], "params": {"clientOrderId": "habcdef-7"}}


# --- exceptions ---
def with_cause(error, cause):
    error.__cause__ = cause
    return error


def hyperliquid_error(text):
    return wrong.ExchangeError(f'hyperliquid {{"status":"ok","response":{{"type":"order","data":{{"statuses":[{{"error":"{text}"}}]}}}}}}')


@pytest.mark.parametrize(
    ("venue", "error", "outcome", "reason"),
    [
        # Under any address but the venue's own ccxt raises the bare class: the code counts.
        (
            "binanceusdm",
            wrong.ExchangeError('binanceusdm {"code":-2019,"msg":"Margin is insufficient."}'),
            Outcome.REJECTED,
            Reject.INSUFFICIENT,
        ),
        (
            "binanceusdm",
            wrong.ExchangeError('binanceusdm {"code":-5022,"msg":"Post Only order will be rejected."}'),
            Outcome.REJECTED,
            Reject.WOULD_TAKE,
        ),
        (
            "binance",
            wrong.RequestTimeout('binance {"code":-1007,"msg":"Timeout waiting for response from backend server."}'),
            Outcome.UNSURE,
            None,
        ),
        ("binance", wrong.InvalidNonce('binance {"code":-1021,"msg":"Timestamp for this request..."}'), Outcome.REJECTED, Reject.CLOCK),
        (
            "binance",
            wrong.DDoSProtection('binance 429 Too Many Requests {"code":-1003,"msg":"Too many requests."}'),
            Outcome.NOT_SENT,
            Reject.RATE,
        ),
        ("binance", wrong.OrderNotFound('binance {"code":-2011,"msg":"Unknown order sent."}'), Outcome.REJECTED, Reject.UNKNOWN_ORDER),
        ("binance", wrong.ExchangeNotAvailable("binance POST http://x/order 503 Service Unavailable "), Outcome.NOT_SENT, Reject.CLOSED),
        ("binance", wrong.RequestTimeout("binance POST http://x/order 504 Gateway Timeout "), Outcome.UNSURE, None),
        ("kraken", wrong.ExchangeNotAvailable("kraken POST http://x/order 503 Service Unavailable "), Outcome.UNSURE, None),
        ("kraken", wrong.RequestTimeout("kraken POST http://x/order"), Outcome.UNSURE, None),
        ("kraken", wrong.NetworkError("kraken"), Outcome.UNSURE, None),
        ("kraken", with_cause(wrong.ExchangeNotAvailable("kraken"), aiohttp.ServerDisconnectedError()), Outcome.UNSURE, None),
        ("kraken", with_cause(wrong.ExchangeError("kraken"), aiohttp.ClientPayloadError()), Outcome.UNSURE, None),
        ("kraken", KeyError("an answer that ccxt could not read"), Outcome.UNSURE, None),
        ("kraken", wrong.OnMaintenance("kraken"), Outcome.NOT_SENT, Reject.CLOSED),
        ("kraken", wrong.RateLimitExceeded("kraken"), Outcome.NOT_SENT, Reject.RATE),
        ("kraken", wrong.InsufficientFunds("kraken"), Outcome.REJECTED, Reject.INSUFFICIENT),
        ("kraken", wrong.OrderImmediatelyFillable("kraken"), Outcome.REJECTED, Reject.WOULD_TAKE),
        ("kraken", wrong.DuplicateOrderId("kraken"), Outcome.REJECTED, Reject.DUPLICATE_ID),
        ("kraken", wrong.AuthenticationError("kraken"), Outcome.REJECTED, Reject.KEYS),
        ("kraken", wrong.PermissionDenied("kraken"), Outcome.REJECTED, Reject.KEYS),
        (
            "hyperliquid",
            hyperliquid_error("Post only order would have immediately matched, bbo was 1@2. asset=0"),
            Outcome.REJECTED,
            Reject.WOULD_TAKE,
        ),
        (
            "hyperliquid",
            hyperliquid_error("Order could not immediately match against any resting orders. asset=0"),
            Outcome.REJECTED,
            Reject.NO_MATCH,
        ),
        ("hyperliquid", hyperliquid_error("Order must have minimum value of $10. asset=0"), Outcome.REJECTED, Reject.MIN_NOTIONAL),
        ("hyperliquid", hyperliquid_error("Insufficient margin to place order. asset=0"), Outcome.REJECTED, Reject.INSUFFICIENT),
        ("hyperliquid", hyperliquid_error("Price must be divisible by tick size. asset=0"), Outcome.REJECTED, Reject.BAD_PRICE),
        ("hyperliquid", hyperliquid_error("Order has invalid size."), Outcome.REJECTED, Reject.BAD_QTY),
        ("hyperliquid", hyperliquid_error("Reduce only order would increase position. asset=0"), Outcome.REJECTED, Reject.REDUCE_ONLY),
        (
            "hyperliquid",
            hyperliquid_error("Order was never placed, already canceled, or filled. asset=0"),
            Outcome.REJECTED,
            Reject.UNKNOWN_ORDER,
        ),
        ("hyperliquid", hyperliquid_error("Cannot modify canceled or filled order"), Outcome.REJECTED, Reject.UNKNOWN_ORDER),
        (
            "hyperliquid",
            hyperliquid_error("Too many cumulative requests sent (1 > 0) for cumulative volume traded $0."),
            Outcome.NOT_SENT,
            Reject.RATE,
        ),
        ("hyperliquid", hyperliquid_error("User or API Wallet 0x1 does not exist."), Outcome.REJECTED, Reject.KEYS),
    ],
)
def test_what_ccxts_exceptions_mean(venue, error, outcome, reason):
    assert judge_error(error, venue) == (outcome, reason)


def test_an_order_that_could_not_be_filled_depends_on_what_it_was():
    error = wrong.OrderNotFillable("kraken")
    assert judge_error(error, "kraken", SUBMIT, POST_ONLY)[1] == Reject.WOULD_TAKE
    assert judge_error(error, "kraken", SUBMIT, FOK)[1] == Reject.NO_MATCH


def test_a_connection_that_was_never_made_is_not_sent():
    async def run(port):
        exchange = exchange_for(endpoint("binance", f"http://127.0.0.1:{port}"), Keys.of("k", "s"))
        exchange.timeout_on_exit = 0
        try:
            with pytest.raises(wrong.NetworkError) as caught:
                await exchange.fetch_time()
        finally:
            await exchange.close()
        return caught.value

    with socket.socket() as taken:  # bound and not listening: nobody else gets the port, and nobody answers
        taken.bind(("127.0.0.1", 0))
        error = asyncio.run(run(taken.getsockname()[1]))
    assert judge_error(error, "binance") == (Outcome.NOT_SENT, Reject.CLOSED)
    # An amend of Binance's futures is a PUT, which aiohttp repeats: the first one may have arrived. Others are POSTs.
    assert judge_error(error, "binanceusdm", AMEND) == (Outcome.UNSURE, None)
    assert judge_error(error, "hyperliquid", AMEND) == (Outcome.NOT_SENT, Reject.CLOSED)


def test_an_error_text_loses_what_follows_an_address():
    shown = shortened(wrong.RequestTimeout("binance GET https://x/api/v3/account?timestamp=1&signature=abc 504 Gateway"))
    assert shown == "binance GET https://x/api/v3/account 504 Gateway"


def test_questions_end_in_one_of_two_errors():
    class Exchange:
        id, last_response_headers = "kraken", {"Retry-After": "7"}

    async def fails(error):
        raise error

    with pytest.raises(VenueDown) as down:
        asyncio.run(asked(Exchange, lambda: fails(wrong.RateLimitExceeded("x")), "a question"))
    assert down.value.retry_after_s == 7
    with pytest.raises(VenueRefused) as refused:
        asyncio.run(asked(Exchange, lambda: fails(wrong.OrderNotFound("x")), "a question"))
    assert refused.value.reason == "no such order"


# --- what is never sent ---
@pytest.mark.parametrize("server", [None, "testnet", "http://127.0.0.1:9"])
def test_hyperliquid_is_never_asked_to_approve_a_fee_or_a_referrer(server):
    # ccxt's initialize_client signs approveBuilderFee and setReferrer before the first order, also with builderFee=False.
    async def run():
        exchange = exchange_for(endpoint("hyperliquid", server), WALLET)
        exchange.timeout_on_exit = 0
        bodies = []

        async def answer(url, method="GET", headers=None, body=None):
            bodies.append(json.loads(body))
            return {"status": "ok", "response": {"type": "order", "data": {"statuses": [{"resting": {"oid": 1}}]}}}

        exchange.fetch = answer
        market = {
            "id": "0",
            "symbol": HL.symbol,
            "base": "BTC",
            "quote": "USDC",
            "settle": "USDC",
            "baseId": "0",
            "type": "swap",
            "swap": True,
        }
        exchange.set_markets([exchange.safe_market_structure({**market, "precision": {"price": 1, "amount": 0.00001}, "contract": True})])
        await exchange.create_order(HL.symbol, "limit", "buy", "0.001", "60000", {"clientOrderId": "0x" + "3" * 32})
        await exchange.cancel_order(None, HL.symbol, {"clientOrderId": "0x" + "3" * 32})
        await exchange.close()
        return bodies

    bodies = asyncio.run(run())
    assert [body["action"]["type"] for body in bodies] == ["order", "cancelByCloid"]
    assert "builder" not in bodies[0]["action"]


def test_a_loopback_exchange_is_all_that_its_client_can_reach():
    async def run(venue):
        exchange = exchange_for(endpoint(venue, "http://127.0.0.1:9"), WALLET)
        exchange.timeout_on_exit = 0
        await exchange.close()
        return exchange.urls["api"]

    def every(value):
        return [url for inner in value.values() for url in every(inner)] if isinstance(value, dict) else [value]

    for venue in ("binance", "binanceusdm", "hyperliquid"):
        assert all("://127.0.0.1:9/" in url for url in every(asyncio.run(run(venue))))


def test_a_venue_that_ccxt_does_not_know_is_refused():
    with pytest.raises(InputError, match="Did you mean 'kraken'"):
        exchange_for(endpoint("krakn"))


# --- rows ---
def test_an_order_of_ccxt_is_ours_without_its_floats():
    row = {
        "id": "9",
        "clientOrderId": "a",
        "symbol": PERP.symbol,
        "side": "sell",
        "price": 60000.1,
        "amount": 0.3,
        "filled": 0.1,
        "status": "open",
    }
    state = CcxtDecoder((PERP,)).order({**row, "timestamp": 1_700_000_000_000})
    assert (state.side, state.price_ticks, state.qty_lots, state.filled_lots, state.status) == (ASK, 600_001, 300, 100, "open")


@pytest.mark.parametrize(
    ("told", "filled", "status"),
    [
        ("closed", 0.3, "filled"),
        ("closed", 0.1, "canceled"),
        ("expired", 0.1, "canceled"),
        ("scheduledCancel", 0.0, "canceled"),
        ("marginCanceled", 0.0, "canceled"),
    ],
)
def test_words_for_where_an_order_stands(told, filled, status):
    row = {"id": "9", "symbol": PERP.symbol, "side": "buy", "price": 1.0, "amount": 0.3, "filled": filled, "status": told, "timestamp": 1}
    assert CcxtDecoder((PERP,)).order(row).status == status


def test_hyperliquids_short_answers_are_filled_up_from_the_request():
    decoder = CcxtDecoder((HL,))
    resting = decoder.order({"id": "5", "info": {"resting": {"oid": 5}}, "symbol": None, "status": None}, request(client_id="0x1"))
    assert (resting.client_id, resting.venue_id, resting.status, resting.qty_lots, resting.price_ticks) == ("0x1", "5", "open", 12, 60_000)
    part = {"id": "5", "info": {"filled": {}}, "symbol": None, "status": None, "filled": 0.00005, "amount": 0.00005}
    state = decoder.order(part, request(flags=IOC))
    assert (state.filled_lots, state.status) == (5, "filled")


def test_a_fill_of_hyperliquid_knows_who_took(shared):
    message = json.loads((shared / "wire" / "hyperliquid_types" / "ws_user_fill_liquidation.json").read_text())
    exchange = asyncio.run(parsed(message["data"]["fills"][0]))
    fill = CcxtDecoder((HL,)).fill(exchange)
    assert (fill.trade_id, fill.side, fill.maker, fill.fee) == (745210434703679, ASK, True, Decimal("0.009997"))
    assert fill.client_id == "0xe8d5fd7ebbb4c3cff4d1803472a11463"
    assert (HL.price(fill.price_ticks), HL.qty(fill.qty_lots)) == (Decimal(66653), Decimal("0.001"))


async def parsed(raw):
    exchange = exchange_for(endpoint("hyperliquid"))
    exchange.timeout_on_exit = 0
    exchange.set_markets(
        [exchange.safe_market_structure({"id": "0", "symbol": HL.symbol, "base": "BTC", "quote": "USDC", "settle": "USDC", "swap": True})]
    )
    trade = exchange.parse_ws_trade(raw)
    await exchange.close()
    return {**trade, "symbol": HL.symbol}


def test_trade_ids_are_numbers_whatever_the_venue_writes():
    assert number_of("123") == 123
    assert number_of("T5LJK-3") == number_of("T5LJK-3")
    assert number_of("T5LJK-3") != number_of("T5LJK-4")
    assert 0 <= number_of("a" * 40) < 2**63
