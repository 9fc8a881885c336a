"""The log of an engine: what a line holds, that it stays bounded, and that no secret gets into it by any way."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from hftlab import secret
from hftlab.config import LogSection
from hftlab.engine import jsonl
from hftlab.engine.jsonl import last_lines, last_objects
from hftlab.engine.log import RunLog
from hftlab.engine.view import View, log_tail
from hftlab.venues.live.keys import Keys

ROOT = Path(__file__).resolve().parents[1]
PLANTED = "pl4nted-5ecret"


@pytest.fixture
def logger(tmp_path, monkeypatch):
    """Return a function that makes a logger with a RunLog of a section, in tmp_path."""
    monkeypatch.setattr(secret, "_known", set())
    made = logging.Logger("third.party")  # noqa: LOG001  # one that the next test does not find again
    handlers = []

    def make(**values):
        handlers.append(RunLog(tmp_path, LogSection(**values)))
        made.addHandler(handlers[-1])
        return made

    yield make
    for handler in handlers:
        handler.close()


def at(logger, seconds, text, level=logging.INFO, **extra):
    """Log a line that was said at a time."""
    record = logger.makeRecord(logger.name, level, "f", 1, text, (), None, extra=extra)
    record.created = seconds
    logger.handle(record)


def lines(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_a_line_says_when_how_grave_from_whom_and_what(logger, tmp_path):
    at(logger(), 1_700_000_000.25, "a thing", logging.WARNING, market=2, fields={"order": 7, "what": [1.5, None, True]})
    (line,) = lines(tmp_path)
    assert line == {
        "ts_ns": 1_700_000_000_250_000_000,
        "level": "warn",
        "source": "third.party",
        "text": "a thing",
        "market": 2,
        "fields": {"order": 7, "what": [1.5, None, True]},
    }
    assert View(tmp_path).log(5) == [line]
    assert "a thing" in log_tail(tmp_path)


def test_the_level_of_the_settings_is_the_lowest_that_is_written(logger, tmp_path):
    made = logger(level="warn")
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.CRITICAL):
        at(made, 1, f"level {level}", level)
    assert [line["level"] for line in lines(tmp_path)] == ["warn", "error"]


def test_the_same_words_are_counted_not_written(logger, tmp_path):
    made = logger(repeat_s=10)
    for i in range(313):
        at(made, 100 + i / 1000, "no answer")
    at(made, 101, "something else")
    at(made, 111, "no answer")  # the time is over: the count is told, and the words are said anew
    assert [line["text"] for line in lines(tmp_path)] == ["no answer", "something else", "no answer … 312 times more", "no answer"]


def test_what_was_counted_is_told_at_the_end(logger, tmp_path):
    made = logger(repeat_s=10)
    at(made, 1, "x")
    at(made, 2, "x")
    made.handlers[0].close()
    assert [line["text"] for line in lines(tmp_path)] == ["x", "x … 1 times more"]


def test_the_files_stay_within_their_size(logger, tmp_path):
    made = logger(file_mb_max=0.01, files_max=2, repeat_s=0)
    for i in range(2000):
        at(made, i, f"line {i:06d} " + "x" * 60)
    files = sorted(path.name for path in tmp_path.glob("log.jsonl*"))
    assert files == ["log.jsonl", "log.jsonl.1", "log.jsonl.2"]
    assert sum((tmp_path / name).stat().st_size for name in files) <= 3 * 10_000
    # A reader that wants more than the newest file has goes on in the older ones, without a gap.
    read = [int(line["text"].split()[1]) for line in View(tmp_path).log(150)]
    assert read == list(range(2000 - len(read), 2000))
    assert len(read) > len((tmp_path / "log.jsonl").read_text().splitlines())


# --- secrets ---
def raise_from_a_library(text):
    def sign(payload):
        msg = f"signature of {payload} with {text} failed"
        raise ValueError(msg)

    sign("order")


def test_a_planted_secret_is_in_no_line_whoever_wrote_it(logger, tmp_path):
    made = logger()
    Keys.of(key="not-secret-but-ours", secret=PLANTED)
    made.info("GET /account?secret=%s", PLANTED)
    made.warning("headers: %s", {"X-KEY": PLANTED, PLANTED: [PLANTED]})
    made.info("x", extra={"fields": {PLANTED: {"deep": [PLANTED, (PLANTED,)], "object": SecretStr(PLANTED), "path": Path(PLANTED)}}})
    try:
        raise_from_a_library(PLANTED)
    except ValueError:
        made.exception("it failed with %r", PLANTED)
    text = (tmp_path / "log.jsonl").read_text()
    assert PLANTED not in text
    assert text.count(secret.STARS) >= 8
    assert "raise_from_a_library" in lines(tmp_path)[-1]["traceback"]


@pytest.mark.parametrize(
    ("address", "parts", "stays"),
    [
        ("tgram://123456789:AAbbCCddEE_ff/987654321", ["AAbbCCddEE_ff", "987654321"], "tgram"),
        ("mailto://someone:p4ss:w0rd@mail.example.org", ["p4ss:w0rd", "mail.example.org"], "mailto"),
        ("json://127.0.0.1:9000/hooks/T0KEN0000", ["T0KEN0000"], "127.0.0.1"),
        ("jsons://u:pa%24%24word99@example.org/?+X-Token=T0KEN0001", ["pa$$word99", "pa%24%24word99", "T0KEN0001"], "jsons"),
    ],
)
def test_the_parts_of_an_address_that_open_it_are_taken_out(address, parts, stays, monkeypatch):
    monkeypatch.setattr(secret, "_known", set())
    secret.remember_address(SecretStr(address))
    said = secret.scrub(f"POST {address} via {stays}: " + " ".join(parts))
    assert address not in said
    assert not [part for part in parts if part in said]
    assert stays in said


@given(st.text("ab*é", min_size=6, max_size=9), st.text("ab*é", max_size=9), st.text("ab*é", max_size=9))
def test_what_was_remembered_is_never_in_what_was_scrubbed(hidden, before, after):
    secret._known.clear()
    secret.remember([SecretStr(hidden)])
    # A secret that is made of stars alone cannot be told from what takes its place.
    assert hidden in secret.STARS or hidden not in secret.scrub(before + hidden + after).replace(secret.STARS, "\0")
    secret._known.clear()


def test_what_a_process_dies_of_reaches_log_and_stderr_without_its_secret(tmp_path):
    code = f"""
