"""What docs/live.md says is so: its code runs, its tables and numbers are those of the program."""

import re
from pathlib import Path

import pytest

from hftlab.cli import parser
from hftlab.engine.config import read_config
from hftlab.instrument import Instrument
from hftlab.venues.live.connect import make_wire
from hftlab.venues.live.endpoints import endpoint
from hftlab.venues.live.gateway_policy import Policy
from hftlab.venues.live.keys import Keys, prefix_of
from hftlab.venues.live.spec import LiveVenue
from hftlab.venues.server.faults import KINDS

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "live.md").read_text(encoding="utf-8")
PLAIN = " ".join(TEXT.split())
BTC = {"binance": "binance:BTC/USDT", "binanceusdm": "binanceusdm:BTC/USDT:USDT", "hyperliquid": "hyperliquid:BTC/USDC:USDC"}


def test_its_code_runs_from_top_to_bottom(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    blocks = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        exec(compile(block, "live.md", "exec"), names)


def test_its_file_is_a_session_and_two_lines_make_it_live(tmp_path):
    (block,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    file = tmp_path / "btc.yaml"
    file.write_text(block)
    assert read_config(file)["venue"] == LiveVenue("paper")
    live = block.replace("mode: paper", "mode: live").replace('confirm: ""', "confirm: I trade real money on binanceusdm")
    assert sum(a != b for a, b in zip(block.splitlines(), live.splitlines(), strict=True)) == 2
    file.write_text(live)
    assert read_config(file)["venue"] == LiveVenue("live", "I trade real money on binanceusdm")


def test_its_table_of_faults_is_the_list_of_faults():
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \|$", TEXT.split("<!-- faults -->")[1], re.MULTILINE)
    assert [name for name, _, _ in rows] == list(KINDS)
    for name, doc, params in rows:
        assert doc == KINDS[name].doc
        assert params == (", ".join(f"{key} {value}" for key, value in KINDS[name].params.items()) or "–")


@pytest.mark.parametrize("venue", BTC)
def test_its_names_of_keys_are_those_that_are_read(venue):
    pair = ("WALLET", "PRIVATE_KEY") if venue == "hyperliquid" else ("KEY", "SECRET")
    for server in (None, "testnet"):
        prefix = prefix_of(endpoint(venue, server))
        assert all(f"`{prefix}{name}`" in TEXT for name in pair)


def test_its_numbers_are_those_of_the_policy():
    policy, terms = Policy(), LiveVenue()
    assert (policy.answer_s, policy.gone_looks, policy.gone_s, policy.reserve) == (5.0, 3, 5.0, 0.2)
    assert (terms.reconcile_s, policy.reconcile_down_s, policy.clock_ms_max) == (30.0, 2.0, 500.0)
    for said in (
        "without an answer** (5 s",
        "only after three answers and five seconds",
        "A fifth of every budget",
        "`reconcile_s` (30 s; every 2 s while the user stream is down)",
        "differs for 5 s",
        "Beyond 500 ms",
    ):
        assert said in PLAIN


@pytest.mark.parametrize(("venue", "has"), [("binance", False), ("binanceusdm", True), ("hyperliquid", True)])
def test_its_table_of_dead_mans_switches_is_true(venue, has):
    keys = Keys.of("k", "s", "", "0x" + "01" * 20, "0x" + "01" * 32)
    wire = make_wire(endpoint(venue, "http://127.0.0.1:1"), (Instrument.bundled(BTC[venue]),), keys, lambda: 0)
    assert wire.dead_man is has


def test_files_and_commands_that_it_names_exist():
    for name in re.findall(r"`((?:notebooks|docs|tests|hftlab)/[\w/.]+)`", TEXT):
        assert (ROOT / name).exists(), name
    known = parser().format_help()
    for command in set(re.findall(r"`hftlab (\w+)", TEXT)):
        assert command in known
