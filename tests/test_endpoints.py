"""Where venues live, and whose keys go there: real money is reached by name only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from hftlab.errors import InputError
from hftlab.venues.live.endpoints import OWN_READERS, endpoint
from hftlab.venues.live.keys import Keys, keys_for

LOOPBACK = "http://127.0.0.1:8123"


def every_url(value):
    if isinstance(value, dict):
        for inner in value.values():
            yield from every_url(inner)
    elif isinstance(value, str) and "://" in value:
        yield value


@pytest.mark.parametrize("venue", OWN_READERS)
def test_the_three_kinds_of_place_have_the_same_addresses_and_share_none(venue):
    real, testnet, loopback = endpoint(venue), endpoint(venue, "testnet"), endpoint(venue, LOOPBACK)
    assert (real.kind, testnet.kind, loopback.kind) == ("real", "testnet", "loopback")
    assert set(real.urls) == set(testnet.urls) == set(loopback.urls)
    assert not set(real.urls.values()) & set(testnet.urls.values())
    assert all("127.0.0.1:8123/" + venue in url for url in [*loopback.urls.values(), *every_url(loopback.ccxt)])
    assert not any("127.0.0.1" in url for kind in (real, testnet) for url in [*kind.urls.values(), *every_url(kind.ccxt)])


def test_the_two_traps_of_ccxt_are_stepped_over():
    # ccxt 4.5 pro/binance.py: is_spot_url looks for '/stream'; get_ws_url rewrites a linear address that ends in exactly '/ws'.
    spot = endpoint("binance", LOOPBACK).ccxt["urls"]["api"]["ws"]
    linear = endpoint("binanceusdm", LOOPBACK).ccxt["urls"]["api"]["ws"]
    assert "/stream" in spot["spot"]
    assert "/stream" not in linear["linear"]
    assert linear["linear"].endswith("/ws")


def test_a_venue_known_to_ccxt_only_has_a_real_place_and_no_loopback_one():
    assert endpoint("kraken").kind == "real"
    with pytest.raises(InputError, match="does not speak 'kraken'"):
        endpoint("kraken", LOOPBACK)


@given(st.one_of(st.text(max_size=40), st.from_regex(r"(https?|wss?)://[a-z0-9.\-]{1,30}(:[0-9]{1,5})?(/[a-z]*)?", fullmatch=True)))
def test_whatever_the_server_is_called_it_is_known_or_on_this_machine(server):
    if server == "testnet":
        return
    try:
        found = endpoint("binance", server)
    except InputError:
        return
    assert found.kind == "loopback"
    assert all("://127.0.0.1:" in url or "://localhost:" in url for url in found.urls.values())


@pytest.mark.parametrize(
    "server", ["https://127.0.0.1:80", "http://127.0.0.1", "http://127.0.0.1.evil.example:80", "http://me@127.0.0.1:80/x"]
)
def test_a_server_that_only_looks_like_this_machine_is_refused(server):
    with pytest.raises(InputError, match="server was"):
        endpoint("binance", server)


def test_an_endpoint_with_a_proxy_is_never_a_real_one():
    through = endpoint("binance", proxy="http://127.0.0.1:9", ca_file="ca.pem")
    assert through.kind == "loopback"
    assert through.urls == endpoint("binance").urls
    assert through.ccxt["httpsProxy"] == through.ccxt["wssProxy"] == "http://127.0.0.1:9"
    with pytest.raises(InputError, match="proxy was"):
        endpoint("binance", proxy="http://proxy.example:3128", ca_file="ca.pem")
    with pytest.raises(InputError, match="without ca_file"):
        endpoint("binance", proxy="http://127.0.0.1:9")
    with pytest.raises(InputError, match="pass one of them"):
        endpoint("binance", "testnet", proxy="http://127.0.0.1:9", ca_file="ca.pem")


@pytest.fixture
def no_keys(monkeypatch, tmp_path):
    import os

    for name in list(os.environ):
        if name.upper().startswith(("HFTLAB_", "EXCHANGE_")) and name != "HFTLAB_CACHE_DIR":
            monkeypatch.delenv(name)
    return monkeypatch


def test_keys_come_from_the_environment_and_are_not_shown(no_keys):
    no_keys.setenv("HFTLAB_BINANCEUSDM_KEY", "public-part")
    no_keys.setenv("HFTLAB_BINANCEUSDM_SECRET", "hush-hush")
    keys = keys_for(endpoint("binanceusdm"), env_file=None)
    assert keys.secret.get_secret_value() == "hush-hush"
    assert "hush" not in repr(keys)
    assert "public" not in repr(keys)


def test_keys_come_from_a_file_and_the_environment_goes_before_it(no_keys, tmp_path):
    file = tmp_path / ".env"
    file.write_text("HFTLAB_HYPERLIQUID_WALLET=0xfile\nHFTLAB_HYPERLIQUID_PRIVATE_KEY=0xkey\nEXCHANGE_API_SECRET=other\n")
    assert keys_for(endpoint("hyperliquid"), file).wallet.get_secret_value() == "0xfile"
    no_keys.setenv("HFTLAB_HYPERLIQUID_WALLET", "0xenv")
    assert keys_for(endpoint("hyperliquid"), file).wallet.get_secret_value() == "0xenv"


def test_keys_of_the_real_venue_do_not_go_to_its_testnet(no_keys):
    no_keys.setenv("HFTLAB_BINANCE_KEY", "a")
    no_keys.setenv("HFTLAB_BINANCE_SECRET", "b")
    with pytest.raises(InputError, match="HFTLAB_BINANCE_TESTNET_KEY and HFTLAB_BINANCE_TESTNET_SECRET"):
        keys_for(endpoint("binance", "testnet"), env_file=None)


def test_the_common_names_serve_the_venue_that_they_name(no_keys):
    no_keys.setenv("EXCHANGE_NAME", "Binance")
    no_keys.setenv("EXCHANGE_API_KEY", "a")
    no_keys.setenv("EXCHANGE_API_SECRET", "b")
    assert keys_for(endpoint("binance"), env_file=None) == Keys(SecretStr("a"), SecretStr("b"))
    for other in (endpoint("binanceusdm"), endpoint("binance", "testnet")):
        with pytest.raises(InputError, match="wanted HFTLAB_BINANCE"):
            keys_for(other, env_file=None)


def test_half_a_pair_is_none_and_the_error_names_no_value(no_keys):
    no_keys.setenv("HFTLAB_BINANCE_SECRET", "hush-hush")
    with pytest.raises(InputError, match="HFTLAB_BINANCE_KEY") as caught:
        keys_for(endpoint("binance"), env_file=None)
    assert "hush" not in str(caught.value)


def test_a_loopback_exchange_never_sees_keys_of_the_environment(no_keys):
    no_keys.setenv("HFTLAB_BINANCE_KEY", "a")
    no_keys.setenv("HFTLAB_BINANCE_SECRET", "b")
    for place in (endpoint("binance", LOOPBACK), endpoint("binance", proxy="http://127.0.0.1:9", ca_file="ca.pem")):
        with pytest.raises(InputError, match="never given keys from the environment"):
            keys_for(place)
