"""A control call's way: into the engine's inbox, back with its answer, into the audit trail, and only then to whoever called."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any, Protocol

from fastapi import Request

from hftlab.engine.audit import AuditLog, scrub
from hftlab.engine.clock import wall_now_ns
from hftlab.engine.door.bodies import Body
from hftlab.engine.door.bounds import KeyReused, Keys, KeysFull
from hftlab.engine.door.gate import Refused
from hftlab.engine.door.models import Done
from hftlab.engine.inbox import FIRST, Command, Inbox

ANSWER_S = 10.0
STOP_S = 30.0
AUDIT_S = 5.0
PROTECTIVE = ("halt", "stop", "pause", "flatten", "deactivate")  # taken also when the trail cannot be written


class Engine(Protocol):
    """What the door needs of the driver. All else it reads from what is published."""

    inbox: Inbox
    wake: Any
    told: Callable[[Command, dict[str, Any]], None] | None


class Reply:
    """Takes the engine's answer on the engine's thread and gives it to the door's loop."""

    def __init__(self, work: "asyncio.Future[dict[str, Any]]") -> None:
        self._loop, self._work = asyncio.get_running_loop(), work

    def put(self, answer: dict[str, Any]) -> None:
        """Pass on the answer; one that nobody waits for any more is dropped."""
        with contextlib.suppress(RuntimeError):  # the door's loop has ended: the engine goes on
            self._loop.call_soon_threadsafe(self._set, answer)

    def _set(self, answer: dict[str, Any]) -> None:
        if not self._work.done():
            self._work.set_result(answer)


class Calls:
    """Carries out control calls. One for a door."""

    def __init__(self, engine: Engine, audit: AuditLog) -> None:
        self._engine, self._audit = engine, audit
        self._keys = Keys(time.monotonic)
        engine.told = self._told

    async def command(self, request: Request, name: str, market: int, values: dict[str, Any], body: Body, key: str | None = None) -> Done:
        """Run one command and return its acknowledgement. Raises Refused with what was wrong."""
        # What could be a secret in the wrong place reaches neither the trail nor the engine's log.
        name, values, body = scrub(name), scrub(values), Body(who=scrub(body.who), why=scrub(body.why))
        line = self._line(request, body) | {"command": name, "market": market, "values": values}
        began = time.monotonic()
        try:
            answer, line["replayed"] = await self._answer(request, Command(name, market, values, body.who, None, body.why, "door"), key)
        except Refused as refusal:
            await self._write_down(request, line | {"status": refusal.status, "ok": False, "answer": refusal.text}, began)
            raise
        if not answer["ok"]:
            await self._write_down(request, line | {"status": 422, "ok": False, "answer": answer["error"]}, began)
            raise Refused(422, str(answer["type"]), str(answer["error"]))
        state = str(answer["state"])
        line |= {"status": 200, "ok": True, "answer": state, "row": answer.get("row"), "count": answer.get("count")}
        await self._write_down(request, line, began)
        known = {key: answer[key] for key in ("rows", "row", "count", "resting") if key in answer}
        return Done(command=name, state=state, audit_trouble=self._audit.trouble, **known)

    async def _answer(self, request: Request, command: Command, key: str | None) -> tuple[dict[str, Any], bool]:
        """Return the engine's answer, and whether it is that of an earlier call with the same key."""
        name = command.name
        asked = f"{request.method} {request.url.path}\n".encode() + await request.body()
        work: asyncio.Future[dict[str, Any]] | None = None
        if key:
            try:
                work = self._keys.find(key, asked)
            except KeyReused:
                raise Refused(422, "KeyReused", "this Idempotency-Key came before with another request; wanted a new key") from None
        replayed = work is not None
        if work is None:
            self._check_room(name)
            work = asyncio.get_running_loop().create_future()
            if key:
                try:
                    self._keys.keep(key, asked, work)
                except KeysFull:
                    raise Refused(503, "Busy", "too many calls with an Idempotency-Key are under way; try again") from None
            command.answer = Reply(work)
            self._engine.inbox.put(command)
            self._engine.wake.set()
        limit_s = STOP_S if name == "stop" else ANSWER_S
        try:
            return await asyncio.wait_for(asyncio.shield(work), limit_s), replayed
        except TimeoutError:
            text = f"{name} was taken but not answered within {limit_s:g} s; orders may still rest. Look at the dashboard."
            raise Refused(504, "NotAnswered", text) from None

    def _check_room(self, name: str) -> None:
        if name not in FIRST and self._engine.inbox.full():
            raise Refused(
                503, "Busy", "too many commands wait for the engine; try again. A halt is always taken.", ((b"retry-after", b"1"),)
            )
        if name not in PROTECTIVE and self._audit.trouble:
            text = f"{self._audit.trouble}: only {', '.join(PROTECTIVE)} are taken until it can"
            raise Refused(503, "NoAudit", text)

    async def note(self, request: Request, body: Body, command: str) -> None:
        """Write down a call that the engine's loop has no part in."""
        line = self._line(request, body) | {"command": command, "status": 200, "ok": True}
        await self._write_down(request, line, time.monotonic())

    def _line(self, request: Request, body: Body) -> dict[str, Any]:
        return {
            "ts_ns": wall_now_ns(),
            "who": body.who,
            "why": body.why,
            "scope": request.state.token.scope,
            "client": request.client.host if request.client else None,
            "call": f"{request.method} {request.url.path}",
            "key": request.headers.get("idempotency-key", "")[:36] or None,  # shorter than a secret
        }

    async def _write_down(self, request: Request, line: dict[str, Any], began: float) -> None:
        """Wait until the line is on the disk. A disk that does not come back is told on /health; the answer is given all the same."""
        request.state.written_down = True
        loop, written = asyncio.get_running_loop(), asyncio.Event()

        def tell() -> None:
            with contextlib.suppress(RuntimeError):  # the door has closed meanwhile
                loop.call_soon_threadsafe(written.set)

        self._audit.add(line | {"took_ms": round((time.monotonic() - began) * 1e3, 3)}, tell)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(written.wait(), AUDIT_S)

    def refused(self, request: Request, refusal: Refused) -> None:
        """Write down a control call that ended before it became a command."""
        if getattr(request.state, "written_down", False) or request.method in ("GET", "HEAD", "OPTIONS"):
            return
        line = self._line(request, Body(who="")) | {"status": refusal.status, "ok": False, "answer": refusal.text}
        self._audit.add(line)

    def _told(self, command: Command, answer: dict[str, Any]) -> None:
        """Write down what the engine process commanded itself: a signal, a strategy that died, the gateway. On the engine's thread."""
        if command.client == "door":
            return
        known = {key: answer.get(key) for key in ("ok", "row", "count")}
        text = answer["error"] if not answer["ok"] else answer["state"]
        line = {"ts_ns": wall_now_ns(), "who": command.who, "why": command.why, "client": command.client, "command": command.name}
        self._audit.add(line | known | {"market": command.market, "values": dict(command.values), "answer": text})
