"""What a handle makes of the door's answers, also of those that are not the engine's own words."""

import httpx
import pytest
from pydantic import SecretStr

from hftlab.engine.view import Session
from hftlab.engine.worker import _wish
from hftlab.errors import CommandOvertaken, CommandRefused, EngineUnreachable


@pytest.fixture
def session(tmp_path, monkeypatch):
    """A handle whose door gives the answer that `session.answer` holds."""
    made = Session.__new__(Session)
    made.directory, made._control = tmp_path / "run", {"url": "http://127.0.0.1:1", "token": SecretStr("secret")}
    monkeypatch.setattr(httpx.Client, "post", lambda *_, **__: made.answer)
    return made


def test_an_answer_that_is_no_answer_of_the_engine_is_told_in_words(session):
    # uvicorn's own words when all places are taken; and what another program at that port might say.
    for answer in (httpx.Response(503, text="Service Unavailable"), httpx.Response(200, text="[1]"), httpx.Response(500, json={"no": 1})):
        session.answer = answer
        with pytest.raises(EngineUnreachable, match=rf"HTTP {answer.status_code}.*See whether it was done"):
            session.pause()


def test_a_refusal_is_told_from_one_that_a_halt_overtook(session):
    session.answer = httpx.Response(422, json={"error": "too large", "type": "InputError"})
    with pytest.raises(CommandRefused, match="too large") as refused:
        session.set(order_qty=1)
    assert not isinstance(refused.value, CommandOvertaken)
    session.answer = httpx.Response(422, json={"error": "a halt came after it", "type": "Overtaken"})
    with pytest.raises(CommandOvertaken):
        session.set(order_qty=1)


def test_a_strategy_outlives_a_wish_that_a_halt_overtook(session):
    session.answer = httpx.Response(422, json={"error": "a halt came after it", "type": "Overtaken"})
    _wish(session, {0: "0.01", 1: None})
    session.answer = httpx.Response(422, json={"error": "too large", "type": "InputError"})
    with pytest.raises(CommandRefused):
        _wish(session, {0: "0.01"})
