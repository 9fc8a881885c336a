"""The scrubber: a slider over a run, and the desk as it stood at that moment: ladder, our orders and places, quotes, state, rows.

The page plays by itself. It asks for batches of moments ahead of the one on screen, each a few hundred numbers, and paints them at its
own pace; the kernel is asked once a second or two, in a thread, and every answer is bounded in time.
"""

import math
import traceback
from typing import Any

import traitlets as t

from hftlab.backtesting.travels.frames import by_event, by_time
from hftlab.backtesting.travels.marks import KINDS
from hftlab.backtesting.travels.page import facts, facts_html, frame_html, rows_html
from hftlab.backtesting.travels.travel import Travel, at, moment
from hftlab.errors import InputError
from hftlab.types import DESK_STATE_NAMES
from hftlab.widgets import scrubber_pack as sp
from hftlab.widgets.ladder import MIDDLE_PX, ROW_PX
from hftlab.widgets.page import STATIC, STYLE, PageWidget, script
from hftlab.widgets.scrubber_worker import Worker
from hftlab.widgets.text import esc

BATCH_MAX = 240  # moments in one answer
BATCH_S = 0.25  # and how long making them may take
READ_BLOCKS = 4  # of a run that are read at once while nobody asks


class Scrubber(PageWidget):
    """A run to go through by hand. `travel` is the moment it opens at, or a run, which opens at its start.

    `event` is where the page that moved last stands; `travel` that moment.
    """

    _css = f"{STYLE}\n{(STATIC / 'scrubber.css').read_text(encoding='utf-8')}"
    _esm = script("ladder_paint.js", "scrubber_draw.js", "scrubber.js")
    height_px = t.Int(420).tag(sync=True)

    def __init__(self, travel: Any, *, market: int = 0, height_px: int = 420) -> None:
        start = travel if isinstance(travel, Travel) else at(travel, 0)
        if not 0 <= market < len(start.instruments):
            raise InputError(f"market was {market}; wanted a number below {len(start.instruments)}, the markets of this run.")
        self.course, self.event, self.market = start.course, start.number, market
        self.depth = max(8, (height_px - MIDDLE_PX) // (2 * ROW_PX))
        self.failure: Exception | None = None
        self._first = start
        self._start_ns: int | None = None
        self._worker = Worker(self._answer, self._read_on)
        super().__init__(height_px=height_px)

    # --- from Python -----------------------------------------------------------------------------------------------------------
    @property
    def travel(self) -> Travel:
        """Return the moment on screen."""
        return moment(self.course, self.event)

    def jump(self, where: Any = None, *, ts_ns: int | None = None, event: int | None = None) -> Travel:
        """Go to a moment: `where` and `ts_ns` as of `hl.at`, or `event`. Returns it. Raises InputError, DataError as `hl.at` does."""
        if event is not None:
            where = int(event)
        found = self._first.to(where, ts_ns=ts_ns)
        self._show(found, {})
        return found

    def close(self) -> None:
        """Close the widget; its thread ends."""
        worker = getattr(self, "_worker", None)  # none where the constructor refused its arguments
        if worker is not None:
            worker.close()
        super().close()

    # --- from the page: nothing here but notes; the work is done in the thread -------------------------------------------------------
    def on_beat(self, message: dict[str, Any]) -> None:
        """Answer a page that has just come."""
        if message["k"] == "hello":
            self._worker.ask({"k": "hello"})

    def on_page(self, message: dict[str, Any]) -> None:
        """Take a wish of the page."""
        if message.get("k") in ("ns", "event", "find", "market", "play"):
            self._worker.ask({key: value for key, value in message.items() if isinstance(value, str | int | float | bool)})

    # --- the thread ------------------------------------------------------------------------------------------------------------------
    def _answer(self, wish: dict[str, Any]) -> None:
        try:
            self._do(wish)
        except Exception as error:  # why: whatever fails is shown in the page; a thread that ended would leave it waiting for ever
            self._fail(error, wish)
        else:
            self.failure = None

    def _do(self, wish: dict[str, Any]) -> None:
        kind = wish["k"]
        if kind == "hello":
            self._greet()
        elif kind == "play":
            self._play(wish)
        elif kind == "market":
            self.market = min(max(int(_number(wish, "n")), 0), len(self._first.instruments) - 1)
            self._greet()
        elif kind == "find":
            if wish.get("kind") not in KINDS:
                raise InputError(f"no kind of moment is called {wish.get('kind')!r}.")
            here = moment(self.course, self._row(_number(wish, "event")))
            self._show(here.prev(wish["kind"]) if wish.get("back") else here.next(wish["kind"]), wish)
        elif kind == "ns":
            self._show(moment(self.course, self.course.row_at(self._origin() + int(_number(wish, "ns")))), wish)
        else:
            self._show(moment(self.course, self._row(_number(wish, "event"))), wish)

    def _row(self, number: float) -> int:
        return self.course.reach(max(int(number), 0))

    def _origin(self) -> int:
        """Return the time at which the page's clock is zero: that of the first row."""
        if self._start_ns is None:
            self._start_ns = self.course.start_ns()
        return self._start_ns

    def _greet(self) -> None:
        """Tell a page what it looks at, then where, then, when it has been read, the whole run."""
        instruments = [
            {
                "name": one.symbol,
                "base": one.qty_unit,
                "quote": one.quote,
                "settle": one.settle,
                "price_decimals": one.price_decimals,
                "qty_decimals": one.qty_decimals,
                "tick": float(one.tick_size),
            }
            for one in self._first.instruments
        ]
        head = {"k": "info", "name": self.course.name, "start_ms": self._origin() / 1e6, "market": self.market, "depth": self.depth}
        self.send(head | {"instruments": instruments, "states": list(DESK_STATE_NAMES), "read": self._read()})
        self._show(self.travel, {})
        if self._read():
            self._send_overview()

    def _read(self) -> bool:
        return self.course.read_through()

    def _read_on(self) -> bool:
        """Read a part of the run that was not read yet. Returns whether there is more."""
        try:
            if self._read():
                return False
            self.course.passed(self.course.marks.rows + READ_BLOCKS * self.course.block)
            if self._read():
                self._send_overview()
                return False
            self.send({"k": "reading", "events": self.course.marks.rows})
        except Exception as error:  # why: as in `_answer`; what cannot be read is not tried again by itself
            self._fail(error, {})
            return False
        return True

    def _send_overview(self) -> None:
        course = self.course
        with course.lock:
            start_ns, end_ns = course.span_ns()
            buffers = sp.overview(course, self.market, start_ns, int(course.here.desk["sample_ns"][0]))
            events = len(course.rows)
        self.send({"k": "overview", "span_ns": end_ns - start_ns, "events": events}, buffers=[one.data for one in buffers])

    def _show(self, found: Travel, wish: dict[str, Any]) -> None:
        """Send one moment, with its tables unless only a glance is wanted."""
        self.event = found.number
        with self.course.lock:
            data = sp.frame_of(self.course.seek(found.number), found.number, self._origin(), self.market, self.depth)
        head = {
            "k": "moment",
            "id": wish.get("id", -1),
            "page": wish.get("page"),
            "html": None if wish.get("light") else self._tables(found),
        }
        self.send(head, buffers=[data.data])

    def _tables(self, found: Travel) -> dict[str, str]:
        i = self.market
        one, did = found.instruments[i], found.did()
        return {
            "facts": facts_html(facts(found, i)),
            "orders": frame_html(found.orders_table(i).reset_index(), one.price_decimals, one.qty_decimals),
            "rows": rows_html(found),
            "did": frame_html(did, one.price_decimals, one.qty_decimals),
            "notes": "".join(f"<div>{esc(note)}</div>" for note in found.notes),
        }

    def _play(self, wish: dict[str, Any]) -> None:
        """Send the moments that a page will want next."""
        origin, step = self._origin(), max(_number(wish, "step"), 1.0)
        count = min(max(int(_number(wish, "count")), 1), BATCH_MAX)

        def read(state: Any, event: int) -> Any:
            return sp.frame_of(state, event, origin, self.market, self.depth)

        if wish.get("by") == "event":
            found = by_event(self.course, self._row(_number(wish, "from")), int(step), count, read, BATCH_S)
        else:
            found = by_time(self.course, origin + int(_number(wish, "from")), int(step), count, read, BATCH_S)
        head = {"k": "frames", "id": wish.get("id"), "page": wish.get("page"), "count": len(found)}
        head["end"] = int(found[-1][0]) >= self.course.reach(int(found[-1][0]) + 1)
        self.send(head, buffers=[b"".join(one.tobytes() for one in found)])

    def _fail(self, error: Exception, wish: dict[str, Any]) -> None:
        self.failure = error
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = "" if isinstance(error, InputError) else f" ({last.filename.rsplit('/', 1)[-1]}:{last.lineno})"
        self.send({"k": "error", "id": wish.get("id"), "page": wish.get("page"), "text": f"{type(error).__name__}: {error}{where}"})


def _number(wish: dict[str, Any], name: str) -> float:
    """Return a number that a page sent; a page is not trusted."""
    value = wish.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or abs(value) > 2**53:
        raise InputError(f"{name} was {value!r}; wanted a number.")
    return value
