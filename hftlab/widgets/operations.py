"""Does the machinery run: where the time goes, alerts, the log, and what the process is."""

from datetime import UTC, datetime
from typing import Any

import numpy as np

from hftlab.data.frame import Frame
from hftlab.widgets.health import figure
from hftlab.widgets.panel import HtmlPanel
from hftlab.widgets.text import DASH, clock, duration, esc, number, table

ALERT_ROWS = 30
LOG_ROWS = 60
LEVELS = {"warn": "warn", "warning": "warn", "error": "bad", "critical": "bad", "alarm": "bad"}

# A stage of latency: name, typical, worst, what it is.
Stage = tuple[str, str, str, str]


def stages(frame: Frame) -> list[Stage]:
    """Return where the time goes between the exchange and our order there, as far as it is measured."""
    engine = frame.engine
    tick = engine.get("tick_us") or {}
    found: list[Stage] = [
        ("exchange to us", number(figure(engine, "feed_lag_ms"), 1, unit="ms"), DASH, "the last market message, by the two clocks"),
        (
            "waiting for the loop",
            number(figure(engine, "loop_gap_ms"), 1, unit="ms"),
            number(figure(engine, "loop_gap_ms_max"), 1, unit="ms"),
            "longest turn of the last 5 s, and since the start",
        ),
        (
            "rows to requests",
            number(figure(tick, "p50"), 0, unit="µs"),
            number(figure(tick, "p99"), 0, unit="µs"),
            "book, decision and risk gate: median and 99 %",
        ),
    ]
    home_ms = np.concatenate([frame.fills(i)["recv_ns"] - frame.fills(i)["ts_ns"] for i in range(len(frame.instruments))]) / 1e6
    home_ms = home_ms[home_ms > 0]
    p50, p99 = np.quantile(home_ms, (0.5, 0.99)) if len(home_ms) else (None, None)
    found.append(("fill to us", number(p50, 1, unit="ms"), number(p99, 1, unit="ms"), f"{len(home_ms)} remembered fills: median and 99 %"))
    offset = figure(engine, "clock_offset_ms")
    found.append(("clock against the venue", number(offset, 1, sign=True, unit="ms"), DASH, "shifts the first and the fourth row"))
    return found


class LatencyStages(HtmlPanel):
    """Latency by stage."""

    hz = 1.0
    title = "Latency by stage"

    def render(self, frame: Frame) -> str:
        """Return a table of the stages."""
        self.heading("from the exchange to our order")
        rows = []
        for name, now, worst, said in stages(frame):
            rows += [[(name, "l"), (now, "hft-n"), (worst, "hft-n")], [(said, "l w hft-dim hft-under")]]
        return table([("stage", "l"), ("typical", ""), ("worst", "")], rows)


def when(one: dict[str, Any]) -> str:
    """Return the time of a line that carries `ts_ns`, or `ts` in seconds or as text; a dash without one."""
    if isinstance(one.get("ts_ns"), int | float):
        return clock(int(one["ts_ns"]))
    stamp = one.get("ts")
    if isinstance(stamp, int | float):
        return datetime.fromtimestamp(stamp, UTC).strftime("%H:%M:%S")
    return str(stamp)[11:19] if stamp else DASH


def lines_html(lines: list[dict[str, Any]]) -> str:
    """Return lines of an alert list or a log, newest first: time, level by colour, text."""
    rows = ""
    for one in reversed(lines):
        level = LEVELS.get(str(one.get("level", "")).lower(), "")
        text = str(one.get("text") or one.get("event") or one)[:300]
        kind = f"<b>{esc(one['kind'])}</b> " if one.get("kind") else ""
        css = f" hft-level-{level}" if level else ""
        rows += (
            f'<tr><td class="l hft-n hft-dim hft-top-cell">{esc(when(one))}</td>'
            f'<td class="l w{css}" style="width:100%">{kind}{esc(text)}</td></tr>'
        )
    return f'<div class="hft-scroll hft-tall" tabindex="0"><table>{rows}</table></div>'


class Alerts(HtmlPanel):
    """What was worth waking somebody, newest first."""

    hz = 1.0
    title = "Alerts"

    def __init__(self, source: Any, *, market: int = 0) -> None:
        super().__init__(market=market)
        self.source = source

    def render(self, frame: Frame) -> str:
        """Return the list."""
        found = self.source.alerts(ALERT_ROWS)
        self.heading(f"last {len(found)}" if found else "none")
        return lines_html(found) if found else '<div class="hft-none">no alert so far</div>'


class Log(HtmlPanel):
    """The end of the engine's log, newest first."""

    hz = 1.0
    title = "Log"

    def __init__(self, source: Any, *, market: int = 0) -> None:
        super().__init__(market=market)
        self.source = source

    def render(self, frame: Frame) -> str:
        """Return the list."""
        found = self.source.log(LOG_ROWS)
        self.heading(f"last {len(found)} lines" if found else "empty")
        return lines_html(found) if found else '<div class="hft-none">nothing was logged</div>'


class System(HtmlPanel):
    """Which process this is and in which mode."""

    hz = 1.0
    title = "System"

    def render(self, frame: Frame) -> str:
        """Return pairs of name and value."""
        engine, desk = frame.engine, frame.desk
        started = figure(engine, "started_ns")
        pairs = [
            ("mode", str(engine.get("mode", DASH)).upper()),
            ("feed", engine.get("feed", DASH)),
            ("venue", engine.get("venue", DASH)),
            ("process", engine.get("pid", DASH)),
            ("up", duration((frame.published_ns - started) / 1e9) if started is not None else DASH),
            ("rows consumed", f"{int(desk['rows']):,}".replace(",", "\u2009")),
            ("turns of the loop", engine.get("turns", DASH)),
            ("commands", int(desk["commands"])),
            ("requests rejected", int(desk["rejects"])),
            ("reports of no order of ours", int(desk["unexpected"])),
            ("book gaps", int(sum(frame.markets["gaps"]))),
            ("book crossed", int(sum(frame.markets["crosses"]))),
        ]
        rows = "".join(
            f'<div class="hft-row"><span class="hft-dim">{esc(name)}</span><span class="hft-n">{esc(value)}</span></div>'
            for name, value in pairs
        )
        return f'<div class="hft-pairs">{rows}</div>'
