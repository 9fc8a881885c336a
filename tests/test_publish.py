"""Publishing without a server: the gate's laws, the cage's list, who may see what, the gallery's files."""

import json
import math
import socket
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hftlab as hl
from benchmarks.drills.viewer_wire import pack
from hftlab.backtesting.gallery import SUFFIX, Kept, flat, read_gallery, save_backtest
from hftlab.errors import DataError, InputError
from hftlab.publish import gate, users
from hftlab.publish.confine import PUBLISHED, Cage, places
from hftlab.publish.launch import Publisher, Serving, viewer_environment
from hftlab.publish.users import choose
from hftlab.widgets.gallery import comparison, figure, grid, ranked, ranking, varying

HEADER = {"msg_id": "1", "session": "2", "username": "", "date": "", "version": "5.3"}


def message(kind, content=None, channel="shell", buffers=()):
    return pack(channel, HEADER | {"msg_type": kind}, content or {}, buffers=buffers)


def to_widget(data, **options):
    return message("comm_msg", {"comm_id": "c", "data": data}, **options)


PASS = {
    "kernel_info_request": message("kernel_info_request"),
    "comm_info_request": message("comm_info_request", {"target_name": "jupyter.widget"}),
    "the comm that lists widgets": message("comm_open", {"comm_id": "c", "target_name": "jupyter.widget.control", "data": {}}),
    "all states": to_widget({"method": "request_states"}),
    "one state": to_widget({"method": "request_state"}),
    "a heartbeat": to_widget({"method": "custom", "content": {"k": "beat", "n": 3, "section": "risk"}}),
    "a greeting": to_widget({"method": "custom", "content": {"k": "hello"}}),
    "a choice": to_widget({"method": "update", "state": {"index": 2}, "buffer_paths": []}),
    "no choice": to_widget({"method": "update", "state": {"index": None}, "buffer_paths": []}),
}
STOP = {
    "execute_request": message("execute_request", {"code": "1"}),
    "control": message("kernel_info_request", channel="control"),
    "stdin": message("input_reply", {"value": ""}, channel="stdin"),
    "a new widget": message("comm_open", {"comm_id": "c", "target_name": "jupyter.widget", "data": {}}),
    "an end": message("comm_close", {"comm_id": "c"}),
    "halt": to_widget({"method": "custom", "content": {"k": "halt"}}),
    "a command": to_widget({"method": "custom", "content": {"k": "command", "name": "stop"}}),
    "a list for a message": to_widget({"method": "custom", "content": ["beat"]}),
    "a list for a name": to_widget({"method": "custom", "content": {"k": ["beat"]}}),
    "another trait": to_widget({"method": "update", "state": {"value": 1}}),
    "another trait behind a choice": to_widget({"method": "update", "state": {"index": 1, "_esm": "x"}}),
    "a choice that is a text": to_widget({"method": "update", "state": {"index": "1"}}),
    "a choice that is a truth": to_widget({"method": "update", "state": {"index": True}}),
    "buffers": to_widget({"method": "update", "state": {"index": 1}}, buffers=(b"x",)),
    "buffer paths": to_widget({"method": "update", "state": {"index": 1}, "buffer_paths": [["value"]]}),
    "another method": to_widget({"method": "echo_update", "state": {"index": 1}}),
    "no data": to_widget(None),
    "text": "kernel_info_request",
    "nothing": b"",
    "too long": to_widget({"method": "custom", "content": {"k": "beat", "x": "x" * gate.BYTES_MAX}}),
}


@pytest.mark.parametrize("what", PASS)
def test_what_a_page_needs_passes(what):
    assert gate.Gate().passes(PASS[what], 0.0) == ""


@pytest.mark.parametrize("what", STOP)
def test_what_a_page_does_not_need_is_dropped_with_a_reason(what):
    one = gate.Gate()
    assert one.passes(STOP[what], 0.0) != ""
    assert sum(one.refused.values()) == 1


@given(st.binary(max_size=400))
def test_no_bytes_break_the_gate(data):
    gate.Gate().passes(data, 0.0)


