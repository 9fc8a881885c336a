"""A run made of nothing but a seeded random walk: Frames with plausible records, for tests of the screens."""

import time

import numpy as np

from hftlab.data.frame import Frame
from hftlab.errors import CommandRefused, EngineUnreachable
from hftlab.instrument import Instrument
from hftlab.types import (
    ACTIVE,
    ASK,
    BID,
    DESK,
    FAIR_MICRO,
    FILLS,
    HALTED,
    LIVE,
    MARKET,
    NO_PRICE,
    PAUSED,
    QUOTER_AS,
    SAMPLES,
)

SAMPLE_NS = 200_000_000
CENTRE = 123_602  # ticks: 61 801.0 at a tick of 0.5


class FakeView:
    """A View whose market walks at random: 5 steps a second, from `history` steps before the start."""

    def __init__(self, *, seed: int = 7, history: int = 1400, clock_ns=time.time_ns, markets: int = 1) -> None:
        self.name = "btc-1"
        self.instruments = tuple(Instrument.bundled(name) for name in ("sim:BTC/USDT", "sim:ETH/USDT")[:markets])
        self.rng = np.random.default_rng(seed)
        self.clock_ns = clock_ns
        self.desk = np.zeros(1, DESK)[0]
        self.markets = np.zeros(markets, MARKET)
        self.problem: Exception | None = None
        self.messages = [{"ts_ns": clock_ns(), "level": "info", "text": "reconciled: 0 orders, flat"}]
        self.start_ns = clock_ns()
        self._steps = -history
        self._published = -1
        self._value = 0.0
        for market in self.markets:
            self._setup(market)
        self._advance()

    def _setup(self, market) -> None:
        spec, limits, desk = market["spec"], market["limits"], self.desk
        market["params"]["kind"], market["quote"]["half_spread_ticks"] = QUOTER_AS, 2.6
        spec["ticklot_quote"], spec["tick_size"], spec["lot_size"] = self.instruments[0].ticklot_quote, 0.5, 0.001
        limits["position_lots_max"], limits["orders_max"], limits["notional_ticklots_max"] = 50, 10, 10_000 * 2000
        market["params"]["fair"] = FAIR_MICRO
        market["book"]["anchor_ticks"] = CENTRE - 2048
        market["fair_ticks"] = CENTRE
        market["variance_ticks2_per_s"] = 2.0
        market["vpin"] = 0.21
        desk["limits"]["loss_quote_max"], desk["limits"]["drawdown_frac_max"], desk["limits"]["capital_quote"] = 200, 0.01, 1000
        desk["limits"]["requests_per_s_max"], desk["limits"]["requests_burst"], desk["request_tokens"] = 10, 20, 13
        desk["state"], desk["sample_ns"] = ACTIVE, SAMPLE_NS
        desk["start_ns"] = self.start_ns + self._steps * SAMPLE_NS

    def alerts(self, n: int = 100) -> list[dict]:
        """Return the last alerts."""
        return [
            {
                "ts_ns": self.start_ns,
                "level": "warn",
                "kind": "risk",
                "key": "daily loss",
                "text": "daily loss 71 % of its limit",
                "market": None,
            }
        ][-n:]

    def log(self, n: int = 100) -> list[dict]:
        """Return the last lines of the log."""
        return [{"ts_ns": m["ts_ns"], "level": m["level"], "source": "engine", "text": m["text"]} for m in self.messages][-n:]

    def alive(self) -> bool:
        """Return whether the run can be read."""
        return self.problem is None

    def frame(self) -> Frame:
        """Return the latest publication: 20 a second."""
        if self.problem is not None:
            raise self.problem
        now = self.clock_ns()
        number = (now - self.start_ns) // 50_000_000
        if number != self._published:
            self._published = number
            self._advance()
            for market in self.markets:
                self._book(market)
        self.desk["now_ns"] = now
        published = self.start_ns + number * 50_000_000
        return Frame(self.desk.copy(), self.markets.copy(), self.instruments, published, int(number), self._engine(now))

    def _engine(self, now: int) -> dict:
        edges = [1, 2, 3, 5, 8, 13, 20, 30, 50, 80, 130]
        return {
            "mode": "paper", "feed": "SynthFeed", "venue": "PaperVenue", "pid": 1, "started_ns": int(self.desk["start_ns"]),
            "events_per_s": 1400 + 60 * float(np.sin(now / 3e9)), "loop_gap_ms": 2.4, "feed_lag_ms": 12.0, "clock_offset_ms": 1.2, "speed": 1.0,
            "tick_us": {"p50": 4, "p99": 31, "edges_us": edges, "counts": [2, 190, 540, 410, 160, 60, 21, 9, 4, 1]},
            "messages": self.messages[-50:],
        }  # fmt: skip

    def _advance(self) -> None:
        while self.start_ns + self._steps * SAMPLE_NS <= self.clock_ns():
            self._steps += 1
            for market in self.markets:
                self._step(market, self.start_ns + self._steps * SAMPLE_NS)
            self._mark_desk()

    def _step(self, market, ts: int) -> None:
        rng, state = self.rng, int(self.desk["state"])
        fair = float(market["fair_ticks"]) + 0.45 * rng.normal() + (CENTRE - float(market["fair_ticks"])) * 0.004
        position = int(market["position_lots"])
        market["fair_ticks"] = market["mark_ticks"] = fair
        bid, ask = int(np.floor(fair - 0.3)), int(np.floor(fair - 0.3)) + 1
        reservation = fair - position * 0.2
        ours = (min(bid, int(np.floor(reservation - 2.6))), max(ask, int(np.ceil(reservation + 2.6))))
        if state != ACTIVE:
            ours = (NO_PRICE, NO_PRICE)
        for side, price in zip((BID, ASK), ours, strict=True):
            if price != NO_PRICE and rng.random() < 0.025 and abs(position + side * 10) <= 40:
                self._fill(market, ts, side, price, fair)
        market["book"]["best_bid_ticks"], market["book"]["best_ask_ticks"] = bid, ask
        market["quote"]["reservation_ticks"], market["quote"]["fair_ticks"] = reservation, fair
        self._mark(market, fair)
        row = market["samples"][int(market["samples_count"]) % SAMPLES]
        row["ts_ns"], row["fair_ticks"], row["best_bid_ticks"], row["best_ask_ticks"] = ts, fair, bid, ask
        row["bid_ticks"], row["ask_ticks"] = ours
        row["position_lots"], row["pnl_quote"] = market["position_lots"], market["pnl_quote"]
        market["samples_count"] += 1
        market["trades"] += rng.random() < 0.3
        market["messages"] += 9
        market["quoted_ns"] += SAMPLE_NS if state == ACTIVE and rng.random() < 0.985 else 0
        self.desk["verdicts"][11] += rng.random() < 0.02
        self.desk["request_tokens"] = 14 + 3 * np.sin(ts / 4e9)
        self._orders(market, ours, ts)

    def _fill(self, market, ts: int, side: int, price: int, fair: float) -> None:
        lots = 10
        market["position_lots"] += side * lots
        market["cash_ticklots"] -= side * lots * price
        market["bought_lots" if side == BID else "sold_lots"] += lots
        self.desk["submits"], self.desk["cancels"] = self.desk["submits"] + 2, self.desk["cancels"] + 1
        market["fees_ticklots"] += lots * price // 100_000
        row = market["fills"][int(market["fills_count"]) % FILLS]
        row["ts_ns"], row["recv_ns"], row["price_ticks"], row["qty_lots"] = ts - 90_000_000, ts - 80_000_000, price, lots
        row["order_id"], row["position_lots"], row["fee_ticklots"] = market["fills_count"], market["position_lots"], lots * price // 100_000
        row["fair_ticks"], row["side"], row["maker"] = fair, side, 1
        market["fills_count"] += 1

    def _mark(self, market, fair: float) -> None:
        money = float(market["spec"]["ticklot_quote"])
        pnl = (int(market["cash_ticklots"]) + int(market["position_lots"]) * fair - int(market["fees_ticklots"])) * money
        market["pnl_quote"] = pnl

    def _mark_desk(self) -> None:
        pnl = self.desk["pnl_quote"] = float(self.markets["pnl_quote"].sum())
        self.desk["peak_pnl_quote"] = max(float(self.desk["peak_pnl_quote"]), pnl)
        self.desk["drawdown_quote"] = float(self.desk["peak_pnl_quote"]) - pnl

    def _orders(self, market, ours: tuple[int, int], ts: int) -> None:
        market["orders"]["status"] = 0
        for k, (side, price) in enumerate(zip((BID, ASK), ours, strict=True)):
            if price == NO_PRICE:
                continue
            order = market["orders"][k]
            order["order_id"], order["price_ticks"], order["qty_lots"], order["leaves_lots"] = k + 1, price, 10, 10
            order["side"], order["status"], order["live_ns"] = side, LIVE, ts
            order["ahead_lots"] = 300 + 250 * np.sin(ts / 5e9 + k)

    def _book(self, market) -> None:
        book = market["book"]
        for side, best, name in ((BID, "best_bid_ticks", "bid_lots"), (ASK, "best_ask_ticks", "ask_lots")):
            lots = book[name]
            first = int(book[best]) - int(book["anchor_ticks"])
            lots[:] = 0
            wide = 30
            index = first - np.arange(wide) if side == BID else first + np.arange(wide)
            shape = 500 + 350 * np.sin((index + CENTRE) * 1.7) + 900 * (1 - np.exp(-np.arange(wide) / 5))
            lots[index] = np.maximum(1, shape + 120 * self.rng.normal(size=wide)).astype(np.int64)


