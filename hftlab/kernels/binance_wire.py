"""A frame of Binance's market streams, from its bytes to EVENT rows in one call.

It reads JSON in the compact form in which the venue writes it, keys in any order, and takes nothing on trust: what it does not know
for certain is declined with a code, and a slower reader decides. A row that it writes is exact: decimal texts become ticks and lots by
counting digits, never through a float.

`parse(frame, recv_ns, state)` has one array besides the bytes, since each costs half a microsecond a call. `state` is int64: a head
(named below), MARKET_WORDS for each instrument, and from word `rows_at(markets)` on room for rows, eight words each, laid out as EVENT.
"""

import numpy as np

from hftlab.kernels.jit import inlined, kernel
from hftlab.kernels.wire_text import (
    CLOSE,
    COLON,
    COMMA,
    LIST,
    LIST_END,
    NO_NUMBER,
    OFF_STEP,
    OPEN,
    QUOTE,
    after_value,
    is_at,
    stamp_ns,
    steps,
    symbol_at,
    text_end,
    whole,
)
from hftlab.types import ASK, BBO, BID, DEPTH, LAST, TRADE

_AT = ord("@")

# Head of the state. SEEN and COUNT belong to the frame in hand; MARKETS and CAPACITY (rows that fit) are given.
KIND, MARKET, SEEN, COUNT, EXCH_NS, MARKETS, CAPACITY = range(7)
# From word VALUES on, one word a key: the number, or for a flag 1 (true, or a print of the market), for an event's name its kind.
VALUES = 8
_KEYS = ("e", "E", "T", "s", "U", "u", "pu", "b", "B", "a", "A", "t", "p", "q", "m", "X")
_E, _EVENT, _T, _S, _FIRST, _LAST, _PREVIOUS, _B, _BIG_B, _A, _BIG_A, _ID, _P, _Q, _M, _X = range(len(_KEYS))
FIRST_ID, LAST_ID, PREVIOUS_ID, TRADE_ID = VALUES + _FIRST, VALUES + _LAST, VALUES + _PREVIOUS, VALUES + _ID
HEAD_WORDS = VALUES + len(_KEYS)
# An instrument: its symbol in four words, decimals and steps of its grids (a tick is TICK_STEP x 10**-TICK_DECIMALS), the newest
# exchange time seen, and the number that its rows carry.
SYMBOL, TICK_DECIMALS, TICK_STEP, LOT_DECIMALS, LOT_STEP, NEWEST_NS, NUMBER = 0, 4, 5, 6, 7, 8, 9
MARKET_WORDS = 16
ROW_WORDS = 8

# Why a frame was declined.
UNKNOWN_FORM, OFF_GRID, NO_ROOM, NO_MARKET = -1, -2, -3, -4

_KEY_OF = np.array([_KEYS.index(chr(c)) if chr(c) in _KEYS else -1 for c in range(128)])
_DIFF_NEEDS = 1 << _E | 1 << _EVENT | 1 << _S | 1 << _FIRST | 1 << _LAST | 1 << _B | 1 << _A
_PRINT_NEEDS = 1 << _E | 1 << _T | 1 << _S | 1 << _ID | 1 << _P | 1 << _Q | 1 << _M
_TICKER_NEEDS = 1 << _S | 1 << _LAST | 1 << _B | 1 << _BIG_B | 1 << _A | 1 << _BIG_A
_BOTH_LISTS = 1 << _A | 1 << _B
_PRICED = 1 << _B | 1 << _BIG_B | 1 << _A | 1 << _BIG_A | 1 << _P | 1 << _Q
_PRICES = 1 << _B | 1 << _A | 1 << _P
_TEXTS = 1 << _E | 1 << _S | 1 << _X
_LISTS = 1 << 16  # a `b` or `a` held levels: not a price, nor (in old spot prints) the number of an order


def rows_at(markets: int) -> int:
    """Return the word of the state where rows begin."""
    return HEAD_WORDS + markets * MARKET_WORDS


@inlined
def _kind_at(frame, at, end):
    """Return the kind of event that a name says, of a stream or of an event, or 0."""
    if (end - at == 5 and is_at(frame, at, b"depth")) or (end - at == 11 and is_at(frame, at, b"depthUpdate")):
        return DEPTH
    if end - at == 5 and is_at(frame, at, b"trade"):
        return TRADE
    if end - at == 10 and is_at(frame, at, b"bookTicker"):
        return BBO
    return 0


