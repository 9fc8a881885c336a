"""Rules and the book of alerts: what is told, when it is told again, when it is over, and what a flood becomes."""

import dataclasses
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stories import Story, limits

from hftlab.config import AlertsSection
from hftlab.engine.alert_book import Book
from hftlab.engine.alert_channels import QUEUE_MAX, Channel, Message
from hftlab.engine.alert_rules import Condition, Rules
from hftlab.types import ASK, BID, HALT, PAUSE, RESUME, STATUS_NAMES

S = 1_000_000_000
T0 = 1_700_000_000 * S
SECTION = AlertsSection(kinds=("risk", "latency", "connectivity", "health", "fills"))


@pytest.fixture(scope="module")
def story():
    """A desk with a bid of 0.1 filled for 0.04 of a limit of 0.05."""
    made = Story(bounds=limits(position_qty_max="0.05", order_qty_max="0.1", loss_quote_max=100))
    made.book()
    return made


def frame_of(story, wall_ns=T0, **engine):
    frame = story.state.frame()
    return dataclasses.replace(frame, published_ns=wall_ns, engine=engine)


def look(frame, wall_ns=T0, section=SECTION, rules=None):
    return {one.key: one for one in (rules or Rules(section)).look(frame, wall_ns)}


# --- rules ---
def test_a_calm_desk_gives_no_alert(story):
    assert look(frame_of(story, feed_lag_ms=5.0, loop_gap_ms=2.0, streams=[{"name": "a", "up": True}], messages=[])) == {}


def test_a_position_near_its_limit_is_told_with_its_numbers_and_again_when_it_eased(story):
    rules = Rules(SECTION)
    made = Story(bounds=limits(position_qty_max="0.5"))
    made.book()
    made.answer()
    bid = next(o for o in made.orders() if o["side"] == BID)
    markets = made.state.frame().markets.copy()

    def at(qty):
        markets["position_lots"] = round(qty / float(made.state.instruments[0].lot_size))
        return look(dataclasses.replace(frame_of(made), markets=markets), rules=rules).get("limit position 0")

    assert bid["qty_lots"] > 0
    assert at(0.39) is None
    warned = at(0.40)  # at the mark
    assert (warned.level, warned.kind, warned.market) == ("warn", "risk", 0)
    assert "position is at 80% of its limit (0.4 of 0.5 " in warned.text
    assert at(-0.5).level == "error"
    assert at(0.37) is not None  # not over yet: nine tenths of the mark
    assert at(0.35) is None
    assert at(0.39) is None


def test_states_of_the_desk_are_told_with_their_reason():
    made = Story()
    made.book()
    for command, level in ((PAUSE, "info"), (HALT, "error")):
        made.command(command)
        told = look(frame_of(made))["state"]
        assert (told.kind, told.level) == ("risk", level)
    assert told.text == "the desk is HALTED"
    made.command(RESUME)
    assert "state" not in look(frame_of(made))


def test_an_order_of_unknown_fate_is_told_after_a_while():
    made = Story()
    made.book()
    markets = made.state.frame().markets.copy()
    working = markets[0]["orders"]
    working["status"][working["status"] > 0] = STATUS_NAMES.index("unknown")
    rules, frame = Rules(SECTION), dataclasses.replace(frame_of(made), markets=markets)
    assert not [key for key in look(frame, T0, rules=rules) if key.startswith("order")]
    told = [one for key, one in look(frame, T0 + 11 * S, rules=rules).items() if key.startswith("order")]
    assert {one.level for one in told} == {"error"}
    assert "has not told for 11 s what became of order" in told[0].text
    # It was known for a moment in between: its time begins anew.
    look(frame_of(made), T0 + 12 * S, rules=rules)
    assert not [key for key in look(frame, T0 + 13 * S, rules=rules) if key.startswith("order")]


@pytest.mark.parametrize(
    ("engine", "seconds", "key", "says"),
    [
        ({"loop_gap_ms": 300.0}, 0, "loop gap", "stood still for 300 ms"),
        ({"feed_lag_ms": 1500.0}, 2, "feed lag", "1,500 ms late"),
        ({"streams": [{"name": "spot", "up": False, "note": "refused"}]}, 2, "stream spot", "spot is down: refused"),
        ({"gateways": [{"venue": "x", "stream_up": True, "down": True}]}, 2, "gateway x", "x does not answer"),
        ({"gateways": [{"venue": "x", "stream_up": False, "down": False}]}, 2, "gateway x", "sends no reports"),
        ({"clock_offset_ms": -400.0}, 0, "clock", "-400 ms off"),
    ],
)
def test_figures_beyond_their_mark_are_told(story, engine, seconds, key, says):
    rules = Rules(SECTION)
    if seconds:
        assert look(frame_of(story, **engine), T0, rules=rules) == {}
    assert says in look(frame_of(story, T0 + seconds * S, **engine), T0 + seconds * S, rules=rules)[key].text


