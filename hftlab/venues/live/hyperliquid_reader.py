"""Hyperliquid's market data, live: one socket, dialled again whenever it falls, is silent, or says what cannot be read."""

import asyncio
import ssl
from collections.abc import Callable

import msgspec
from picows import WSError, ws_connect

from hftlab.errors import InputError
from hftlab.instrument import Instrument
from hftlab.venues.live.backoff import Backoff
from hftlab.venues.live.hyperliquid_rows import CHANNELS, Emit, LiveRows, Say
from hftlab.venues.live.link import Connection
from hftlab.venues.live.model import Endpoint

STEADY_S = 10.0  # a connection that lived so long makes the next delay short again
PING_S = 50.0  # the venue ends a connection that says nothing for 60 s
WATCH_S = 0.05


class HyperliquidLiveReader:
    """`Reader` of Hyperliquid: l2Book, bbo and trades of its instruments.

    A book that does not move for `book_silent_s`, a bbo that long behind the books, and prints that stay away for `trades_silent_s` have
    the connection dialled again, with delays that double up to 15 s and are drawn from their upper halves by `seed`. `taken(recv_ns,
    payload)`, where it is set, is told every frame as it came, for recorders. `rows.counts` tells what was noticed.
    """

    def __init__(
        self,
        instruments: tuple[Instrument, ...],
        endpoint: Endpoint,
        clock_ns: Callable[[], int],
        seed: int,
        *,
        book_silent_s: float = 5.0,
        trades_silent_s: float = 60.0,
    ) -> None:
        other = [one.name for one in instruments if one.venue != "hyperliquid"]
        if other or not instruments:
            raise InputError(f"instruments were {', '.join(other) or 'none'}; wanted at least one, all of hyperliquid.")
        self.instruments = instruments
        self.rows = LiveRows(instruments, clock_ns)
        self.streams = self.rows.streams
        self.taken: Callable[[int, bytes], None] | None = None
        self.dials = 0
        self._endpoint, self._clock_ns = endpoint, clock_ns
        self._backoff = Backoff(seed)
        self._book_silent_s, self._trades_silent_s = book_silent_s, trades_silent_s
        self._failure: Exception | None = None

    async def run(self, emit: Emit, say: Say) -> None:
        """Follow until cancelled. Raises what trying again does not mend, such as InputError for prices off the grid."""
        self.rows.emit, self.rows.say = emit, say
        while True:
            began_s = asyncio.get_running_loop().time()
            why = await self._one_connection()
            self.rows.lost(why)
            if asyncio.get_running_loop().time() - began_s > STEADY_S:
                self._backoff.reset()
            wait_s = self._backoff.delay_s()
            say("warn", f"hyperliquid: {why}; connecting again in {wait_s:.1f} s.")
            await asyncio.sleep(wait_s)

    async def _one_connection(self) -> str:
        """Dial, subscribe and listen until it ends. Returns why it did."""
        connection = Connection(self._heard, self._failed)
        self.dials += 1
        url = self._endpoint.urls["ws"]
        context = ssl.create_default_context(cafile=self._endpoint.ca_file or None) if url.startswith("wss") else None
        try:
            await ws_connect(lambda: connection, url, ssl_context=context, proxy=self._endpoint.proxy or None)
            self._subscribe(connection)
            why = await self._ended(connection)
        except Exception as error:  # why: the proxy's library has kinds of its own; what is not of the network is raised again
            if not isinstance(error, OSError | WSError) and not type(error).__module__.startswith("python_socks"):
                raise
            why = f"no connection to {url}: {error!r}"
        finally:
            connection.drop("closed by us")
            await asyncio.sleep(0)  # the socket is closed in the loop's next round; a loop that ends now would leave it open
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        return why

    def _subscribe(self, connection: Connection) -> None:
        self.rows.connected()
        for channel in CHANNELS:
            for coin in self.rows.coins:
                wanted = {"type": channel, "coin": coin.name}
                connection.send(msgspec.json.encode({"method": "subscribe", "subscription": wanted}))

    async def _ended(self, connection: Connection) -> str:
        """Listen, and ping, until the connection is gone or one of its streams is silent."""
        loop = asyncio.get_running_loop()
        ping_s = loop.time() + PING_S
        while True:
            done, _ = await asyncio.wait({connection.ended}, timeout=WATCH_S)
            if done:
                return connection.ended.result()
            self.rows.overdue()
            why = self.rows.silent(self._book_silent_s, self._trades_silent_s)
            if why:
                return why
            if loop.time() > ping_s:
                connection.send(b'{"method":"ping"}')
                ping_s = loop.time() + PING_S

    def _heard(self, payload: bytes) -> None:
        recv_ns = self._clock_ns()
        if self.taken is not None:
            self.taken(recv_ns, payload)
        try:
            self.rows.take(recv_ns, payload)
        except msgspec.DecodeError:  # what it told is lost, so the connection is dropped, and dialled again
            self.rows.counts["unreadable frames"] += 1
            raise

    def _failed(self, error: Exception) -> None:
        """Take note of an error that dialling again does not mend."""
        self._failure = self._failure or error