@kernel
def _unwrapped(frame):
    """Return (kind by the stream's name, 0 without one; where the message begins; where its last brace stands); kind -1: neither."""
    if len(frame) < 4 or frame[0] != OPEN or frame[len(frame) - 1] != CLOSE:
        return -1, 0, 0
    if not is_at(frame, 0, b'{"stream":"'):
        return 0, 0, len(frame) - 1
    end = text_end(frame, 11)
    if end < 0 or not is_at(frame, end, b'","data":{') or frame[len(frame) - 2] != CLOSE:
        return -1, 0, 0
    name = 11
    while name < end and frame[name] != _AT:
        name += 1
    close = name + 1
    while close < end and frame[close] != _AT:
        close += 1
    kind = _kind_at(frame, name + 1, close)
    return (kind if kind != 0 else -1), end + 9, len(frame) - 2


@inlined
def _write(state, count, kind, side, price_ticks, qty_lots):
    """Write what is known of a row as soon as its numbers are; `_finish` adds the rest."""
    row = HEAD_WORDS + state[MARKETS] * MARKET_WORDS + count * ROW_WORDS
    state[row + 2] = price_ticks
    state[row + 3] = qty_lots
    state[row + 7] = kind | (side & 255) << 8 | state[HEAD_WORDS + state[MARKET] * MARKET_WORDS + NUMBER] << 32


@inlined
def _why(value):
    """Return the code for a number that is none."""
    return OFF_GRID if value == OFF_STEP else UNKNOWN_FORM


@kernel
def _levels(frame, at, side, state):
    """Write the levels of one side, whose '[' stands at `at`. Returns where the list ends, or a code."""
    base = HEAD_WORDS + state[MARKET] * MARKET_WORDS
    decimals, step = state[base + TICK_DECIMALS], state[base + TICK_STEP]
    lot_decimals, lot_step = state[base + LOT_DECIMALS], state[base + LOT_STEP]
    count = state[COUNT]
    at += 1
    if frame[at] == LIST_END:
        return at + 1
    while True:
        if frame[at] != LIST:
            return UNKNOWN_FORM
        price, at = steps(frame, at + 1, decimals, step)
        if price < 0:
            return _why(price)
        if frame[at + 1] != COMMA:
            return UNKNOWN_FORM
        lots, at = steps(frame, at + 2, lot_decimals, lot_step)
        if lots < 0:
            return _why(lots)
        if frame[at + 1] != LIST_END:
            return UNKNOWN_FORM
        if count >= state[CAPACITY]:
            return NO_ROOM
        _write(state, count, DEPTH, side, price, lots)
        count += 1
        at += 2
        if frame[at] == LIST_END:
            state[COUNT] = count
            return at + 1
        if frame[at] != COMMA:
            return UNKNOWN_FORM
        at += 1


@kernel
def _text(frame, at, key, state):
    """Take an event's name, a symbol, or what kind of print it was. Returns where it ends, or a code."""
    end = text_end(frame, at + 1) if frame[at] == QUOTE else -1
    if end < 0:
        return UNKNOWN_FORM
    if key == _E:
        state[VALUES + key] = _kind_at(frame, at + 1, end)
        if state[VALUES + key] == 0:
            return UNKNOWN_FORM
    elif key == _S:
        state[MARKET] = symbol_at(frame, at + 1, end, state, HEAD_WORDS + SYMBOL, MARKET_WORDS, state[MARKETS])
        if state[MARKET] < 0:
            return NO_MARKET
    else:
        state[VALUES + key] = end == at + 1 or (end - at == 7 and is_at(frame, at + 1, b"MARKET"))
    return end + 1


@inlined
def _passed(frame, at):
    """Return where a value of no interest ends, or a code."""
    end = after_value(frame, at)
    return end if end >= 0 else UNKNOWN_FORM


@kernel
def _priced(frame, at, key, state):
    """Take levels, a price or a size. Returns where it ends, or a code."""
    if state[SEEN] & (1 << _S) == 0:
        return UNKNOWN_FORM  # on which grid?
    c = frame[at]
    if c == LIST:
        # Asks before bids would stand in another order than everybody's.
        if (key != _B and key != _A) or (key == _B and state[SEEN] & (1 << _A) != 0):
            return UNKNOWN_FORM
        state[SEEN] |= _LISTS << key
        return _levels(frame, at, BID if key == _B else ASK, state)
    if c != QUOTE and (key == _B or key == _A):
        state[SEEN] &= ~(1 << key)
        return _passed(frame, at)
    base = HEAD_WORDS + state[MARKET] * MARKET_WORDS + (TICK_DECIMALS if _PRICES >> key & 1 != 0 else LOT_DECIMALS)
    value, at = steps(frame, at, state[base], state[base + 1])
    if value < 0:
        return _why(value)
    state[VALUES + key] = value
    return at + 1


