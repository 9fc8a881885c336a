"""Faults of what a venue answers: time-outs and resets round the match, limits, bans, maintenance, slow answers."""

import re
from typing import Any

import orjson

from hftlab.venues.server.connections import Socket
from hftlab.venues.server.fate import Plan
from hftlab.venues.server.faults import REQUEST
from hftlab.venues.server.inject_frames import latency_s
from hftlab.venues.server.refusals import message_kind, refusal
from hftlab.venues.server.schedule import NS, Schedule, Spell
from hftlab.venues.server.skin import Reply, Request, Skin

_SYMBOL = re.compile(r'(?:^|[&?"])symbol(?:=|":\s*")([A-Za-z0-9_]+)')


class RequestFaults:
    """Decides what becomes of requests, over HTTP or over a WebSocket."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule

    def request(self, skin: Skin, request: Request, kind: str) -> Plan:
        """Return what becomes of an HTTP request."""
        if not self._schedule.armed:
            return Plan()
        return self._plan(skin, kind, request.path, f"{request.query}&{request.body.decode('utf-8', 'replace')}")

    def message(self, skin: Skin, connection: Socket, text: str) -> Plan | None:
        """Return what becomes of a client's message; None where it is no request, or nothing is the matter."""
        if not self._schedule.armed:
            return None
        try:
            kind = message_kind(orjson.loads(text))
        except orjson.JSONDecodeError:
            return None
        return self._plan(skin, kind, connection.path, text, connection.number) if kind else None

    def _plan(self, skin: Skin, kind: str, path: str, text: str, connection: int | None = None) -> Plan:
        found = _SYMBOL.search(text)
        target: dict[str, Any] = {"skin": skin.name, "kind": kind, "path": path, "text": text, "connection": connection}
        target["symbol"] = found[1] if found else ""
        self._schedule.moment(kind, **target)
        plan = Plan(instead=self._refused(skin, target))
        if plan.instead is not None:
            return plan
        for spell in self._schedule.on("latency", **target):
            plan.before_s += latency_s(spell.armed)
        for armed in self._schedule.strikes(REQUEST, **target):
            self._schedule.note(armed, skin.name, f"{kind} {path}", text[:200])
            self._strike(plan, armed.fault.name, armed.fault.options, skin.name)
        return plan

    def _strike(self, plan: Plan, name: str, options: dict[str, Any], skin: str) -> None:
        if name == "reset_before":
            plan.reset_before = True
            return
        if name == "reset_after":
            plan.reset_after = True
            return
        say = options["say"]
        answer = Reply(b"") if say == "silence" else refusal(skin, say)
        if name == "reject_then_timeout":
            plan.instead = answer
        else:
            plan.answer = answer
        if say == "silence":
            plan.silent = True
            plan.after_s += options["s"]

    def _refused(self, skin: Skin, target: dict[str, Any]) -> Reply | None:
        """Return the venue's refusal to look at a request at all, when one is due."""
        for spell in self._schedule.on("rate_limit", **target):
            return self._limited(spell, skin.name)
        for name, what in (("maintenance", "maintenance"), ("order_limit", "orders")):
            for spell in self._schedule.on(name, **target):
                self._schedule.note(spell.armed, skin.name, f"{target['kind']} {target['path']}", f"refused: {what}")
                return refusal(skin.name, what, retry_after_s=self._left_s(spell))
        return None

    def _limited(self, spell: Spell, skin: str) -> Reply:
        """Answer 429, and 418 to those who go on asking: a ban outlives the spell that led to it."""
        fault, memo = spell.fault, spell.memo
        memo["asked"] = memo.get("asked", 0) + 1
        if memo["asked"] > fault.k and not memo.get("banned"):
            memo["banned"] = True
            spell.until_ns = self._schedule.clock() + round(fault.ban_s * NS)
        what = "ban" if memo.get("banned") else "rate"
        self._schedule.note(spell.armed, skin, f"request {memo['asked']}", f"refused: {what}")
        return refusal(skin, what, retry_after_s=self._left_s(spell), until_ms=spell.until_ns // 1_000_000)

    def _left_s(self, spell: Spell) -> float:
        return max(1.0, (spell.until_ns - self._schedule.clock()) / NS)
