"""Client order ids: there and back, and nobody else's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hftlab.errors import InputError
from hftlab.types import ORDERS
from hftlab.venues.live.ids import Ids, new_tag

VENUES = ("binance", "binanceusdm", "hyperliquid")
NUMBERS = st.integers(1, (1 << 37) - 1)


@given(number=NUMBERS, slot=st.integers(0, ORDERS - 1), generation=st.integers(0, 10_000), venue=st.sampled_from(VENUES))
def test_an_id_names_its_order_both_ways_and_fits_the_venue(number, slot, generation, venue):
    ids = Ids(venue, "abc123")
    order_id = number * ORDERS % (1 << 44) + slot or 1
    text = ids.client_id(order_id, generation)
    assert ids.parse(text) == (order_id, generation)
    assert len(text) <= 36
    assert Ids(venue, "abc124").parse(text) is None
    if venue == "hyperliquid":
        assert len(text) == 34  # 0x and 128 bits
        assert int(text, 16)


@given(text=st.text(max_size=40))
def test_whatever_others_call_their_orders_is_not_ours(text):
    for venue in VENUES:
        found = Ids(venue, "abc123").parse(text)
        assert found is None or Ids(venue, "abc123").client_id(*found) == text


@pytest.mark.parametrize(
    "text", ["habc123-", "habc123-0", "habc123-012", "habc123-5.0", "habc123-5.", "habc123--5", "xabc123-5", "habc123-5 "]
)
def test_what_only_looks_like_ours_is_not(text):
    assert Ids("binance", "abc123").parse(text) is None


def test_the_form_of_the_ids_by_hand():
    assert Ids("binance", "q1w2e3").client_id(1290) == "hq1w2e3-1290"
    assert Ids("binance", "q1w2e3").client_id(1290, 2) == "hq1w2e3-1290.2"
    assert Ids("hyperliquid", "q1w2e3").client_id(1290).endswith("000000000000050a")


@pytest.mark.parametrize("tag", ["", "abc12", "abc1234", "ABC123", "abc-12"])
def test_a_tag_that_is_none_is_refused(tag):
    with pytest.raises(InputError, match="six of a-z and 0-9"):
        Ids("binance", tag)


def test_an_order_that_no_id_can_hold_is_refused():
    with pytest.raises(InputError, match="no client id can hold"):
        Ids("hyperliquid", "abc123").client_id(1 << 44)
    with pytest.raises(InputError, match="no client id can hold"):
        Ids("binance", "abc123").client_id(5, 1 << 20)


def test_new_tags_can_be_used_and_differ():
    tags = {new_tag() for _ in range(50)}
    assert len(tags) == 50
    assert all(Ids("binance", tag).client_id(1) for tag in tags)
