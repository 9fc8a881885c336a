"""Is it healthy: the line at the top, the latency histogram, and what just happened."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import traitlets as t

from hftlab.data.frame import Frame
from hftlab.engine.clock import age_ms
from hftlab.widgets.page import PageWidget, script
from hftlab.widgets.panel import HtmlPanel, Panel
from hftlab.widgets.text import DASH, MESSAGE_LEVELS, STATE_LEVELS, clock, duration, esc, number

VALIDITY_LEVELS = {"valid": "ok", "resync": "warn", "crossed": "bad"}
EVENT_ROWS = 40
SEEN_S = 5.0  # a page says every second which section it shows
PAGES_MAX, PAGE_CHARS = 20, 40
DEAD_MS = 1000.0  # a frame older than this makes one ask whether the engine lives


class TopBar(PageWidget):
    """The health line. `controls` is true only where there is a Session: then it has the HALT button."""

    _esm = script("sections.js", "floating.js", "topbar.js")
    controls = t.Bool(False).tag(sync=True)
    sections = t.List(t.List(t.Unicode())).tag(sync=True)  # key and title of each

    def __init__(self, *, on_halt: Callable[[], None] | None = None, sections: Sequence[tuple[str, str]] = ()) -> None:
        self._on_halt = on_halt  # None for a View: then no message of a page can halt anything
        self._seen: dict[str, tuple[str, float]] = {}  # by page: the section that it shows, and when it said so
        super().__init__(controls=on_halt is not None, sections=[list(one) for one in sections])

    def on_beat(self, message: dict[str, Any]) -> None:
        """Note which section a page shows; "" is a page that only keeps HALT in sight."""
        key, page = message.get("section"), message.get("page")
        if isinstance(page, str) and len(page) <= PAGE_CHARS and (key == "" or any(key == known for known, _ in self.sections)):
            now_s = time.monotonic()
            # A new dictionary, so that the pump reads a whole one; pages that are gone leave it.
            here = {one: seen for one, seen in self._seen.items() if now_s - seen[1] < SEEN_S}
            self._seen = dict([*here.items()][-PAGES_MAX:]) | {page: (str(key), now_s)}

    def shown(self, now_s: float) -> frozenset[str] | None:
        """Return the sections that some page shows, None before the first page has said so."""
        if not self._seen:
            return None
        return frozenset(key for key, at_s in self._seen.values() if now_s - at_s < SEEN_S)

    def on_page(self, message: dict[str, Any]) -> None:
        """Pass on a press of HALT."""
        if message.get("k") == "halt" and self._on_halt is not None:
            self._on_halt()


def figure(engine: dict[str, Any], key: str) -> float | None:
    """Return a number of the engine's own figures, or None: any of them may be absent."""
    value = engine.get(key)
    return float(value) if isinstance(value, int | float) and np.isfinite(value) else None


def quoting_share(frame: Frame, i: int) -> float | None:
    """Return the share of the run's time in which both our sides were live."""
    market = frame.markets[i]
    whole = frame.now_ns - int(frame.desk["start_ns"])
    if int(frame.desk["start_ns"]) <= 0 or whole <= 0:
        return None
    since = int(market["quoted_from_ns"])
    return min(1.0, (int(market["quoted_ns"]) + (frame.now_ns - since if since > 0 else 0)) / whole)


def _text(value: float | None, decimals: int, unit: str, *, sign: bool = False) -> str:
    return number(value, decimals, unit=unit, sign=sign)


def fields(frame: Frame, i: int) -> dict[str, tuple[str, str]]:
    """Return the figures of the health line: text and level by name."""
    engine = frame.engine
    feed, loop, offset = (figure(engine, key) for key in ("feed_lag_ms", "loop_gap_ms", "clock_offset_ms"))
    rate, started, share = figure(engine, "events_per_s"), figure(engine, "started_ns"), quoting_share(frame, i)
    validity = frame.validity(i)
    speed = figure(engine, "speed")
    return {
        "feed": (_text(feed, 0, "ms"), "" if feed is None or feed < 250 else "warn" if feed < 2000 else "bad"),
        "loop": (_text(loop, 1, "ms"), "" if loop is None or loop < 50 else "warn" if loop < 500 else "bad"),
        "clock": (_text(offset, 1, "ms", sign=True), "" if offset is None or abs(offset) < 100 else "warn"),
        "book": (validity, VALIDITY_LEVELS[validity]),
        "rate": (f"{rate:,.0f}".replace(",", "\u2009") + " events/s" if rate is not None else DASH, ""),
        "up": (
            (duration((frame.published_ns - started) / 1e9) if started is not None else DASH)
            + (f" at {speed:g}×" if speed is not None and speed not in (0.0, 1.0) else ""),
            "",
        ),
        "quoting": (_text(None if share is None else 100 * share, 1, "%"), ""),
    }


