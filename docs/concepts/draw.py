"""Draws the pictures of these pages: `python docs/concepts/draw.py`. Text and lines take the colour of the page they stand on."""

from pathlib import Path

HERE = Path(__file__).resolve().parent
WIDTH = 760
BLUE, ORANGE = "#3f8fd6", "#d9822b"  # told apart by the colour-blind, and legible on white and on black

# As an image (on the forge) the picture follows the reader's system; in the built pages it is inlined, and follows the page.
STYLE = "<style>.figure{color:#1f2328}@media(prefers-color-scheme:dark){.figure{color:#e6edf3}}</style>"
MARKS = "".join(
    f'<marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse">'
    f'<path d="M0 0 8 4 0 8z" fill="{colour}"/></marker>'
    for name, colour in (("ink", "currentColor"), ("blue", BLUE), ("orange", ORANGE))
)


def text(x, y, words, size=13, anchor="middle", weight=400, colour="currentColor", quiet=False):
    """One line of text, or several under each other."""
    lines = words.split("\n")
    style = f'font-size="{size}" text-anchor="{anchor}" font-weight="{weight}" fill="{colour}"' + (' opacity=".72"' if quiet else "")
    spans = "".join(f'<tspan x="{x}" dy="{0 if i == 0 else size * 1.3:g}">{line}</tspan>' for i, line in enumerate(lines))
    return f'<text x="{x}" y="{y}" {style}>{spans}</text>'


def box(x, y, w, h, words="", note="", colour="currentColor", fill=0.06, dash="", size=13):
    """A box with words in its middle and a quieter note under them."""
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    shape = (
        f'<rect x="{x}" y="{y}" width="{w}" height="{h}" rx="6" fill="{colour}" fill-opacity="{fill}" stroke="{colour}" '
        f'stroke-width="1.3"{dashed}/>'
    )
    rows = words.count("\n") + 1 if words else 0
    notes = note.count("\n") + 1 if note else 0
    top = y + h / 2 - (rows * size * 1.3 + notes * 15.6) / 2 + size
    parts = [shape, text(x + w / 2, top, words, size, weight=600)] if words else [shape]
    if note:
        parts.append(text(x + w / 2, top + rows * size * 1.3, note, 12, quiet=True))
    return "".join(parts)


def arrow(points, colour="ink", dash=False, both=False):
    """A line through points, with its head at the end."""
    stroke = {"ink": "currentColor", "blue": BLUE, "orange": ORANGE}[colour]
    path = "M" + " L".join(f"{x} {y}" for x, y in points)
    more = (' stroke-dasharray="5 4"' if dash else "") + (f' marker-start="url(#{colour})"' if both else "")
    return f'<path d="{path}" fill="none" stroke="{stroke}" stroke-width="1.5" marker-end="url(#{colour})"{more}/>'


def line(x1, y1, x2, y2, colour="currentColor", width=1.0, dash="", opacity=0.5):
    """A plain line."""
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{colour}" stroke-width="{width}" opacity="{opacity}"{dashed}/>'


def flow():
    """The one flow."""
    steps = (
        ("1  facts", "book, orders, ledger"),
        ("2  exchange", "queue, fills (simulated)"),
        ("3  wish", "the quoter, or a target"),
        ("4  leave", "risk: the one exit"),
        ("5  stage", "amend, keep, cancel"),
    )
    parts = [
        text(95, 24, "backtest", 14, weight=600, colour=BLUE),
        box(10, 38, 170, 42, "tape", "two clocks a row", BLUE),
        box(10, 90, 170, 34, "timers", colour=BLUE),
        text(95, 182, "paper, shadow, live", 14, weight=600, colour=ORANGE),
        box(10, 196, 170, 42, "feed", "made into rows", ORANGE),
        box(10, 248, 170, 42, "reports, timers", "of the venue, of the clock", ORANGE),
        box(10, 300, 170, 42, "commands", "through one door", ORANGE),
        arrow([(180, 59), (300, 59), (300, 92), (328, 92)], "blue"),
        arrow([(180, 107), (328, 107)], "blue"),
        box(212, 240, 84, 58, "journal", "written first", ORANGE),
        arrow([(180, 217), (200, 217), (200, 256), (210, 256)], "orange"),
        arrow([(180, 269), (210, 269)], "orange"),
        arrow([(180, 321), (200, 321), (200, 283), (210, 283)], "orange"),
        arrow([(296, 269), (312, 269), (312, 248), (328, 248)], "orange"),
        box(330, 38, 220, 304, "", fill=0.03),
        text(440, 61, "run(desk, exchange, events, out)", 11.5, weight=600),
        text(440, 332, "compiled; no clock, no files", 11, quiet=True),
    ]
    for i, (name, note) in enumerate(steps):
        parts.append(box(345, 74 + i * 49, 190, 43, name, note))
    parts += [
        arrow([(550, 100), (598, 100)], "blue"),
        box(600, 76, 150, 48, "Report", "fills, P&amp;L, digest", BLUE),
        arrow([(550, 240), (598, 240)], "orange"),
        box(600, 216, 150, 48, "requests", "to the venue", ORANGE),
        arrow([(550, 306), (598, 306)], "orange"),
        box(600, 282, 150, 48, "snapshot", "20 a second, to viewers", ORANGE),
    ]
    return 356, parts


