"""Clients of the tests: aiohttp by hand, so that what is on the wire is what the test says."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

WAIT_S = 20.0


def trusting(ca_file: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file)


@asynccontextmanager
async def session():
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=WAIT_S)) as made:
        yield made


@asynccontextmanager
async def socket_to(venue, path="/tiny/ws", **options):
    async with session() as made, made.ws_connect(venue.url.replace("http", "ws") + path, **options) as ws:
        yield ws


async def hear(ws, count: int) -> list[Any]:
    """Return the next texts."""
    return [(await asyncio.wait_for(ws.receive(), WAIT_S)).data for _ in range(count)]


async def hear_until(ws, last: str) -> list[str]:
    """Return the texts up to and including `last`."""
    heard: list[str] = []
    while not heard or heard[-1] != last:
        message = await asyncio.wait_for(ws.receive(), WAIT_S)
        assert message.type in {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY}, message
        heard.append(message.data)
    return heard


async def until(condition: Callable[[], Any]) -> Any:
    """Wait until a condition holds, and return what it returned."""
    async with asyncio.timeout(WAIT_S):
        while True:
            found = condition()
            if isinstance(found, Awaitable):
                found = await found
            if found:
                return found
            await asyncio.sleep(0.01)
