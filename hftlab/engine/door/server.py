"""The door's server: a thread of the engine process with a loop of its own, on the loopback address."""

import socket
import threading
from pathlib import Path

import uvicorn

from hftlab.engine.audit import AuditLog
from hftlab.engine.clock import wall_now_ns
from hftlab.engine.door.app import make_app
from hftlab.engine.door.board import Board
from hftlab.engine.door.calls import Calls, Engine
from hftlab.engine.door.prompt import HEAD_S, prompt
from hftlab.engine.door.tokens import LIFE_S, Tokens
from hftlab.errors import InputError

CONNECTIONS_MAX = 200  # of the process's open files: the sockets to a venue need theirs


class Door:
    """Serves an engine whose first frame is published. `life_s`: how long a token is good; `head_s`: how long the head of a call may take.

    Raises InputError for a port that cannot be had.
    """

    def __init__(self, engine: Engine, directory: Path, port: int = 0, life_s: float = LIFE_S, head_s: float = HEAD_S) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind(("127.0.0.1", port))
        except OSError as error:
            self._socket.close()
            raise InputError(
                f"the door's port {port} cannot be had ({error.strerror}); wanted a free one, or door.port 0, which takes any."
            ) from error
        self._socket.listen(128)  # from here on a client waits for the server to start instead of being turned away
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._tokens = Tokens(directory, wall_now_ns, life_s)
        self._audit = AuditLog(directory)
        self._board = Board(directory, self._audit)
        self._calls = Calls(engine, self._audit)
        self.app = make_app(self._board, self._calls, self._tokens)
        config = uvicorn.Config(
            self.app,
            log_config=None,
            access_log=False,
            lifespan="on",
            server_header=False,
            date_header=False,
            http=prompt(head_s),
            ws="websockets-sansio",
            ws_max_size=1024,  # what a watcher sends is not read
            ws_per_message_deflate=False,
            limit_concurrency=CONNECTIONS_MAX,
            timeout_graceful_shutdown=3,
            loop="asyncio",
        )
        config.load()  # imports its protocols now; in the server's thread they would stall the first turns of the loop
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, name="door", daemon=True)

    def open(self) -> None:
        """Start to serve, and write the files with url and tokens."""
        self._thread.start()
        self._tokens.open(self.url)

    def close(self) -> None:
        """Finish what is being answered, stop, and remove the files with the tokens."""
        self._server.should_exit = True
        self._thread.join(timeout=5.0)
        self._audit.close()
        self._tokens.close()