import sys, threading
from pathlib import Path
from pydantic import SecretStr
from hftlab.config import LogSection
from hftlab.engine.log import open_log
from hftlab.secret import remember
open_log(Path({str(tmp_path)!r}), LogSection())
remember([SecretStr({PLANTED!r})])
def die(): raise RuntimeError("in a thread: " + {PLANTED!r})
thread = threading.Thread(target=die); thread.start(); thread.join()
raise RuntimeError("in the main thread: " + {PLANTED!r})
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    # The interpreter prints no line of the code given by -c, so the only way there is the error's own text.
    for text in (done.stderr, (tmp_path / "log.jsonl").read_text()):
        assert PLANTED not in text
        assert f"in the main thread: {secret.STARS}" in text
        assert f"in a thread: {secret.STARS}" in text


# --- reading the end of a file ---
@given(
    st.lists(st.text(st.characters(exclude_characters="\n", codec="utf-8"), max_size=200), max_size=6),
    st.integers(0, 8),
    st.sampled_from([3, 64, 65_536]),
)
def test_the_last_lines_are_those_of_the_whole_file(tmp_path_factory, texts, count, block):
    jsonl._BLOCK = block
    path = tmp_path_factory.mktemp("lines") / "x.jsonl"
    path.write_bytes(b"".join(text.encode() + b"\n" for text in texts) + b'{"torn')
    assert last_lines(path, count) == (texts[-count:] if count else [])
    jsonl._BLOCK = 65_536


def test_a_torn_line_is_left_out_and_no_file_is_no_lines(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"a": 1}\n{"b": \n[1]\n{"c": 3}\n{"d"')
    assert last_objects(tmp_path / "x.jsonl", 10) == [{"a": 1}, {"c": 3}]
    assert last_objects(tmp_path / "none.jsonl", 10) == []