@given(st.sampled_from(sorted(PASS)), st.integers(0, 200), st.binary(min_size=1, max_size=8))
def test_a_message_that_was_tampered_with_is_read_as_the_kernel_will_read_it_or_dropped(what, at, patch):
    # Whatever passes must be what Jupyter's own reader makes of the same bytes: a gate that reads otherwise guards another door.
    from jupyter_server.services.kernels.connection.base import deserialize_msg_from_ws_v1

    data = PASS[what][:at] + patch + PASS[what][at + len(patch) :]
    if gate.Gate().passes(data, 0.0) == "":
        channel, pieces = deserialize_msg_from_ws_v1(data)
        assert (channel, pieces) == gate.parts(data)
        assert channel == "shell"
        assert json.loads(pieces[0])["msg_type"] in {"kernel_info_request", "comm_info_request", "comm_open", "comm_msg"}


def test_a_flood_is_dropped_and_the_page_recovers():
    one = gate.Gate()
    sent = int(gate.BURST) + 500
    passed = sum(one.passes(PASS["a heartbeat"], 1.0) == "" for _ in range(sent))
    assert passed == int(gate.BURST)
    assert one.refused["too many messages"] == 500
    assert one.passes(PASS["a heartbeat"], 3.0) == ""


def test_what_visitors_say_does_not_fill_the_memory():
    one = gate.Gate()
    for k in range(1000):
        one.passes(message(f"kind {k}"), float(k))
    assert len(one.refused) <= 100


def cage(tmp_path, **options):
    return Cage(
        **(
            {
                "run": str(tmp_path / "run"),
                "pages": "p",
                "gallery": "g",
                "private": str(tmp_path),
                "port": 1,
                "memory_mb": 900,
                "niceness": 10,
            }
            | options
        )
    )


def test_the_cage_names_no_control_file_and_no_run_directory_as_a_whole(tmp_path):
    named = [path for path, _ in places(cage(tmp_path))]
    run = tmp_path / "run"
    assert "control.json" not in PUBLISHED
    assert run not in named
    assert not [path for path in named if path in run.parents and path != tmp_path]
    assert {path.name for path in named if run in path.parents} == set(PUBLISHED)


def test_a_cage_travels_as_text(tmp_path):
    one = cage(tmp_path)
    assert Cage.of(one.text()) == one


def test_the_environment_of_a_viewer_is_a_list(tmp_path, monkeypatch):
    monkeypatch.setenv("BINANCE_API_SECRET", "planted")
    monkeypatch.setenv("HFTLAB_CACHE_DIR", "planted")
    monkeypatch.setenv("PYTHONSTARTUP", "planted")
    made = viewer_environment(cage(tmp_path))
    assert "planted" not in json.dumps(made)
    assert not {"BINANCE_API_SECRET", "HFTLAB_CACHE_DIR", "PYTHONSTARTUP"} & set(made)


def test_a_wish_for_a_user_that_cannot_be_is_refused_in_words(tmp_path):
    with pytest.raises(InputError, match=r"no user|only root"):
        choose(tmp_path, "nobody-of-this-name")


def test_a_user_whose_python_hangs_is_a_seat_that_does_not_work(tmp_path, monkeypatch):
    def hangs(*_, **__):
        raise subprocess.TimeoutExpired("python", users.TRY_S)

    monkeypatch.setattr(users.subprocess, "run", hangs)
    assert "did not start" in users.can_view(users.own_seat(""), tmp_path)


def test_nothing_is_served_that_has_published_nothing(tmp_path):
    with pytest.raises(DataError, match="published nothing yet"):
        Publisher(Serving(run=tmp_path, pages=tmp_path, gallery=tmp_path))
    assert not list(tmp_path.iterdir())


def test_a_port_that_is_taken_leaves_no_folder_behind(tmp_path, monkeypatch):
    (tmp_path / "snapshot.bin").touch()
    folders = tmp_path / "t"
    folders.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folders))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InputError, match="in use"):
            Publisher(Serving(run=tmp_path, pages=tmp_path, gallery=tmp_path, port=taken.getsockname()[1]))
    assert not list(folders.iterdir())


# --- the gallery ---
@pytest.fixture(scope="module")
def report():
    tape = hl.sample()
    return hl.backtest(tape, None, hl.AvellanedaStoikov(risk_aversion=0.1, order_qty="0.01"), hl.Limits(position_qty_max="0.05"))


