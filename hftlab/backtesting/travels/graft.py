"""Going on from a moment of a session whose orders were in a real book: its desk is kept, its exchange becomes a modelled one.

The rows that follow hold the venue's answers to orders that a changed quoter would never have sent, and a book with our own orders in
it. So the run goes on over the session's market data without them (`Replay.tape`): the desk keeps position, account, risk state and
estimates; its orders of that moment are withdrawn; the modelled exchange has read the stripped tape up to then and holds its book.
"""

from collections.abc import Iterator

import numpy as np

from hftlab.analytics.facts.collector import Collector
from hftlab.assumptions import Latency, Queue, latency_rows
from hftlab.backtesting.replay import replay
from hftlab.backtesting.timers import row_times, with_rows
from hftlab.backtesting.travels.course import Course
from hftlab.backtesting.travels.run import Change
from hftlab.data.merging import merge_rows
from hftlab.data.state import State
from hftlab.errors import InputError
from hftlab.kernels import core
from hftlab.kernels.rng import rng_seed
from hftlab.strict import spread
from hftlab.types import CANCELED, EVENT, FREE, NEVER_NS, PAUSED


def graft(
    course: Course, state: State, row: int, end: int, collector: Collector, change: Change
) -> tuple[Iterator[np.ndarray], dict[str, str]]:
    """Give `state`, of event `row`, a modelled exchange; return the rows to event `end` and what was assumed.

    `change.queue` and `change.latency` are of that exchange, by default the venue's own. Raises InputError within a message, DataError
    and TapeError as Replay.tape does.
    """
    if int(state.desk["message_open"][0]):
        raise InputError(f"event {row:,} is within a message of the market: half of the book is old. Start at .next('message').")
    again = replay(course.directory) if course.directory is not None else None
    assert again is not None  # only a session has a venue of its own
    now_ns = int(state.desk["now_ns"][0])
    end_ns = int(row_times(course.rows.read(max(0, end - course.block), end))[-1]) if end > row else now_ns
    tape = again.tape()
    shift_ns = tape.notes.clock_shift_ns
    stage = again.spec.state()
    venue = again.spec.venue
    texts = _stage(stage, change, {"queue": Queue.of(venue.queue).text(), "latency": venue.latency.text()})
    steering = again.steering.copy()
    for name in ("ts_recv_ns", "ts_exch_ns"):
        steering[name] += shift_ns
    merged = merge_rows(tape.rows)
    cut, last = (int(np.searchsorted(row_times(merged), ts_ns + shift_ns, side="right")) for ts_ns in (now_ns, end_ns))
    stage.step(core.run, merged[:cut])
    _withdraw(state, collector, core.run)
    state.exchanges[:] = stage.exchanges
    state.markets["book"] = stage.markets["book"]
    state.markets["spec"]["own_in_book"] = 0
    state.exchanges["position_lots"] = state.markets["position_lots"]
    later = steering[(steering["ts_recv_ns"] > now_ns + shift_ns) & (steering["ts_recv_ns"] <= end_ns + shift_ns)]
    later["ts_recv_ns"] = np.maximum.accumulate(later["ts_recv_ns"])
    rows = with_rows(merged[cut:last], later, np.zeros(0, EVENT))
    said = {
        "from there": "the session's market data without our own orders; its orders of that moment withdrawn, a modelled exchange fills",
        **texts,
        "tape": " ".join(text for _, text in tape.notes.sentences) or "our orders never were in the public book.",
    }
    return (rows[low : low + course.block] for low in range(0, len(rows), course.block)), said


def _stage(stage: State, change: Change, said: dict[str, str]) -> dict[str, str]:
    """Make fresh records a paused desk beside a modelled exchange: both read the market, nobody trades. Returns how it fills.

    `said` is how the venue of the session would have its exchange fill, where the change does not say.
    """
    m = len(stage.instruments)
    queue, latency = change.queue, change.latency
    if queue is not None:
        models = Queue.each(queue, m)
        for i, model in enumerate(models):
            model.fill(stage.exchanges[i : i + 1])
        said["queue"] = " | ".join(model.text() for model in models)
    if latency is not None:
        latencies: tuple[Latency, ...] = spread(latency, m, "latencies")
        if len(latency_rows(latencies)):
            raise InputError("recorded latencies are of another time; wanted order_ms=…, report_ms=….")
        for i, one in enumerate(latencies):
            one.fill(stage.exchanges[i : i + 1])
            stage.exchanges["rng"][i] = rng_seed(one.seed + i)
        said["latency"] = " | ".join(one.text() for one in latencies)
    stage.exchanges["active"], stage.exchanges["due_ns"] = 1, NEVER_NS
    stage.markets["spec"]["own_in_book"] = 0
    stage.desk["state"] = PAUSED
    return said


def _withdraw(state: State, collector: Collector, run: object) -> None:
    """Let the venue report every order of ours as gone. None of the rows ends a message, so nothing is decided on them."""
    now_ns = int(state.desk["now_ns"][0])
    gone = []
    for i, market in enumerate(state.markets):
        for order in market["orders"][market["orders"]["status"] != FREE]:
            one = np.zeros(1, EVENT)
            one["ts_exch_ns"] = one["ts_recv_ns"] = now_ns
            one["kind"], one["instrument"], one["side"] = CANCELED, i, order["side"]
            one["order_id"], one["price_ticks"], one["qty_lots"] = order["order_id"], order["price_ticks"], order["qty_lots"]
            gone.append(one)
    if gone:
        rows = np.concatenate(gone)
        state.step(run, rows)
        collector.add(rows)
