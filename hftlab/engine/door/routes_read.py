"""What may be read. Every answer comes from a published frame."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, WebSocket
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.routing import APIRoute

from hftlab.engine.audit import read_calls
from hftlab.engine.door import answers
from hftlab.engine.door import models as m
from hftlab.engine.door.board import Board
from hftlab.engine.door.pages import dashboard_page, docs_page
from hftlab.engine.door.stream import HZ_MAX, stream
from hftlab.engine.metrics import CONTENT_TYPE

Count = Annotated[int, Query(ge=1, le=1000, description="how many, at most")]


def board_of(request: Request) -> Board:
    """Return the board of the application that a request came to."""
    board: Board = request.app.state.board
    return board


def _other(media_type: str) -> dict[int | str, dict[str, Any]]:
    """Describe an answer that is no JSON, beside the errors, which are."""
    return {200: {"content": {media_type: {"schema": {"type": "string"}}}, "description": "as it says"}}


def add_read_routes(router: APIRouter) -> None:
    """Add the routes that the read token opens."""
    _about(router)
    _trade(router)
    _pages(router)


def _about(router: APIRouter) -> None:
    @router.get("/", summary="What this is, and what can be asked.")
    async def root(request: Request) -> m.Root:
        board, frame = board_of(request), board_of(request).frame()
        links = [
            m.Link(method=method, path=route.path, what=route.summary or "")
            for route in request.app.routes
            if isinstance(route, APIRoute)
            for method in sorted(route.methods or ())
        ]
        links.append(m.Link(method="WS", path="/ws", what="The overview, frame by frame."))
        return m.Root(
            name="hftlab engine", run=board.directory.name, mode=str(frame.engine.get("mode", "")), state=frame.state, links=links
        )

    @router.get("/health", summary="Whether the machinery works; 503 and reasons when not.", responses={503: {"model": m.Health}})
    async def health(request: Request) -> Any:
        found = board_of(request).health()
        return JSONResponse(found.model_dump(), 200 if found.ok else 503)

    @router.get("/stats", summary="How much of everything, and how fast.")
    async def stats(request: Request) -> m.Stats:
        return board_of(request).stats()

    @router.get("/overview", summary="Everything that a page of status shows.", response_model=m.Overview)
    async def overview(request: Request) -> Response:
        return Response(board_of(request).overview_text(), media_type="application/json")

    @router.get(
        "/metrics", summary="The figures for Prometheus.", response_class=Response, responses={200: {"content": {"text/plain": {}}}}
    )
    async def metrics(request: Request) -> Response:
        return Response(board_of(request).metrics(), media_type=CONTENT_TYPE)

    @router.get("/audit", summary="The last control calls: who, what, why, and what came of it.")
    async def audit(request: Request, count: Count = 100) -> list[m.Call]:
        return [m.Call(**one) for one in read_calls(board_of(request).directory, count)]


def _trade(router: APIRouter) -> None:
    @router.get("/positions", summary="What we hold of each instrument.")
    async def positions(request: Request) -> list[m.Position]:
        return answers.positions(board_of(request).frame())

    @router.get("/orders", summary="Our orders, working or in flight.")
    async def orders(request: Request) -> list[m.Order]:
        return answers.orders(board_of(request).frame())

    @router.get("/fills", summary="Our last fills, newest first.")
    async def fills(request: Request, count: Count = 100) -> list[m.Fill]:
        return answers.fills(board_of(request).frame(), count)

    @router.get("/risk", summary="State, how much of each limit is used, and refusals.")
    async def risk(request: Request) -> m.Risk:
        return answers.risk(board_of(request).frame())

    @router.get("/strategies", summary="What quotes each market.")
    async def strategies(request: Request) -> list[m.Strategy]:
        return board_of(request).strategies()

    @router.get("/parameters", summary="The live parameters of each quoter.")
    async def parameters(request: Request) -> list[m.MarketParameters]:
        return board_of(request).parameters()

    @router.get("/limits", summary="The limits in force.")
    async def limits(request: Request) -> list[m.MarketLimits]:
        return answers.limits(board_of(request).frame())


def _pages(router: APIRouter) -> None:
    @router.get(
        "/dashboard", summary="A page of status for a browser; it asks every 2 s.", response_model=None, responses=_other("text/html")
    )
    async def dashboard() -> HTMLResponse:
        return dashboard_page()

    @router.get("/docs", summary="This interface, as a page.", response_model=None, responses=_other("text/html"))
    async def docs(request: Request) -> HTMLResponse:
        return docs_page(request.app.openapi())

    @router.websocket("/ws")
    async def ws(socket: WebSocket, hz: Annotated[float, Query(ge=0.1, le=HZ_MAX)] = 4.0) -> None:
        await stream(socket, socket.app.state.board, socket.app.state.tokens, hz)
