"""Faults of frames: what a client hears when its venue drops, repeats, delays or garbles what it says."""

import asyncio
import json

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_client import WAIT_S, hear, hear_until, session, socket_to, until
from tiny_venue import TinySkin

from hftlab.venues.server.connections import Out
from hftlab.venues.server.faults import Fault
from hftlab.venues.server.inject_frames import FrameFaults
from hftlab.venues.server.schedule import Schedule
from hftlab.venues.server.serve import LoopbackVenue

FILL = '{"e":"executionReport","x":"TRADE","t":%d}'
NEW = '{"e":"executionReport","x":"NEW"}'
BOOK = "btcusdt@depth@100ms"


@pytest.fixture
def venue():
    with LoopbackVenue([TinySkin()], tls=False) as started:
        yield started


class Ear:
    """A connection as far as the faults of frames look at it."""

    skin, path = "binance", "/ws/0"

    def __init__(self, number=1):
        self.number, self.state = number, {}


def heard(faults, said, ear=None):
    """Return what is sent of texts said in order on one stream."""
    frames, ear = FrameFaults(Schedule(faults, clock=lambda: 1)), ear or Ear()
    return [out.data for text in said for out in frames.frame(ear, text, BOOK, "md")]


async def talk(ws, words, stream=BOOK, kind="md"):
    for word in words:
        await ws.send_str(f"{stream} {kind} {word}")


# --- laws, without sockets ---
WORDS = st.integers(5, 60).map(lambda count: [str(n) for n in range(count)])


@given(said=WORDS, at=st.integers(1, 30), k=st.integers(1, 5))
def test_a_gap_is_k_frames_in_a_row_and_nothing_else(said, at, k):
    assert heard([Fault("gap", at_event=at, k=k)], said) == said[: at - 1] + said[at - 1 + k :]


@given(said=WORDS, at=st.integers(1, 30), k=st.integers(1, 3))
def test_a_duplicate_is_the_same_frame_again_at_once(said, at, k):
    assert heard([Fault("duplicate", at_event=at, k=k)], said) == said[:at] + said[at - 1 : at] * k + said[at:]


@given(said=WORDS, at=st.integers(1, 30), k=st.integers(1, 3))
def test_a_reordered_frame_comes_after_the_k_next_ones(said, at, k):
    late, rest = said[at - 1 : at], said[: at - 1] + said[at:]
    expected = rest[: at - 1 + k] + late + rest[at - 1 + k :] if len(said) >= at + k else rest
    assert heard([Fault("reorder", at_event=at, k=k)], said) == expected


@given(said=WORDS, p=st.floats(0.05, 0.5), seed=st.integers(0, 9))
def test_what_was_dropped_is_in_the_log_and_everything_else_was_heard(said, p, seed):
    schedule = Schedule([Fault("gap", p=p, times=0)], seed=seed, clock=lambda: 1)
    frames, ear = FrameFaults(schedule), Ear()
    found = [out.data for text in said for out in frames.frame(ear, text, BOOK, "md")]
    assert [one.detail for one in schedule.log] == [text for text in said if text not in found]


def test_a_gap_stays_with_the_stream_and_the_connection_that_it_struck():
    frames = FrameFaults(Schedule([Fault("gap", k=3)], clock=lambda: 1))
    one, other = Ear(1), Ear(2)
    assert frames.frame(one, "a1", BOOK, "md") == []
    assert frames.frame(other, "a1", BOOK, "md") == [Out("a1")]
    assert frames.frame(one, "b1", "ethusdt@depth", "md") == [Out("b1")]
    assert [list(frames.frame(one, text, BOOK, "md")) for text in ("a2", "a3", "a4")] == [[], [], [Out("a4")]]


def test_books_are_meant_unless_another_stream_is_named():
    frames, ear = FrameFaults(Schedule([Fault("gap")], clock=lambda: 1)), Ear()
    assert frames.frame(ear, "t", "btcusdt@trade", "md") == [Out("t")]
    assert frames.frame(ear, "r", BOOK, "reply") == [Out("r")]
    assert frames.frame(ear, "d", BOOK, "md") == []


