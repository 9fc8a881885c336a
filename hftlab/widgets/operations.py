"""Does the machinery run: where the time goes, alerts, the log, and what the process is."""

from datetime import UTC, datetime
from typing import Any

from hftlab.analytics.costs.advice import NOTHING, advise, this_machine
from hftlab.data.frame import Frame
from hftlab.widgets.health import figure
from hftlab.widgets.panel import HtmlPanel
from hftlab.widgets.text import DASH, MESSAGE_LEVELS, clock, duration, esc, number, table

ALERT_ROWS = 30
LOG_ROWS = 60
QUIET = (NOTHING, "not measured yet")


class LatencyStages(HtmlPanel):
    """Where the time goes between the exchange and our order there, and what can be done about it."""

    hz = 1.0
    title = "Latency by stage"

    def render(self, frame: Frame) -> str:
        """Return a table of the stages, the advice for each under it."""
        self.heading("share of the way · median · 99 %")
        rows = []
        for one in advise(frame, this_machine(int(figure(frame.engine, "pid") or 0))):
            times = [(number(100 * one.share, 0, unit="%") if one.share else DASH, "hft-n hft-dim")]
            times += [(time_text(ms), "hft-n") for ms in (one.p50_ms, one.p99_ms)]
            rows += [
                [(one.stage, "l"), *times],
                [(one.what_to_do, f"l w hft-under {'hft-dim' if one.what_to_do in QUIET else 'hft-level-warn'}")],
            ]
        return table([("stage", "l"), ("share", ""), ("typical", ""), ("worst", "")], rows)


def time_text(ms: float) -> str:
    """Return a time in ms, or in µs where that reads better."""
    return number(1e3 * ms, 0, unit="µs") if abs(ms) < 0.1 else number(ms, 1, unit="ms")


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
        level = MESSAGE_LEVELS.get(str(one.get("level", "")).lower(), "")
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
