"""`python -m hftlab.publish.server`: Voila for viewers, and nothing of it that a viewer does not need. Its settings come by stdin.

Everything that protects is fixed here and in no file: neither options on a command line nor a voila.json that lies about can loosen it.
"""

import html
import io
import json
import os
import re
import sys
import time
from typing import Any

from hftlab.publish.confine import Cage, shut_in
from hftlab.publish.gate import BYTES_MAX, SUBPROTOCOL, Gate

PAGES = {
    "trading_desk": "Trading desk",
    "risk": "Risk",
    "market_quality": "Market quality",
    "backtest_gallery": "Backtest gallery",
}
SWEEP_S = 2.0  # how often kernels without a page are looked for


def settings_of(given: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of Voila as traitlets want them. `given`: token, theme, ready, viewers, gone_s, env, and the cage's JSON."""
    cage = Cage.of(given["cage"])
    return {
        "Voila": {
            "ip": "127.0.0.1",
            "port": cage.port,
            "port_retries": 0,
            "open_browser": False,
            "token": given["token"],
            "root_dir": cage.pages,
            "connection_dir_root": cage.private,
            "tornado_settings": {
                "websocket_max_message_size": BYTES_MAX,
                "headers": {
                    "Content-Security-Policy": "frame-ancestors 'self'; object-src 'none'; base-uri 'self'; form-action 'self'",
                    "Referrer-Policy": "no-referrer",  # the first address of a page holds its token
                    "X-Content-Type-Options": "nosniff",
                },
            },
        },
        "VoilaConfiguration": {
            "allow_template_override": "NO",
            "allow_theme_override": "NO",
            "theme": given["theme"],
            "strip_sources": True,
            "show_tracebacks": False,
            "file_allowlist": [],
            "preheat_kernel": given["ready"] > 0,
            "default_pool_size": given["ready"],
            "kernel_spec_manager_class": "hftlab.publish.kernels.OneKernel",
            "multi_kernel_manager_class": "hftlab.publish.kernels.ViewerKernels",
        },
        "ViewerKernels": {
            "viewer_env": given["env"],
            "gone_s": given["gone_s"],
            "buffer_offline_messages": False,  # a page that left would be kept in our memory, message by message
            "cull_idle_timeout": 0,
            "autorestart": False,
        },
        # Sockets in the private folder: a kernel then needs no TCP, and has none.
        "KernelManager": {"transport": "ipc", "autorestart": False},
    }


def index_page(full: str = "") -> str:
    """Return the first page: links to the others."""
    links = "".join(f'<li><a href="/voila/render/{name}.ipynb">{html.escape(title)}</a></li>' for name, title in PAGES.items())
    note = f"<p><b>{html.escape(full)}</b></p>" if full else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        "<title>hftlab</title><style>:root{color-scheme:light dark}body{font:16px/1.6 system-ui,sans-serif;margin:24px auto;max-width:40em;"
        f"padding:0 16px}}li{{padding:6px 0}}</style></head><body><h1>hftlab</h1>{note}<ul>{links}</ul>"
        "<p>Read-only: these pages hold no key, no token of an engine, and no control.</p></body></html>"
    )


