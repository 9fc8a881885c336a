"""`hl.study_signal`: what is there is found, what is not is not, the future stays unknown, and the figures by another way."""

import numpy as np
import pytest

import hftlab as hl
from benchmarks import flow_truth as ft
from hftlab.analytics.signals import study as ss
from hftlab.analytics.signals.player import Player, mid_ticks
from hftlab.analytics.signals.study_stats import Blocks, correlation, deciles, ranks, sign_flips
from hftlab.errors import InputError, UnknownName
from hftlab.types import ASK, BID, LAST, TRADE

S = 1_000_000_000
SHORT = (0.5, 1.0, 2.0)


@pytest.fixture(scope="module")
def tape():
    return hl.sample()


@pytest.fixture(scope="module")
def study(tape):
    rng = np.random.default_rng(3)
    frame = ss.features(tape)
    ahead = np.nan_to_num(frame["mid_ticks"].shift(-10) - frame["mid_ticks"])
    signals = {
        "imbalance": "imbalance",
        "planted": ahead + rng.normal(0, 3 * ahead.std(), len(ahead)),
        "noise": rng.normal(size=len(ahead)),
    }
    return hl.study_signal(tape, signals, horizons_s=SHORT)


def test_what_is_planted_is_found_and_noise_is_not(study):
    found = study.table().set_index(["signal", "horizon_s"])
    assert found.loc[("planted", 1.0), "found"]
    assert found.loc[("planted", 1.0), "ic_low"] > 0
    assert found.loc["imbalance", "found"].all()
    assert not found.loc["noise", "found"].any()
    assert (found["p"] >= found["p_raw"]).all()
    assert "imbalance at 0.5 s" in repr(study)
    assert "noise" not in repr(study)


def test_correlations_are_those_of_scipy(tape):
    stats = pytest.importorskip("scipy.stats")
    frame = ss.features(tape)
    found = hl.study_signal(tape, "imbalance", horizons_s=(0.1,), blocks=8)
    # At a horizon of one sample the next mid is the next row's; what leaves its block is left out.
    edges = np.linspace(frame.index.as_unit("ns").asi8[0], tape.end_ns, 9).astype(np.int64)
    times = frame.index.as_unit("ns").asi8
    inside = times + S // 10 <= edges[np.clip(np.searchsorted(edges, times, side="right") - 1, 0, 7) + 1]
    moves = frame["mid_ticks"].shift(-1) - frame["mid_ticks"]
    use = inside & moves.notna() & frame["imbalance"].notna()
    assert found.ic[0, 0] == pytest.approx(stats.spearmanr(frame["imbalance"][use], moves[use])[0], abs=1e-9)
    assert found.linear[0, 0] == pytest.approx(stats.pearsonr(frame["imbalance"][use], moves[use])[0], abs=1e-9)


def test_a_tape_that_ends_earlier_gives_the_same_past(tape):
    whole, short = ss.features(tape), ss.features(tape.slice(0, 100.05))
    assert 900 < len(short) < len(whole)
    assert short.equals(whole.iloc[: len(short)])


def test_a_function_that_uses_the_future_is_named(tape):
    signals = {
        "honest": lambda frame: frame["ofi"].rolling(10).sum(),
        "centred": lambda frame: frame["ofi"].rolling(11, center=True).sum(),
        "whole mean": lambda frame: frame["imbalance"] - frame["imbalance"].mean(),
    }
    found = hl.study_signal(tape, signals, horizons_s=(0.5,))
    assert found.looks_ahead == ("centred", "whole mean")
    assert "centred looks ahead" in found._repr_html_()