@pytest.mark.parametrize("how", ["truncate", "noise", "binary"])
def test_garbage_is_no_json(how):
    text = json.dumps({"e": "depthUpdate", "b": [["1.00", "2.0"]]})
    (found,) = heard([Fault("garbage", how=how)], [text])
    assert isinstance(found, bytes) == (how == "binary")
    with pytest.raises((json.JSONDecodeError, UnicodeDecodeError)):
        json.loads(found)


def test_only_fills_are_told_twice():
    frames, ear = FrameFaults(Schedule([Fault("duplicate_fill", k=2)], clock=lambda: 1)), Ear()
    assert [out.data for text in (NEW, FILL % 1, FILL % 2) for out in frames.frame(ear, text, "user", "user")] == [
        NEW,
        FILL % 1,
        FILL % 1,
        FILL % 1,
        FILL % 2,
    ]


def test_a_snapshot_of_old_fills_is_no_fill():
    text = '{"channel":"userFills","data":{"isSnapshot":true,"user":"0x1","fills":[]}}'
    frames, ear = FrameFaults(Schedule([Fault("duplicate_fill")], clock=lambda: 1)), Ear()
    assert list(frames.frame(ear, text, "userFills", "user")) == [Out(text)]


# --- with sockets ---
def test_a_late_fill_comes_after_what_happened_next(venue):
    venue.add_fault("late_fill", ms=200)
    canceled = '{"e":"executionReport","x":"CANCELED"}'

    async def story():
        async with socket_to(venue) as ws:
            await talk(ws, [FILL % 7, canceled], "user", "user")
            return await hear(ws, 2)

    assert asyncio.run(story()) == [canceled, FILL % 7]
    assert [one["name"] for one in venue.injected()] == ["late_fill"]


def test_the_next_user_stream_hears_the_last_fills_of_its_account_again(venue):
    async def story():
        async with socket_to(venue) as ws:
            await ws.send_str("of alice")
            await talk(ws, [FILL % n for n in range(4)], "user", "user")
            await hear(ws, 4)
        venue.add_fault("replayed_fills", k=2)
        async with socket_to(venue) as other, socket_to(venue) as again:
            await other.send_str("of bob")
            await talk(other, ["hello"])
            bob = await hear(other, 1)
            await again.send_str("of alice")
            return bob, await hear(again, 2)

    assert asyncio.run(story()) == (["hello"], [FILL % 2, FILL % 3])


@pytest.mark.parametrize("pong", [True, False])
def test_a_stalled_stream_says_nothing_on_a_socket_that_lives(venue, pong):
    number = venue.add_fault("stall", s=0.0, stream="btcusdt@*", pong=pong)

    async def story():
        await until(lambda: any(one["on"] for one in venue.do("faults")))
        async with socket_to(venue, autoping=False) as ws:
            await talk(ws, ["lost"])
            await talk(ws, ["other"], "ethusdt@depth")
            first = (await ws.receive()).data
            await ws.ping(b"there?")
            await talk(ws, ["more"], "ethusdt@depth")
            then = (await ws.receive()).type
            venue.do("remove_fault", number=number)
            await talk(ws, ["back"])
            return first, then, (await hear_until(ws, "back"))[-1]

    first, then, last = asyncio.run(story())
    assert (first, last) == ("other", "back")
    assert then is (aiohttp.WSMsgType.PONG if pong else aiohttp.WSMsgType.TEXT)
    assert [one["target"].split()[-1] for one in venue.injected()] == [BOOK]


def test_slow_market_data_stays_in_order_and_does_not_hold_up_the_rest(venue):
    venue.add_fault("latency", kind="md", ms=300, jitter_ms=50, s=0.0)

    async def story():
        await until(lambda: any(one["on"] for one in venue.do("faults")))
        async with socket_to(venue) as ws:
            await talk(ws, ["1", "2", "3"])
            await talk(ws, ["user"], "user", "user")
            return await hear(ws, 4)

    assert asyncio.run(story()) == ["user", "1", "2", "3"]


