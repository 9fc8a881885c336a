"""One session in its three modes against a loopback exchange, in processes of their own as a person has them; and how it leaves them."""

import asyncio
import json
from decimal import Decimal
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

import hftlab as hl
from hftlab import cli
from hftlab.engine.live import LiveDriver
from hftlab.errors import InputError
from hftlab.types import ACTIVE, DEPTH, HALTED
from hftlab.venues.server.picture import Resting

PERP = hl.Instrument.bundled("binanceusdm:BTC/USDT:USDT")
QUOTER = {"order_qty": "0.01", "half_spread_ticks": 0.5, "skew_ticks_per_order": 1.0}
LIMITS = {"position_qty_max": "0.05", "order_qty_max": "0.02", "notional_quote_max": 10_000, "loss_quote_max": 200}
WAIT_S = 60.0


@pytest.fixture(scope="module")
def venue():
    with hl.LoopbackVenue(skins=("binanceusdm",), tls=False) as running:
        yield running


def begin(venue, folder, mode, **terms):
    feed = hl.LiveFeed(PERP, server=venue.url)
    return hl.start(feed, hl.LiveVenue(mode, **terms), hl.FixedSpread(**QUOTER), hl.Limits(**LIMITS), run=folder / mode)


def ours(venue, session):
    """Return what the venue knows of a run: its orders and fills carry the run's tag."""
    tag = yaml.safe_load((session.directory / "spec.yaml").read_text())["tag"]
    truth = venue.truth("binanceusdm")
    return [[one for one in truth[what] if one["client_id"].startswith(f"h{tag}-")] for what in ("orders", "fills")]


def test_paper_fills_here_and_sends_nothing(venue, tmp_path):
    session = begin(venue, tmp_path, "paper", fees=hl.Fees(maker_bps=2))
    session.wait(lambda f: len(f.fills()) > 0, WAIT_S)
    report = session.stop()
    assert report.summary()["fills"] > 0
    assert ours(venue, session) == [[], []]
    assert not (session.directory / "shadow.jsonl").exists()


def test_shadow_keeps_what_live_would_have_sent_and_sends_nothing(venue, tmp_path):
    session = begin(venue, tmp_path, "shadow")
    frame = session.wait(lambda f: f.engine["divergence"]["modelled"]["fills"] > 0, WAIT_S)
    report = session.stop()
    lines = [json.loads(line) for line in (session.directory / "shadow.jsonl").read_text().splitlines()]
    assert [line["kind"] for line in lines].count("SUBMIT") == report.desk["submits"]
    first = json.loads(lines[0]["wire"])
    assert first["method"] == "order.place"
    assert (first["params"]["symbol"], first["params"]["timeInForce"]) == ("BTCUSDT", "GTX")
    assert not {"apiKey", "signature", "timestamp"} & set(first["params"])
    assert frame.engine["divergence"]["modelled"]["fills"] <= len(report.frame())
    assert ours(venue, session) == [[], []]


def test_live_ends_as_the_venue_says_to_the_last_fee(venue, tmp_path):
    # The schedule charges nothing, so that every fee of the venue comes as a payment: the report must still add up.
    session = begin(venue, tmp_path, "live")
    frame = session.wait(lambda f: len(f.fills()) > 1 and f.engine["clock_offset_ms"] is not None, WAIT_S)
    assert frame.engine["gateways"][0]["reconciles"] > 0
    report = session.stop()
    orders, fills = ours(venue, session)
    assert not [one for one in orders if one["status"] in ("NEW", "PARTIALLY_FILLED")]
    assert report.summary()["fills"] == len(fills)
    assert report.ledgers[0].position_lots == sum(one["side"] * one["qty_lots"] for one in fills)
    fees = sum(Decimal(one["fee"]) for one in fills)
    assert report.pnl_table()["funding"].iloc[0] == pytest.approx(-float(fees), abs=1e-9)
    # The venue's own acceptances are in the report: an order's way there and back was measured.
    assert report.latency().loc["entry", "count"] == len(orders)
    # What estimators read of it is the market without our lots: by its journal alone almost what a look back over the whole makes of it.
    again = hl.replay(session)
    exact, shown, read = again.tape().rows, again.market(), np.concatenate(list(session.chunks()))
    exact, shown, read = (rows[rows["kind"] == DEPTH] for rows in (exact, shown, read))
    ours_shown = np.count_nonzero(shown["qty_lots"] != exact["qty_lots"])
    assert ours_shown > 10
    assert np.count_nonzero(read["qty_lots"] != exact["qty_lots"]) < ours_shown / 4
    picture = Resting(venue.truth("binanceusdm"))
    assert picture.orders[-1] == 0
    assert "<path" in picture._repr_html_()


