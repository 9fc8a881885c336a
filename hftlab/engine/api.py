"""The one door in: an authenticated HTTP interface on the loopback address.

The token lies in the run's control file (mode 0600); whoever cannot read that file cannot command. A command is answered
when it has been journaled, synced to disk, and run.
"""

import asyncio
import hmac
import queue
import socket
import threading
from typing import Any

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel, ConfigDict, SecretStr

from hftlab.engine.session import Command, Driver

ANSWER_S = 10.0
STOP_S = 30.0


class CommandBody(BaseModel):
    """A command as sent: its name, the market's number, its parameters, and who sends it."""

    model_config = ConfigDict(extra="forbid")

    command: str
    market: int = 0
    values: dict[str, Any] = {}
    who: str = "api"


def make_app(driver: Driver, token: SecretStr) -> FastAPI:
    """Return the application in front of a driver."""
    app = FastAPI(title="hftlab engine", docs_url=None, redoc_url=None, openapi_url=None)

    def authorised(request: Request) -> None:
        given = request.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {token.get_secret_value()}".encode()):
            raise HTTPException(401, "the token was missing or wrong; it is in control.json of the run directory")

    @app.get("/health")
    def health() -> dict[str, Any]:
        desk = driver.state.desk
        return {"ok": True, "rows": int(desk["rows"][0]), "state": int(desk["state"][0])}

    @app.post("/command", dependencies=[Depends(authorised)])
    async def command(body: CommandBody) -> dict[str, Any]:
        entry = Command(body.command, body.market, body.values, body.who[:60])
        driver.inbox.put(entry)
        driver.wake.set()
        limit_s = STOP_S if body.command == "stop" else ANSWER_S
        try:
            answer = await asyncio.to_thread(entry.answer.get, True, limit_s)
        except queue.Empty:
            raise HTTPException(
                504, f"{body.command} was taken but not answered within {limit_s:g} s; orders may still rest. Look at the dashboard."
            ) from None
        if not answer["ok"]:
            raise HTTPException(422, answer)
        return answer

    return app


class Door:
    """Serves the application from a thread of the engine process."""

    def __init__(self, driver: Driver, token: SecretStr, port: int = 0) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", port))
        self._socket.listen(128)  # from here on a client waits for the server to start instead of being turned away
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(make_app(driver, token), log_config=None, access_log=False, lifespan="off")
        config.load()  # imports its protocols now; in the server's thread they would stall the first turns of the loop
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, name="door", daemon=True)

    def open(self) -> None:
        """Start to serve."""
        self._thread.start()

    def close(self) -> None:
        """Finish what is being answered and stop."""
        self._server.should_exit = True
        self._thread.join(timeout=5.0)