def test_markouts_at_the_touch_by_hand():
    # Every 2 s: a bid of 100 x 2 lots against 101. A seller prints 1 lot at the bid after 1.5 s, then 2 more: the queue is eaten.
    rows = ft.book(ft.START_NS, 100, 101, 2, 2)
    ts_ns = ft.START_NS
    rows += [ft.row(ts_ns + S // 2, TRADE, ASK, 100, 1, LAST), ft.row(ts_ns + S // 2 + 1, TRADE, BID, 101, 1, LAST)]
    rows += [ft.row(ts_ns + 7 * S // 10, TRADE, ASK, 100, 2, LAST), ft.row(ts_ns + 9 * S // 10, TRADE, BID, 100, 5, LAST)]
    rows += ft.book(ts_ns + 3 * S, 100, 101, 2, 2)
    samples, joined, _ = Player(every_s=1.0, joined_s=1.0).play(ft.event_rows(rows))
    assert samples["ts_ns"].tolist() == [ts_ns, ts_ns + S, ts_ns + 2 * S]
    # ours: met at 0.5 s on both sides; behind 2 lots it fills when 3 have traded, at 0.7 s; the ask saw 1 of 2, and a print below it
    assert joined["hit_ns"][0].tolist() == [ts_ns + S // 2, ts_ns + S // 2 + 1]
    assert joined["filled_ns"][0].tolist() == [ts_ns + 7 * S // 10, 0]
    assert joined["hit_ns"][1].tolist() == [0, 0]
    assert len(joined) == 2  # of the last sample the second is not over


def test_joined_orders_have_a_share_and_fills_behind_the_queue_are_fewer(study):
    hit, queue = study.markouts(), study.markouts("queue")
    assert ((hit["share"] >= 0) & (hit["share"] <= 1)).all()
    assert (queue["fills"] <= hit["fills"]).all()
    assert (queue["share"] <= hit["share"] + 1e-12).all()
    # Who must wait for the whole queue to be eaten is met when the price goes through him.
    assert queue["markout_ticks"].mean() < hit["markout_ticks"].mean()
    with pytest.raises(UnknownName, match="Did you mean 'queue'"):
        study.markouts("quue")


def test_tenths_are_ordered_by_a_signal_that_works(study):
    found = study.deciles().query("signal == 'imbalance' and horizon_s == 1.0")
    assert found["tenth"].tolist() == list(range(1, 11))
    assert found["high_ticks"].iloc[0] < 0 < found["low_ticks"].iloc[-1]
    assert study.blocks_table().shape == (9, study.blocks)


def test_ranks_and_tenths_share_ties():
    assert ranks(np.array([3.0, 1.0, 3.0, 7.0])).tolist() == [0.0, -1.5, 0.0, 1.5]
    assert deciles(np.arange(100.0)).tolist() == [n // 10 for n in range(100)]
    assert len(set(deciles(np.array([0.0] * 70 + [1.0] * 30)))) == 2


def test_the_correction_holds_what_it_says():
    rng = np.random.default_rng(5)
    called = sum(sign_flips(rng.normal(size=(15, 10)), flips=400, seed=n)[1].min() <= 0.05 for n in range(200))
    assert 1 <= called <= 20  # of 200 at 5 %: 10 expected
    scores = rng.normal(size=(15, 10))
    scores[:, 3] += 3
    raw, corrected = sign_flips(scores)
    assert corrected[3] <= 0.01
    assert (corrected >= raw).all()


def test_the_interval_of_a_correlation_holds_it_as_often_as_it_says():
    rng, held = np.random.default_rng(6), 0
    blocks = Blocks.of(0, 1200, 12)
    block = blocks.number(np.arange(1200))
    for _ in range(200):
        x = rng.normal(size=1200) + np.repeat(rng.normal(size=12), 100)
        found = correlation(x, 0.5 * x + rng.normal(size=1200) * np.sqrt(1 + 0.25 * 0), block, blocks, 0.95)
        truth = 0.5 * np.sqrt(2) / np.sqrt(0.25 * 2 + 1)
        held += abs(found.value - truth) <= found.reach
    assert 0.88 <= held / 200 <= 1.0


def test_a_report_knows_its_tape(tape):
    report = hl.backtest(tape.slice(0, 60), None, hl.FixedSpread(order_qty="0.01", half_spread_ticks=1), hl.Limits(position_qty_max="1"))
    found = hl.study_signal(report, "imbalance", horizons_s=(0.5,), every_s=0.2)
    assert found.samples == pytest.approx(300, abs=3)
    with pytest.raises(InputError, match="wanted a tape, a stream"):
        hl.study_signal([1, 2], "imbalance")


def test_what_cannot_be_studied_says_why(tape):
    with pytest.raises(UnknownName, match="Did you mean 'imbalance'"):
        hl.study_signal(tape, "imbalence")
    with pytest.raises(InputError, match=r"has shape \(5,\); wanted \(4199,\)"):
        hl.study_signal(tape, np.zeros(5))
    with pytest.raises(InputError, match="not all the same"):
        hl.study_signal(tape, lambda frame: frame["imbalance"] * 0)
    with pytest.raises(InputError, match="Take a longer tape"):
        hl.study_signal(tape, "imbalance", horizons_s=(60.0,))
    with pytest.raises(InputError, match="100 blocks"):
        hl.study_signal(tape, "imbalance", blocks=100)
    with pytest.raises(UnknownName, match="horizons_s"):
        hl.study_signal(tape, "imbalance", horizon_s=(1,))


def test_the_page_says_what_was_done(study):
    html = study._repr_html_()
    for words in (
        "Romano–Wolf",
        "rank correlation with the next move",
        "corrected over 9 questions",
        "imbalance · found",
        "noise · not found",
    ):
        assert words in html
    assert html.count("<svg") == 9


def test_samples_where_the_book_is_unknown_count_for_nothing(tape):
    player = Player(every_s=0.1)
    samples, _, _ = player.play(tape.rows[:5000])
    assert np.isfinite(mid_ticks(samples)).all()
