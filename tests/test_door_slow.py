"""The door's places are few: a client that never comes to the point must not keep them from the person who halts."""

import contextlib
import socket
import threading

import pytest
from door_rig import rig, until

from hftlab.engine.door.server import CONNECTIONS_MAX, Door
from hftlab.errors import InputError

HALF = b"POST /trading/halt HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "


def knock(desk, sent):
    made = socket.create_connection(("127.0.0.1", int(desk.door.url.rsplit(":", 1)[1])), timeout=30)
    made.sendall(sent)
    return made


def ended(one):
    """Whether the other side has closed; anything that it still says is read first."""
    with contextlib.suppress(ConnectionResetError):
        while one.recv(4096):
            pass
    return True


def test_half_sent_heads_end_by_themselves_and_the_halt_goes_through(tmp_path):
    with rig(tmp_path / "run", head_s=0.5) as desk, contextlib.ExitStack() as stack:
        slow = [stack.enter_context(knock(desk, HALF)) for _ in range(CONNECTIONS_MAX)]
        silent = stack.enter_context(knock(desk, b""))
        # A first call that is whole (and refused), and half of another: the wait for a head begins anew with each answer.
        second = stack.enter_context(knock(desk, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" + HALF))
        assert all(ended(one) for one in (*slow, silent, second))
        with desk.client() as client:
            assert until(lambda: client.post("/trading/halt", json={"why": "drill"}).status_code == 200)


def test_a_port_that_somebody_has_is_refused_in_words(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as there, pytest.raises(InputError, match=r"port \d+ cannot be had .* door\.port 0"):
        Door(None, tmp_path, there.getsockname()[1])


def test_a_call_that_takes_longer_than_its_head_may_is_answered(tmp_path):
    with rig(tmp_path / "run", head_s=0.2) as desk:
        desk.gap.set()  # the engine answers no command now
        with desk.client() as client, contextlib.closing(knock(desk, b"")) as silent:
            said = []
            asking = threading.Thread(target=lambda: said.append(client.post("/trading/pause", json={}).status_code))
            asking.start()
            assert ended(silent)  # the time of a head has passed
            desk.gap.clear()
            asking.join(30)
            assert said == [200]
