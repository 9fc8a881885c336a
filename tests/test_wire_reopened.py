"""A venue that did not let us in at first, and a client that left too early: both are met again as if nothing had been."""

import asyncio

import aiohttp
import pytest
from test_wire_loopback import WIRES
from tiny_client import until
from wire_rig import PATIENCE_S, Rig

from hftlab.venues.server.serve import LoopbackVenue


@pytest.fixture(scope="module")
def venue():
    with LoopbackVenue(market="still") as running:
        yield running


@pytest.mark.parametrize("wire", WIRES)
def test_a_wire_that_was_closed_opens_again(venue, wire):
    async def story():
        rig = Rig(venue, **WIRES[wire])
        async with asyncio.timeout(PATIENCE_S):
            try:
                for _ in range(2):
                    await rig.wire.open()
                    assert await rig.wire.open_orders() == []
                    await rig.wire.close()
            finally:
                await rig.wire.close()

    asyncio.run(story())


@pytest.mark.parametrize("name", ["binance/stream/stream", "binanceusdm/public/stream", "hyperliquid/ws"])
def test_a_client_that_leaves_before_hands_are_shaken_is_no_defect(monkeypatch, name):
    async def gone(self, request):
        raise aiohttp.ClientConnectionResetError("Cannot write to closing transport")

    async def story(venue):
        async with aiohttp.ClientSession() as client:
            with pytest.raises(aiohttp.ClientError):
                await client.ws_connect(f"{venue.url}/{name}")
            await until(lambda: not venue.transport.sockets)

    # Leaving it raises what was wrong inside it.
    with LoopbackVenue(market="still", skins=(name.partition("/")[0],), tls=False) as venue:
        monkeypatch.setattr(aiohttp.web.WebSocketResponse, "prepare", gone)
        asyncio.run(story(venue))
