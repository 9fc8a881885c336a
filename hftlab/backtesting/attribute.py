"""`attribute`: a session against the backtest of its own market data, every fill that differs with its cause."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hftlab.analytics.divergence.causes import Evidence, differences
from hftlab.analytics.divergence.result import Attribution, MarketAttribution
from hftlab.analytics.divergence.twins import Run, sides
from hftlab.analytics.fit_fills.play import Stage, order_rows
from hftlab.analytics.fit_fills.result import FillFit
from hftlab.analytics.report.origin import Origin
from hftlab.assumptions import Latency, Queue, latency_rows
from hftlab.backtesting.fit_fills import fit_fills
from hftlab.backtesting.replay import Replay, kept, replay
from hftlab.backtesting.run import play
from hftlab.backtesting.timers import with_rows
from hftlab.data.merging import merge_rows
from hftlab.data.tape import Tape
from hftlab.engine.view import View
from hftlab.errors import InputError
from hftlab.instrument import AMEND_RULES
from hftlab.kernels.rng import rng_seed
from hftlab.strict import keywords, number, spread
from hftlab.types import EVENT, FEE, GAP, NEVER_NS, NO_PRICE, PAYMENT

_E8 = 100_000_000


@keywords
def attribute(
    journal: str | Path | View | Replay,
    *,
    fit: FillFit | None = None,
    queue: Queue | str | Sequence[Queue | str] | None = None,
    latency: Latency | Sequence[Latency] | None = None,
    window_ms: float = 500.0,
    depth: int = 5,
) -> Attribution:
    """Backtest a session on its own market data without its orders, and give every fill that differs one cause.

    The same quoter, limits, fees, timers and commands run on the stripped tape with the fitted queue and latency models (`fit`, by
    default `fit_fills` of this session; `queue` and `latency` replace them, such as `fit.recorded`). An order has its twin in the order
    of the same side and price that was decided nearest, within `window_ms`. The causes are those of `analytics.divergence.causes`; their
    money adds up to the difference of the two P&Ls, marked at the same last mid, to the unit. `depth` levels of both books are shown at
    the first difference. Raises DataError, InputError, TapeError, and AccountingError where lots or money do not add up.
    """
    number(window_ms, "window_ms", 0, 1e6)
    again = journal if isinstance(journal, Replay) else replay(journal)
    if queue is None or latency is None:
        fit = fit_fills(again) if fit is None else fit
        queue, latency = fit.queue if queue is None else queue, fit.latency if latency is None else latency
    count = len(again.spec.instruments)
    queues, latencies = Queue.each(queue, count), spread(latency, count, "latencies")
    tape, market = again.tape(), again.market()
    shift_ns = tape.notes.clock_shift_ns
    market["ts_recv_ns"] += shift_ns
    other = _backtest(again, tape, latencies, queues)
    window_ns = round(window_ms * 1e6)
    markets = tuple(_market(again, other, tape, market, i, window_ns, depth) for i in range(count))
    assumptions = {
        "session": repr(again),
        "queue": " | ".join(one.text() for one in queues),
        "latency": " | ".join(one.text() for one in latencies),
        "twins": f"same side and price, decided within {window_ms:g} ms",
        "tape": " ".join(text for _, text in tape.notes.sentences) or "our orders never were in the public book.",
    }
    return Attribution(markets, assumptions)


@dataclass(frozen=True)
class _Other:
    """The backtest: its requests and reports in the desk's order, and the fees of its fills."""

    own: np.ndarray
    fees: np.ndarray


def _backtest(again: Replay, tape: Tape, latencies: Sequence[Latency], queues: Sequence[Queue]) -> _Other:
    """Run the session's own spec, timers and commands on the stripped tape, with a modelled exchange."""
    state = again.spec.state()
    for i, (latency, queue) in enumerate(zip(latencies, queues, strict=True)):
        exchange = state.exchanges[i : i + 1]
        latency.fill(exchange)
        queue.fill(exchange)
        exchange["rng"] = rng_seed(latency.seed + i)
        exchange["active"], exchange["due_ns"] = 1, NEVER_NS
    state.markets["spec"]["own_in_book"] = 0
    steering = again.steering.copy()
    for name in ("ts_recv_ns", "ts_exch_ns"):
        steering[name] += tape.notes.clock_shift_ns
    steering["ts_recv_ns"] = np.maximum.accumulate(steering["ts_recv_ns"])
    rows = with_rows(merge_rows(tape.rows), steering, latency_rows(latencies))
    written: list[np.ndarray] = [np.zeros(0, EVENT)]
    play(state, again.spec.run(), [rows], None, lambda part: written.append(kept(part)))
    made = np.concatenate(written)
    return _Other(made[made["kind"] != FEE], made[made["kind"] == FEE])


