"""Settings: what overrides what, which names are refused, and that nothing secret is shown."""

import itertools
import os
import re
from pathlib import Path

import pytest
import yaml

import hftlab as hl
from hftlab.config import SECTIONS, AlertsSection, LogSection, Settings, load
from hftlab.config_names import ENVIRONMENT_ONLY, OLD_NAMES, TOP, known_variables
from hftlab.engine.config import read_config, read_settings
from hftlab.engine.settings import known_entries
from hftlab.errors import FormatError, InputError, UnknownName
from hftlab.params import Limits
from hftlab.venues.feeds import PaperVenue

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "examples" / "spec.yaml"
ENV = ROOT / "examples" / ".env"


@pytest.fixture(autouse=True)
def only_what_a_test_sets(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(("HFTLAB_", "EXCHANGE_")) and name not in ENVIRONMENT_ONLY:
            monkeypatch.delenv(name)


def put(monkeypatch, where, value, *, name="HFTLAB_ALERTS__QUIET_S"):
    if where == "environment":
        monkeypatch.setenv(name, value)
    elif where == ".env":
        Path(".env").write_text(f"{name}={value}\n")


PLACES = ("environment", ".env", "file")  # the highest first


@pytest.mark.parametrize("places", [c for n in range(4) for c in itertools.combinations(PLACES, n)], ids="+".join)
def test_the_environment_beats_env_beats_the_file_beats_the_default(places, monkeypatch):
    # Every combination of who says something: the highest of them is heard.
    values = {place: 11.0 + i for i, place in enumerate(PLACES)}
    for place in places:
        put(monkeypatch, place, str(values[place]))
    settings = load({"alerts": {"quiet_s": values["file"]}} if "file" in places else {})
    assert settings.alerts.quiet_s == (values[places[0]] if places else AlertsSection().quiet_s)


def test_an_empty_variable_is_not_set(monkeypatch):
    put(monkeypatch, "environment", "")
    put(monkeypatch, ".env", "")
    assert load({"alerts": {"quiet_s": 7}}).alerts.quiet_s == 7


def test_one_entry_overridden_leaves_its_neighbours(monkeypatch):
    monkeypatch.setenv("HFTLAB_LIMITS__LOSS_QUOTE_MAX", "33")
    monkeypatch.setenv("HFTLAB_VENUE__LATENCY__ORDER_MS", "9")
    monkeypatch.setenv("HFTLAB_FEED__SEED", "21")
    monkeypatch.setenv("HFTLAB_RUN", "007")
    got = read_config(FILE)
    assert got["limits"].loss_quote_max == 33
    assert got["limits"].position_qty_max == "0.05"
    assert got["venue"] == PaperVenue(fees=hl.Fees(taker_bps=4.0), latency=hl.Latency(order_ms=9))
    assert (got["feed"].seed, got["run"]) == (21, "007")


def test_a_variable_holds_for_each_of_several_instruments(monkeypatch, tmp_path):
    values = yaml.safe_load(FILE.read_text())
    values["limits"] = [{"position_qty_max": "1", "loss_quote_max": 5}, {"position_qty_max": "2"}]
    (tmp_path / "two.yaml").write_text(yaml.safe_dump(values))
    monkeypatch.setenv("HFTLAB_LIMITS__LOSS_QUOTE_MAX", "44")
    limits = read_config(tmp_path / "two.yaml")["limits"]
    assert [(one.position_qty_max, one.loss_quote_max) for one in limits] == [("1", 44), ("2", 44)]


def test_true_and_false_are_truths_not_texts(monkeypatch):
    monkeypatch.setenv("HFTLAB_FEED__RECORD", "false")
    assert load({"feed": {"record": True}}, known=known_entries()).feed == {"record": False}


# --- names ---
@pytest.mark.parametrize("place", ["environment", ".env"])
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("HFTLAB_LIMITS__LOS_QUOTE_MAX", "HFTLAB_LIMITS__LOSS_QUOTE_MAX"),
        ("HFTLAB_ALERT_URL", "HFTLAB_ALERT_URLS"),
        ("HFTLAB_BINANCE_SECRT", "HFTLAB_BINANCE_SECRET"),
        ("HFTLAB_BINNANCE_KEY", "HFTLAB_BINANCE_KEY"),
        ("HFTLAB_BINANCEUSD_TESTNET_KEY", "HFTLAB_BINANCEUSDM_TESTNET_KEY"),
        ("HFTLAB_ALERTS_QUIET_S", "HFTLAB_ALERTS__QUIET_S"),
        ("HFTLAB_0000000000000", "docs/operations.md"),
        ("MAX_POSITION_SIZE", "HFTLAB_LIMITS__POSITION_QTY_MAX"),
        ("TRADING_MODE", "HFTLAB_MODE"),
        ("MAX_DAILY_LOSS", "HFTLAB_LIMITS__LOSS_QUOTE_MAX"),
    ],
)
def test_a_variable_that_nobody_reads_is_refused(place, name, says, monkeypatch):
    put(monkeypatch, place, "hush-hush", name=name)
    with pytest.raises(InputError, match=says) as caught:
        load(known=known_entries())
    assert "hush-hush" not in str(caught.value)


