"""`/health` that means it: every figure that says whether the machinery works, and in words what is wrong."""

from collections.abc import Iterator

from hftlab.data.frame import Frame
from hftlab.engine.door import models as m
from hftlab.engine.door.answers import finite
from hftlab.engine.metrics import feed_age_s
from hftlab.types import VALIDITY_NAMES

FRAME_AGE_MS = 2000.0  # an engine publishes twenty times a second
LOOP_GAP_MS = 500.0
JOURNAL_OVERDUE_S = 2.0
CLOCK_OFFSET_MS = 1000.0


def health(frame: Frame, now_ns: int, *, audit_trouble: str = "", watchers: int = 0) -> m.Health:
    """Return the health of an engine by its last frame. `now_ns`: wall clock."""
    engine = frame.engine
    journal = engine.get("journal") or {}
    found = m.Health(
        ok=True,
        reasons=[],
        state=frame.state,
        state_reason=frame.state_reason,
        frame_age_ms=max(0.0, (now_ns - frame.published_ns) / 1e6),
        loop_gap_ms=finite(engine.get("loop_gap_ms")),
        loop_gap_ms_max=finite(engine.get("loop_gap_ms_max")),
        clock_offset_ms=finite(engine.get("clock_offset_ms")),
        journal=m.JournalLag(
            rows=int(frame.desk["rows"]),
            unsynced_rows=int(journal.get("unsynced_rows", 0)),
            overdue_s=float(journal.get("overdue_s", 0.0)),
        ),
        feeds=[_feed(frame, i) for i in range(len(frame.instruments))],
        streams=[_stream(one, frame.published_ns) for one in engine.get("streams") or []],
        audit_trouble=audit_trouble,
        watchers=watchers,
    )
    reasons = list(_reasons(found))
    return found.model_copy(update={"ok": not reasons, "reasons": reasons})


def _feed(frame: Frame, i: int) -> m.Feed:
    market = frame.markets[i]
    return m.Feed(
        market=i,
        instrument=frame.instruments[i].name,
        validity=frame.validity(i),
        feed_age_s=feed_age_s(frame, i),
        stale_s_max=float(market["limits"]["stale_ns_max"]) / 1e9,
        link_up=not int(market["link_down"]),
    )


def _stream(one: dict[str, object], now_ns: int) -> m.Stream:
    last_ns = int(str(one.get("last_ns") or 0))
    return m.Stream(
        name=str(one.get("name")),
        up=bool(one.get("up")),
        silent_s=max(0.0, (now_ns - last_ns) / 1e9) if last_ns else None,
        gaps=int(str(one.get("gaps", 0))),
        resyncs=int(str(one.get("resyncs", 0))),
        reconnects=int(str(one.get("reconnects", 0))),
        note=str(one.get("note", "")),
    )


def _reasons(found: m.Health) -> Iterator[str]:
    if found.frame_age_ms > FRAME_AGE_MS:
        yield f"the engine has published nothing for {found.frame_age_ms / 1e3:.1f} s"
    if (found.loop_gap_ms or 0.0) > LOOP_GAP_MS:
        yield f"the loop stood still for {found.loop_gap_ms:.0f} ms within the last 5 s"
    for feed in found.feeds:
        if feed.validity != VALIDITY_NAMES[0]:
            yield f"{feed.instrument}: the book is not to be trusted ({feed.validity})"
        elif feed.feed_age_s is None:
            yield f"{feed.instrument}: no market data has come yet"
        elif feed.feed_age_s > feed.stale_s_max:
            yield f"{feed.instrument}: the feed is stale, its last message is {feed.feed_age_s:.1f} s old (limit {feed.stale_s_max:g} s)"
        if not feed.link_up:
            yield f"{feed.instrument}: the line to our orders at the venue is down"
    for stream in found.streams:
        if not stream.up:
            yield f"stream {stream.name} is down{f': {stream.note}' if stream.note else ''}"
    if found.journal.overdue_s > JOURNAL_OVERDUE_S:
        yield f"the disk owes rows of the journal for {found.journal.overdue_s:.1f} s"
    if abs(found.clock_offset_ms or 0.0) > CLOCK_OFFSET_MS:
        yield f"our clock is {found.clock_offset_ms:+.0f} ms from the venue's"
    if found.audit_trouble:
        yield found.audit_trouble
