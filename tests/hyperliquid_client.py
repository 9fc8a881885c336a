"""A raw client of the Hyperliquid skin: signs as the official SDK does, and keeps the frames that it was sent."""

import json
from itertools import count

from coincurve import PrivateKey

from hftlab.instrument import Instrument
from hftlab.venues.server.core import Exchange
from hftlab.venues.server.hyperliquid_limits import HyperliquidRules
from hftlab.venues.server.hyperliquid_signing import action_hash, address_of, l1_digest, user_digest
from hftlab.venues.server.hyperliquid_skin import HyperliquidSkin
from hftlab.venues.server.market import StillMarket
from hftlab.venues.server.skin import Request

BTC = Instrument.bundled("hyperliquid:BTC/USDC:USDC")
START_NS = 1_737_918_794_873 * 10**6
MID = 105_000  # best bid; the best ask is one tick above, each level holds one BTC


class NoFaults:
    """Nothing happens."""

    def clock_ns(self, now_ns):
        return now_ns

    def snapshot_back(self, symbol):
        return 0

    def diffs(self, diff):
        return [diff]

    def hides(self, order, now_ns):
        return False

    def before(self, kind, symbol, order):
        pass

    def user_key(self, key, age_ns):
        return ""


class Socket:
    """A connection whose frames are kept, decoded, as (stream, kind, frame)."""

    numbers = count(1)

    def __init__(self):
        self.number, self.path, self.query, self.client, self.state = next(self.numbers), "/ws", "", "127.0.0.1", {}
        self.frames = []
        self.closed = None

    def send(self, text, *, stream, kind):
        self.frames.append((stream, kind, json.loads(text)))

    def close(self, code=1000, reason=""):
        self.closed = (code, reason)

    def of(self, channel):
        """Return the data of every frame of a channel."""
        return [frame["data"] for _, _, frame in self.frames if frame["channel"] == channel]


class Wallet:
    """A key: signs L1 actions as mainnet or testnet clients do, and user-signed ones."""

    def __init__(self, seed: int) -> None:
        self.key = PrivateKey(seed.to_bytes(32, "big"))
        self.address = address_of(self.key.public_key)

    def sign(self, digest):
        raw = self.key.sign_recoverable(digest, hasher=None)
        return {"r": "0x" + raw[:32].hex(), "s": "0x" + raw[32:64].hex(), "v": raw[64] + 27}

    def request(self, action, nonce, *, source="a", vault=None, expires_ms=None):
        digest = l1_digest(action_hash(action, nonce, vault, expires_ms), source)
        body = {"action": action, "nonce": nonce, "signature": self.sign(digest), "vaultAddress": vault}
        return body if expires_ms is None else body | {"expiresAfter": expires_ms}

    def user_request(self, action, nonce):
        return {"action": action, "nonce": nonce, "signature": self.sign(user_digest(action)), "vaultAddress": None}


class World:
    """One exchange with its skin, a clock moved by hand, and one funded wallet."""

    def __init__(self, *, faults=None, **rules):
        self.now_ns = START_NS
        lots = BTC.lots("1")
        ladder = {"bids": {MID - n: lots for n in range(30)}, "asks": {MID + 1 + n: lots for n in range(30)}}
        self.core = Exchange("hyperliquid", {"BTC": StillMarket(BTC, **ladder)}, clock_ns=lambda: self.now_ns)
        self.skin = HyperliquidSkin(self.core, faults or NoFaults(), HyperliquidRules(**rules))
        self.wallet = Wallet(7)
        self.core.add_account(self.wallet.address, balances={"USDC": "100000"})
        self._nonces = count(START_NS // 10**6)

    def nonce(self):
        return next(self._nonces)

    def post(self, path, body):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.skin.http(Request("POST", path, "", {}, raw, "127.0.0.1"))

    def info(self, kind, **parameters):
        reply = self.post("/info", {"type": kind, **parameters})
        assert reply.status == 200, reply
        return json.loads(json.dumps(reply.body))

    def mine(self, kind, **parameters):
        return self.info(kind, user=self.wallet.address, **parameters)

    def act(self, action, wallet=None, **how):
        reply = self.post("/exchange", (wallet or self.wallet).request(action, self.nonce(), **how))
        assert reply.status == 200, reply
        return reply.body

    def order(self, *wires):
        """Place orders and return their statuses."""
        body = self.act({"type": "order", "orders": list(wires), "grouping": "na"})
        return body["response"]["data"]["statuses"]

    def socket(self, *subscriptions):
        socket = Socket()
        self.skin.opened(socket)
        for subscription in subscriptions:
            self.say(socket, {"method": "subscribe", "subscription": subscription})
        return socket

    def say(self, socket, message):
        self.skin.message(socket, json.dumps(message))

    def later(self, seconds):
        """Let time pass."""
        self.now_ns += round(seconds * 1e9)
        self.core.advance(self.now_ns)
        self.skin.tick(self.now_ns)


def wire(is_buy, price, size, tif="Gtc", *, cloid=None, reduce_only=False, asset=0):
    """Return an order as it goes over the wire."""
    order = {"a": asset, "b": is_buy, "p": str(price), "s": str(size), "r": reduce_only, "t": {"limit": {"tif": tif}}}
    return order if cloid is None else order | {"c": cloid}


def cloid(number):
    return f"0x{number:032x}"
