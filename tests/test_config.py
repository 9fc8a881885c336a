"""A session as a file: what is read, and what is refused before anything starts."""

import pytest
import yaml

import hftlab as hl
from hftlab.engine.config import read_config
from hftlab.errors import FormatError, InputError, UnknownName
from hftlab.params import UNLIMITED
from hftlab.venues.live.spec import LiveFeed, LiveVenue, check_live, live_feed_from_dict, live_venue_from_dict, words

GOOD = {
    "mode": "paper",
    "confirm": "",
    "run": "btc",
    "feed": {"instrument": "binanceusdm:BTC/USDT:USDT", "server": "http://127.0.0.1:9"},
    "venue": {"dead_man_s": 60, "latency": {"order_ms": 3}},
    "quoter": {"type": "FixedSpread", "order_qty": "0.002", "half_spread_ticks": 3},
    "limits": {"position_qty_max": "0.01", "order_qty_max": "0.002", "notional_quote_max": 2000, "loss_quote_max": 50},
}
LIMITS = hl.Limits(**GOOD["limits"])
PERP = hl.Instrument.bundled("binanceusdm:BTC/USDT:USDT")


def written(tmp_path, **changes):
    path = tmp_path / "session.yaml"
    path.write_text(yaml.safe_dump({k: v for k, v in (GOOD | changes).items() if v is not None}))
    return path


def test_from_paper_to_live_two_lines_change_and_nothing_else(tmp_path):
    paper = read_config(written(tmp_path))
    live = read_config(written(tmp_path, mode="live", confirm=words("binanceusdm")))
    assert paper["venue"] == LiveVenue("paper", dead_man_s=60, latency=hl.Latency(order_ms=3))
    assert live["venue"] == LiveVenue("live", words("binanceusdm"), dead_man_s=60, latency=hl.Latency(order_ms=3))
    assert {k: v for k, v in paper.items() if k != "venue"} == {k: v for k, v in live.items() if k != "venue"}


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"mode": "real"}, InputError, "wanted one of 'paper', 'shadow', 'live'"),
        ({"mode": None}, InputError, "lacks mode"),
        ({"limit": {}}, UnknownName, "limits"),
        ({"venue": {"confirm": "yes"}}, InputError, "at the top of the file"),
        ({"venue": {"dead_man": 3}}, UnknownName, "dead_man_s"),
        ({"venue": {"dead_man_s": 1}}, InputError, "at least 5 s"),
        ({"feed": {"server": "real"}}, InputError, "lacks instrument"),
        ({"feed": {"instrument": "binanceusdm:BTC/USDT:USDT", "server": "http://example.com"}}, InputError, "loopback"),
        ({"quoter": {"order_qty": "1"}}, InputError, "lacks type"),
    ],
)
def test_what_a_file_must_not_say(tmp_path, changes, error, says):
    with pytest.raises(error, match=says):
        read_config(written(tmp_path, **changes))


def test_what_is_no_file_of_a_session(tmp_path):
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(FormatError, match="holds list"):
        read_config(tmp_path / "list.yaml")
    with pytest.raises(FormatError, match="could not be read"):
        read_config(tmp_path / "absent.yaml")


def test_live_with_real_money_wants_the_words_the_limits_and_no_proxy():
    feed, live = LiveFeed(PERP), LiveVenue("live", words("binanceusdm"))
    check_live(feed, live, [LIMITS], {})
    check_live(feed, LiveVenue("shadow"), [hl.Limits(position_qty_max=1)], {"HTTPS_PROXY": "x"})
    with pytest.raises(InputError, match="wanted confirm='I trade real money on binanceusdm'"):
        check_live(feed, LiveVenue("live", "yes"), [LIMITS], {})
    with pytest.raises(InputError, match="https_proxy is set"):
        check_live(feed, live, [LIMITS], {"https_proxy": "http://127.0.0.1:1"})
    for gone in ("order_qty_max", "notional_quote_max"):
        less = {k: v for k, v in GOOD["limits"].items() if k != gone}
        assert getattr(hl.Limits(**less), gone) in (None, UNLIMITED)
        with pytest.raises(InputError, match=gone):
            check_live(feed, live, [hl.Limits(**less)], {})


def test_a_loopback_exchange_needs_no_words_whatever_address_it_plays():
    for feed in (
        LiveFeed(PERP, "http://127.0.0.1:9"),
        LiveFeed(PERP, proxy="http://127.0.0.1:9", ca_file="ca.pem"),
        LiveFeed(PERP, "testnet"),
    ):
        assert not feed.real
        check_live(feed, LiveVenue("live"), [LIMITS], {"HTTPS_PROXY": "x"})


def test_feed_and_venue_survive_the_way_to_the_engine():
    feed = LiveFeed((PERP, PERP), "testnet", record=True, seed=3)
    assert live_feed_from_dict(yaml.safe_load(yaml.safe_dump(feed.to_dict()))) == feed
    venue = LiveVenue("shadow", scope="the whole account", queue="log", fees=hl.Fees(maker_bps=1))
    again = live_venue_from_dict(yaml.safe_load(yaml.safe_dump(venue.to_dict())))
    assert again.to_dict() == venue.to_dict()
