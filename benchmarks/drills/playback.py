"""`python -m benchmarks.drills.playback FILE SPEED`: a server that plays a recording to whoever connects, over one WebSocket, at its pace.

It speaks as much of USDⓈ-M as a reader of market data needs: the public streams, and snapshots of the book over REST; past prints are
not to be had. Playing begins with the first connection. GET /_state tells what was sent, GET /_stop ends the playing. The process
prints its port and ends with its standard input.
"""

import asyncio
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from picows import WSListener, WSMsgType, WSTransport, WSUpgradeRequest, WSUpgradeResponse, WSUpgradeResponseWithListener, ws_create_server

from benchmarks.drills.wire import Recording
from hftlab.types import BBO, DEPTH, TRADE

NAMES = {DEPTH: "depth", BBO: "bookTicker", TRADE: "trade"}
LEVELS = 1000
_TOGETHER = 64  # frames sent without looking after sockets, when there are so many at once


class Playback:
    """The playing, and what is told of it."""

    def __init__(self, recording: Recording, speed: float) -> None:
        self._recording, self._speed = recording, speed
        self._book, self._seq = recording.start.copy(), recording.base_id
        self.sent = dict.fromkeys(NAMES, 0)
        self.bytes = self.connections = self.unsent_max = 0
        self.late_s: list[float] = []  # the worst of each second
        self._clients: list[WSTransport] = []
        self._playing: asyncio.Task[None] | None = None

    # --- clients ---
    def answer(self, request: WSUpgradeRequest) -> Any:
        """Answer a request for a WebSocket or a page."""
        path = request.path.decode()
        if "/stream" in path:
            return _Client(self, market="/public/" in path)
        if path == "/_stop":
            self.stop()
        if path in ("/_state", "/_stop"):
            body = json.dumps(self.state()).encode()
        elif "/fapi/v1/depth" in path:
            body = self._snapshot()
        else:
            return None
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        return WSUpgradeResponseWithListener(WSUpgradeResponse.create_ok_response(body, headers), None)

    def joined(self, client: WSTransport) -> None:
        """Send what is played to a client too."""
        self.connections += 1
        self._clients.append(client)
        if self._playing is None:
            self._playing = asyncio.get_running_loop().create_task(self._play())

    def left(self, client: WSTransport) -> None:
        """Forget a client."""
        if client in self._clients:
            self._clients.remove(client)

    def stop(self) -> None:
        """End the playing."""
        if self._playing is not None:
            self._playing.cancel()

    def state(self) -> dict[str, Any]:
        """Return what was sent so far, and how well the pace was kept."""
        return {
            "sent": {NAMES[kind]: count for kind, count in self.sent.items()},
            "bytes": self.bytes,
            "connections": self.connections,
            "late_ms_max": round(1e3 * max(self.late_s, default=0.0), 1),
            "late_ms_median_of_seconds": round(1e3 * sorted(self.late_s)[len(self.late_s) // 2], 1) if self.late_s else 0.0,
            "unsent_bytes_max": self.unsent_max,
        }

    def _snapshot(self) -> bytes:
        bids, asks = self._book.best(LEVELS)
        ms = time.time_ns() // 1_000_000
        return msgspec.json.encode({"lastUpdateId": self._seq, "E": ms, "T": ms, "bids": bids, "asks": asks})

    # --- frames ---
    async def _play(self) -> None:
        """Send frames when they are due, for ever."""
        recording, begun_s = self._recording, time.monotonic()
        number, together, second, worst_s = 0, 0, 1, 0.0
        while True:
            for frame in recording.round(number):
                due_s = begun_s + (number * recording.length_ns + frame.at_ns - recording.first_ns) / 1e9 / self._speed
                now_s, together = time.monotonic(), together + 1
                if due_s > now_s or together >= _TOGETHER:
                    together = 0
                    await asyncio.sleep(max(due_s - now_s, 0.0))
                worst_s = max(worst_s, now_s - due_s)
                if now_s - begun_s > second:
                    self.late_s.append(worst_s)
                    second, worst_s = second + 1, 0.0
                self._send(frame, number * recording.spans[frame.kind])
            number += 1

    def _send(self, frame: Any, shift: int) -> None:
        payload = frame.bytes_at(time.time_ns() // 1_000_000, shift)
        for client in self._clients:
            client.send(WSMsgType.TEXT, payload)
            self.unsent_max = max(self.unsent_max, client.underlying_transport.get_write_buffer_size())
        self.sent[frame.kind] += 1
        self.bytes += len(payload)
        if frame.kind == DEPTH:
            self._book.take(frame.changes())
            self._seq = frame.last_id + shift


class _Client(WSListener):
    def __init__(self, playback: Playback, *, market: bool) -> None:
        self._playback, self._market = playback, market

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Begin to listen, on the market's own streams."""
        if self._market:
            self._playback.joined(transport)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """End to listen."""
        self._playback.left(transport)


async def _serve(playback: Playback) -> None:
    server = await ws_create_server(playback.answer, "127.0.0.1", 0)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    async with server:
        await server.serve_forever()


def _end_with_input() -> None:
    sys.stdin.read()
    os._exit(0)


def main() -> None:
    """Serve until standard input ends."""
    threading.Thread(target=_end_with_input, daemon=True).start()
    uvloop.run(_serve(Playback(Recording(Path(sys.argv[1])), float(sys.argv[2]))))


if __name__ == "__main__":
    main()
