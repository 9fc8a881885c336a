"""A raw client of the Binance skins: signs as clients do, keeps the frames it was sent, and has the exchange's clock in hand."""

import hmac
import json
from hashlib import sha256
from itertools import count
from urllib.parse import urlencode

from hftlab.venues.server.binance_skin import BinanceSpot, BinanceUsdm
from hftlab.venues.server.core import Exchange
from hftlab.venues.server.market import StillMarket
from hftlab.venues.server.rules import bundled_instruments
from hftlab.venues.server.skin import Request

START = 1_767_571_200_000_000_000  # a full day of UTC
MS = 1_000_000
KEY, SECRET = "k" * 64, "s" * 64
MONEY = {"BTC": "10", "USDT": "1000000"}
FUTURES_MONEY = {"USDT": "1000000"}
PRICE = 60_000  # best bid; best ask one tick above, fifty levels a side of one BTC each


class NoFaults:
    """Nothing happens, unless a test sets it."""

    def __init__(self):
        self.offset_ms, self.back, self.hidden, self.fate, self.did = 0, 0, False, "", []
        self.corrupt = None

    def clock_ns(self, now_ns):
        return now_ns + self.offset_ms * MS

    def snapshot_back(self, symbol):
        return self.back

    def diffs(self, diff):
        return self.corrupt(diff) if self.corrupt else [diff]

    def hides(self, order, now_ns):
        return self.hidden

    def before(self, kind, symbol, order):
        self.did.append((kind, symbol, order and order.order_id))

    def user_key(self, key, age_ns):
        return self.fate


class Socket:
    """A connection whose frames are kept as (stream, kind, text)."""

    numbers = count(1)

    def __init__(self, path, query="", client="127.0.0.1"):
        self.number, self.path, self.query, self.client, self.state = next(self.numbers), path, query, client, {}
        self.frames, self.ended = [], None

    def send(self, text, *, stream, kind):
        assert isinstance(text, str)
        self.frames.append((stream, kind, text))

    def close(self, code=1000, reason=""):
        self.ended = (code, reason)

    def heard(self, kind=None):
        """Return what came since the last time, decoded; only the frames of one kind if told."""
        found = [json.loads(text) for _, what, text in self.frames if kind in (None, what)]
        self.frames.clear()
        return found


class Denied(AssertionError):
    def __init__(self, status, body):
        super().__init__(f"{status} {body}")
        self.status, self.code, self.msg, self.data = status, body["code"], body["msg"], body.get("data")


class Desk:
    """One venue with a still ladder of BTCUSDT, its skin, and an account."""

    def __init__(self, spot=True, market=None, **options):
        self.now_ns = START
        self.venue = "binance" if spot else "binanceusdm"
        self.instrument = bundled_instruments(self.venue)["BTCUSDT"]
        lots = self.instrument.lots("1")
        self.core = Exchange(
            self.venue, {"BTCUSDT": market or StillMarket(self.instrument, price=PRICE, lots=lots)}, clock_ns=lambda: self.now_ns
        )
        self.account = self.core.add_account(KEY, SECRET, MONEY if spot else FUTURES_MONEY)
        self.faults = NoFaults()
        self.skin = (BinanceSpot if spot else BinanceUsdm)(self.core, self.faults, **options)
        self.headers = {}
        self.base = "/api/v3" if spot else "/fapi/v1"

    def wait(self, ms):
        """Let time pass, and the skin do what is due."""
        self.now_ns += round(ms * MS)
        self.core.advance()
        self.skin.tick(self.core.now_ns())

    @property
    def now_ms(self):
        return self.now_ns // MS

    # --- REST ---
    def raw(self, method, path, query="", body="", key=KEY, client="127.0.0.1"):
        """Send exactly this. Returns the Reply."""
        headers = {"x-mbx-apikey": key} if key else {}
        reply = self.skin.http(Request(method, path, query, headers, body.encode(), client))
        self.headers = reply.headers
        json.dumps(reply.body)
        return reply

    def ask(self, method, path, signed=True, key=KEY, **params):
        """Ask, signed in the query (GET, DELETE) or the form body, as clients do. Returns the body; raises Denied."""
        text = urlencode(params)
        if signed:
            text = urlencode({**params, "timestamp": params.get("timestamp", self.now_ms)})
            text += "&signature=" + hmac.new(SECRET.encode(), text.encode(), sha256).hexdigest()
        path = path if path.startswith("/") else f"{self.base}/{path}"
        in_body = method in {"POST", "PUT"}
        reply = self.raw(method, path, "" if in_body else text, text if in_body else "", key)
        if reply.status != 200:
            raise Denied(reply.status, reply.body)
        return reply.body

    def get(self, path, signed=True, **params):
        return self.ask("GET", path, signed, **params)

    def place(self, side="BUY", price=59_000, qty="0.01", **params):
        """Place an order; limit GTC unless told otherwise."""
        wish = {"symbol": "BTCUSDT", "side": side, "type": "LIMIT", "timeInForce": "GTC", "quantity": qty, "price": price, **params}
        return self.ask("POST", "order", **{name: value for name, value in wish.items() if value is not None})

    def denied(self, call, *args, **params):
        """Return the error that a call ends in: (HTTP status, code, text)."""
        try:
            call(*args, **params)
        except Denied as denied:
            return denied.status, denied.code, denied.msg
        raise AssertionError("it was not denied")

    # --- sockets ---
    def open(self, path, query=""):
        """Open a WebSocket."""
        socket = Socket(path, query)
        self.skin.opened(socket)
        return socket

    def say(self, socket, **message):
        """Send a message. Returns the answer."""
        self.skin.message(socket, json.dumps(message))
        answers = [json.loads(text) for _, kind, text in socket.frames if kind == "reply"]
        socket.frames = [frame for frame in socket.frames if frame[1] != "reply"]
        return answers[-1] if answers else None

    def call(self, socket, method, signed=True, **params):
        """Send a ws-api request, signed over its sorted parameters."""
        if signed:
            params = {**params, "apiKey": KEY, "timestamp": self.now_ms}
            texts = {name: str(value).lower() if isinstance(value, bool) else value for name, value in params.items()}
            payload = "&".join(f"{name}={texts[name]}" for name in sorted(texts))
            params["signature"] = hmac.new(SECRET.encode(), payload.encode(), sha256).hexdigest()
        return self.say(socket, id="7", method=method, params=params)

    def user_socket(self):
        """Open the user stream that this venue has: ws-api of spot, a listen key of futures."""
        if self.venue == "binance":
            socket = self.open("/ws-api/v3")
            assert self.call(socket, "userDataStream.subscribe.signature")["status"] == 200
            return socket
        key = self.ask("POST", "listenKey", signed=False)["listenKey"]
        return self.open("/private/ws", f"listenKey={key}")


def same_shape(found, wanted, but=()):
    """Check that an object has the members of a real one, of the same types. `but` are members of the real one that are older or newer."""
    assert set(found) >= set(wanted) - set(but), set(wanted) - set(but) - set(found)
    for name, value in wanted.items():
        if name in found and value is not None and found[name] is not None:
            assert type(found[name]) is type(value), (name, found[name], value)
