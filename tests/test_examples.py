"""The files of examples/ are where a newcomer begins: each runs as it stands, and a session's file may name a quoter of one's own."""

import subprocess
import sys
from pathlib import Path

import pytest

import hftlab as hl
from hftlab.engine.config import read_config
from hftlab.errors import UserCodeError
from hftlab.params import UserQuoter
from hftlab.usercode.from_file import decide_in
from hftlab.venues.live.spec import LiveVenue, words

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"


@pytest.mark.parametrize("name", ["own_quoter.py", "own_strategy.py"])
def test_a_file_of_ones_own_backtests_itself(name, tmp_path):
    done = subprocess.run([sys.executable, str(EXAMPLES / name)], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.startswith("<Report ")
    assert not done.stdout.startswith("<Report 0 fills")


def test_the_live_example_is_paper_as_it_stands_and_each_gate_changes_the_lines_that_it_names(tmp_path):
    text = (EXAMPLES / "live.yaml").read_text(encoding="utf-8")
    (tmp_path / "own_quoter.py").write_bytes((EXAMPLES / "own_quoter.py").read_bytes())
    file = tmp_path / "live.yaml"

    def read(*changes):
        file.write_text(text)
        for before, after in changes:
            assert text.count(before) == 1
            file.write_text(file.read_text().replace(before, after))
        made = read_config(file, env_file=None)
        return made["venue"].mode, made["venue"].confirm, made["feed"].server

    live = ("mode: paper", "mode: live")
    said = words("binanceusdm")
    assert read() == ("paper", "", "real")
    assert read(("mode: paper", "mode: shadow")) == ("shadow", "", "real")
    assert read(live, ("server: real", "server: testnet")) == ("live", "", "testnet")
    assert read(live, ('confirm: ""', f'confirm: "{said}"')) == ("live", said, "real")
    assert isinstance(read_config(EXAMPLES / "live.yaml", env_file=None)["venue"], LiveVenue)


def test_a_sessions_file_names_a_decide_beside_it_and_several_instruments_share_it(tmp_path):
    (tmp_path / "mine.py").write_text("def decide(desk, market, params, quote):\n    quote.levels = 1\n")
    file = tmp_path / "two.yaml"
    one = '{type: UserQuoter, decide: "mine.py:decide", order_qty: "0.01"}'
    file.write_text(
        'mode: paper\nfeed: {instrument: ["binance:BTC/USDT", "binance:ETH/USDT"]}\n'
        f'quoter: [{one}, {one}]\nlimits: {{position_qty_max: "0.05"}}\n'
    )
    first, second = read_config(file, env_file=None)["quoter"]
    assert isinstance(first, UserQuoter)
    assert first.decide is second.decide
    assert first.decide.__name__ == "decide"


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (None, "wanted FILE.py:FUNCTION"),
        ("decide", "wanted FILE.py:FUNCTION"),
        ("gone.py:decide", "there is no file"),
        ("mine.py:decyde", "Did you mean 'decide'"),
        ("broken.py:decide", "ZeroDivisionError"),
    ],
)
def test_a_decide_that_cannot_be_had_is_refused_in_words(named, said, tmp_path):
    (tmp_path / "mine.py").write_text("def decide(desk, market, params, quote):\n    quote.levels = 1\n")
    (tmp_path / "broken.py").write_text("1 / 0\n")
    with pytest.raises(UserCodeError, match=said):
        decide_in(named, tmp_path)


def test_a_user_quoter_without_its_function_is_refused_and_does_not_quote_nothing_in_silence():
    with pytest.raises(UserCodeError, match="decide was None; wanted a function"):
        hl.backtest(hl.sample().slice(0, 1), None, hl.UserQuoter(decide=None, order_qty="0.001"), hl.Limits(position_qty_max="0.01"))