@pytest.mark.parametrize(("code", "told"), [(0, None), (1001, 1001)])
def test_a_mass_disconnect_takes_everybody(venue, code, told):
    async def story():
        async with socket_to(venue) as one, socket_to(venue, "/tiny/other") as other:
            await talk(one, ["x"])
            await talk(other, ["x"])
            await hear(one, 1)
            await hear(other, 1)
            venue.add_fault("mass_disconnect", code=code)
            return [await asyncio.wait_for(ws.receive(), WAIT_S) for ws in (one, other)]

    for message in asyncio.run(story()):
        if told:
            assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, told)
        else:
            assert message.type in {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR}
    assert venue.injected()[0]["target"] == "2 connections"


def test_a_mass_disconnect_can_come_with_the_third_frame(venue):
    venue.add_fault("mass_disconnect", on="md", at_event=3)

    async def story():
        async with socket_to(venue) as ws:
            await talk(ws, "ab")
            words = await hear(ws, 2)
            await talk(ws, "c")
            return words, (await asyncio.wait_for(ws.receive(), WAIT_S)).type

    words, end = asyncio.run(story())
    assert words == ["a", "b"]
    assert end in {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR}


@pytest.mark.parametrize("path", ["*", "/ws*"])
def test_dials_are_refused_for_a_while(venue, path):
    venue.add_fault("refuse_dials", s=0.5, path=path)

    async def dials():
        try:
            async with socket_to(venue, "/tiny/ws/0") as ws:
                await talk(ws, ["in"])
                return await hear(ws, 1)
        except (aiohttp.ClientError, ConnectionError):
            return []

    async def story():
        await until(lambda: any(one["on"] for one in venue.do("faults")))
        first = await dials()
        return first, await until(dials)

    assert asyncio.run(story()) == ([], ["in"])
    assert venue.do("injected_counts")["refuse_dials"] >= 1


def test_a_shutdown_is_announced_before_it_comes(venue):
    async def story():
        async with socket_to(venue, "/tiny/ws-api/v3") as api, socket_to(venue, "/tiny/stream?streams=a") as combined:
            for ws in (api, combined):
                await talk(ws, ["x"])
                await hear(ws, 1)
            venue.add_fault("server_shutdown", s=0.3)
            said = [json.loads((await hear(ws, 1))[0]) for ws in (api, combined)]
            return said, [(await asyncio.wait_for(ws.receive(), WAIT_S)).data for ws in (api, combined)]

    (api, combined), codes = asyncio.run(story())
    assert api["event"]["e"] == combined["data"]["e"] == "serverShutdown"
    assert codes == [1001, 1001]


def test_faults_are_armed_listed_and_cleared_over_http(venue):
    async def story():
        async with session() as client:
            door = venue.control_url
            async with client.post(f"{door}/add_fault", json={"fault": "gap", "at_event": 1000}) as reply:
                number = await reply.json()
            async with client.get(f"{door}/fire_fault?number={number}") as reply:
                await reply.json()
            async with socket_to(venue) as ws:
                await talk(ws, ["lost", "heard"])
                words = await hear(ws, 1)
            async with client.get(f"{door}/injected") as reply:
                injected = await reply.json()
            async with client.post(f"{door}/clear_faults") as reply:
                await reply.json()
            async with client.get(f"{door}/faults") as reply:
                left = await reply.json()
            async with client.post(f"{door}/add_fault", json={"fault": "gab"}) as reply:
                refused = reply.status, (await reply.json())["text"]
            return words, injected[0]["detail"], left, refused

    words, detail, left, (status, text) = asyncio.run(story())
    assert (words, detail, left, status) == (["heard"], "lost", [], 400)
    assert "Did you mean 'gap'" in text
