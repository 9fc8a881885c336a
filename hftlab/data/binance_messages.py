"""The messages of Binance's streams, as far as a tape needs them."""

import msgspec

Level = tuple[str, str]


class Envelope(msgspec.Struct, rename={"last_update_id": "lastUpdateId"}):
    """Any line: the wrapper of a combined stream, or a bare REST snapshot."""

    stream: str = ""
    data: msgspec.Raw = msgspec.Raw(b"{}")
    last_update_id: int = -1
    T: int = 0
    symbol: str = ""
    bids: list[Level] = []
    asks: list[Level] = []


class Diff(msgspec.Struct, gc=False, rename={"first_id": "U", "last_id": "u", "previous_id": "pu"}):
    """`depthUpdate`. T and pu are the futures'."""

    s: str
    E: int
    first_id: int
    last_id: int
    b: list[Level]
    a: list[Level]
    T: int = 0
    previous_id: int = -1


class Print(msgspec.Struct, gc=False):
    """`trade`. X is the futures': "MARKET", or what else moved the position (insurance fund, ADL)."""

    s: str
    t: int
    p: str
    q: str
    T: int
    m: bool
    X: str = ""


class Ticker(msgspec.Struct, gc=False):
    """`bookTicker`. The spot one carries no event name and no time."""

    s: str
    u: int
    b: str
    B: str
    a: str
    A: str
    e: str = ""
    T: int = 0


class Mark(msgspec.Struct, gc=False):
    """`markPriceUpdate` of a perpetual: mark price p, funding rate r, and the time T at which it is paid next."""

    s: str
    E: int
    p: str
    r: str = ""
    T: int = 0
