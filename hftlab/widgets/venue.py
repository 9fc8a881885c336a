"""The line to a venue: its streams, what the gateway knows of our orders there, and how far three models of our fills lie apart."""

from typing import Any

from hftlab.data.frame import Frame
from hftlab.widgets.panel import HtmlPanel
from hftlab.widgets.text import esc, number, table

QUIET_S = 5.0  # a stream that said nothing for so long is worth a colour


class Venue(HtmlPanel):
    """Streams and gateway of a live session; divergence of a shadow session."""

    hz = 2.0
    title = "Venue"

    def render(self, frame: Frame) -> str:
        """Return what the engine says of its lines; of a paper session on other feeds, that it has none."""
        engine = frame.engine
        streams, gateways = engine.get("streams") or [], engine.get("gateways") or []
        self.heading(esc(engine.get("venue", "")))
        parts = [_streams(streams, frame.published_ns), *(_gateway(one) for one in gateways), _divergence(engine.get("divergence"))]
        return "".join(part for part in parts if part) or '<div class="hft-none">this session has no line to a venue</div>'


def _streams(streams: list[dict[str, Any]], now_ns: int) -> str:
    if not streams:
        return ""
    rows = []
    for one in streams:
        silent_s = max(0.0, (now_ns - int(one.get("last_ns", 0))) / 1e9) if one.get("last_ns") else None
        level = "hft-level-bad" if not one.get("up") else "hft-level-warn" if (silent_s or 0.0) > QUIET_S else ""
        counts = [(str(one.get(name, 0)), "hft-n") for name in ("gaps", "resyncs", "reconnects")]
        rows.append([(str(one.get("name")), f"l {level}"), (number(silent_s, 1, unit="s"), f"hft-n {level}"), *counts])
    headings = [("stream", "l"), ("silent", ""), ("gaps", ""), ("resyncs", ""), ("reconnects", "")]
    return table(headings, rows)


def _gateway(status: dict[str, Any]) -> str:
    rows = [
        [(name.replace("_", " "), "l"), (_text(value), "hft-n")] for name, value in status.items() if not isinstance(value, dict | list)
    ]
    for name, value in status.items():
        if isinstance(value, dict) and value:
            text = ", ".join(f"{key} {_text(one)}" for key, one in value.items())
            rows.append([(name.replace("_", " "), "l"), (text, "hft-n w")])
    return table([], rows)


def _divergence(figures: dict[str, Any] | None) -> str:
    if not figures:
        return ""
    rows = [[(name.replace("_", " "), "l"), (_text(value), "hft-n")] for name, value in figures.items() if not isinstance(value, dict)]
    models = {name: value for name, value in figures.items() if isinstance(value, dict)}
    names = sorted({key for one in models.values() for key in one})
    body = [[(model, "l"), *((_text(one.get(name)), "hft-n") for name in names)] for model, one in models.items()]
    return (table([("fills", "l"), *((name.replace("_", " "), "") for name in names)], body) if body else "") + table([], rows)


def _text(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "–"}[value]
    if isinstance(value, float):
        return number(value, 2)
    return str(value)