class FakeSession(FakeView):
    """The same with commands, each kept in `calls`."""

    has_controls = True

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        self.calls: list[tuple] = []
        self.unreachable = False
        self.values = {"risk_aversion": 0.1, "horizon_s": 30.0, "order_qty": 0.01, "half_spread_ticks_min": 0.5, "levels": 1.0}

    def _command(self, name: str, state: int | None = None) -> dict:
        self.calls.append((name,))
        if self.unreachable:
            raise EngineUnreachable("no answer at the engine's door within 2 s. Is the process alive?")
        if state is not None:
            self.desk["state"] = state
        self.messages.append({"ts_ns": self.clock_ns(), "level": "warn" if name == "halt" else "info", "text": f"{name} by notebook: done"})
        return {"ok": True}

    def activate(self, market: int = 0) -> dict:
        """Activate."""
        return self._switch("activate", market)

    def deactivate(self, market: int = 0) -> dict:
        """Deactivate."""
        return self._switch("deactivate", market)

    def _switch(self, name: str, market: int) -> dict:
        self.calls.append((name, market))
        self.markets["inactive"][market] = int(name == "deactivate")
        return {"ok": True}

    def pause(self) -> dict:
        """Pause."""
        return self._command("pause", PAUSED)

    def resume(self) -> dict:
        """Resume."""
        return self._command("resume", ACTIVE)

    def halt(self) -> dict:
        """Halt."""
        self.desk["halt_verdict"] = 1
        return self._command("halt", HALTED)

    def flatten(self) -> dict:
        """Flatten."""
        return self._command("flatten")

    def stop(self) -> dict:
        """Stop."""
        return self._command("stop")

    def set(self, market: int = 0, **params: float) -> dict:
        """Set parameters."""
        self.calls.append(("set", market, params))
        if params.get("order_qty", 0) > 0.05:
            raise CommandRefused("order_qty was 0.06; the limit is 0.05. Lower it, or raise the limit.")
        self.values.update(params)
        self.messages.append({"ts_ns": self.clock_ns(), "level": "info", "text": f"set {params} by notebook"})
        return {"ok": True}

    def tunable(self, market: int = 0) -> list[dict]:
        """Return the live parameters."""
        shapes = {
            "risk_aversion": ("1/USDT", 0.001, 10, 0.001, True),
            "horizon_s": ("s", 5, 120, 1, False),
            "order_qty": ("BTC", 0.001, 0.1, 0.001, False),
            "half_spread_ticks_min": ("ticks", 0, 10, 0.1, False),
            "levels": ("", 1, 8, 1, False),
        }
        return [
            {"name": n, "label": n.replace("_", " "), "unit": u, "value": self.values[n], "min": a, "max": b, "step": s, "log": log}
            for n, (u, a, b, s, log) in shapes.items()
        ]


class Clock:
    """Wall time that moves when it is told to."""

    def __init__(self) -> None:
        self.ns = 1_700_000_000_000_000_000

    def __call__(self) -> int:
        return self.ns


def until(condition, seconds=5.0):
    """Wait for another thread; the test then asserts what it waited for."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


def panel_of(desk, kind):
    """Return the one panel of a kind."""
    (panel,) = [one for one in desk.panels if type(one) is kind]
    return panel
