"""The strategies, one a market: what each wishes and does, and with a Session a switch for each."""

from typing import Any

import traitlets as t

from hftlab.data.frame import Frame
from hftlab.types import QUOTER_AS, QUOTER_FIXED, QUOTER_NONE, QUOTER_USER
from hftlab.widgets.commands import ORDERLY, Outcome
from hftlab.widgets.health import quoting_share
from hftlab.widgets.page import PageWidget, script
from hftlab.widgets.panel import Panel
from hftlab.widgets.text import DASH, money, number

NAMES = {QUOTER_NONE: "works a target", QUOTER_FIXED: "fixed spread", QUOTER_AS: "Avellaneda-Stoikov", QUOTER_USER: "own decide()"}
SWITCHES = ("activate", "deactivate")
HEADS = ("market", "strategy", "state", "bid · ask", "wish ± half-spread", "position", "P&L", "fills", "quoting")

Cell = tuple[str, str]


def quote_state(frame: Frame, i: int) -> Cell:
    """Return what the strategy of market `i` is doing, and its level."""
    if not frame.active(i):
        return "deactivated", "warn"
    if frame.state in ("PAUSED", "HALTED", "STOPPED"):
        return frame.state.lower(), "bad" if frame.state in ("HALTED", "STOPPED") else "warn"
    because = frame.unquoted_because(i)
    if because:
        return f"not quoting: {because}", "warn"
    sides = {order.side for order in frame.orders(i)}
    grade = frame.market_state(i)
    if grade != "ACTIVE" and sides:
        return f"quoting, {grade.lower()}", "warn"
    return ("quoting", "ok") if len(sides) == 2 else ("one side", "") if sides else ("no order rests", "warn")


def row(frame: Frame, i: int) -> list[Cell]:
    """Return the cells of market `i` under HEADS: text and level."""
    market, instrument = frame.markets[i], frame.instruments[i]
    places, tick = instrument.price_decimals, float(instrument.tick_size)
    best = [next((number(order.price, places) for order in frame.orders(i) if order.side == side), DASH) for side in (1, -1)]
    half = float(market["quote"]["half_spread_ticks"])
    wish = f"{number(frame.reservation(i), places + 1)} ± {number(half * tick, places + 1)} {instrument.quote}" if half > 0 else DASH
    share = quoting_share(frame, i)
    return [
        (instrument.symbol, ""),
        (NAMES.get(int(market["params"]["kind"]), "unknown kind"), "dim"),
        quote_state(frame, i),
        (f"{best[0]} · {best[1]}", ""),
        (wish, ""),
        (number(frame.position(i), instrument.qty_decimals, sign=True, unit=instrument.qty_unit), ""),
        (money(float(market["pnl_quote"]), instrument.settle), ""),
        (str(int(market["fills_count"])), ""),
        (number(None if share is None else 100 * share, 1, unit="%"), ""),
    ]


class StrategiesPage(PageWidget):
    """The table, with a switch a row only where `controls`."""

    _esm = script("strategies.js")
    controls = t.Bool(False).tag(sync=True)
    heads = t.List(t.Unicode()).tag(sync=True)

    def __init__(self, panel: "Strategies", *, controls: bool) -> None:
        self._panel = panel
        super().__init__(controls=controls, heads=list(HEADS))

    def on_page(self, message: dict[str, Any]) -> None:
        """Queue a switch; anything else is dropped."""
        name, market = message.get("name"), message.get("market")
        if message.get("k") == "switch" and name in SWITCHES and isinstance(market, int) and not isinstance(market, bool):
            self._panel.switch(str(name), market)


class Strategies(Panel):
    """One row a market. `session` None (a View) means that nothing can be switched, whatever a page sends."""

    hz = 2.0
    title = "Strategies"

    def __init__(self, session: Any = None, *, market: int = 0) -> None:
        self.session = session
        self.page = StrategiesPage(self, controls=session is not None)
        super().__init__(self.page, market=market)
        self.told = ("", "dim")  # what became of the last switch, and its level
        self._markets = 0
        self._shown: dict[str, Any] = {}

    def switch(self, name: str, market: int) -> None:
        """Queue activate or deactivate of one market's strategy."""
        if self.session is not None and 0 <= market < self._markets:
            ORDERLY.submit(f"{name} market {market}", lambda: getattr(self.session, name)(market), self._take)

    def _take(self, outcome: Outcome) -> None:
        # In the worker's thread: leaves both texts at once, for the pump must not send a new level with an old text.
        self.told = (f"{outcome.label}: {outcome.error or 'acknowledged'}", "bad" if outcome.error else "dim")

    def draw(self, frame: Frame) -> None:
        """Send the rows when they have changed."""
        self._markets = len(frame.instruments)
        on = [frame.active(i) for i in range(self._markets)]
        self.heading(f"{sum(on)} of {self._markets} active")
        rows = [{"active": on[i], "cells": row(frame, i)} for i in range(self._markets)]
        said, level = self.told
        content = {"rows": rows, "said": said, "level": level}
        if self.page.take_greeting() or content != self._shown:
            self._shown = content
            self.page.send({"k": "strategies", **content})
