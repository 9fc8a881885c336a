"""Reading compact JSON byte by byte: numbers to exact integers, texts, and whatever is to be passed over.

Each function takes `frame` (bytes whose last byte is '}') and where to begin, and says where the value ends. No digit, quote or comma
is the last byte, so a scan that stops at the first byte that it does not know stays inside without looking at the length.
"""

from hftlab.kernels.jit import inlined, kernel

QUOTE, COMMA, COLON, OPEN, CLOSE, LIST, LIST_END, ESCAPE, POINT = 34, 44, 58, 123, 125, 91, 93, 92, 46
SYMBOL_BYTES = 32
NO_NUMBER = -(1 << 62)
OFF_STEP = NO_NUMBER + 1

_DIGITS = 18  # of a number: 10**18 is below 2**63
_LAST_NS = (1 << 63) - 1
_POWERS = tuple(10**i for i in range(_DIGITS + 1))


@inlined
def is_at(frame, at, text):
    """Say whether `text` stands at `at`."""
    if at + len(text) > len(frame):
        return False
    for i in range(len(text)):
        if frame[at + i] != text[i]:
            return False
    return True


@inlined
def text_end(frame, at):
    """Return where the closing quote of a text stands that begins at `at`, or -1: cut off, or not plain ASCII without an escape."""
    while at < len(frame):
        c = frame[at]
        if c == QUOTE:
            return at
        if c == ESCAPE or c < 32 or c > 126:
            return -1
        at += 1
    return -1


@inlined
def whole(frame, at):
    """Return (number, where it ends); NO_NUMBER for what is no plain whole number of at most 18 digits."""
    value = 0
    begin = at
    c = frame[at]
    while 48 <= c <= 57:
        value = value * 10 + (c - 48)
        at += 1
        c = frame[at]
        if at - begin > _DIGITS:
            return NO_NUMBER, at
    if at == begin or (frame[begin] == 48 and at - begin > 1):
        return NO_NUMBER, at
    return value, at


@inlined
def steps(frame, at, decimals, step):
    """Return (a decimal in quotes, in steps of `step` x 10**-decimals; where its closing quote stands).

    NO_NUMBER: no plain decimal, or too long a one. OFF_STEP: between two steps.
    """
    if frame[at] != QUOTE:
        return NO_NUMBER, at
    at += 1
    value = 0
    begin = at
    c = frame[at]
    while 48 <= c <= 57:
        value = value * 10 + (c - 48)
        at += 1
        c = frame[at]
        if at - begin + decimals > _DIGITS:
            return NO_NUMBER, at
    if at == begin:
        return NO_NUMBER, at
    missing = decimals
    off = False
    if c == POINT:
        at += 1
        begin = at
        c = frame[at]
        while 48 <= c <= 57:
            if missing > 0:
                value = value * 10 + (c - 48)
                missing -= 1
            elif c != 48:
                off = True
            at += 1
            c = frame[at]
        if at == begin:
            return NO_NUMBER, at
    if c != QUOTE:
        return NO_NUMBER, at
    value *= _POWERS[missing]
    if step != 1:
        off |= value % step != 0
        value //= step
    return (OFF_STEP if off else value), at


@inlined
def after_value(frame, at):
    """Return where a value of no interest ends (a text, a whole number, true, false, null), or -1."""
    if frame[at] == QUOTE:
        end = text_end(frame, at + 1)
        return end + 1 if end >= 0 else -1
    if is_at(frame, at, b"true") or is_at(frame, at, b"null"):
        return at + 4
    if is_at(frame, at, b"false"):
        return at + 5
    value, end = whole(frame, at)
    return end if value != NO_NUMBER else -1


@inlined
def stamp_ns(stamp):
    """Return an epoch stamp in ns: ms, us or ns, told by its size; else 0. -1: later than 64 bits can tell (the year 2262)."""
    if stamp < 10**11:
        return 0
    if stamp < 10**14:
        return stamp * 1_000_000 if stamp <= _LAST_NS // 1_000_000 else -1
    if stamp < 10**17:
        return stamp * 1_000 if stamp <= _LAST_NS // 1_000 else -1
    return stamp


@kernel
def symbol_at(frame, at, end, words, first, stride, count):
    """Return which of `count` symbols, packed into 32 bytes at words[first], words[first + stride] and so on, frame[at:end] is; or -1."""
    if end - at > SYMBOL_BYTES:
        return -1
    for which in range(count):
        same = True
        for word in range(SYMBOL_BYTES // 8):
            packed = 0
            for i in range(8):
                if at + word * 8 + i < end:
                    packed |= int(frame[at + word * 8 + i]) << (8 * i)
            if packed != words[first + which * stride + word]:
                same = False
                break
        if same:
            return which
    return -1