@pytest.mark.parametrize("name", OLD_NAMES)
def test_every_old_name_is_answered_in_our_env_file(name, monkeypatch):
    put(monkeypatch, ".env", "1", name=name)
    with pytest.raises(InputError, match=re.escape(OLD_NAMES[name].split(" ")[0].split("=")[0].rstrip(":"))):
        load()
    for named in re.findall(r"HFTLAB_\w+", OLD_NAMES[name]):
        assert named in known_variables(known_entries() | {"door": ["port"], "log": ["level"]}) or named.startswith("HFTLAB_ALPACA")


def test_common_names_of_other_programs_are_theirs_outside_our_file(monkeypatch):
    for name in ("DEBUG", "ENVIRONMENT", "LOG_LEVEL", "API_PORT", "POSTGRES_HOST"):
        monkeypatch.setenv(name, "1")
    assert load() == Settings(_env_file=None)


def test_keys_of_any_venue_may_stand_there(monkeypatch):
    for name in ("HFTLAB_KRAKEN_KEY", "HFTLAB_OKX_PASSWORD", "HFTLAB_BYBIT_TESTNET_SECRET", "HFTLAB_HYPERLIQUID_PRIVATE_KEY"):
        monkeypatch.setenv(name, "x")
    load()


def test_the_cache_cannot_be_set_in_a_file_that_is_read_too_late(monkeypatch):
    put(monkeypatch, ".env", "x", name="HFTLAB_CACHE_DIR")
    with pytest.raises(InputError, match="too late"):
        load()


@pytest.mark.parametrize(
    ("values", "error", "says"),
    [
        ({"data": {}}, UnknownName, "Here it is 'feed'"),
        ({"execution": {}}, UnknownName, "Here it is 'venue'"),
        ({"strategies": {}}, UnknownName, "Here it is 'quoter'"),
        ({"risk": {}}, UnknownName, "Here it is 'limits'"),
        ({"alert": {}}, UnknownName, "Did you mean 'alerts'"),
        ({"alerts": {"quiet": 3}}, UnknownName, "Did you mean 'quiet_s'"),
        ({"alerts": {"quiet_s": "long"}}, InputError, "alerts.quiet_s .or HFTLAB_ALERTS__QUIET_S. cannot be used"),
        ({"door": {"port": 70000}}, InputError, "door.port"),
        ({"log": 3}, FormatError, "wanted entries under it"),
        ({"limits": [1]}, FormatError, "or a list of such"),
        ({"alert_urls": "json://x"}, InputError, "HFTLAB_ALERT_URLS in .env"),
    ],
)
def test_what_a_file_must_not_say(values, error, says):
    with pytest.raises(error, match=says):
        load(values)


def test_a_section_that_is_no_json_is_refused_without_its_text(monkeypatch):
    monkeypatch.setenv("HFTLAB_LOG", "hush-hush")
    with pytest.raises(InputError, match="wanted JSON") as caught:
        load()
    assert "hush-hush" not in repr(caught.value)
    assert caught.value.__cause__ is None


# --- secrets ---
def test_channels_are_secret(monkeypatch):
    monkeypatch.setenv("HFTLAB_ALERT_URLS", "json://u:hush-hush@127.0.0.1/a  mailto://u:hush-hush@example.org")
    settings = load()
    assert [url.get_secret_value().split(":")[0] for url in settings.alert_urls] == ["json", "mailto"]
    for shown in (repr(settings), str(settings), settings.model_dump_json(), str(settings.kept())):
        assert "hush-hush" not in shown


# --- the examples, and the list of names ---
def test_the_examples_load_as_they_are(monkeypatch):
    Path(".env").write_text(ENV.read_text())
    got = read_config(FILE)
    assert (type(got["feed"]), got["quoter"].order_qty, got["limits"].loss_quote_max) == (hl.SynthFeed, "0.01", 200)
    settings = read_settings(FILE)
    assert settings.log == LogSection()
    for name in Settings.model_fields:  # every section is shown
        assert name == "alert_urls" or re.search(rf"^{name}:", FILE.read_text(), re.MULTILINE), name


def test_every_line_of_the_example_env_is_a_name_with_a_comment_above():
    lines = [line for line in ENV.read_text().splitlines() if line]
    names = [line.split("=")[0] for line in lines if not line.startswith("#")]
    assert len(names) == len(set(names)) > 15
    assert all(line.startswith(("#", "HFTLAB_", "EXCHANGE_")) for line in lines)
    for block in re.split(r"\n(?=#)", ENV.read_text()):
        assert block.startswith("#")
    assert TOP.keys() - set(names) <= {"HFTLAB_CONFIRM", "HFTLAB_RUN"}


def test_every_variable_that_the_code_reads_is_known():
    known = known_variables(known_entries() | {name: tuple(section.model_fields) for name, section in SECTIONS.items()})
    text = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "hftlab").rglob("*.py") if not path.name.startswith("config"))
    read = set(re.findall(r"""["'](HFTLAB_[A-Z_]*[A-Z])["']""", text))
    assert {"HFTLAB_CACHE_DIR", "HFTLAB_RUN"} <= read
    assert read <= known, f"add these to hftlab/config_names.py: {sorted(read - known)}"


def test_every_limit_has_a_variable():
    known = known_variables(known_entries())
    assert {f"HFTLAB_LIMITS__{name.upper()}" for name in Limits.__dataclass_fields__} <= known
