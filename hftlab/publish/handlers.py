"""What the viewers' server answers to: its four pages, their sockets through the gate, and the files that a page loads."""

import html
import re
import sys
import time
from functools import partial
from typing import Any

from jupyter_core.utils import run_sync
from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection
from jupyter_server.services.kernels.handlers import KernelHandler
from tornado import ioloop, web
from voila.app import Voila
from voila.static_file_handler import AllowListFileHandler
from voila.tornado.contentshandler import VoilaContentsHandler
from voila.tornado.handler import TornadoVoilaHandler
from voila.tornado.kernel_websocket_handler import VoilaKernelWebsocketHandler
from voila.tornado.treehandler import TornadoVoilaTreeHandler

from hftlab.publish.gate import BYTES_MAX, SUBPROTOCOL, Gate

PAGES = {
    "trading_desk": "Trading desk",
    "risk": "Risk",
    "market_quality": "Market quality",
    "backtest_gallery": "Backtest gallery",
}
SWEEP_S = 2.0  # how often kernels without a page are looked for
DROPPED = (AllowListFileHandler, VoilaContentsHandler, TornadoVoilaTreeHandler, KernelHandler, TornadoVoilaHandler)


# Voila's page asks a public network for icon fonts that no page of ours uses: a page must work without one, and tell nobody that it was opened.
_FOREIGN = re.compile(r'<link[^>]*href="https?://[^>]*>')
_BODY = re.compile(r"(<body[^>]*>)")
LATE_S = 45
_LATE = (
    "<style>@keyframes hft-late{to{visibility:visible}}.hft-late{visibility:hidden;"
    f"animation:hft-late 0s {LATE_S}s forwards;position:fixed;left:16px;right:16px;bottom:16px;z-index:99;margin:0;padding:10px 14px;"
    "font:15px/1.5 system-ui,sans-serif;color:#fff;background:#a3341b;border-radius:4px}"
    "body:has(.hft-state,.hft-gallery) .hft-late{display:none}</style>"
    f"<p class='hft-late' role='alert'>This page has shown nothing for {LATE_S} s. Load it again; if it stays so, the run that it shows or its"
    " server is in trouble.</p>"
)


def finished(page: str) -> str:
    """Return the head of Voila's page, up to its body, without what it would load from elsewhere, and with a word for the case that nothing ever shows."""
    return _BODY.sub(lambda body: body[0] + _LATE, _FOREIGN.sub("", page), count=1)


def index_page(prefix: str, full: str = "") -> str:
    """Return the first page: links to the others, whose paths begin with `prefix`."""
    links = "".join(
        f'<li><a href="{html.escape(prefix)}voila/render/{name}.ipynb">{html.escape(title)}</a></li>' for name, title in PAGES.items()
    )
    note = f"<p><b>{html.escape(full)}</b></p>" if full else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        '<title>hftlab</title><link rel="icon" href="data:;base64,=">'
        "<style>:root{color-scheme:light dark}body{font:16px/1.6 system-ui,sans-serif;margin:24px auto;max-width:40em;"
        f"padding:0 16px}}li{{padding:6px 0}}</style></head><body><h1>hftlab</h1>{note}<ul>{links}</ul>"
        "<p>Read-only: these pages hold no key, no token of an engine, and no control.</p></body></html>"
    )


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
        self.finish(index_page(self.base_url))


class Page(TornadoVoilaHandler):
    """One of our pages, while there is a seat."""

    SUPPORTED_METHODS = ("GET",)
    _head: str | None = ""

    @web.authenticated
    async def get(self, path: str = "") -> None:
        """Answer with the page, or say that the house is full."""
        if self.kernel_manager.pages() >= self.settings["viewers_max"]:
            self._head = None
            self.set_status(503)
            self.finish(index_page(self.base_url, f"All {self.settings['viewers_max']} seats are taken. Try again when somebody has left."))
            return
        await super().get(path)

    def write(self, chunk: Any) -> None:
        """Send a piece of the page. They come as they please, cut anywhere, so the head is held back until it is whole."""
        if self._head is not None and isinstance(chunk, str):
            self._head += chunk
            if not _BODY.search(self._head):
                return
            chunk, self._head = finished(self._head), None
        super().write(chunk)


class Viewer(Voila):
    """Voila with a list of what it answers to."""

    def init_handlers(self) -> list[Any]:
        """Return the handlers that a page needs."""
        kept = [one for one in super().init_handlers() if one[1] not in DROPPED and "/voila/query/" not in one[0]]
        kept = [
            (pattern, GatedSocket, *rest) if kind is VoilaKernelWebsocketHandler else (pattern, kind, *rest)
            for pattern, kind, *rest in kept
        ]
        page = {"template_paths": self.template_paths, "config": self.config, "voila_configuration": self.voila_configuration}
        names, prefix = "|".join(map(re.escape, PAGES)), re.escape(self.base_url)
        ioloop.PeriodicCallback(self.kernel_manager.end_lonely, 1000.0 * SWEEP_S).start()
        # The launcher holds the other end: when it is gone, however it went, there is something to read, and it is the end.
        loop = ioloop.IOLoop.current()
        loop.add_handler(sys.stdin.fileno(), lambda *_: loop.stop(), loop.READ)
        return [
            (prefix, Index),
            (rf"{prefix}voila/render/((?:{names})\.ipynb)", Page, page),
            (rf"{prefix}api/kernels/(?P<kernel_id>\w+-\w+-\w+-\w+-\w+)", ReadKernel),
            *kept,
        ]

    def listen(self) -> None:
        """Listen, and serve until the end. Heads and bodies come in time and are short: Tornado would wait an hour, and take 100 MB."""
        patience_s = self.tornado_settings["head_s"]
        bounds = {"idle_connection_timeout": patience_s, "body_timeout": patience_s, "max_body_size": BYTES_MAX}
        self.app.listen = partial(self.app.listen, **bounds)
        super().listen()

    def stop(self) -> None:
        """End all kernels, at once: they hold nothing that would have to be put away."""
        run_sync(self.kernel_manager.shutdown_all)(now=True)
