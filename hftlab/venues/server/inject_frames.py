"""Faults of what a venue says over WebSockets: frames that are missing, doubled, late, out of order or no text at all."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from hftlab.venues.server.connections import Out, Socket
from hftlab.venues.server.faults import FRAME, HELLO, moment_of
from hftlab.venues.server.schedule import Armed, Schedule

FILLS_KEPT = 200

Text = str | bytes


@dataclass(slots=True)
class _Held:
    """A frame that waits until `left` later ones of its stream have gone."""

    connection: int
    stream: str
    left: int
    data: Text


class FrameFaults:
    """Stands between the skins and the sockets of one venue."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._dropping: dict[tuple[int, int, str], int] = {}  # fault, connection, stream -> frames still to drop
        self._held: list[_Held] = []
        self._fills: dict[tuple[str, str], deque[Text]] = {}  # skin and account -> the newest frames that told a fill
        self._replays: dict[tuple[str, str], list[Armed]] = {}
        self._greeted: set[int] = set()
        self._silenced: set[tuple[int, int, str]] = set()

    def frame(self, connection: Socket, text: Text, stream: str, kind: str) -> Sequence[Out]:
        """Return what is really sent of a frame."""
        moment = moment_of(kind, text)
        if moment == "fill":
            self._remember(connection, text)
        if not (self._schedule.armed or self._held):
            return (Out(text),)
        target = {"skin": connection.skin, "kind": kind, "stream": stream, "path": connection.path, "connection": connection.number}
        target |= {"text": text if isinstance(text, str) else "", "symbol": _symbol(stream), "moment": moment}
        for name in {kind, moment} - {"reply"}:
            self._schedule.moment(name, **target)
        if self._stalled(connection, stream, target):
            return ()
        delay_s = self._latency_s(target)
        outs = [Out(out.data, out.delay_s + delay_s, out.overtaken) for out in self._struck(connection, text, stream, target)]
        return [*outs, *(Out(data, delay_s) for data in self._released(connection, stream, len(outs)))]

    def answers_ping(self, connection: Socket) -> bool:
        """Say whether a ping of the client is answered."""
        spells = self._schedule.on("stall", skin=connection.skin, path=connection.path, connection=connection.number)
        return all(spell.fault.pong for spell in spells)

    def greet(self, connection: Socket) -> None:
        """Tell a user stream that was just opened the fills that it is to hear again."""
        account = _account(connection)
        if not account or connection.number in self._greeted:
            return
        self._greeted.add(connection.number)
        told = self._fills.get((connection.skin, account), ())
        for armed in self._schedule.strikes(HELLO, skin=connection.skin, kind="user", path=connection.path) if told else []:
            again = list(told)[-armed.fault.k :]
            for text in again:
                connection.push(Out(text), "user")
            self._schedule.note(armed, connection.skin, f"connection {connection.number}", f"{len(again)} fills told again")

    def forget(self, connection: Socket) -> None:
        """Forget a connection that is gone."""
        number = connection.number
        self._held = [held for held in self._held if held.connection != number]
        self._dropping = {key: left for key, left in self._dropping.items() if key[1] != number}
        self._silenced = {key for key in self._silenced if key[1] != number}
        self._greeted.discard(number)

    # --- one frame ---
    def _struck(self, connection: Socket, text: Text, stream: str, target: dict[str, object]) -> list[Out]:
        for key, left in list(self._dropping.items()):
            if key[1:] == (connection.number, stream):
                self._dropping[key] = left - 1
                if left == 1:
                    del self._dropping[key]
                return []
        outs = [Out(text)]
        for armed in self._schedule.strikes(FRAME, **target):
            before = outs
            outs = self._one(armed, connection, text, stream, outs)
            if outs is not before:
                self._schedule.note(armed, connection.skin, f"connection {connection.number} {stream}", _brief(text))
        return outs

    def _one(self, armed: Armed, connection: Socket, text: Text, stream: str, outs: list[Out]) -> list[Out]:
        fault = armed.fault
        if fault.name == "gap":
            if fault.k > 1:
                self._dropping[armed.number, connection.number, stream] = fault.k - 1
            return []
        if fault.name in {"duplicate", "duplicate_fill"}:
            return outs * (1 + fault.k)
        if fault.name == "reorder":
            self._held.append(_Held(connection.number, stream, fault.k, text))
            return []
        if fault.name == "late_fill":
            return [Out(out.data, fault.ms / 1000, overtaken=True) for out in outs]
        return [Out(_garbage(text, fault.how, armed))]

    def _released(self, connection: Socket, stream: str, sent: int) -> list[Text]:
        """Return the held frames whose turn has come, now that `sent` frames of the stream go."""
        due: list[Text] = []
        for held in [one for one in self._held if (one.connection, one.stream) == (connection.number, stream)]:
            held.left -= sent
            if held.left <= 0 < sent:
                self._held.remove(held)
                due.append(held.data)
        return due

    def _stalled(self, connection: Socket, stream: str, target: dict[str, object]) -> bool:
        spells = self._schedule.on("stall", **target)
        for spell in spells:
            key = (spell.from_ns, connection.number, stream)
            if key not in self._silenced:
                self._silenced.add(key)
                self._schedule.note(spell.armed, connection.skin, f"connection {connection.number} {stream}", "falls silent")
        return bool(spells)

    def _latency_s(self, target: dict[str, object]) -> float:
        return sum(latency_s(spell.armed) for spell in self._schedule.on("latency", **target))

    def _remember(self, connection: Socket, text: Text) -> None:
        # Several connections may listen to one account: a fill is remembered once.
        told = self._fills.setdefault((connection.skin, _account(connection)), deque(maxlen=FILLS_KEPT))
        if text not in told:
            told.append(text)


def latency_s(armed: Armed) -> float:
    """Return one delay of a latency fault in seconds."""
    jitter_s = armed.fault.jitter_ms / 1000
    return float(armed.fault.ms / 1000 + (armed.rng.expovariate(1 / jitter_s) if jitter_s else 0.0))


def _account(connection: Socket) -> str:
    """Return whose user stream this is, as its skin notes it; "" for none."""
    return str(connection.state.get("account", ""))


def _symbol(stream: str) -> str:
    """Return the symbol of a stream's name, as the venue writes symbols: btcusdt@depth is BTCUSDT, btc@l2Book is BTC."""
    return stream.partition("@")[0].upper() if "@" in stream else ""


def _brief(text: Text) -> str:
    shown = text if isinstance(text, str) else repr(text)
    return shown if len(shown) <= 120 else f"{shown[:117]}…"


def _garbage(text: Text, how: str, armed: Armed) -> Text:
    data = text if isinstance(text, str) else text.decode("utf-8", "replace")
    if how == "truncate":
        return data[: armed.rng.randint(1, max(1, len(data) - 1))]
    noise = "".join(chr(armed.rng.randint(33, 126)) for _ in data)
    return noise.encode() if how == "binary" else noise
