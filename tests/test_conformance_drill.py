"""The conformance drill itself: what is so at the venue passes, and a book that is wrong on the wire does not."""

import asyncio

import pytest

from benchmarks.drills import conformance
from benchmarks.drills.conform import others
from benchmarks.drills.conform.desk import Witness
from hftlab.venues.server.config import VenueConfig
from hftlab.venues.server.serve import LoopbackVenue


@pytest.fixture(scope="module")
def venue():
    with LoopbackVenue(VenueConfig(skins=("binanceusdm",), seed=11, tls=False)) as running:
        yield running


def test_the_drill_finds_a_book_that_is_wrong_on_the_wire_and_nothing_else(venue):
    witness = venue.call(lambda: Witness(venue.cores["binanceusdm"]))
    venue.add_fault("missing_deletion", every=5, times=0)
    cells = asyncio.run(conformance.session(venue, "binanceusdm", "url", witness))
    wrong = {name for name, text in cells.items() if text.startswith("✗")}
    assert wrong == {"watch_order_book = the true book"}, cells
    assert "books differ" in cells["watch_order_book = the true book"]
    said, differing = conformance.summary({("binanceusdm", "url"): cells})
    assert differing == 1
    assert said.startswith(f"{len(cells)} cells")


def test_clients_that_are_not_installed_are_said_to_be_skipped(venue, tmp_path):
    cells = others.run(venue, tmp_path)
    assert {text for some in cells.values() for text in some.values()} == {"– not installed: skipped"}
    assert conformance.summary(cells)[1] == 0
