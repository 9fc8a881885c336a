"""`/ws`: the overview at a capped pace. A client that cannot keep up misses frames; one that takes nothing for a while is let go."""

import asyncio
import contextlib

from fastapi import WebSocket, WebSocketDisconnect

from hftlab.engine.door.board import Board
from hftlab.engine.door.tokens import Tokens

HZ_MAX = 10.0
WATCHERS_MAX = 32
SEND_S = 5.0
POLICY, LATER = 1008, 1013  # close codes of RFC 6455


async def stream(socket: WebSocket, board: Board, tokens: Tokens, hz: float) -> None:
    """Send frames to one client until it leaves, falls silent, talks, or its token ends."""
    if board.watchers >= WATCHERS_MAX:
        await socket.close(LATER, "too many watch already")
        return
    await socket.accept()
    board.watchers += 1
    talk = asyncio.create_task(_talk(socket))
    try:
        await _send_all(socket, board, tokens, hz, talk)
    except (WebSocketDisconnect, TimeoutError, RuntimeError):
        return  # gone, or as good as gone
    finally:
        board.watchers -= 1
        talk.cancel()
        with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
            await talk


async def _send_all(socket: WebSocket, board: Board, tokens: Tokens, hz: float, talk: "asyncio.Task[bool]") -> None:
    token = socket.state.token
    sent = ""
    while True:
        text = board.overview_text()
        if text is not sent:
            # The socket's own buffer is the only queue: while it is full we wait here, and newer frames take the place of older ones.
            await asyncio.wait_for(socket.send_text(text), SEND_S)
            sent = text
        await asyncio.wait({talk}, timeout=1.0 / hz)
        if talk.done():
            if talk.result():
                await socket.close(POLICY, "this stream only speaks; commands go to POST /command")
            return
        if not tokens.good(token):
            await socket.close(POLICY, "the token has ended")
            return


async def _talk(socket: WebSocket) -> bool:
    """Wait until the client leaves (False) or says something (True)."""
    message = await socket.receive()
    return bool(message["type"] == "websocket.receive")