def test_a_gateway_that_is_still_signing_in_is_not_down(story):
    rules = Rules(SECTION)
    for i in range(10):
        assert look(frame_of(story, T0 + i * S, gateways=[{"venue": "x"}]), T0 + i * S, rules=rules) == {}


def test_an_engine_that_publishes_nothing_and_a_feed_that_stands_still(story):
    assert "nothing for 6 s" in look(frame_of(story), T0 + 6 * S)["silent"].text
    frame = frame_of(story)
    desk = frame.desk.copy()
    desk["now_ns"] += 11 * S
    assert "no market data for 11 s" in look(dataclasses.replace(frame, desk=desk))["stale 0"].text


def test_a_book_that_stays_unusable_is_told():
    rules = Rules(SECTION)
    frame = frame_of(Story(), T0 + 11 * S)
    look(frame, T0, rules=rules)
    assert "not usable (resync)" in look(frame, T0 + 11 * S, rules=rules)["book 0"].text


def test_an_error_that_the_engine_said_is_told_once(story):
    rules = Rules(SECTION)
    said = [{"ts_ns": 5, "level": "error", "text": "orders may rest"}, {"ts_ns": 6, "level": "warn", "text": "so what"}]
    told = look(frame_of(story, messages=said), rules=rules)
    assert [one.text for one in told.values()] == ["orders may rest"]
    assert look(frame_of(story, messages=said), rules=rules) == {}


def test_an_error_is_told_though_an_earlier_message_bears_its_time_or_a_later_one(story):
    # A refused command is said at the clock's time; what the gateway says after it bears the desk's, which stands still without rows.
    rules, old = Rules(SECTION), {"ts_ns": 9, "level": "warn", "text": "refused set"}
    look(frame_of(story, messages=[old]), rules=rules)
    said = [{"ts_ns": at, "level": "error", "text": f"the venue said no at {at}"} for at in (9, 7)]
    assert len(look(frame_of(story, messages=[old, *said]), rules=rules)) == 2
    # The list keeps the last ones: the first go as new ones come.
    more = {"ts_ns": 7, "level": "error", "text": "and again"}
    assert [one.text for one in look(frame_of(story, messages=[*said, more]), rules=rules).values()] == ["and again"]


def test_fills_are_told_where_they_are_asked_for():
    made = Story()
    made.book()
    made.answer()
    rules, silent = Rules(SECTION), Rules(AlertsSection())
    look(frame_of(made), rules=rules), look(frame_of(made), rules=silent)
    made.fill(next(o for o in made.orders() if o["side"] == ASK), 3)
    assert "1 fill, the position is -0.03" in look(frame_of(made), rules=rules)["fills 0"].text
    assert look(frame_of(made), rules=silent) == {}


# --- the book ---
def told(book, seconds, *conditions):
    return [(a.level, a.text, a.sent) for a in book.update(conditions, T0 + int(seconds * S))]


LAG = Condition("lag", "latency", "warn", "late")
HALTED = Condition("state", "risk", "error", "HALTED")


def test_one_message_when_it_begins_and_one_when_it_is_over():
    book = Book(AlertsSection())
    assert told(book, 0, LAG) == [("warn", "late", True)]
    assert [told(book, i / 4, LAG) for i in range(1, 40)] == [[]] * 39
    assert told(book, 10) == []  # gone for a moment is not over
    assert told(book, 13) == [("info", "over after 10 s: late", True)]
    assert told(book, 400) == []


def test_what_flickers_is_told_once_in_its_quiet_time():
    book = Book(AlertsSection(quiet_s=300))
    said = [line for second in range(0, 290, 10) for line in (*told(book, second, LAG), *told(book, second + 5))]
    assert [text for _, text, _ in said] == ["late", "over after 0 s: late"]
    assert [text for _, text, _ in told(book, 301, LAG)] == ["late (29 times since the last message)"]


