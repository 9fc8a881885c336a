"""How a venue comes back after it was killed: its log is kept in a file, and lived through again.

The core is event-sourced: the same markets, calls and times make the same orders, fills and books. A line is in the file before
anybody is told what it says, so what a client has heard is never forgotten; a request that was not answered may be.
"""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hftlab.errors import DataError
from hftlab.venues.server.build import Built, build
from hftlab.venues.server.config import VenueConfig
from hftlab.venues.server.core import Exchange
from hftlab.venues.server.model import NewOrder, Order, Refused

Line = Mapping[str, Any]

_OTHER = "the config was another one. Start it with the one of then, or delete memory.jsonl to begin anew."


class Memory:
    """Appends the logs of the cores to a file. A kill loses nothing that was written; a power cut may (nothing is synced)."""

    def __init__(self, path: Path, cores: Mapping[str, Exchange], start_ns: int) -> None:
        self._cores = cores
        self._written = {name: len(core.log.lines) for name, core in cores.items()}
        fresh = not path.exists()
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        if fresh:
            self._written = dict.fromkeys(cores, 0)
            self._write(json.dumps({"start_ns": start_ns}) + "\n")
            self.keep()

    def keep(self) -> None:
        """Write down what is new."""
        lines = []
        for name, core in self._cores.items():
            if len(core.log.lines) > self._written[name]:
                lines += [f'{{"venue":"{name}","line":{line}}}\n' for line in core.log.json_lines(self._written[name])]
                self._written[name] = len(core.log.lines)
        if lines:
            self._write("".join(lines))

    def _write(self, text: str) -> None:
        view = memoryview(text.encode())
        while view:  # a disk that fills up takes a part, and says no to the rest
            view = view[os.write(self._file, view) :]

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def remember(config: VenueConfig, now_ns: Callable[[], int]) -> tuple[Built, Memory | None]:
    """Build a venue; with `config.state`, as the file remembers it. Raises DataError when the file tells of another venue."""
    if not config.state:
        return build(config, now_ns), None
    path = Path(config.state) / "memory.jsonl"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        start_ns = now_ns()
        built = build(config, now_ns, start_ns)
    else:
        start_ns, lines = _read(path)
        built = build(config, now_ns, start_ns)
        for name, core in built.cores.items():
            built.clock.held_ns = start_ns
            _live_again(core, [line for venue, line in lines if venue == name], built)
    built.clock.held_ns = 0
    return built, Memory(path, built.cores, start_ns)


def _read(path: Path) -> tuple[int, list[tuple[str, Line]]]:
    """Return when the venue opened and its lines; a last line without an end was never told to anybody, and is cut off."""
    text = path.read_bytes()
    size = text.rfind(b"\n") + 1
    try:
        head, *rest = [json.loads(line) for line in text[:size].splitlines()]
        start_ns, lines = int(head["start_ns"]), [(one["venue"], one["line"]) for one in rest]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is no memory of a venue: {error}. Delete it to begin anew.") from error
    if size < len(text):
        os.truncate(path, size)  # or the next line would be written behind half of this one
    return start_ns, lines


def _live_again(core: Exchange, lines: list[Line], built: Built) -> None:
    """Bring every request of a log to the core, each at its time, and check that the same came of it."""
    orders: dict[int, Order] = {}
    for line in lines:
        built.clock.held_ns = max(built.clock.held_ns, line["ts_ns"])
        try:
            _again(core, line, orders)
        except Refused as refused:
            if line["what"] == "amend":
                continue  # it ended its order, as it did then
            raise DataError(
                f"the memory of {core.venue}: its line {line['n']} ({line['what']}) is refused now ({refused}): {_OTHER}"
            ) from refused
    built.clock.held_ns = max(built.clock.held_ns, max((line["ts_ns"] for line in lines), default=0))
    core.advance()
    wanted = [line["fill"] for line in lines if line["what"] == "TRADE"]
    found = [line["fill"] for line in map(json.loads, core.log.json_lines()) if line["what"] == "TRADE"]
    if found[: len(wanted)] != wanted:
        raise DataError(f"the memory of {core.venue} has {len(wanted)} fills that did not come out again: {_OTHER}")


def _again(core: Exchange, line: Line, orders: dict[int, Order]) -> None:
    what = line["what"]
    if what == "place":
        wish = NewOrder(**{name: line[name] for name in NewOrder.__slots__})
        order = core.place(line["account"], wish)
        orders[order.order_id] = order
    elif what == "amend":
        order = orders[line["order_id"]]
        named = {"new_client_id": line["new_client_id"]} if "new_client_id" in line else {}
        core.amend(order.account, order.symbol, line["price_ticks"], line["qty_lots"], order_id=order.order_id, **named)
    elif what == "cancel":
        order = orders[line["order_id"]]
        core.cancel(order.account, order.symbol, order_id=order.order_id)
    elif what == "crowd":
        core.crowd(line["symbol"], line["side"], line["lots"], line["price_ticks"], line["flags"])
    elif what == "fund":
        core.fund(line["symbol"], line["rate"])
    elif what == "deposit":
        core.deposit(line["account"], line["asset"], line["amount"])
    elif what == "leverage":
        core.set_leverage(line["account"], line["symbol"], line["leverage"])
    elif what == "filters":
        core.set_filters(line["symbol"], **{name: value for name, value in line.items() if name not in {"n", "ts_ns", "what", "symbol"}})