def _market(again: Replay, other: _Other, tape: Tape, market: np.ndarray, index: int, window_ns: int, depth: int) -> MarketAttribution:
    instrument, shift_ns = again.spec.instruments[index], tape.notes.clock_shift_ns
    rules = tuple(AMEND_RULES[one.amend] for one in again.spec.instruments)
    rows = tape.rows[tape.rows["instrument"] == index]
    if not len(rows):
        raise InputError(f"the session has no market data of {instrument.name}; wanted some of each of its instruments.")
    end_ns = int(rows["ts_exch_ns"].max())
    stage = Stage.of(rows, index, instrument)
    touches = stage.touches()
    end_mid2 = _last_mid2(touches, again, index)
    ours = Run.of(again.own, again.fees, rules, index, end_ns, shift_ns)
    theirs = Run.of(other.own, other.fees, rules, index, end_ns)
    both = sides(ours, theirs, window_ns, end_mid2, instrument)
    shown = bool(again.state.markets["spec"]["own_in_book"][index])
    known = Evidence(
        _lot_times(stage, ours.found, "touch"),
        _lot_times(stage, ours.found, "through"),
        market["ts_recv_ns"][(market["kind"] == GAP) & (market["instrument"] == index)].copy(),
        _AtTouch(ours.found, touches) if shown else _never,
    )
    found = differences(both, known, window_ns)
    books = _books(market, tape, int(found["ts_ns"][0]), index, depth) if len(found) else (None, None)
    paid = _funding_e8(again.own, index) - _funding_e8(other.own, index)
    return MarketAttribution(instrument, both, found, ours.pnl(end_mid2, instrument), theirs.pnl(end_mid2, instrument), paid, books)


def _last_mid2(touches: np.ndarray, again: Replay, index: int) -> int:
    """Return bid + ask as the stripped book last had both, in half ticks; without any, twice the desk's mark."""
    two = touches[(touches["bid_ticks"] != NO_PRICE) & (touches["ask_ticks"] != NO_PRICE)]
    if len(two):
        return int(two["bid_ticks"][-1] + two["ask_ticks"][-1])
    mark = float(again.state.markets["mark_ticks"][index])
    return round(2 * mark) if np.isfinite(mark) else 0


def _lot_times(stage: Stage, found: np.ndarray, model: str) -> list[np.ndarray]:
    """Return for each STAY when each of its lots fills in a bound on all queues, i8, rising."""
    parts, _ = stage.play(Queue(model=model), order_rows(found, 0))
    ends = np.searchsorted(parts["which"], np.arange(len(found) + 1))
    return [np.repeat(part["ts_ns"], part["lots"]) for part in np.split(parts, ends[1:-1])]


class _AtTouch:
    """Says whether a live order of ours stood at or before the best price of the stripped book at a time."""

    def __init__(self, found: np.ndarray, touches: np.ndarray) -> None:
        self._found, self._touches = found, touches

    def __call__(self, ts_ns: int) -> bool:
        at = int(np.searchsorted(self._touches["ts_ns"], ts_ns, side="right")) - 1
        if at < 0:
            return False
        there = self._found[(self._found["start_ns"] <= ts_ns) & (ts_ns <= self._found["end_told_ns"])]
        best = np.where(there["side"] > 0, self._touches["bid_ticks"][at], self._touches["ask_ticks"][at])
        return bool(((best == NO_PRICE) | ((there["price_ticks"] - best) * there["side"] >= 0)).any())


def _never(_: int) -> bool:
    return False


def _books(market: np.ndarray, tape: Tape, ts_ns: int, index: int, depth: int) -> tuple[object, object]:
    live = Origin(_Rows(market), {}, attribute).book_at(ts_ns, index, depth)
    return live, Origin(tape, {}, attribute).book_at(ts_ns, index, depth, exchange=True)


@dataclass(frozen=True)
class _Rows:
    rows: np.ndarray


def _funding_e8(own: np.ndarray, index: int) -> int:
    paid = own[(own["kind"] == PAYMENT) & (own["instrument"] == index)]
    return sum(int(row["qty_lots"]) * _E8 + int(row["leaves_lots"]) for row in paid)