def test_what_becomes_worse_is_told_at_once_and_what_becomes_better_is_not():
    book = Book(AlertsSection())
    worse = dataclasses.replace(LAG, level="error", text="very late")
    assert told(book, 0, LAG)
    assert told(book, 1, worse) == [("error", "very late", True)]
    assert told(book, 2, LAG) == []


def test_a_second_halt_is_told_however_soon_it_comes():
    book = Book(AlertsSection(quiet_s=3600))
    assert told(book, 0, HALTED) == [("error", "HALTED", True)]
    assert told(book, 5) == [("info", "over after 0 s: HALTED", True)]
    assert told(book, 6, HALTED) == [("error", "HALTED", True)]


def test_what_is_below_the_level_is_written_down_and_not_sent():
    book = Book(AlertsSection(level="error"))
    assert told(book, 0, LAG) == [("warn", "late", False)]
    assert told(book, 5) == [("info", "over after 0 s: late", False)]


def test_a_flood_is_cut_errors_have_a_reserve_and_the_rest_is_told_as_a_number():
    book = Book(AlertsSection(per_min_max=8))
    flood = [Condition(f"k{i}", "health", "warn", f"{i}") for i in range(20)]
    assert [sent for *_, sent in told(book, 0, *flood)] == [True] * 6 + [False] * 14
    assert told(book, 1, *flood, HALTED) == [("error", "HALTED", True)]
    assert told(book, 61, *flood, HALTED) == [("warn", "14 more alerts were held back; they are in alerts.jsonl of the run", True)]


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["warn", "error"]), st.floats(0.1, 40)), max_size=60))
def test_whatever_happens_a_minute_has_at_most_its_messages_and_every_over_had_a_beginning(steps):
    book, now, sent, open_keys = Book(AlertsSection(per_min_max=5, quiet_s=20)), 0.0, [], set()
    for which, level, pause in steps:
        now += pause
        for alert in book.update([Condition(f"k{which}", "health", level, "x")], T0 + int(now * S)):
            if alert.sent:
                sent.append(alert.ts_ns)
            if alert.resolved:
                assert alert.key in open_keys
                open_keys.remove(alert.key)
            elif alert.key != "held back":
                open_keys.add(alert.key)
    assert all(sent[i + 5] - sent[i] >= 60 * S for i in range(len(sent) - 5))


# --- channels ---
class Sink:
    """Takes messages, or hangs until it is let go, or fails as often as it is told."""

    def __init__(self, *, hangs=False, fails=0):
        self.got, self.entered, self.go = [], threading.Event(), threading.Event()
        self.fails = fails
        if not hangs:
            self.go.set()

    def send(self, message):
        self.entered.set()
        self.go.wait(60)
        if self.fails:
            self.fails -= 1
            msg = "no such service"
            raise OSError(msg)
        self.got.append(message.text)
        return True


def test_a_channel_that_hangs_loses_its_oldest_holds_nobody_and_says_so():
    sink = Sink(hangs=True)
    channel = Channel("channel 1 (json)", sink)
    channel.put(Message("t", "first"))
    assert sink.entered.wait(30)
    for i in range(QUEUE_MAX + 10):
        channel.put(Message("t", f"{i}"))  # returns, or this test never ends
    assert channel.lost == 10
    assert "takes no alerts" in channel.trouble(slow_s=0)
    assert "(10 lost)" in channel.trouble(slow_s=0)
    sink.go.set()
    assert channel.close(60)
    assert sink.got[0] == "first"
    # The end mark took the place of one more, unless the queue had begun to empty by then.
    assert sink.got[1] in {f"{n}\n({n} alerts before this one were lost)" for n in (10, 11)}
    assert sink.got[-1] == f"{QUEUE_MAX + 9}"
    assert channel.trouble() == ""


def test_a_channel_that_fails_is_tried_again_and_then_gives_up_on_the_message():
    sink = Sink(fails=2)
    channel = Channel("c", sink, pause_s=0)
    channel.put(Message("t", "a"))
    assert channel.close(30)
    assert (sink.got, channel.lost, channel.trouble()) == (["a"], 0, "")
    sink = Sink(fails=3)
    channel = Channel("c", sink, pause_s=0)
    channel.put(Message("t", "a"))
    end = time.monotonic() + 30
    while not channel.trouble() and time.monotonic() < end:
        time.sleep(0.005)
    assert channel.trouble() == "alerts do not get through on c (1 lost)"
    channel.put(Message("t", "b"))
    assert channel.close(30)
    assert sink.got == ["b\n(1 alerts before this one were lost)"]
