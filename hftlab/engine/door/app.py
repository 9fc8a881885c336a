"""The application: every route in one list. The gate stands in front of all of them."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException

from hftlab.engine.audit import scrub
from hftlab.engine.door import models as m
from hftlab.engine.door.board import Board
from hftlab.engine.door.calls import Calls
from hftlab.engine.door.gate import Gate, Refused, problem
from hftlab.engine.door.routes_control import add_control_routes
from hftlab.engine.door.routes_read import add_read_routes
from hftlab.engine.door.tokens import Tokens

log = logging.getLogger("hftlab.engine")

HOUSEKEEPING_S = 1.0
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": m.Problem, "description": text}
    for status, text in {
        400: "The request could not be read.",
        401: "The token was missing, wrong, or has ended.",
        403: "The token reads only, or the call came from another site's page.",
        404: "There is no such thing.",
        408: "The body did not come.",
        413: "The body was too long.",
        421: "The Host header named another machine.",
        422: "The engine, or the form, refused it; `error` says why.",
        429: "Too many calls; `Retry-After` says when.",
        503: "Not healthy, or too busy.",
        504: "Taken, but not answered in time.",
    }.items()
}


def make_app(board: Board, calls: Calls, tokens: Tokens, clock_s: Callable[[], float] = time.monotonic) -> FastAPI:
    """Return the application in front of an engine. `clock_s`: the stopwatch of the rates."""

    @asynccontextmanager
    async def life(_: FastAPI) -> Any:
        tasks = [asyncio.create_task(board.follow()), asyncio.create_task(_renew(tokens))]
        yield
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    app = FastAPI(
        title="hftlab engine",
        version="1",
        description="The one door of an hftlab engine. GET takes the read or the control token, POST the control token.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        lifespan=life,
        responses=PROBLEMS,
        dependencies=[Depends(HTTPBearer(auto_error=False, description="a token of control.json"))],
        redirect_slashes=False,
    )
    app.state.board, app.state.calls, app.state.tokens = board, calls, tokens
    add_read_routes(app.router)
    add_control_routes(app.router)
    app.add_middleware(Gate, tokens=tokens, audit=board.audit, tally=board.tally, clock_s=clock_s)
    _tell_errors(app, calls)
    return app


async def _renew(tokens: Tokens) -> None:
    while True:
        await asyncio.sleep(HOUSEKEEPING_S)
        try:
            tokens.renew()
        except OSError as error:  # a full disk, say: an end of this task would be the end of all tokens, and of the halt with them
            log.warning("the tokens of the door could not be renewed; trying on: %s", error)


def _tell_errors(app: FastAPI, calls: Calls) -> None:
    """Give every error the one form, and write down the control calls among them."""

    def answer(request: Request, refusal: Refused) -> JSONResponse:
        calls.refused(request, refusal)
        headers = {name.decode(): value.decode() for name, value in refusal.headers}
        return JSONResponse(problem(refusal.status, refusal.kind, scrub(refusal.text)), refusal.status, headers)

    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> JSONResponse:
        return answer(request, error)

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> JSONResponse:
        # The value itself is not repeated: it may be a secret in the wrong place.
        said = [f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()[:5]]
        return answer(request, Refused(422, "Malformed", "; ".join(said)))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        headers = tuple((name.encode(), value.encode()) for name, value in (error.headers or {}).items())
        known = {404: "no such path; GET / lists what there is", 405: "this path does not take this method"}
        text = known.get(error.status_code, str(error.detail))
        return answer(request, Refused(error.status_code, "NoSuchThing" if error.status_code == 404 else "HttpError", text, headers))

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> JSONResponse:
        log.error("the door failed on %s: %s", request.url.path, type(error).__name__, exc_info=error)
        return answer(request, Refused(500, "DoorFailed", "the door failed on this call; log.jsonl of the run says how"))