def laws():
    """The two laws."""
    parts = [
        text(10, 22, "Partition", 15, "start", 600),
        text(10, 42, "however the rows are cut, the state is the same to the byte", 12, "start", quiet=True),
    ]
    for row, cuts in enumerate(((), (180, 300), (60, 80, 260, 390))):
        y, start = 58 + row * 42, 10
        for end in (*cuts, 440):
            parts.append(box(start, y, end - start - 4, 28, colour=BLUE, fill=0.18))
            start = end
        parts.append(arrow([(444, y + 14), (506, y + 14)]))
        parts.append(box(510, y, 110, 28, "same state", fill=0.06, size=12))
    parts += [
        text(225, 76, "one call with all rows (a backtest)", 12),
        text(360, 118, "three calls", 12),
        text(325, 160, "as they arrive (live)", 12),
        text(690, 118, "desk, markets,\nexchange: equal", 12, quiet=True),
        line(10, 192, 750, 192, opacity=0.25),
        text(10, 222, "Replay", 15, "start", 600),
        text(10, 242, "a journal holds what came in, and everything decided can be made again from it", 12, "start", quiet=True),
        box(10, 262, 130, 52, "live session", "decides once", ORANGE),
        arrow([(140, 288), (188, 288)], "orange"),
        box(190, 262, 130, 52, "journal", "64 bytes a row", ORANGE),
        arrow([(320, 288), (368, 288)], "blue"),
        box(370, 262, 130, 52, "replay", "decides again", BLUE),
        arrow([(75, 314), (75, 352), (178, 352)], "orange"),
        box(180, 332, 150, 40, "published digest", colour=ORANGE),
        arrow([(435, 314), (435, 352), (402, 352)], "blue"),
        text(366, 358, "=", 22, weight=700),
        text(520, 282, "restart after a crash · time travel", 12, "start", quiet=True),
        text(520, 300, "an audit · last week's report", 12, "start", quiet=True),
    ]
    return 386, parts


def modes():
    """Four modes."""
    heads = (("backtest", BLUE), ("paper", ORANGE), ("shadow", ORANGE), ("live", ORANGE))
    rows = (
        ("market data", ("a tape", "a feed", "the venue's", "the venue's")),
        ("fills", ("modelled", "modelled,\nor matched", "modelled,\nwith two bounds", "the venue's")),
        ("what is sent", ("nothing", "nothing", "nothing; kept\nas bytes", "everything")),
        ("runs in", ("your notebook", "its own process", "its own process", "its own process")),
        ("money", ("none", "none", "none", "real, or a testnet's")),
    )
    x0, step, width = 116, 161, 150
    parts = [box(x0, 46, 4 * step - 11, 40, "the same compiled code decides: book, orders, ledger, quote, risk", fill=0.1)]
    for i, (name, colour) in enumerate(heads):
        x = x0 + i * step
        parts += [text(x + width / 2, 28, name, 15, weight=600, colour=colour)]
        for k, (_, cells) in enumerate(rows):
            parts.append(box(x, 98 + k * 52, width, 44, note=cells[i], colour=colour, fill=0.08))
    for k, (name, _) in enumerate(rows):
        parts.append(text(104, 124 + k * 52, name, 12, "end", quiet=True))
    return 362, parts


def latency():
    """A request's way, and a place in a queue."""
    desk, venue = 150, 50
    scale, left = 26, 150

    def at(ms):
        return left + ms * scale

    parts = [
        text(10, venue + 5, "at the exchange", 13, "start", 600),
        text(10, desk + 5, "at our desk", 13, "start", 600),
        line(140, venue, 750, venue),
        line(140, desk, 750, desk),
        arrow([(at(1), venue), (at(4), desk)], "blue"),
        text(at(2) - 22, 104, "feed\n3 ms", 12, "middle", colour=BLUE),
        arrow([(at(5), desk), (at(11), venue)], "orange"),
        text(at(8) + 32, 112, "order_ms 6", 12, "start", colour=ORANGE),
        arrow([(at(16), venue), (at(21), desk)], "blue"),
        text(at(18.5) + 16, 98, "report_ms 5", 12, "start", colour=BLUE),
        text(at(1), venue - 12, "the price moves", 12, "middle"),
        text(at(11), venue - 12, "our order joins the queue", 12),
        text(at(16) + 20, venue - 12, "it fills", 12, "start"),
        text(at(4) - 4, desk + 20, "we see it", 12, "end"),
        text(at(5) - 2, desk + 20, "decide (compute_us 1000)", 12, "start"),
        text(at(21), desk + 20, "we learn of it", 12),
    ]
    for ms in range(0, 23, 2):
        parts += [line(at(ms), desk + 34, at(ms), desk + 39), text(at(ms), desk + 52, str(ms), 11, quiet=True)]
    parts += [
        line(at(0), desk + 34, at(22), desk + 34),
        text(at(22) + 12, desk + 52, "ms", 11, "start", quiet=True),
        text(10, 246, "the queue at our price, in lots", 13, "start", 600),
    ]
    ahead, ours, behind, per = 120, 10, 60, 2.6
    x = 150
    parts += [
        box(x, 262, ahead * per, 40, "120 ahead of us", size=12, fill=0.1),
        box(x + ahead * per, 262, ours * per, 40, "10", colour=ORANGE, fill=0.35, size=12),
        box(x + (ahead + ours) * per, 262, behind * per, 40, "60 behind us", size=12, fill=0.1),
        text(x - 10, 286, "front", 12, "end", quiet=True),
        text(x + (ahead + ours + behind) * per + 10, 286, "back", 12, "start", quiet=True),
        arrow([(x + 20, 326), (x + 20, 306)], "blue"),
        text(x + 30, 334, "prints take from the front: that is seen", 12, "start", colour=BLUE),
        text(x, 362, "30 lots are cancelled: in front of us, or behind?\nA recording does not tell; a model guesses.", 12, "start"),
    ]
    return 392, parts