@kernel
def _value(frame, at, key, state):
    """Take the value of a key. Returns where it ends, or a code."""
    if key < 0:
        return _passed(frame, at)
    if state[SEEN] >> key & 1 != 0:
        return UNKNOWN_FORM  # told twice
    state[SEEN] |= 1 << key
    if _PRICED >> key & 1 != 0:
        return _priced(frame, at, key, state)
    if _TEXTS >> key & 1 != 0:
        return _text(frame, at, key, state)
    if key == _M:
        state[VALUES + key] = is_at(frame, at, b"true")
        return at + 4 if state[VALUES + key] else (at + 5 if is_at(frame, at, b"false") else UNKNOWN_FORM)
    value, at = whole(frame, at)
    state[VALUES + key] = value
    return at if value != NO_NUMBER else UNKNOWN_FORM


@kernel
def _rows(kind, recv_ns, state):
    """Make rows of what the keys said. Returns how many, or a code."""
    needs = _DIFF_NEEDS if kind == DEPTH else (_PRINT_NEEDS if kind == TRADE else _TICKER_NEEDS)
    exch_ns = stamp_ns(state[VALUES + (_EVENT if kind == DEPTH and state[VALUES + _T] == 0 else _T)])
    if state[SEEN] & needs != needs or state[SEEN] >> 16 != (_BOTH_LISTS if kind == DEPTH else 0) or exch_ns < 0:
        return UNKNOWN_FORM
    newest = HEAD_WORDS + state[MARKET] * MARKET_WORDS + NEWEST_NS
    seq = state[TRADE_ID] if kind == TRADE else state[LAST_ID]
    if kind == TRADE:
        state[newest] = max(state[newest], exch_ns)
        price, lots = state[VALUES + _P], state[VALUES + _Q]
        if price != 0 and lots != 0 and state[VALUES + _X] != 0:
            _write(state, 0, TRADE, ASK if state[VALUES + _M] != 0 else BID, price, lots)
            state[COUNT] = 1
    elif kind == BBO:
        exch_ns = exch_ns if exch_ns != 0 else state[newest]
        state[newest] = max(state[newest], exch_ns)
        _write(state, 0, BBO, BID, state[VALUES + _B], state[VALUES + _BIG_B])
        _write(state, 1, BBO, ASK, state[VALUES + _A], state[VALUES + _BIG_A])
        state[COUNT] = 2
    state[KIND] = kind
    state[EXCH_NS] = exch_ns
    row = HEAD_WORDS + state[MARKETS] * MARKET_WORDS
    for _ in range(state[COUNT]):
        state[row] = exch_ns
        state[row + 1] = recv_ns
        state[row + 4] = 0
        state[row + 5] = 0
        state[row + 6] = seq
        row += ROW_WORDS
    if state[COUNT] > 0:
        state[row - 1] |= LAST << 16
    return state[COUNT]


@kernel
def parse(frame, recv_ns, state):
    """Turn one frame into rows: depthUpdate, trade or bookTicker, bare or wrapped with its stream's name.

    Returns how many rows stand at `rows_at` (0: a diff without levels, or a print that is none), or a code below zero: nothing
    was taken. The time of a diff is its own (T, else E), not yet raised to that of the one before it.
    """
    kind, at, end = _unwrapped(frame)
    if kind < 0:
        return UNKNOWN_FORM
    state[SEEN] = 0
    state[COUNT] = 0
    for i in range(len(_KEYS)):
        state[VALUES + i] = 0
    state[PREVIOUS_ID] = -1
    state[VALUES + _X] = 1
    while True:
        # A '{' or ',' stands at `at`, neither of which is the last byte; then "key":value.
        if frame[at + 1] != QUOTE:
            return UNKNOWN_FORM
        key_end = text_end(frame, at + 2)
        if key_end < 0 or key_end > at + 4 or frame[key_end + 1] != COLON:
            return UNKNOWN_FORM  # no key of these messages is longer than two letters
        key = -1
        if key_end == at + 3:
            key = _KEY_OF[frame[at + 2]]
        elif key_end == at + 4 and is_at(frame, at + 2, b"pu"):
            key = _PREVIOUS
        at = _value(frame, key_end + 2, key, state)
        if at < 0:
            return at
        if frame[at] != COMMA:
            break
    event = state[VALUES + _E]
    kind = kind if kind != 0 else (event if event != 0 else BBO)  # of all events only the spot bookTicker has no name
    if at != end or frame[at] != CLOSE or (event != 0 and event != kind):
        return UNKNOWN_FORM
    return _rows(kind, recv_ns, state)