def test_a_file_is_run_and_stopped_from_the_command_line(venue, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    values = {
        "mode": "paper",
        "run": "from-file",
        "feed": {"instrument": "binanceusdm:BTC/USDT:USDT", "server": venue.url},
        "quoter": {"type": "FixedSpread"} | QUOTER,
        "limits": LIMITS,
    }
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(values))
    assert cli.main(["run", "s.yaml"]) == 0
    try:
        assert "<Session from-file: binanceusdm:BTC/USDT:USDT, running>" in capsys.readouterr().out
        assert cli.main(["run", "s.yaml"]) == 1
        assert "RunInUse" in capsys.readouterr().err
    finally:
        assert cli.main(["stop", "runs/from-file"]) == 0


def test_what_rests_is_told_and_waited_for(venue):
    core = venue.cores["binanceusdm"]
    from hftlab.venues.server.model import NewOrder

    account = venue.account("binanceusdm")
    order = venue.call(lambda: core.place(account, NewOrder("BTCUSDT", 1, 10, core.book("BTCUSDT", 50).bids[-1][0])))
    assert [one["order_id"] for one in venue.resting()] == [order.order_id]
    with pytest.raises(TimeoutError, match="there rest"):
        venue.wait(lambda v: not v.resting(), timeout_s=0.05)
    venue.call(lambda: core.cancel(account, "BTCUSDT", order_id=order.order_id))
    assert venue.wait(lambda v: not v.resting()) >= 0


def test_live_with_limits_that_nobody_chose_does_not_start(venue, tmp_path):
    feed = hl.LiveFeed(PERP, server=venue.url)
    with pytest.raises(InputError, match="order_qty_max"):
        hl.start(feed, hl.LiveVenue("live"), hl.FixedSpread(**QUOTER), hl.Limits(position_qty_max="0.05"), run=tmp_path / "no")
    assert not (tmp_path / "no").exists()


class Line:
    """A line to a venue that confirms a halt when `answers` is set."""

    def __init__(self, *, answers):
        self.answers = asyncio.Event()
        if answers:
            self.answers.set()
        self.halts = self.confirmed = self.reopened = 0

    async def halt(self):
        self.halts += 1
        await self.answers.wait()
        self.confirmed += 1

    def reopen(self):
        self.reopened += 1


def test_a_venue_that_does_not_answer_holds_up_no_other_and_a_resume_ends_what_a_halt_began():
    async def story():
        deaf, other = Line(answers=False), Line(answers=True)
        driver = object.__new__(LiveDriver)
        driver._lines, driver._verifying, driver._halted, driver.verified = [deaf, other], None, False, False

        async def turn(state):
            driver.state = SimpleNamespace(desk=[{"state": state, "flattening": 0}])
            for _ in range(5):
                driver._look_after_halt()
                await asyncio.sleep(0)

        await turn(HALTED)
        assert (deaf.halts, other.confirmed, driver.verified) == (1, 1, False)
        await turn(ACTIVE)
        deaf.answers.set()
        await turn(ACTIVE)
        assert (deaf.reopened, deaf.confirmed) == (1, 0)  # else it would go on cancelling, the new quotes too
        await turn(HALTED)
        assert (deaf.halts, other.halts, driver.verified) == (2, 2, True)

    asyncio.run(story())
