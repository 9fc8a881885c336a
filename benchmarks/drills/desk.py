"""A live session in a thread of this process, against a loopback venue, and the comparison of the two at the end."""

import asyncio
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import Any

import hftlab as hl
from hftlab.data.frame import side_levels
from hftlab.engine.__main__ import figures_of
from hftlab.engine.inbox import Command
from hftlab.engine.live import LiveDriver
from hftlab.engine.spec import RunSpec
from hftlab.types import ASK, BID, FREE, LOST, VALID
from hftlab.venues.live.ids import Ids, new_tag
from hftlab.venues.live.spec import LiveFeed, LiveVenue
from hftlab.venues.server.hashing import hash_levels

INSTRUMENTS = {"binance": "binance:BTC/USDT", "binanceusdm": "binanceusdm:BTC/USDT:USDT", "hyperliquid": "hyperliquid:BTC/USDC:USDC"}
SYMBOLS = {"binance": "BTCUSDT", "binanceusdm": "BTCUSDT", "hyperliquid": "BTC"}
SIZES = {"binance": "0.01", "binanceusdm": "0.01", "hyperliquid": "0.01"}
WAIT_S = 60.0
ALL_GUARDS: dict[str, Any] = {
    "position_qty_max": "0.02",  # two orders: it bites all the time
    "order_qty_max": "0.01",
    "loss_frac_max": 0.5,
    "exposure_quote_max": 40_000,
    "leverage_max": 5,
    "margin_frac": 0.1,
    "risk_per_trade_frac_max": 0.1,
    "stop_bps": 50,
    "liquidity_frac_max": 20,
    "concentration_frac_max": 100,
    "requests_reserved": 5,
    "latency_ms_max": 500,
    "volatility_bps_max": 50,
    "size_volatility_bps": 5,
    "vpin_bucket_qty": "1",
    "vpin_max": 0.95,
    "markout_loss_bps_max": 20,
    "sweep_levels_max": 100,
    "sweep_sigmas_max": 50,
    "widen_at_frac": 0.5,
    "reduce_at_frac": 0.8,
}
"""Every limit of a desk, set so that it works; only that of the position stands in the way."""
ALL = 1 << 20  # levels


def spec_of(
    skin: str,
    url: str,
    *,
    server: str = "",
    mode: str = "live",
    requests_per_s: float = 15.0,
    audit_s: float = 1.5,
    guards: Mapping[str, Any] | None = None,
    **venue: Any,
) -> RunSpec:
    """Return a run that requotes often: a tight fixed spread that follows every message. `guards`: limits beside the usual ones."""
    instrument = hl.Instrument.bundled(INSTRUMENTS[skin])
    quoter = hl.FixedSpread(order_qty=SIZES[skin], half_spread_ticks=0.5, hysteresis_ticks=1, life_ms_min=0.0, skew_ticks_per_order=1.0)
    usual: dict[str, Any] = {
        "position_qty_max": "0.1",
        "order_qty_max": "0.05",
        "notional_quote_max": 50_000,
        "capital_quote": 1_000_000,
        "loss_quote_max": 100_000,
        "requests_per_s_max": requests_per_s,
        "requests_burst": 2 * requests_per_s,
    }
    limits = hl.Limits(**usual | dict(guards or {}))
    return RunSpec(
        feed=LiveFeed(instrument, server=server or url, audit_s=audit_s),
        venue=LiveVenue(mode, **({"reconcile_s": 5.0} | venue)),
        instruments=(instrument,),
        quoters=(quoter,),
        limits=(limits,),
        tag=new_tag(),
    )