class Health(Panel):
    """Feeds the health line, also when there is no frame: `trouble` says why."""

    hz = 4.0

    def __init__(
        self,
        source: Any,
        *,
        market: int = 0,
        on_halt: Callable[[], None] | None = None,
        sections: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.bar = TopBar(on_halt=on_halt, sections=sections)
        self.source, self.run = source, str(source.name)
        self.halt_problem = ""  # why the last HALT did not work; it stays until one does
        super().__init__(self.bar, market=market)
        self.widget.remove_class("hft-panel")
        self.widget.add_class("hft-top-holder")
        self._number = 0

    def draw(self, frame: Frame) -> None:
        """Send the state of the run."""
        instrument, mode = frame.instruments[self.market], str(frame.engine.get("mode", ""))
        reason = frame.state_reason
        feed = str(frame.engine.get("feed", ""))
        age, problem = age_ms(frame.published_ns), self.halt_problem
        dead = age > DEAD_MS and not self.source.alive()
        if dead:
            ended = "This run was stopped" if frame.state == "STOPPED" else "No engine runs"
            problem = f"{problem}\n{ended}; this is the last state that it published.".strip()
        self._send(
            age=age,
            market=f"{instrument.venue} {instrument.symbol}" + (f" · {feed}" if feed else ""),
            mode=mode.upper(),
            mode_class="live" if mode == "live" else "safe",
            state=frame.state + (f": {reason}" if reason else ""),
            state_level=STATE_LEVELS[frame.state],
            over=dead and frame.state == "STOPPED",  # nothing is left to halt, so HALT need not follow the page
            fields=fields(frame, self.market),
            problem=problem,
        )

    def trouble(self, problem: str) -> None:
        """Say why there is no frame. The page goes on counting the age of the last one."""
        together = f"{self.halt_problem}\n{problem}" if self.halt_problem else problem
        self._send(age=None, market="", mode="", mode_class="safe", state="NOT READABLE", state_level="bad", fields={}, problem=together)

    def _send(self, **content: Any) -> None:
        self._number += 1
        self.bar.send({"k": "top", "n": self._number, "run": self.run, "halt_failed": bool(self.halt_problem), **content})


class Latency(HtmlPanel):
    """How long the engine takes from the rows of a tick to its requests."""

    hz = 1.0
    title = "Tick to request"

    def render(self, frame: Frame) -> str:
        """Return the histogram as bars."""
        tick = frame.engine.get("tick_us") or {}
        self.heading(f"p50 {number(figure(tick, 'p50'), 0)} · p99 {number(figure(tick, 'p99'), 0)} µs")
        counts = np.asarray(tick.get("counts", ()), dtype=np.float64)
        edges = np.asarray(tick.get("edges_us", ()), dtype=np.float64)
        if not counts.size or counts.sum() <= 0 or len(edges) != len(counts) + 1:
            return '<div class="hft-none">not measured yet</div>'
        used = np.flatnonzero(counts)
        counts, edges = counts[: used[-1] + 1], edges[: used[-1] + 2]
        # Square root: one slow tick in a thousand is the news here, and must not vanish beside the usual ones.
        heights = np.sqrt(counts / counts.max()) * 44
        wide = 100 / len(counts)
        bars = "".join(
            f'<rect x="{k * wide:.2f}%" y="{46 - h:.1f}" width="{wide * 0.9:.2f}%" height="{h:.1f}" fill="var(--hft-dim)" opacity=".6"/>'
            for k, h in enumerate(heights)
        )
        marks = "".join(f"<span>{edges[k]:.3g}</span>" for k in np.unique(np.linspace(0, len(edges) - 1, 5).astype(int)))
        return f'<svg width="100%" height="46" style="display:block">{bars}</svg><div class="hft-row hft-n hft-dim" style="font-size:10px">{marks}</div>'


class Events(HtmlPanel):
    """Commands with who sent them, risk events, resyncs: newest first."""

    hz = 2.0
    title = "Events"

    def render(self, frame: Frame) -> str:
        """Return the list."""
        messages = list(frame.engine.get("messages", ()))[-EVENT_ROWS:][::-1]
        if not messages:
            return '<div class="hft-none">nothing yet</div>'
        rows = ""
        for message in messages:
            known = MESSAGE_LEVELS.get(str(message.get("level", "")).lower())
            level = f" hft-level-{known}" if known else ""
            at = clock(int(message.get("ts_ns", 0)))
            rows += f'<tr><td class="l hft-n hft-dim" style="vertical-align:top">{at}</td><td class="l w{level}" style="width:100%">{esc(message.get("text", ""))}</td></tr>'
        return f'<div class="hft-scroll" style="max-height:158px"><table>{rows}</table></div>'
