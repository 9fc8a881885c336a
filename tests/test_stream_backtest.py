"""A backtest over a stream: the same run as over the tape, to the last byte, in memory that does not grow with the length."""

import tracemalloc

import numpy as np
import pytest

import hftlab as hl
from hftlab.data.synth import synth_rows
from hftlab.data.tape import Tape

BTC = hl.Instrument.bundled("sim:BTC/USDT")
LIMITS = hl.Limits(position_qty_max="0.05", loss_quote_max=1e6)
QUOTER = hl.FixedSpread(order_qty="0.01", half_spread_ticks=1, hysteresis_ticks=1, life_ms_min=0)
SECONDS = 90


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    rows = synth_rows(BTC, SECONDS, seed=11, latency_ns=1_500_000, jitter_ns=400_000)
    return Tape(rows, (BTC,), "market").save(tmp_path_factory.mktemp("stream") / "market.rows", mapped=True)


def recorded_latency(start_ns):
    """Round trips measured ten times a second, between 3 and 9 ms each way."""
    sent = start_ns + np.arange(10 * SECONDS) * 100_000_000
    entry, response = np.random.default_rng(1).integers(3_000_000, 9_000_000, (2, len(sent)))
    return hl.Latency(recorded=np.stack([sent, sent + entry, sent + entry + response], axis=1))


def run(tape, how):
    """Backtest one of three settings on a tape or a stream."""
    if how == "quoter":
        return hl.backtest(tape, None, QUOTER, LIMITS, latency=hl.Latency(order_ms=5, jitter_ms=2, seed=3), timer_start="first")
    if how == "recorded latency":
        start_ns = int(next(iter(tape.chunks(1000)))["ts_recv_ns"][0])
        return hl.backtest(tape, None, QUOTER, LIMITS, latency=recorded_latency(start_ns), fees=hl.Fees(maker_bps=1))
    strategy = hl.ZScoreReversion(qty="0.02", lookback=8)
    return hl.backtest(tape, None, hl.WorkTarget(order_qty="0.01"), LIMITS, strategy=strategy, strategy_ms=137, bar_s=1)


@pytest.mark.parametrize("how", ["quoter", "recorded latency", "strategy"])
def test_a_stream_in_chunks_of_any_size_is_the_run_of_the_tape(path, how):
    whole = run(hl.load(path), how)
    assert len(whole.fills) > 5
    for rows_max in (500, 7_919, 1_000_000):
        streamed = run(hl.stream(path, rows_max=rows_max), how)
        assert streamed.digest == whole.digest
        assert streamed.rows == whole.rows
        assert streamed.fills.tobytes() == whole.fills.tobytes()
        assert streamed.samples.tobytes() == whole.samples.tobytes()
        assert streamed.pnl_table().equals(whole.pnl_table())


def test_a_stream_ten_times_as_long_needs_no_more_memory_than_its_report(tmp_path, monkeypatch):
    monkeypatch.setattr("hftlab.data.channels.ROWS_MAPPED", 2000)
    copy = synth_rows(BTC, 30, seed=4)
    every_ns = int(copy["ts_recv_ns"][-1] - copy["ts_exch_ns"][0]) + 1_000_000_000
    peaks, kept, sizes = [], [], []
    for times in (1, 10):
        rows = np.tile(copy, times)
        for name in ("ts_exch_ns", "ts_recv_ns"):
            rows[name] += np.repeat(np.arange(times) * every_ns, len(copy))
        path = Tape(rows, (BTC,), "market").save(tmp_path / f"{times}.rows", mapped=True)
        sizes.append(rows.nbytes)
        hl.backtest(hl.load(path, end_s=1), None, QUOTER, LIMITS)  # loads what is loaded once
        tracemalloc.start()
        report = hl.backtest(hl.stream(path, rows_max=2000), None, QUOTER, LIMITS)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        kept.append(report.facts.own.nbytes + report.samples.nbytes + report.fills.nbytes)
        assert report.rows == len(rows)
    # What the report keeps lies in arrays that double: up to twice its size, and the half of it while it moves.
    assert peaks[1] < 1.3 * peaks[0] + 3 * kept[1]
    assert peaks[1] < 0.5 * sizes[1]


def test_a_stream_is_run_in_the_chunks_it_was_opened_with(path):
    asked = []
    stream = hl.stream(path, rows_max=1234)
    read = stream.chunks

    def chunks(rows_max=None):
        for rows in read(rows_max):
            asked.append(len(rows))
            yield rows

    stream.chunks = chunks
    report = hl.backtest(stream, None, QUOTER, LIMITS)
    assert sum(asked) == report.rows
    assert 1000 < max(asked) <= 1234
