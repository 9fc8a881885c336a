"""A link is dialled again whenever it falls, replaced before it is ended, and passes nothing over in silence."""

import asyncio
import contextlib

import pytest
from aiohttp import WSMsgType, web

from hftlab.errors import VenueDown, VenueRefused
from hftlab.venues.live.link import Link, supervised

PATIENCE_S = 20


class Server:
    """Counts connections, says "hello n" to each, and echoes what it hears."""

    def __init__(self):
        self.sockets = []

    async def __aenter__(self):
        app = web.Application()
        app.router.add_get("/ws", self._serve)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"ws://127.0.0.1:{self._runner.addresses[0][1]}/ws"
        return self

    async def __aexit__(self, *error):
        for socket in self.sockets:
            await socket.close()
        await self._runner.cleanup()

    async def _serve(self, request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.append(socket)
        await socket.send_str(f"hello {len(self.sockets)}")
        async for message in socket:
            if message.type == WSMsgType.TEXT:
                await socket.send_str(message.data)
        return socket


class Told:
    """What a link says, and a way to wait for it."""

    def __init__(self):
        self.heard, self.ups, self.downs = [], 0, []
        self.failure = None

    async def greet(self, connection):
        self.ups += 1

    async def until(self, condition):
        async with asyncio.timeout(PATIENCE_S):
            while not condition():  # noqa: ASYNC110 # what is waited for has no event
                await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def linked(server, told, *, greet=None, heard=None, **options):
    async def where():
        return server.url

    def failed(error):
        told.failure = error

    link = Link(where, heard or told.heard.append, greet or told.greet, told.downs.append, **options)
    task = supervised(link.run(), "link", failed)
    try:
        yield link
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_what_is_sent_comes_back_and_a_lost_connection_is_dialled_again():
    async def run():
        told = Told()
        async with Server() as server, linked(server, told) as link:
            await told.until(lambda: link.is_up)
            assert link.send(b"one")
            await told.until(lambda: b"one" in told.heard)
            await server.sockets[0].close()
            await told.until(lambda: told.downs and told.ups == 2 and link.is_up)
            assert link.send(b"two")
            await told.until(lambda: b"two" in told.heard)
            assert len(told.downs) == 1
        return told

    assert asyncio.run(run()).heard[:2] == [b"hello 1", b"one"]


def test_nothing_is_sent_on_a_link_that_is_down():
    async def run():
        link = Link(None, None, None, None)
        return link.send(b"x"), link.is_up

    assert asyncio.run(run()) == (False, False)


def test_an_old_connection_is_replaced_without_a_gap():
    async def run():
        told = Told()
        async with Server() as server, linked(server, told, life_s=0.2) as link:
            await told.until(lambda: told.ups == 2)
            assert link.is_up
            await server.sockets[0].send_str("late")  # the old one still delivers while it lingers
            await told.until(lambda: b"late" in told.heard)
        return told.downs

    assert asyncio.run(run()) == []


def test_a_connection_that_falls_while_its_younger_one_is_dialled_is_said_to_have_fallen():
    # Nobody listened in between: what the venue said then is only learned by asking.
    async def run():
        told, dialling, go_on = Told(), asyncio.Event(), asyncio.Event()

        async with Server() as server:

            async def where():
                if told.ups:
                    dialling.set()
                    await go_on.wait()
                return server.url

            link = Link(where, told.heard.append, told.greet, told.downs.append, life_s=0.2)
            task = supervised(link.run(), "link", lambda error: setattr(told, "failure", error))
            async with asyncio.timeout(PATIENCE_S):
                await dialling.wait()
            await server.sockets[0].close()
            await told.until(lambda: not link.is_up)
            go_on.set()
            await told.until(lambda: told.downs and link.is_up)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        return told

    told = asyncio.run(run())
    assert "closed by the venue" in told.downs[0]
    assert told.failure is None


def test_a_greeting_that_fails_is_tried_again_and_one_that_is_refused_is_raised():
    async def run():
        told, answers = Told(), [VenueDown("not yet"), VenueDown("not yet"), VenueRefused("never")]

        async def greet(connection):
            raise answers.pop(0)

        async with Server() as server, linked(server, told, greet=greet):
            await told.until(lambda: told.failure)
        return told

    told = asyncio.run(run())
    assert isinstance(told.failure, VenueRefused)
    assert told.downs == []  # it was never up


def test_a_message_that_cannot_be_read_is_raised_where_somebody_sees_it():
    async def run():
        told = Told()

        def heard(text):
            raise ValueError(text.decode())

        async with Server() as server, linked(server, told, heard=heard):
            await told.until(lambda: told.failure)
        return told

    told = asyncio.run(run())
    assert isinstance(told.failure, ValueError)
    assert str(told.failure) == "hello 1"
    assert "could not be read" in told.downs[0]


def test_a_task_that_is_cancelled_is_no_failure():
    async def run():
        failures = []
        task = supervised(asyncio.sleep(60), "sleeps", failures.append)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return failures

    assert asyncio.run(run()) == []
