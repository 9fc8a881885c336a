"""The live engine against a loopback exchange: what it believes at the end is what the venue knows, whatever happened in between."""

import functools
import json

import numpy as np
import pytest
from live_rig import (
    SKINS,
    again,
    agree,
    book_is_true,
    calm,
    die,
    files_with_secrets,
    held_lots,
    journal,
    kept_requests,
    open_orders,
    place,
    secrets_of,
    session,
    submits_before_link,
    trade,
    two_venues,
)

import hftlab as hl
from benchmarks.drills.desk import SYMBOLS, Desk, differences, fresh_environment, spec_of, truth_of
from hftlab.backtesting.replay import replay
from hftlab.engine import lines
from hftlab.errors import HftlabError, InputError
from hftlab.types import ACCEPTED, ACTIVE, BID, FILL, HALTED, LINK, ORDERS, PAYMENT
from hftlab.venues.live.gateway_policy import Policy
from hftlab.venues.live.ids import Ids
from hftlab.venues.live.keys import Keys
from hftlab.venues.live.spec import LiveFeed, LiveVenue, words
from hftlab.venues.server.config import VenueConfig
from hftlab.venues.server.faults import Fault
from hftlab.venues.server.serve import LoopbackVenue

SPOT, PERP = "binance", "binanceusdm"


@pytest.fixture(scope="module")
def venue():
    fresh_environment()
    # All sessions come from one address: together they may ask more than one of them alone.
    roomy = {"hyperliquid": {"weight_per_min": 10**6, "schedule_traded_quote_min": 0}}
    with LoopbackVenue(VenueConfig(seed=7, tls=False, limits=roomy)) as started:
        yield started


@pytest.fixture
def desks():
    """Return a list; the sessions that are put there are stopped at the end, however the test went."""
    made: list[Desk] = []
    yield made
    for desk in made:
        if desk.failure is None:
            desk.end()


# --- a session ---
@pytest.mark.parametrize("skin", SKINS)
def test_a_session_ends_with_what_the_venue_knows(venue, desks, tmp_path, skin):
    desk = session(tmp_path / "run", venue, skin)
    desks.append(desk)
    trade(desk, venue, 4)
    for _ in range(3):
        desk.until(lambda: book_is_true(desk, venue) is not None, "a book of the venue's ids")
        assert book_is_true(desk, venue) is not False
    desk.halt()
    agree(desk, venue)
    look, truth = desk.look(), truth_of(venue, skin, desk.spec)
    assert truth.fills >= 4
    assert (look.position, look.working, look.state) == (truth.position, 0, HALTED)
    desk.end()
    assert not desk._thread.is_alive()
    assert not open_orders(desk, venue)
    assert files_with_secrets(desk.folder, venue) == []


def test_the_venues_switch_is_armed_while_a_session_runs_and_disarmed_when_it_ends(venue, desks, tmp_path):
    switches, account = venue.skins[PERP].orders.countdowns, (venue.account(PERP), "BTCUSDT")
    desk = session(tmp_path / "run", venue, PERP)
    desks.append(desk)
    desk.until(lambda: venue.call(lambda: account in switches), "the switch is armed")
    left_s = venue.call(lambda: switches[account] - venue.cores[PERP].now_ns()) / 1e9
    assert 0 < left_s <= 60
    desk.end()
    assert not venue.call(lambda: account in switches)


# --- modes ---
def test_paper_shadow_and_live_differ_in_the_mode_alone(venue, desks, tmp_path):
    specs = {mode: spec_of(PERP, venue.url, mode=mode) for mode in ("paper", "shadow", "live")}
    told = {}
    for mode, spec in specs.items():
        desk = Desk(tmp_path / mode, spec, PERP)
        desks.append(desk.start())
        told[mode] = desk.driver.figures.to_dict()
        assert (spec.quoters, spec.limits) == (specs["live"].quoters, specs["live"].limits)
        assert spec.venue.to_dict() | {"mode": "live"} == specs["live"].venue.to_dict()
    assert truth_of(venue, PERP, specs["live"]).orders > 0
    for mode in ("paper", "shadow"):
        assert truth_of(venue, PERP, specs[mode]).orders == 0
        assert "gateways" not in told[mode]
    assert [mode for mode in told if "divergence" in told[mode]] == ["shadow"]
    assert {stream["name"] for stream in told["paper"]["streams"]} == {stream["name"] for stream in told["live"]["streams"]}


