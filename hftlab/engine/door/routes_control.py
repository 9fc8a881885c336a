"""What may be commanded. Each call becomes one Command in the engine's inbox and one line of the audit trail."""

from typing import Annotated

from fastapi import APIRouter, Body, Header, Request

from hftlab.engine.door import bodies as b
from hftlab.engine.door import models as m
from hftlab.engine.door.answers import names
from hftlab.engine.door.board import Board
from hftlab.engine.door.calls import Calls
from hftlab.engine.door.gate import Refused
from hftlab.errors import did_you_mean

NoBody = Annotated[b.Body, Body(default_factory=b.Body)]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=128,
        pattern="^[ -~]*$",
        description="the same key and the same request: the same answer, nothing done twice",
    ),
]


def calls_of(request: Request) -> Calls:
    """Return what carries out the calls of an application."""
    calls: Calls = request.app.state.calls
    return calls


def add_control_routes(router: APIRouter) -> None:
    """Add the routes that only the control token opens."""
    for name, what in (
        ("halt", "Cancel everything and stay so, over restarts too, until resume. Goes before whatever waits."),
        ("resume", "Quote again, also after a halt."),
        ("pause", "Withdraw the quotes; keep watching."),
        ("flatten", "Cancel the quotes and take the position to zero."),
    ):
        _simple(router, f"/trading/{name}", name, what)
    _settings(router)
    _strategies(router)

    @router.post("/tokens/rotate", summary="End every token now; the new ones lie in control.json and read.token.")
    async def rotate(request: Request, body: NoBody) -> m.Rotated:
        end_ns = request.app.state.tokens.rotate()
        await calls_of(request).note(request, body, "rotate tokens")
        return m.Rotated(end_ns=end_ns)


def _simple(router: APIRouter, path: str, name: str, what: str) -> None:
    @router.post(path, summary=what, operation_id=name)
    async def act(request: Request, body: NoBody, key: Key = None) -> m.Done:
        return await calls_of(request).command(request, name, 0, {}, body, key)


def _settings(router: APIRouter) -> None:
    @router.post("/command", summary="Any command by name: set, set_limits, target, halt, stop …")
    async def command(request: Request, body: b.CommandBody, key: Key = None) -> m.Done:
        return await calls_of(request).command(request, body.command, body.market, dict(body.values), body, key)

    @router.post("/parameters", summary="Change live parameters of a market's quoter.")
    async def parameters(request: Request, body: b.ValuesBody, key: Key = None) -> m.Done:
        return await calls_of(request).command(request, "set", body.market, dict(body.values), body, key)

    @router.post("/limits", summary="Change limits; never beyond the hard caps of the run.")
    async def limits(request: Request, body: b.ValuesBody, key: Key = None) -> m.Done:
        return await calls_of(request).command(request, "set_limits", body.market, dict(body.values), body, key)


def _strategies(router: APIRouter) -> None:
    @router.post("/strategies/{name}/activate", summary="Let a strategy quote again. By the name that GET /strategies gives.")
    async def activate(request: Request, name: str, body: NoBody, key: Key = None) -> m.Done:
        return await calls_of(request).command(request, "activate", _market(request, name), {}, body, key)

    @router.post("/strategies/{name}/deactivate", summary="Withdraw the quotes of one strategy; the others go on.")
    async def deactivate(request: Request, name: str, body: NoBody, key: Key = None) -> m.Done:
        return await calls_of(request).command(request, "deactivate", _market(request, name), {}, body, key)


def _market(request: Request, name: str) -> int:
    """Return the market of a strategy. Raises Refused for a name that there is not."""
    board: Board = request.app.state.board
    known = names(board.spec)
    if name not in known:
        raise Refused(404, "NoSuchStrategy", f"no strategy {name[:40]!r}.{did_you_mean(name[:40], known)}")
    return known.index(name)
