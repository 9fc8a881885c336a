"""The gate before a viewer's kernel: what of the messages of a page may pass. Everything else is dropped and counted.

A page needs little: to ask which widgets there are and what they show, to say that it is looked at, and to turn a leaf. Voila
itself lets through more: a comm that makes new widgets, any new value for any trait, an end of the kernel.
"""

import itertools
import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

SUBPROTOCOL = "v1.kernel.websocket.jupyter.org"
BYTES_MAX = 64 << 10
PARTS_MAX = 32
RATE_PER_S, BURST = 200.0, 2000.0  # a page that opens asks for each of its widgets at once

CONTROL = "jupyter.widget.control"
# The traits that choosing a leaf, a row or a market changes. Nothing that a widget shows, runs or draws with is among them.
CHOICES = frozenset({"index", "selected_index"})
SAYINGS = frozenset({"hello", "beat"})


class Refused(Exception):
    """A message that may not pass; the text says why."""


def parts(data: bytes) -> tuple[str, list[bytes]]:
    """Return channel and parts of a message of the v1 subprotocol. Raises Refused for anything that is not exactly one."""
    if len(data) > BYTES_MAX:
        raise Refused("too long")
    count = int.from_bytes(data[:8], "little")
    if not 6 <= count <= PARTS_MAX or len(data) < 8 * (count + 1):
        raise Refused("not of the v1 subprotocol")
    offsets = [int.from_bytes(data[8 * k : 8 * k + 8], "little") for k in range(1, count + 1)]
    if offsets[0] != 8 * (count + 1) or offsets[-1] != len(data) or any(a > b for a, b in itertools.pairwise(offsets)):
        raise Refused("not of the v1 subprotocol")
    pieces = [data[a:b] for a, b in itertools.pairwise(offsets)]
    return pieces[0].decode("utf-8", "replace"), pieces[1:]


def check(data: Any) -> None:
    """Return when a message from a page may pass to the kernel. Raises Refused."""
    if not isinstance(data, bytes):
        raise Refused("not of the v1 subprotocol")
    channel, pieces = parts(data)
    header, content = _object(pieces[0]), _object(pieces[3])
    kind = header.get("msg_type")
    if channel != "shell":
        raise Refused(f"{kind} on channel {channel[:20]}")
    if kind in ("kernel_info_request", "comm_info_request"):
        return
    if kind == "comm_open":
        if content.get("target_name") != CONTROL:
            raise Refused("comm_open of a widget")
        return
    if kind != "comm_msg":
        raise Refused(str(kind)[:40])
    _check_widget(content.get("data"), buffers=len(pieces) > 4)


def _check_widget(data: Any, *, buffers: bool) -> None:
    """Return when what a page says to a widget may pass."""
    if not isinstance(data, dict) or buffers:
        raise Refused("comm_msg that no widget of a page sends")
    method = data.get("method")
    if method in ("request_state", "request_states"):
        return
    if method == "update":
        state = data.get("state")
        if not isinstance(state, dict) or not CHOICES.issuperset(state):
            raise Refused(f"update of {', '.join(sorted(map(str, state)))[:60]}" if isinstance(state, dict) else "update of nothing")
        if data.get("buffer_paths") or any(value is not None and type(value) is not int for value in state.values()):
            raise Refused("update with another value than a number")
        return
    if method == "custom":
        said = data.get("content")
        if isinstance(said, dict) and isinstance(said.get("k"), str) and said["k"] in SAYINGS:
            return
        raise Refused(f"custom message {str(said.get('k') if isinstance(said, dict) else said)[:20]}")
    raise Refused(f"method {str(method)[:20]}")


def _object(part: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(part)
    except ValueError as error:
        raise Refused("not JSON") from error
    if not isinstance(value, dict):
        raise Refused("not a JSON object")
    return value


class Gate:
    """One page's gate: `passes` says whether a message goes on; `refused` counts what did not, by reason."""

    def __init__(self) -> None:
        self.refused: Counter[str] = Counter()
        self._tokens, self._at_s = BURST, 0.0

    def passes(self, data: Any, now_s: float) -> str:
        """Return "" when `data` may pass at `now_s` (monotonic), else why not."""
        self._tokens = min(BURST, self._tokens + RATE_PER_S * max(0.0, now_s - self._at_s))
        self._at_s = now_s
        if self._tokens < 1.0:
            return self._drop("too many messages")
        self._tokens -= 1.0
        try:
            check(data)
        except Refused as refusal:
            return self._drop(str(refusal))
        except RecursionError:
            return self._drop("nested too deeply")
        return ""

    def _drop(self, reason: str) -> str:
        if len(self.refused) < 100 or reason in self.refused:  # a visitor chooses the words, and shall not fill our memory with them
            self.refused[reason] += 1
        return reason