@pytest.mark.parametrize("skin", SKINS)
def test_shadow_mode_keeps_what_live_would_have_sent_and_sends_nothing(venue, desks, tmp_path, skin):
    sent_before = len(venue.truth(skin)["orders"])
    desk = Desk(tmp_path / "run", spec_of(skin, venue.url, mode="shadow"), skin)
    kept = kept_requests(desk)
    desks.append(desk.start())
    desk.until(lambda: sum(map(len, kept)) >= 8, "eight requests")
    divergence = desk.driver.figures.to_dict()["divergence"]
    desk.end()
    requests, ids = np.concatenate(kept), Ids(skin, desk.spec.tag)
    written = [json.loads(line) for line in (desk.folder / "shadow.jsonl").read_text().splitlines()]
    assert [line["order_id"] for line in written] == requests["order_id"].tolist()
    for line, row in zip(written, requests, strict=True):
        assert ids.client_id(int(row["order_id"])) in line["wire"]
        assert "signature" not in line["wire"]
        assert "apiKey" not in line["wire"]
    assert b"nobody" not in (desk.folder / "shadow.jsonl").read_bytes()
    assert {"optimistic", "modelled", "pessimistic", "sure_share"} <= set(divergence)
    assert truth_of(venue, skin, desk.spec).orders == 0
    assert len(venue.truth(skin)["orders"]) == sent_before
    kinds = journal(desk.folder)["kind"]
    assert not ((kinds >= ACCEPTED) & (kinds <= PAYMENT)).any()
    assert files_with_secrets(desk.folder, venue) == []


# --- restarts ---
@pytest.mark.parametrize("skin", SKINS)
def test_an_engine_that_died_reconciles_before_it_quotes(venue, desks, tmp_path, skin):
    place(venue, skin, BID, "0.02", tif="IOC")  # what the account holds before the run is not the run's
    before = 0 if skin == SPOT else held_lots(venue, skin)
    desk = session(tmp_path / "run", venue, skin)
    trade(desk, venue, 2)
    calm(desk, venue)
    rows = die(desk)
    known = truth_of(venue, skin, desk.spec).fills
    missed = open_orders(desk, venue)[0]
    orphan = place(venue, skin, BID, "0.01", below=0.9, client_id=Ids(skin, desk.spec.tag).client_id((1 << 30) * ORDERS))
    venue.do("fill_order", skin=skin, symbol=SYMBOLS[skin], lots=missed.leaves_lots, order_id=missed.order_id)
    assert len(open_orders(desk, venue)) == 2
    assert truth_of(venue, skin, desk.spec).fills > known

    resumed = again(desk, rows)
    desks.append(resumed)
    assert submits_before_link(desk.folder, rows) == 0
    fills = journal(desk.folder)
    fills = fills[rows:][fills["kind"][rows:] == FILL]
    assert missed.leaves_lots <= int(fills["qty_lots"].sum())
    resumed.until(lambda: orphan.order_id not in [one.order_id for one in open_orders(resumed, venue)], "the orphan is cancelled")
    assert any("the engine does not have it" in text for text in resumed.said())
    resumed.halt()
    agree(resumed, venue)
    assert not [text for text in resumed.said() if "position differs" in text]
    if skin != SPOT:
        assert held_lots(venue, skin) - resumed.look().position == before


