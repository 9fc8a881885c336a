"""A session whose streams are read twice: nothing is told twice, and it goes on with the second ones when the first are gone."""

from dataclasses import replace

import numpy as np
import pytest
from live_rig import book_is_true

import hftlab as hl
from benchmarks.drills.desk import Desk, spec_of
from hftlab.data import journal as jn
from hftlab.engine.spec import load_spec
from hftlab.errors import InputError
from hftlab.types import BACKFILL, CLEAR, DEPTH, GAP, SNAPSHOT, TRADE
from hftlab.venues.server.serve import LoopbackVenue

SKIN = "binanceusdm"
PERP = hl.Instrument.bundled("binanceusdm:BTC/USDT:USDT")


def paper(folder, server, backup):
    spec = spec_of(SKIN, server, mode="paper")
    return Desk(folder, replace(spec, feed=replace(spec.feed, backup=backup)), SKIN)


def loopback(seed):
    return LoopbackVenue(skins=(SKIN,), tls=False, seed=seed)


def test_with_a_backup_the_book_goes_on_when_the_server_is_gone(tmp_path):
    with loopback(seed=1) as first, loopback(seed=2) as second:
        desk = paper(tmp_path / "run", first.url, second.url).start()
        # Whichever is whole first leads, and a machine may let either be it.
        desk.until(lambda: book_is_true(desk, first) or book_is_true(desk, second), "the book of one of them")
        lead, other, number = (first, second, 2) if book_is_true(desk, first) else (second, first, 1)
        desk.until(lambda: len(desk.driver._lines[0].streams()) == 8 and all(one["up"] for one in desk.driver._lines[0].streams()), "both")
        desk.until(lambda: all(view.whole for view in desk.driver._lines[0].reader._markets[0].views), "both books")
        desk.until(lambda: book_is_true(desk, lead), "the book of the one that leads")
        lead.stop()
        desk.until(lambda: book_is_true(desk, other), "the other one's book")
        desk.until(lambda: desk.look().working >= 2, "it quotes on")
        desk.end()
    assert any(f"reader {number} goes on" in text for text in desk.said())
    rows = jn.read(tmp_path / "run" / "journal")
    # The other venue's book is told from its beginning, after word that the first one's does not count any more.
    kinds = rows["kind"][np.isin(rows["kind"], (GAP, CLEAR))].tolist()
    assert kinds[-2:] == [GAP, CLEAR]
    assert kinds.count(CLEAR) >= 2


def test_two_connections_to_one_server_tell_nothing_twice(tmp_path):
    with loopback(seed=3) as venue:
        desk = paper(tmp_path / "run", venue.url, venue.url).start()
        desk.until(lambda: sum(one["messages"] > 50 for one in desk.driver._lines[0].streams()) >= 4, "both speak")
        desk.until(lambda: book_is_true(desk, venue), "the book")
        desk.end()
    rows = jn.read(tmp_path / "run" / "journal")
    prints = rows["seq"][(rows["kind"] == TRADE) & (rows["flags"] & BACKFILL == 0)]
    assert len(prints) > 10
    assert len(np.unique(prints)) == len(prints)
    diffs = rows[(rows["kind"] == DEPTH) & (rows["flags"] & SNAPSHOT == 0)]
    assert (np.diff(diffs["seq"]) >= 0).all()


def test_the_backup_is_part_of_the_run(tmp_path):
    desk = paper(tmp_path / "run", "http://127.0.0.1:1", "http://127.0.0.1:2")
    assert load_spec(desk.folder).feed.backup == "http://127.0.0.1:2"
    desk.driver._journal.close()
    desk.driver._snapshot.close()


@pytest.mark.parametrize(
    ("server", "backup"),
    [
        ("real", "testnet"),
        ("testnet", "real"),
        ("real", "http://127.0.0.1:1"),
        ("http://127.0.0.1:1", "real"),
        ("real", "https://evil.example"),
    ],
)
def test_a_backup_that_shows_another_market_is_refused(server, backup):
    with pytest.raises(InputError, match=r"[Ww]anted"):
        hl.LiveFeed(PERP, server=server, backup=backup)


@pytest.mark.parametrize("server", ["real", "testnet", "http://127.0.0.1:1"])
def test_a_second_connection_to_the_same_place_is_a_backup(server):
    assert hl.LiveFeed(PERP, server=server, backup=server).backup == server
