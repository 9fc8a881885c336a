"""What falls under ccxt's hands is dialled again: also what ccxt leaves in the words of the socket library."""

import asyncio
from types import SimpleNamespace

import aiohttp
import pytest

from hftlab.errors import VenueDown
from hftlab.venues.live import ccxt_user
from hftlab.venues.live.ccxt_exchange import asked
from hftlab.venues.live.ccxt_user import CcxtUser
from hftlab.venues.live.model import StreamDown, StreamUp

FALLS = [aiohttp.ClientConnectionResetError("Cannot write to closing transport"), ConnectionResetError("reset"), TimeoutError("late")]


class Exchange:
    """Two subscriptions that stand until the next fall is due."""

    def __init__(self, falls):
        self.id, self.has, self.options = "hyperliquid", {}, {}
        self.falls, self.closed = list(falls), 0
        self.clients = {"ws": SimpleNamespace(isConnected=True, closed=lambda: False, futures={"orders": 1, "myTrades": 1})}
        self.told = asyncio.Event()

    def handle_message(self, client, message):
        raise AssertionError("nothing is heard in this story")

    def market(self, symbol):
        return {}

    async def watch_orders(self):
        await self.told.wait()
        self.told.clear()
        if self.falls:
            raise self.falls.pop(0)
        await asyncio.Event().wait()

    async def watch_my_trades(self):
        await asyncio.Event().wait()

    async def close_ws_clients(self):
        self.closed += 1
        raise ConnectionResetError("gone already")


def test_a_user_stream_that_falls_in_any_words_stands_again(monkeypatch):
    monkeypatch.setattr(ccxt_user, "DELAY_S_MIN", 0.001)

    async def story():
        exchange, events = Exchange(FALLS), []

        async def synced():
            return None

        def tell(event):
            events.append(type(event))
            if isinstance(event, StreamUp):
                exchange.told.set()

        user = CcxtUser(exchange, SimpleNamespace(instruments=()), tell, lambda: 0, synced)
        task = asyncio.create_task(user.run())
        try:
            while events.count(StreamUp) <= len(FALLS):
                assert not task.done(), task.exception()
                await asyncio.sleep(0.001)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert events == [StreamUp, StreamDown] * len(FALLS) + [StreamUp]
        assert exchange.closed == len(FALLS)

    asyncio.run(asyncio.wait_for(story(), 60))


@pytest.mark.parametrize("fall", FALLS, ids=lambda fall: type(fall).__name__)
def test_a_question_that_falls_in_any_words_may_be_asked_again(fall):
    async def call():
        raise fall

    with pytest.raises(VenueDown, match=type(fall).__name__):
        asyncio.run(asked(SimpleNamespace(id="hyperliquid", last_response_headers=None), call, "open orders"))
