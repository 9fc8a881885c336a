"""All faults of a venue in one place: what the transport asks of frames and requests, and what spells do when they begin and end."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from hftlab.venues.server.connections import Out, Socket
from hftlab.venues.server.fate import Nothing, Plan
from hftlab.venues.server.inject_frames import FrameFaults
from hftlab.venues.server.inject_market import SkinFaults
from hftlab.venues.server.inject_requests import RequestFaults
from hftlab.venues.server.model import Core
from hftlab.venues.server.schedule import Schedule, Spell
from hftlab.venues.server.skin import Request, Skin
from hftlab.venues.server.transport import Transport

FILTERS = ("price_step", "qty_step", "qty_lots_min", "notional_quote_min")


class Injector(Nothing):
    """The faults of one venue: give `of(name)` to the skin of that name, this object to the transport, then `attach` both."""

    def __init__(self, schedule: Schedule, skins: Sequence[str]) -> None:
        self.schedule = schedule
        self._skins = {name: SkinFaults(schedule, name) for name in skins}
        self._frames, self._requests = FrameFaults(schedule), RequestFaults(schedule)
        self._transport: Transport
        schedule.begin, schedule.end = self._begin, self._end
        self._beginnings: dict[str, Callable[[Spell], None]] = {
            "mass_disconnect": self._disconnect,
            "day_close": self._disconnect,
            "refuse_dials": self._refuse_dials,
            "server_shutdown": self._announce,
            "clock_step": self._step,
            "filter_change": self._change_filters,
            "symbol_break": self._break,
        }

    def of(self, skin: str) -> SkinFaults:
        """Return the faults of one skin."""
        return self._skins[skin]

    def attach(self, transport: Transport, cores: Mapping[str, Core]) -> None:
        """Take note of what is there to be broken."""
        self._transport = transport
        for name, core in cores.items():
            self._skins[name].core = core

    # --- for the transport ---
    def dial(self, skin: Skin, path: str) -> bool:
        """Say whether a new WebSocket is refused."""
        self.schedule.moment("dial", skin=skin.name, path=path)
        spells = self.schedule.on("refuse_dials", skin=skin.name, path=path)
        for spell in spells:
            self.schedule.note(spell.armed, skin.name, path, "dial refused")
        return bool(spells)

    def frame(self, connection: Socket, text: str | bytes, stream: str, kind: str) -> Sequence[Out]:
        """Return what is really sent of a frame."""
        return self._frames.frame(connection, text, stream, kind)

    def answers_ping(self, connection: Socket) -> bool:
        """Say whether a ping of the client is answered."""
        return self._frames.answers_ping(connection)

    def request(self, skin: Skin, request: Request, kind: str) -> Plan:
        """Return what becomes of a request."""
        return self._requests.request(skin, request, kind)

    def message(self, skin: Skin, connection: Socket, text: str) -> Plan | None:
        """Return what becomes of a client's message."""
        return self._requests.message(skin, connection, text)

    def reply_delay_s(self, skin: Skin) -> float:
        """Return how much later the reply made just now goes out, and forget it."""
        faults = self._skins[skin.name]
        delay_s, faults.delay_s = faults.delay_s, 0.0
        return delay_s

    def forget(self, connection: Socket) -> None:
        """Forget a connection that is gone."""
        self._frames.forget(connection)

    def tick(self, now_ns: int) -> None:
        """Do what is due."""
        self.schedule.tick()
        for connection in list(self._transport.sockets.values()):
            self._frames.greet(connection)

    # --- spells ---
    def _begin(self, spell: Spell) -> None:
        fault = spell.fault
        act = self._beginnings.get(fault.name)
        if act is not None:
            act(spell)
        elif fault.name != "stall":  # which says itself what it silences
            seconds = fault.options.get("s")
            self.schedule.note(spell.armed, fault.skin, fault.kind if fault.kind != "*" else "everything", f"begins, for {seconds} s")

    def _end(self, spell: Spell) -> None:
        name = spell.fault.name
        if name == "refuse_dials":
            self._transport.reopen()
        elif name == "server_shutdown":
            for connection in self._hit(spell):
                connection.close(1001, "server shutdown")
        for restore in spell.memo.get("restore", ()):
            restore()

    def _hit(self, spell: Spell) -> Iterator[Socket]:
        for connection in list(self._transport.sockets.values()):
            if spell.fault.concerns(skin=connection.skin, path=connection.path, connection=connection.number):
                yield connection

    def _disconnect(self, spell: Spell) -> None:
        code = spell.fault.code
        hit = list(self._hit(spell))
        for connection in hit:
            if code:
                connection.close(code, "connection lifetime" if spell.fault.name == "day_close" else "")
            else:
                connection.reset()
        self.schedule.note(spell.armed, spell.fault.skin, f"{len(hit)} connections", f"closed with {code}" if code else "reset")

    def _refuse_dials(self, spell: Spell) -> None:
        fault = spell.fault
        self.schedule.note(spell.armed, fault.skin, fault.path, f"refused for {fault.s} s")
        if fault.skin == fault.path == "*":
            self._transport.shut()
        else:
            for connection in self._hit(spell):
                connection.reset()

    def _announce(self, spell: Spell) -> None:
        """Say serverShutdown as each kind of stream says it; Hyperliquid has no such word."""
        event = {"e": "serverShutdown", "E": self.schedule.clock() // 1_000_000}
        for connection in self._hit(spell):
            if connection.skin == "hyperliquid":
                continue
            said: dict[str, Any] = event
            if "/ws-" in connection.path:
                said = {"event": event}
            elif "streams=" in connection.query:
                said = {"stream": "!serverShutdown", "data": event}
            connection.send(json.dumps(said), stream="!serverShutdown", kind="reply")
            self.schedule.note(spell.armed, connection.skin, f"connection {connection.number}", f"serverShutdown, {spell.fault.s} s ahead")

    def _step(self, spell: Spell) -> None:
        for name, faults in self._skins.items():
            if spell.fault.concerns(skin=name):
                faults.stepped_ns += spell.fault.ms * 1_000_000
                self.schedule.note(spell.armed, name, "clock", f"{spell.fault.ms:+} ms")

    def _change_filters(self, spell: Spell) -> None:
        defaults = spell.fault.spec.params
        changes = {name: spell.fault.options[name] for name in FILTERS if spell.fault.options[name] != defaults[name]}
        self._filters(spell, changes)

    def _break(self, spell: Spell) -> None:
        self._filters(spell, {"trading": False})

    def _filters(self, spell: Spell, changes: dict[str, Any]) -> None:
        for name, faults in self._skins.items():
            core = faults.core
            for symbol in [one for one in core.instruments if spell.fault.concerns(skin=name, symbol=one)]:
                was = {key: getattr(core.filters(symbol), key) for key in changes}
                core.set_filters(symbol, **changes)
                self.schedule.note(spell.armed, name, symbol, ", ".join(f"{key}={value}" for key, value in changes.items()))
                spell.memo.setdefault("restore", []).append(_restoring(core, symbol, was))


def _restoring(core: Core, symbol: str, was: dict[str, Any]) -> Callable[[], None]:
    return lambda: core.set_filters(symbol, **was)
