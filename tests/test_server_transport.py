"""The sockets of the loopback exchange, with a skin that only echoes."""

import asyncio
import time

import aiohttp
import pytest
from aiohttp import WSMsgType
from tiny_client import WAIT_S, hear, session, socket_to, trusting, until
from tiny_venue import TinySkin

from hftlab.errors import InputError
from hftlab.venues.server.connections import QUEUED_BYTES_MAX
from hftlab.venues.server.serve import LoopbackVenue
from hftlab.venues.server.transport import Pace


@pytest.fixture
def skin():
    return TinySkin()


@pytest.fixture
def venue(skin):
    with LoopbackVenue([skin]) as started:
        yield started


def test_the_plain_port_takes_the_name_of_the_skin_off_the_path_and_nothing_else(venue, skin):
    async def story():
        async with session() as client:
            # signatures are over exactly these bytes: %20 stays %20, and + stays +
            url = aiohttp.client.URL(f"{venue.url}/tiny/api/v3/order?a=1%20b+c&d=%7B", encoded=True)
            async with client.post(url, data=b"x=1&y=%2F", headers={"X-MBX-APIKEY": "k"}) as reply:
                assert (reply.status, reply.headers["X-Tiny"]) == (200, "yes")
                return await reply.json()

    assert asyncio.run(story()) == {"method": "POST", "path": "/api/v3/order", "query": "a=1%20b+c&d=%7B", "body": "x=1&y=%2F"}
    assert skin.requests[0].headers["x-mbx-apikey"] == "k"
    assert skin.requests[0].client == "127.0.0.1"


def test_a_path_that_names_no_venue_says_which_there_are(venue):
    async def story():
        async with session() as client, client.get(f"{venue.url}/binanse/api/v3/time") as reply:
            return reply.status, (await reply.json())["error"]

    status, text = asyncio.run(story())
    assert status == 404
    assert "one of tiny" in text


@pytest.mark.parametrize("port", ["", ":9443"])
def test_through_the_proxy_a_client_keeps_the_real_urls(venue, skin, port):
    async def story():
        trust = trusting(venue.ca_file)
        async with session() as client:
            async with client.get(f"https://api.tiny.test{port}/api/v3/time", proxy=venue.proxy_url, ssl=trust) as reply:
                body = await reply.json()
            async with client.ws_connect(f"wss://stream.tiny.test{port}/ws/0?x=1", proxy=venue.proxy_url, ssl=trust) as ws:
                await ws.send_str("a md hello")
                return body, await hear(ws, 1), [(one.path, one.query) for one in skin.connections.values()]

    body, heard, connections = asyncio.run(story())
    assert body["path"] == "/api/v3/time"
    assert heard == ["hello"]
    assert connections == [("/ws/0", "x=1")]


def test_the_proxy_leads_nowhere_else(venue):
    async def story():
        async with session() as client:
            with pytest.raises(aiohttp.ClientHttpProxyError) as stranger:
                await client.get("https://example.com/", proxy=venue.proxy_url, ssl=trusting(venue.ca_file))
            async with client.get("http://api.tiny.test/", proxy=venue.proxy_url) as reply:
                return stranger.value.status, reply.status

    assert asyncio.run(story()) == (403, 405)


def test_nobody_trusts_the_venue_who_was_not_told_to(venue):
    async def story():
        async with session() as client:
            await client.get("https://api.tiny.test/", proxy=venue.proxy_url)

    with pytest.raises(aiohttp.ClientConnectorCertificateError):
        asyncio.run(story())


def test_frames_keep_their_order(venue):
    said = [f"word{n}" for n in range(500)]

    async def story():
        async with socket_to(venue) as ws:
            for word in said:
                await ws.send_str(f"a md {word}")
            return await hear(ws, len(said))

    assert asyncio.run(story()) == said


def test_a_skin_closes_after_what_is_queued(venue, skin):
    async def story():
        async with socket_to(venue) as ws:
            await ws.send_str("a md last words")
            await ws.send_str("bye")
            words, end = await ws.receive(), await ws.receive()
            await until(lambda: not skin.connections)
            return words.data, end.type, end.data, end.extra

    assert asyncio.run(story()) == ("last words", WSMsgType.CLOSE, 1000, "asked for")


def test_a_ping_is_answered_with_its_own_payload(venue):
    async def story():
        async with socket_to(venue, autoping=False) as ws:
            await ws.ping(b"mine")
            message = await ws.receive()
            return message.type, bytes(message.data)

    assert asyncio.run(story()) == (WSMsgType.PONG, b"mine")