def test_funding_of_the_time_in_which_no_engine_ran_is_booked_once(venue, desks, tmp_path):
    desk = session(tmp_path / "run", venue, PERP)
    calm(desk, venue)
    order = open_orders(desk, venue)[0]
    venue.do("fill_order", skin=PERP, symbol=SYMBOLS[PERP], lots=order.leaves_lots, order_id=order.order_id)
    desk.until(lambda: desk.look().position != 0, "it holds something")
    rows = die(desk)
    venue.do("fund", skin=PERP, symbol=SYMBOLS[PERP], rate="0.01")
    worth = abs(held_lots(venue, PERP)) * order.price_ticks

    def booked() -> int:
        """Count the payments that no fee is large enough to be."""
        found = journal(desk.folder)
        return int((abs(found[found["kind"] == PAYMENT]["qty_lots"]) > worth // 200).sum())

    for _ in range(2):  # the second start asks for the same time, and knows what came of it
        desk = again(desk, rows)
        desks.append(desk)
        desk.until(booked, "the funding is told")
        desk.halt()
        desk.until(lambda: list(differences(desk, venue)) == ["money_e8"], "all agrees but the funding, which is no fill's")  # noqa: B023
        assert booked() == 1
        rows = die(desk)


def test_a_halt_outlives_the_engine_and_ends_by_a_person_alone(venue, desks, tmp_path):
    desk = session(tmp_path / "run", venue, PERP)
    desk.halt()
    rows = die(desk)
    resumed = again(desk, rows)
    desks.append(resumed)
    resumed.until(lambda: resumed.driver.verified, "the halt is verified again")
    assert resumed.look().state == HALTED
    assert truth_of(venue, PERP, desk.spec).open_orders == 0
    assert submits_before_link(desk.folder, rows) == 0
    resumed.command("resume")
    resumed.until(lambda: resumed.look().working >= 2, "it quotes again")


# --- the line to the venue ---
@pytest.mark.parametrize("skin", [PERP])
def test_without_a_user_stream_the_quotes_are_withdrawn_until_all_is_compared(venue, desks, tmp_path, skin):
    desk = session(tmp_path / "run", venue, skin)
    desks.append(desk)
    rows = len(journal(desk.folder))
    looks = desk.driver._lines[0].gateway.reconciler.looks
    venue.add_fault(Fault("refuse_dials", skin=skin, path="/private/*", s=60.0))
    desk.until(lambda: not open_orders(desk, venue) and desk.look().working == 0, "the quotes are withdrawn")
    assert not desk.look().valid
    venue.clear_faults()
    desk.until(lambda: desk.look().working >= 2, "it quotes again")
    told = journal(desk.folder)[rows:]
    assert told["qty_lots"][told["kind"] == LINK].tolist() == [0, 1]
    assert desk.driver._lines[0].gateway.reconciler.looks > looks
    desk.halt()
    agree(desk, venue)


def test_a_position_that_nothing_explains_halts_the_desk_until_a_person_resumes(venue, desks, tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "Policy", functools.partial(Policy, gone_s=0.5, disagree_s=0.1))
    desk = session(tmp_path / "run", venue, SPOT, reconcile_s=1.0)
    desks.append(desk)
    reconciler = desk.driver._lines[0].gateway.reconciler

    def looked(times):
        looks = reconciler.looks
        desk.until(lambda: reconciler.looks >= looks + times, f"{times} looks at the account")

    # Somebody else's trade on the account is a fill that is not ours, and it explains itself, with the fee that it took in coins. It is
    # large enough to trade with our own ask as well: then one trade id is of two fills.
    place(venue, SPOT, BID, "0.5", tif="IOC")
    looked(3)
    assert (desk.look().state, reconciler.differences) == (ACTIVE, [])
    desk.until(lambda: desk.look().position == truth_of(venue, SPOT, desk.spec).position, "the position is that of our own fills")

    # Coins that no fill brought are not.
    venue.do("deposit", skin=SPOT, asset="BTC", amount="0.5")
    desk.until(lambda: desk.look().state == HALTED and desk.driver.verified, "the desk is halted")
    assert [text for text in desk.said() if "position differs and nothing explains it" in text and "halt" not in text]
    assert truth_of(venue, SPOT, desk.spec).open_orders == 0
    looked(3)
    assert desk.look().state == HALTED
    desk.command("resume")
    desk.until(lambda: desk.look().working >= 2, "it quotes again")


# --- the journal ---
def test_a_live_journal_replayed_gives_the_requests_and_the_state_byte_for_byte(venue, desks, tmp_path):
    desk = Desk(tmp_path / "run", spec_of(PERP, venue.url), PERP)
    kept = kept_requests(desk)
    desks.append(desk.start())
    trade(desk, venue, 4)
    desk.until(lambda: sum(map(len, kept)) >= 30, "thirty requests")
    desk.end()
    found = replay(desk.folder)
    requests = np.concatenate(kept)
    assert len(requests) >= 30
    assert found.requests.tobytes() == requests.tobytes()
    assert found.digest == desk.driver.state.digest()
    assert found.published is True


def test_one_desk_at_two_venues(venue, desks, tmp_path):
    spec = two_venues(venue.url, (SPOT, PERP))
    desk = Desk(tmp_path / "run", spec, SPOT)
    desks.append(desk.start(quoting=False))
    markets = desk.driver.state.markets
    desk.until(lambda: desk.on_loop(lambda: bool((markets["working"] >= 2).all())), "it quotes at both")
    for skin in (SPOT, PERP):
        trade(desk, venue, 2, skin)
    desk.halt()

    def truths():
        return [truth_of(venue, skin, spec) for skin in (SPOT, PERP)]

    desk.until(lambda: desk.on_loop(markets["position_lots"].tolist) == [one.position for one in truths()], "both positions agree")
    assert [one.open_orders for one in truths()] == [0, 0]
    rows = journal(desk.folder)
    for number, skin in enumerate((SPOT, PERP)):
        told = rows["seq"][(rows["kind"] == FILL) & (rows["instrument"] == number)].tolist()
        ids = Ids(skin, spec.tag)
        ours = [fill["trade_id"] for fill in venue.truth(skin)["fills"] if ids.parse(fill["client_id"]) is not None]
        assert len(ours) >= 2
        assert sorted(told) == sorted(ours)


# --- secrets and refusals ---
@pytest.mark.parametrize("skin", SKINS)
def test_keys_that_are_refused_are_told_without_the_keys(venue, tmp_path, monkeypatch, skin):
    true = lines.keys_of

    def wrong(where):
        keys = true(where)
        if where.venue == "hyperliquid":
            return Keys.of("", "", "", keys.wallet.get_secret_value(), "0x" + "7" * 64)
        return Keys.of(keys.key.get_secret_value(), "f" * 64)

    monkeypatch.setattr(lines, "keys_of", wrong)
    desk = Desk(tmp_path / "run", spec_of(skin, venue.url), skin).start(quoting=False)
    if skin == "hyperliquid":  # it does not sign in: the first order is refused, and that halts the desk
        desk.until(lambda: desk.look().state == HALTED, "the desk is halted")
        assert any("refuses the keys" in text for text in desk.said())
        die(desk)
    else:
        desk._thread.join(30)
        assert isinstance(desk.failure, HftlabError)
    told = f"{desk.failure!r} {desk.failure.__cause__!r} {desk.failure.__context__!r} {desk.said()}".encode()
    for secret in [*secrets_of(venue), b"f" * 64, b"7" * 64]:
        assert secret not in told
    assert files_with_secrets(desk.folder, venue) == []


def test_nothing_is_written_for_a_session_that_may_not_start(tmp_path, monkeypatch):
    perp = hl.Instrument.bundled("binanceusdm:BTC/USDT:USDT")
    quoter = hl.FixedSpread(order_qty="0.002", half_spread_ticks=3)
    limits = hl.Limits(position_qty_max="0.01", order_qty_max="0.002", notional_quote_max=2000, loss_quote_max=50)
    typed = LiveVenue("live", words(PERP))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    for venue_of, limit, says in (
        (typed, limits, "HTTPS_PROXY is set"),
        (LiveVenue("live"), limits, "proxy"),
        (typed, hl.Limits(position_qty_max="0.01"), "order_qty_max"),
    ):
        with pytest.raises(InputError, match=says):
            hl.start(LiveFeed(perp), venue_of, quoter, limit, run=tmp_path / "run")
    monkeypatch.delenv("HTTPS_PROXY")
    with pytest.raises(InputError, match="I trade real money on binanceusdm"):
        hl.start(LiveFeed(perp), LiveVenue("live", "I trade"), quoter, limits, run=tmp_path / "run")
    assert not (tmp_path / "run").exists()
