"""The line to a venue: its streams, how our orders there stand, and in shadow mode how far three models of our fills lie apart."""

from collections.abc import Mapping
from typing import Any

from hftlab.data.frame import Frame
from hftlab.instrument import Instrument
from hftlab.widgets.panel import HtmlPanel
from hftlab.widgets.risk import level
from hftlab.widgets.text import DASH, amount, esc, money, number, table

QUIET_S = 5.0  # a stream that said nothing for so long is worth a colour
OLD_S = 120.0  # so is a comparison with the venue that is so old
NAMES = ("optimistic", "modelled", "pessimistic")

# A line of the panel: name, text, level ("", "warn", "bad").
Line = tuple[str, str, str]


class Venue(HtmlPanel):
    """Streams and orders of a session on a venue's own feed; the divergence meter of a shadow session. Hidden for every other session."""

    hz = 2.0
    title = "Venue"

    def draw(self, frame: Frame) -> None:
        """Show itself where there is a line to a venue."""
        self.widget.layout.display = None if frame.engine.get("streams") is not None else "none"
        super().draw(frame)

    def render(self, frame: Frame) -> str:
        """Return streams, gateways and divergence, whichever there are."""
        engine, now_ns = frame.engine, frame.published_ns
        self.heading(esc(engine.get("venue", "")))
        gateways = engine.get("gateways") or []
        meter = engine.get("divergence")
        parts = [_streams(engine.get("streams") or [], now_ns)]
        parts += [_gateway(one, now_ns, named=len(gateways) > 1) for one in gateways]
        parts += [_divergence(meter, frame.instruments)] if meter else []
        return "".join(parts)


def _streams(streams: list[dict[str, Any]], now_ns: int) -> str:
    if not streams:
        return '<div class="hft-none">no stream is open yet</div>'
    rows = []
    for one in streams:
        silent_s = max(0.0, (now_ns - int(one["last_ns"])) / 1e9) if one.get("last_ns") else None
        css = "hft-level-bad" if not one.get("up") else "hft-level-warn" if (silent_s or 0.0) > QUIET_S else ""
        counts = [(str(one.get(name, 0)), "hft-n") for name in ("gaps", "resyncs", "reconnects")]
        rows.append([(str(one.get("name")), f"l {css}"), (number(silent_s, 1, unit="s"), f"hft-n {css}"), *counts])
    return table([("stream", "l"), ("silent", ""), ("gaps", ""), ("resyncs", ""), ("reconnects", "")], rows)


def _gateway(status: dict[str, Any], now_ns: int, *, named: bool) -> str:
    """Return the few lines that matter; pointing at them shows all that is known."""
    lines = gateway_lines(status, now_ns)
    name = f'<div class="hft-dim">{esc(status.get("venue", ""))}</div>' if named else ""
    rows = "".join(
        f'<div class="hft-row"><span class="hft-dim">{esc(what)}</span><span class="hft-n {css and f"hft-level-{css}"}">{esc(text)}</span></div>'
        for what, text, css in lines
    )
    return f'<div class="hft-pairs" title="{esc(_all_of(status))}">{name}{rows}</div>'


def gateway_lines(status: Mapping[str, Any], now_ns: int) -> list[Line]:
    """Return how our orders at a venue stand, in words, from a gateway's `status()`."""
    if "working" not in status:
        return [("orders", "signing in and comparing with the venue", "warn")]
    unknown, waiting = int(status["unknown"]), int(status["waiting"])
    up, down = bool(status["stream_up"]), str(status.get("down") or "")
    lines = [
        ("orders at the venue", str(status["working"]), ""),
        ("of unknown fate", str(unknown), "bad" if status.get("unresolved") else "warn" if unknown else ""),
        ("waiting for the budget", str(waiting), "warn" if waiting else ""),
        ("user stream", f"no answer: {down}" if down else "up" if up else "down", "" if up and not down else "bad"),
        _reconciled(status, now_ns),
        _clock(status["clock"]),
        _dead_man(status["dead_man"]),
        _budgets(status["budgets"]),
    ]
    fees = ", ".join(amount(float(fee), asset) for asset, fee in status["fees"].items())
    return [*lines, ("fees paid", fees or DASH, "")]


def _reconciled(status: Mapping[str, Any], now_ns: int) -> Line:
    if status["divergences"]:
        return "reconciled", "; ".join(map(str, status["divergences"])), "bad"
    if not status["reconciled_ns"]:
        return "reconciled", "not yet", "warn"
    ago_s = max(0.0, (now_ns - int(status["reconciled_ns"])) / 1e9)
    return "reconciled", f"{number(ago_s, 0)} s ago", "warn" if ago_s > OLD_S else ""


def _clock(clock: Mapping[str, Any]) -> Line:
    if not clock["samples"]:
        return "its clock", DASH, ""
    text = f"{number(clock['offset_ms'], 1, sign=True)} ± {number(clock['within_ms'], 1)} ms"
    return "its clock", text, "bad" if clock["far"] else ""


def _dead_man(switch: Mapping[str, Any]) -> Line:
    if switch["refused"]:
        return "dead man's switch", f"none: {switch['refused']}", "warn"
    if not switch["armed"]:
        return "dead man's switch", "not armed", "warn"
    return "dead man's switch", f"cancels all in {number(switch['left_s'], 0)} s", ""


def _budgets(budgets: Mapping[str, Mapping[str, float]]) -> Line:
    shares = {name: one["used"] / one["size"] for name, one in budgets.items() if one["size"]}
    if not shares:
        return "budget used", DASH, ""
    fullest = max(shares, key=lambda name: shares[name])
    css = level(shares[fullest])
    return "budget used", f"{number(100 * shares[fullest], 0)}% of {fullest.replace('_', ' ')}", "" if css == "ok" else css


def _all_of(status: Mapping[str, Any], before: str = "") -> str:
    """Return every figure of a status as text, one a line."""
    lines = []
    for name, value in status.items():
        if isinstance(value, dict):
            lines.append(_all_of(value, f"{before}{name}.") or f"{before}{name}: –")
        else:
            lines.append(f"{before}{name}: {amount(value) if isinstance(value, float) else value}")
    return "\n".join(lines)


def _divergence(figures: Mapping[str, Any], instruments: tuple[Instrument, ...]) -> str:
    """Return the meter: what each model filled, and how sure the modelled fills are."""
    one = instruments[0] if len(instruments) == 1 else None
    size = float(one.lot_size) if one is not None else 1.0
    places, unit = (one.qty_decimals, one.qty_unit) if one is not None else (0, "lots")
    rows = [
        [
            (name, "l"),
            (str(figures[name]["fills"]), "hft-n"),
            (number(figures[name]["filled_lots"] * size, places), "hft-n"),
            (money(figures[name]["pnl_quote"]), "hft-n"),
        ]
        for name in NAMES
    ]
    share = figures["sure_share"]
    sure = DASH if share is None else f"{number(100 * share, 0)}%"
    said = f'<div class="hft-row"><span class="hft-dim">modelled fills that even the pessimistic one has</span><span class="hft-n">{sure}</span></div>'
    settle = instruments[0].settle
    return table([("fills, if", "l"), ("fills", ""), (unit, ""), (f"P&L {settle}", "")], rows) + said