def test_a_kept_backtest_says_what_the_report_says(report, tmp_path):
    path = save_backtest(report, "one", tmp_path, fold=3)
    assert path == tmp_path / f"one{SUFFIX}"
    (kept,), problems = read_gallery(tmp_path)
    assert not problems
    summary = report.summary()
    assert all(kept.figures[name] == value for name, value in summary.items() if not (isinstance(value, float) and math.isnan(value)))
    assert kept.parameters["quoter.risk_aversion"] == 0.1
    assert kept.parameters["quoter.order_qty"] == "0.01"
    assert kept.parameters["fold"] == 3
    table = report.curves()
    assert kept.pnl_quote[-1] == table["pnl_quote"].iloc[-1]
    assert kept.position_base[0] == table["position_base"].iloc[0]
    assert len(kept.seconds) <= 400
    assert (np.diff(kept.seconds) > 0).all()


def test_files_that_nobody_kept_are_said_and_the_rest_is_shown(report, tmp_path):
    save_backtest(report, "good", tmp_path)
    (tmp_path / f"text{SUFFIX}").write_text("no JSON")
    (tmp_path / f"other{SUFFIX}").write_text('{"hftlab_backtest": 99}')
    (tmp_path / f"list{SUFFIX}").write_text("[1]")
    whole = json.loads((tmp_path / f"good{SUFFIX}").read_text())
    (tmp_path / f"short{SUFFIX}").write_text(json.dumps(whole | {"seconds": [1.0]}))
    found, problems = read_gallery(tmp_path)
    assert [one.name for one in found] == ["good"]
    assert len(problems) == 4
    assert all("wanted a file" in one or "reads 1" in one for one in problems)


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "x" * 90, "new\nline"])
def test_a_name_that_is_no_file_name_is_refused(report, tmp_path, name):
    with pytest.raises(InputError, match="wanted letters"):
        save_backtest(report, name, tmp_path)
    assert not list(tmp_path.iterdir())


def made(name, pnl, **parameters):
    empty = np.zeros(0)
    return Kept(name, "USDT", {"pnl_quote": pnl, "drawdown_quote_max": 2.0}, parameters, {}, empty, empty, empty)


def test_ranking_by_hand():
    entries = [made("a", 1.0, size="2"), made("b", 3.0, size="10"), made("c", None, size="2"), made("d", 3.0, size="2")]
    assert [one.name for one in ranked(entries, "pnl_quote")] == ["b", "d", "a", "c"]
    assert [one.name for one in ranked(entries, "drawdown_quote_max")] == ["a", "b", "c", "d"]
    assert figure(entries[1], "pnl_per_drawdown") == 1.5
    assert varying(entries) == {"size": ["2", "10"]}  # by number: as texts 10 comes first


def test_a_search_over_two_parameters_is_a_map():
    entries = [made(f"{x}{y}", x * y, **{"quoter.x": x, "quoter.y": y}) for x in (1.0, 2.0) for y in (1.0, 3.0)]
    text = grid(entries, "pnl_quote", varying(entries))
    assert text.count("<td") == 4
    assert "x down, y across" in text
    assert grid(entries, "pnl_quote", {"one": [1, 2]}) == ""


def test_money_in_the_gallery_has_the_currency_of_its_own_run():
    x = np.array([0.0, 1.0])
    entries = [
        replace(made(name, pnl), settle=settle, seconds=x, pnl_quote=x) for name, pnl, settle in (("a", 2.5, "USDT"), ("b", 0.00031, "BTC"))
    ]
    rows = ranking(entries, "pnl_quote", [])
    assert ">2.50 USDT<" in rows
    assert ">0.000310 BTC<" in rows
    both = comparison(*entries)
    assert ">0.000310 BTC<" in both
    assert "P&amp;L after fees (USDT)" in both
    assert "in another currency, not drawn: b" in both


def test_names_from_files_are_no_html():
    text = ranking([made("<script>alert(1)</script>", 1.0)], "pnl_quote", [])
    assert "<script>" not in text


def test_encoded_arguments_become_flat_names():
    given_ = {
        "fees": {"type": "Fees", "values": {"maker_bps": {"decimal": "-0.5"}, "inner": {"dict": {"a": 1}}}},
        "long": "x" * 100,
        "none": None,
    }
    assert flat(given_) == {"fees": "Fees", "fees.maker_bps": "-0.5", "fees.inner.a": 1}


def test_a_file_without_end_is_not_read(tmp_path):
    (tmp_path / f"big{SUFFIX}").write_text(" " * (2 << 20))
    found, problems = read_gallery(tmp_path)
    assert not found
    assert "bytes" in problems[0]