def risk():
    """Grades by the share of a limit, and the states that people command."""
    left, width, base = 60, 520, 130

    def at(share):
        return left + share * width / 1.1

    parts = [
        text(10, 22, "Grades: how much of a limit is used decides how we quote", 14, "start", 600),
        box(at(0), base - 60, at(0.5) - at(0), 44, "full", "as the quoter wishes", BLUE, 0.12),
        box(at(0.5), base - 60, at(0.8) - at(0.5), 44, "WIDEN", "spread × factor", ORANGE, 0.16),
        box(at(0.8), base - 60, at(1) - at(0.8), 44, "REDUCING", "nearer zero", ORANGE, 0.34, size=12),
        box(at(1), base - 60, 190, 44, "HALTED", "by a loss or a drawdown", fill=0.18),
        line(at(0), base, at(1.1), base, opacity=0.8),
    ]
    for share in (0, 0.2, 0.4, 0.5, 0.64, 0.8, 1.0):
        parts += [line(at(share), base - 4, at(share), base + 4, opacity=0.9), text(at(share), base + 20, f"{share:g}", 12)]
    parts += [
        text(at(1.1) + 10, base + 5, "share of the limit", 12, "start", quiet=True),
        arrow([(at(0.5), base + 30), (at(0.4), base + 30)], "blue"),
        text(at(0.45), base + 48, "WIDEN ends", 12, colour=BLUE),
        arrow([(at(0.8), base + 30), (at(0.64), base + 30)], "blue"),
        text(at(0.72), base + 48, "REDUCING ends", 12, colour=BLUE),
        text(at(1.1) + 10, base + 34, "widen_at_frac 0.5", 11, "start", quiet=True),
        text(at(1.1) + 10, base + 48, "reduce_at_frac 0.8\nrecover_frac 0.8", 11, "start", quiet=True),
        line(10, 204, 750, 204, opacity=0.25),
        text(10, 230, "States: what people command, and what a halt keeps", 14, "start", 600),
        box(40, 256, 130, 46, "ACTIVE", "quotes", BLUE, 0.12),
        box(300, 256, 130, 46, "PAUSED", "quotes withdrawn"),
        box(300, 336, 130, 46, "HALTED", "kept over restarts", fill=0.18),
        box(590, 336, 130, 46, "STOPPED", "nothing rests"),
        arrow([(170, 268), (298, 268)]),
        text(234, 260, "pause", 12),
        arrow([(300, 290), (172, 290)]),
        text(234, 306, "resume", 12),
        arrow([(90, 302), (90, 366), (298, 366)], "orange"),
        text(104, 384, "halt, or a loss beyond its limit", 12, "start", colour=ORANGE),
        arrow([(298, 348), (130, 348), (130, 304)]),
        text(214, 341, "resume, by a person", 12),
        arrow([(430, 359), (588, 359)]),
        text(509, 351, "stop, from any state", 12),
        arrow([(365, 302), (365, 334)], "orange"),
    ]
    return 398, parts


TITLES = {
    flow: "The one flow: backtest and live feed the same function",
    laws: "The partition law and the replay law",
    modes: "Four modes: what differs and what does not",
    latency: "The way of an order in milliseconds, and its place in the queue in lots",
    risk: "Grades by the share of a limit, and states by command",
}
FILES = {flow: "flow", laws: "two_laws", modes: "modes", latency: "latency_and_queue", risk: "risk_states"}

if __name__ == "__main__":
    for draw, name in FILES.items():
        height, parts = draw()
        body, marks = "\n".join(parts), MARKS.replace('id="', f'id="{name}-')
        for mark in ("ink", "blue", "orange"):  # of five pictures in one page each has its own
            body = body.replace(f"url(#{mark})", f"url(#{name}-{mark})")
        (HERE / f"{name}.svg").write_text(
            f'<svg xmlns="http://www.w3.org/2000/svg" class="figure" viewBox="0 0 {WIDTH} {height}" role="img" '
            f'font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif">\n'
            f"<title>{TITLES[draw]}</title>{STYLE}\n<defs>{marks}</defs>\n{body}\n</svg>\n",
            encoding="utf-8",
        )