def viewer_app(given: dict[str, Any]) -> Any:
    """Return the Voila application. Voila is imported here: the process is shut in before that."""
    from jupyter_core.utils import run_sync
    from jupyter_server.auth.decorator import authorized
    from jupyter_server.base.handlers import JupyterHandler
    from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection
    from jupyter_server.services.kernels.handlers import KernelHandler
    from tornado import ioloop, web
    from traitlets.config import Config
    from voila.app import Voila
    from voila.static_file_handler import AllowListFileHandler
    from voila.tornado.contentshandler import VoilaContentsHandler
    from voila.tornado.handler import TornadoVoilaHandler
    from voila.tornado.kernel_websocket_handler import VoilaKernelWebsocketHandler
    from voila.tornado.treehandler import TornadoVoilaTreeHandler

    class GatedConnection(ZMQChannelsWebsocketConnection):
        """Hands on what the gate lets through.

        A socket that was closed has no subprotocol any more. What still comes for it or from it Jupyter takes for the legacy one, and a
        message with buffers then hangs the whole server, in Jupyter's reader or in Voila's: it is dropped, both ways.
        """

        def __init__(self, **arguments: Any) -> None:
            super().__init__(**arguments)
            self.gate = Gate()

        def handle_incoming_message(self, incoming_msg: Any) -> None:
            """Pass a message on to the kernel, or drop it."""
            if self.subprotocol != SUBPROTOCOL:
                return
            reason = self.gate.passes(incoming_msg, time.monotonic())
            if not reason:
                super().handle_incoming_message(incoming_msg)
            elif self.gate.refused[reason] == 1 and reason != "comm_close":  # a page says good-bye; its kernel ends anyway
                self.log.warning("a page sent what does not pass: %s", reason)

        def handle_outgoing_message(self, stream: Any, outgoing_msg: list[Any]) -> None:
            """Pass a message of the kernel on to the page, while there is one."""
            if self.subprotocol == SUBPROTOCOL:
                super().handle_outgoing_message(stream, outgoing_msg)

    class GatedSocket(VoilaKernelWebsocketHandler):
        """A websocket of the one subprotocol that cannot hang Voila's reader of headers."""

        async def pre_get(self) -> None:
            """Refuse any other client before it is connected to a kernel."""
            offered = [one.strip() for one in self.request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
            if SUBPROTOCOL not in offered:
                raise web.HTTPError(400, f"wanted the subprotocol {SUBPROTOCOL}")
            if self.kernel_id not in self.kernel_manager:
                raise web.HTTPError(404, "this page's kernel has ended; load the page again")
            await super().pre_get()

    class ReadKernel(KernelHandler):
        """Says that a kernel is there. No other verb."""

        SUPPORTED_METHODS = ("GET",)

    class Index(JupyterHandler):
        """The first page."""

        SUPPORTED_METHODS = ("GET",)

        @web.authenticated
        @authorized(action="read", resource="contents")
        def get(self) -> None:
            """Answer with links."""
            self.finish(index_page())

    class Page(TornadoVoilaHandler):
        """One of our pages, while there is a seat."""

        SUPPORTED_METHODS = ("GET",)

        @web.authenticated
        async def get(self, path: str = "") -> None:
            """Answer with the page, or say that the house is full."""
            if self.kernel_manager.pages() >= given["viewers"]:
                self.set_status(503)
                self.finish(index_page(f"All {given['viewers']} seats are taken. Try again when somebody has left."))
                return
            await super().get(path)

    dropped = (AllowListFileHandler, VoilaContentsHandler, TornadoVoilaTreeHandler, KernelHandler, TornadoVoilaHandler)

    class Viewer(Voila):
        """Voila with a list of what it answers to."""

        def init_handlers(self) -> list[Any]:
            """Return the handlers that a page needs."""
            kept = [one for one in super().init_handlers() if one[1] not in dropped and "query" not in one[0]]
            kept = [
                (pattern, GatedSocket, *rest) if kind is VoilaKernelWebsocketHandler else (pattern, kind, *rest)
                for pattern, kind, *rest in kept
            ]
            page = {"template_paths": self.template_paths, "config": self.config, "voila_configuration": self.voila_configuration}
            names = "|".join(map(re.escape, PAGES))
            ioloop.PeriodicCallback(self.kernel_manager.end_lonely, 1000.0 * SWEEP_S).start()
            # The launcher holds the other end: when it is gone, however it went, there is something to read, and it is the end.
            loop = ioloop.IOLoop.current()
            loop.add_handler(sys.stdin.fileno(), lambda *_: loop.stop(), loop.READ)
            return [
                ("/", Index),
                (rf"/voila/render/((?:{names})\.ipynb)", Page, page),
                (r"/api/kernels/(?P<kernel_id>\w+-\w+-\w+-\w+-\w+)", ReadKernel),
                *kept,
            ]

        def stop(self) -> None:
            """End all kernels, at once: they hold nothing that would have to be put away."""
            run_sync(self.kernel_manager.shutdown_all)(now=True)

    settings = settings_of(given)
    settings["Voila"]["kernel_websocket_connection_class"] = GatedConnection
    return Viewer(config=Config(settings), config_file_paths=[])


def main() -> int:
    """Shut in, say how far that went on a line of stdout, and serve until terminated."""
    given = json.loads(io.FileIO(0, closefd=False).readline())  # no buffer may take what the loop waits for
    version = shut_in(Cage.of(given["cage"]), server=True)
    os.chdir(Cage.of(given["cage"]).private)
    app = viewer_app(given)
    app.initialize([])
    print(json.dumps({"landlock": version, "user": os.geteuid()}), flush=True)
    app.start()
    return 0


if __name__ == "__main__":
    sys.exit(main())
