"""One client that is not ccxt, in an environment of its own: reads a line of JSON, does it with the client, prints a line of JSON.

Needs nothing of this project. First line: {"client", "urls" (empty: the package's own), "keys"}; then {"call", "arguments"} each, or
{"call": "stream", "count", "skip"} for what the client makes of its own WebSocket.
"""

import asyncio
import json
import os
import queue
import sys


def python_binance(urls, keys):
    import binance

    for name, url in urls.items():  # the addresses are attributes of its classes
        for owner in (binance.Client, binance.AsyncClient, binance.BinanceSocketManager):
            if hasattr(owner, name):
                setattr(owner, name, url)
    client = binance.Client(keys["apiKey"], keys["secret"], ping=False)

    async def book(count, skip):
        """Let the package's own DepthCacheManager build the spot book; return it as it was at `count` update ids."""
        client, found = await binance.AsyncClient.create(session_params={"trust_env": True}), []
        try:
            async with binance.DepthCacheManager(client, "BTCUSDT", limit=5000, conv_type=str, ws_interval=100) as manager:
                while len(found) < count + skip:
                    cache = await manager.recv()
                    found.append({"id": manager._last_update_id, "bids": list(cache._bids.items()), "asks": list(cache._asks.items())})
        finally:
            await client.close_connection()
        return found[skip:]

    return client, lambda count, skip: asyncio.run(book(count, skip))


def binance_connector(urls, keys):
    from binance.spot import Spot
    from binance.websocket.spot.websocket_stream import SpotWebsocketStreamClient

    rest = {"base_url": urls["rest"]} if urls else {}

    def frames(count, skip):
        came = queue.Queue()
        stream = SpotWebsocketStreamClient(
            on_message=lambda _, text: came.put(json.loads(text)), **({"stream_url": urls["ws"]} if urls else {})
        )
        try:
            stream.diff_book_depth(symbol="btcusdt", speed=100)
            found = []
            while len(found) < count + skip:
                one = came.get(timeout=30)
                if "e" in one:
                    found.append(one)
        finally:
            stream.stop()
        return found[skip:]

    return Spot(api_key=keys["apiKey"], api_secret=keys["secret"], **rest), frames


def hyperliquid_sdk(urls, keys):
    import eth_account
    from hyperliquid.exchange import Exchange
    from hyperliquid.info import Info

    base = urls.get("rest")
    wallet = eth_account.Account.from_key(keys["privateKey"])

    class Both:
        exchange, info = Exchange(wallet, base), Info(base, skip_ws=True)

        def __getattr__(self, name):
            return getattr(self.exchange if hasattr(self.exchange, name) else self.info, name)

    def frames(count, skip):
        came = queue.Queue()
        info = Info(base)
        try:
            info.subscribe({"type": "l2Book", "coin": "BTC"}, came.put)
            return [came.get(timeout=30)["data"] for _ in range(count + skip)][skip:]
        finally:
            info.disconnect_websocket()

    return Both(), frames


CLIENTS = {"python-binance": python_binance, "binance-connector": binance_connector, "hyperliquid-python-sdk": hyperliquid_sdk}


def main():
    first = json.loads(sys.stdin.readline())
    client, stream = CLIENTS[first["client"]](first["urls"], first["keys"])
    print(json.dumps({"result": "ready"}), flush=True)
    for line in sys.stdin:
        wanted = json.loads(line)
        try:
            if wanted["call"] == "stream":
                result = stream(wanted["count"], wanted["skip"])
            else:
                positional, named = wanted["arguments"]
                result = getattr(client, wanted["call"])(*positional, **named)
            answer = {"result": result}
        except Exception as error:  # why: what a client raises is what the drill is about
            answer = {"error": type(error).__name__, "text": str(error)[:500]}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
    os._exit(0)  # the packages leave threads behind that would keep the process alive