def test_who_does_not_answer_pings_is_cut_off_and_who_does_is_not(skin):
    with LoopbackVenue([skin], paces={"tiny": Pace(ping_s=0.2, pong_s=0.5)}) as venue:

        async def story():
            async with socket_to(venue) as polite, socket_to(venue, autoping=False) as rude:
                listening = asyncio.create_task(polite.receive())  # aiohttp answers pings while somebody receives
                pings = 0
                while (message := await asyncio.wait_for(rude.receive(), WAIT_S)).type is WSMsgType.PING:
                    pings += 1
                await polite.send_str("a md alive")
                return pings, message.type, message.data, (await listening).data

        pings, kind, code, heard = asyncio.run(story())
    assert pings >= 1
    assert (kind, code, heard) == (WSMsgType.CLOSE, 1008, "alive")


def test_a_connection_lives_as_long_as_the_venue_lets_it(skin):
    with LoopbackVenue([skin], paces={"tiny": Pace(life_s=0.3)}) as venue:

        async def story():
            async with socket_to(venue) as ws:
                message = await asyncio.wait_for(ws.receive(), WAIT_S)
                return message.type, message.data

        assert asyncio.run(story()) == (WSMsgType.CLOSE, 1001)


def test_a_client_that_does_not_read_is_cut_off(venue, skin):
    frame = "x" * 1_000_000

    async def story():
        async with socket_to(venue, max_msg_size=0) as ws:
            await until(lambda: skin.connections)
            (connection,) = skin.connections.values()
            for _ in range(8 * QUEUED_BYTES_MAX // len(frame)):
                venue.call(lambda: connection.send(frame, stream="a", kind="md"))
            await until(lambda: not venue.transport.sockets)
            while (message := await ws.receive()).type is WSMsgType.TEXT:
                pass
            return message.type

    assert asyncio.run(story()) in {WSMsgType.CLOSED, WSMsgType.ERROR}


def test_a_venue_that_is_down_refuses_resets_and_comes_back_at_the_same_ports(venue, skin):
    async def story():
        before = dict(venue.ports)
        async with socket_to(venue) as ws:
            await ws.send_str("a md hello")
            await hear(ws, 1)
            venue.down()
            end = await asyncio.wait_for(ws.receive(), WAIT_S)
        async with session() as client:
            with pytest.raises(aiohttp.ClientConnectorError):
                await client.get(f"{venue.url}/tiny/x")
            async with client.get(f"{venue.control_url}/stats") as reply:
                stats = await reply.json()
            venue.up()

            async def back():
                try:
                    async with client.get(f"{venue.url}/tiny/x") as reply:
                        return reply.status == 200
                except aiohttp.ClientConnectorError:
                    return False

            await until(back)
        assert venue.ports == before
        return end.type, stats["sockets"], stats["ports"]["plain"] == before["plain"]

    end, sockets, same_port = asyncio.run(story())
    assert end in {WSMsgType.CLOSED, WSMsgType.ERROR}
    assert (sockets, same_port) == ([], True)


def test_a_defect_of_a_skin_is_an_answer_500_and_an_error_for_whoever_ends_the_venue(skin):
    def broken(request):
        raise KeyError("a defect")

    skin.http = broken
    venue = LoopbackVenue([skin]).start()

    async def story():
        async with session() as client, client.get(f"{venue.url}/tiny/x") as reply:
            return reply.status

    assert asyncio.run(story()) == 500
    with pytest.raises(ExceptionGroup, match="wrong itself") as found:
        venue.stop()
    assert isinstance(found.value.exceptions[0], KeyError)


def test_a_market_that_fails_ends_the_venue_and_says_so(skin):
    def broken(now_ns):
        raise ArithmeticError("the market is broken")

    venue = LoopbackVenue([skin]).start()
    venue.call(lambda: setattr(skin.core, "advance", broken))
    deadline = time.monotonic() + WAIT_S
    while venue.running and time.monotonic() < deadline:
        time.sleep(0.01)
    with pytest.raises(BaseExceptionGroup) as found:
        venue.stop()
    assert found.group_contains(ArithmeticError, match="the market is broken")


def test_without_tls_there_is_no_proxy(skin):
    with LoopbackVenue([skin], tls=False) as venue:
        assert sorted(venue.ports) == ["control", "plain"]
        with pytest.raises(InputError, match="tls=False"):
            _ = venue.proxy_url