class Desk:
    """One engine in a thread. `start` returns when it quotes."""

    def __init__(self, folder: Path, spec: RunSpec, skin: str) -> None:
        self.folder, self.spec, self.skin = folder, spec, skin
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "spec.yaml").exists():
            spec.save(folder)
        self.driver = LiveDriver(spec, folder, figures_of(spec))
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def _run(self) -> None:
        try:
            self.driver.loop()
        except BaseException as error:  # why: told by `check`
            self.failure = error

    def start(self, *, quoting: bool = True) -> "Desk":
        self._thread.start()
        if quoting:
            self.until(lambda: self.look().working >= 2, "it quotes")
        return self

    def check(self) -> None:
        if self.failure is not None:
            raise self.failure

    def until(self, condition: Any, what: str, timeout_s: float = WAIT_S) -> float:
        """Wait for a condition; return how many seconds it took."""
        began = time.monotonic()
        while not condition():
            self.check()
            if time.monotonic() - began > timeout_s:
                raise TimeoutError(f"not within {timeout_s:g} s: {what}. {self.look()} {self.said()[-6:]}")
            time.sleep(0.02)
        return time.monotonic() - began

    def said(self) -> list[str]:
        return [str(one["text"]) for one in self.driver.figures.to_dict()["messages"]]

    def on_loop(self, function: Any) -> Any:
        """Call a function on the engine's own thread."""
        loop = self.driver.aio
        if loop is None or not self._thread.is_alive():
            return function()

        async def call() -> Any:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), loop).result(WAIT_S)

    def command(self, name: str, **values: Any) -> dict[str, Any]:
        entry = Command(name, 0, values, "drill")
        self.driver.inbox.put(entry)
        answer: dict[str, Any] = entry.answer.get(timeout=WAIT_S)
        assert answer["ok"], answer
        return answer

    def look(self) -> "Look":
        return self.on_loop(self._look)

    def _look(self) -> "Look":
        market = self.driver.state.markets[0]
        book = market["book"]
        orders = market["orders"][market["orders"]["status"] != FREE]
        return Look(
            valid=int(market["validity"]) == VALID and int(market["link_down"]) == 0,
            seq=int(book["seq"]),
            book=hash_levels(side_levels(book, BID, ALL), side_levels(book, ASK, ALL)),
            position=int(market["position_lots"]),
            money_e8=self._money_e8(market),
            working=len(orders),
            lost=int((orders["status"] == LOST).sum()),
            open_lots=(int(market["open_lots"][0]), int(market["open_lots"][1])),
            gaps=int(market["gaps"]),
            state=int(self.driver.state.desk["state"][0]),
        )

    def _money_e8(self, market: Any) -> int:
        """Return cash minus fees minus payments, in 1e-8 of a ticklot."""
        paid = (int(market["fees_ticklots"]) + int(market["funding_ticklots"])) * 10**8
        return int(market["cash_ticklots"]) * 10**8 - paid - int(market["fees_uticklots"]) * 100 - int(market["funding_e8ticklots"])

    def halt(self) -> None:
        """Halt, and wait until the venue has confirmed that nothing of ours rests."""
        self.command("halt")
        self.until(lambda: self.driver.verified, "the halt is verified")

    def end(self) -> None:
        """Stop in order."""
        if self._thread.is_alive():
            self.command("stop")
        self._thread.join(WAIT_S)
        self.check()


@dataclass(frozen=True)
class Look:
    """What the engine believes at one moment."""

    valid: bool
    seq: int
    book: str
    position: int
    money_e8: int
    working: int
    lost: int
    open_lots: tuple[int, int]
    gaps: int
    state: int


@dataclass(frozen=True)
class Truth:
    """What the venue knows of our account. `money_e8` as in Look; None where a fee was taken in coin."""

    position: int
    money_e8: int | None
    open_orders: int
    duplicates: int
    orders: int
    fills: int
    position_max: int  # the largest that the position ever was, either way


def truth_of(venue: Any, skin: str, spec: RunSpec) -> Truth:
    """Return the venue's truth about the orders of one run."""
    instrument, ids = spec.instruments[0], Ids(skin, spec.tag)
    all_of_it = venue.truth(skin)
    ours = [order for order in all_of_it["orders"] if ids.parse(order["client_id"]) is not None]
    placed = [order["client_id"] for order in ours]
    fills = [fill for fill in all_of_it["fills"] if ids.parse(fill["client_id"]) is not None]
    unit = Fraction(instrument.money_unit)
    money = Fraction(0)
    positions = list(accumulate(fill["side"] * fill["qty_lots"] for fill in fills))
    in_coin = False
    for fill in fills:
        money -= fill["side"] * fill["qty_lots"] * instrument.value_of(fill["price_ticks"])
        if fill["fee_asset"] == instrument.settle:
            money -= Fraction(Decimal(fill["fee"])) / unit
        else:
            in_coin = True
    return Truth(
        position=positions[-1] if positions else 0,
        money_e8=None if in_coin else int(money * 10**8 // 1),
        open_orders=sum(order["status"] in ("NEW", "PARTIALLY_FILLED") for order in ours),
        duplicates=len(placed) - len(set(placed)),
        orders=len(ours),
        fills=len(fills),
        position_max=max(map(abs, positions), default=0),
    )


def differences(desk: Desk, venue: Any) -> dict[str, Any]:
    """Return in what engine and venue differ at the end: an empty dict when they agree."""
    look, truth = desk.look(), truth_of(venue, desk.skin, desk.spec)
    found: dict[str, Any] = {}
    if look.position != truth.position:
        found["position"] = (look.position, truth.position)
    # The engine counts in 1e-8 of a ticklot and rounds each payment down, carrying the rest on.
    if truth.money_e8 is not None and abs(look.money_e8 - truth.money_e8) > 1:
        found["money_e8"] = (look.money_e8, truth.money_e8)
    if look.working or truth.open_orders:
        found["open orders"] = (look.working, truth.open_orders)
    if truth.duplicates:
        found["duplicates"] = truth.duplicates
    return found


def fresh_environment() -> None:
    """Keep a machine's own proxy out of drills: the engine would rightly refuse it for real money, and here there is none."""
    for name in list(os.environ):
        if name.upper() in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            del os.environ[name]
