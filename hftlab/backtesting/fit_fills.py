"""`hl.fit_fills`: queue and latency models of a venue, learned from the journal of a session that traded on it."""

from pathlib import Path

import numpy as np

from hftlab.analytics.fit_fills.latency import fit_latency
from hftlab.analytics.fit_fills.play import Stage, order_rows
from hftlab.analytics.fit_fills.queue import RATES, QueueFit, first_part, fit_queue, part, rates, trials
from hftlab.analytics.fit_fills.races import races, takers, travelled
from hftlab.analytics.fit_fills.result import FillFit, MarketFit
from hftlab.analytics.fit_fills.stays import stays
from hftlab.analytics.fit_fills.trips import trips
from hftlab.analytics.stats.resample import Blocks, interval_of
from hftlab.backtesting.replay import Replay, replay
from hftlab.data.tape import Tape
from hftlab.engine.view import View
from hftlab.errors import InputError
from hftlab.instrument import AMEND_RULES
from hftlab.strict import keywords, number
from hftlab.types import GAP


@keywords
def fit_fills(
    journal: str | Path | View | Replay, *, train: float = 0.7, grace_s: float = 1.0, replicates: int = 200, seed: int = 0
) -> FillFit:
    """Fit latencies and queue model to the fills of a session, and say how often they are wrong about orders not used for it.

    `journal` is a run's name or directory, its View, or its Replay. The queue is fitted to our orders at the times they truly came to
    the venue, on the session's market data without them (see `analytics.divergence.tape`), so that it answers for the queue alone; the
    model fitted to the first `train` of the orders is judged on the rest. A lot filled by the model alone or live alone is wrong as a
    whole, one filled in both by how far apart in time, whole from `grace_s` on. Intervals are 95 %, from `replicates` draws of blocks
    of the session; the same arguments give the same result.

    Raises DataError for what is no run, InputError for too few orders or fills, TapeError.
    """
    number(train, "train", 0.1, 0.95)
    number(grace_s, "grace_s", 0.001, 600)
    number(replicates, "replicates", 10, 100_000)
    again = journal if isinstance(journal, Replay) else replay(journal)
    tape, market = again.tape(), again.market()
    market["ts_recv_ns"] += tape.notes.clock_shift_ns
    fits = tuple(_market(again, tape, market, i, train, grace_s, replicates, seed) for i in range(len(again.spec.instruments)))
    return FillFit(fits, str(again.directory), _assumptions(again, tape, train, grace_s))


def _market(
    again: Replay, tape: Tape, market: np.ndarray, index: int, train: float, grace_s: float, replicates: int, seed: int
) -> MarketFit:
    instrument, shift_ns = again.spec.instruments[index], tape.notes.clock_shift_ns
    own, rows = again.own[again.own["instrument"] == index], tape.rows[tape.rows["instrument"] == index]
    if not len(own) or not len(rows):
        raise InputError(f"the session has no orders in {instrument.name}; wanted some in each of its instruments.")
    gaps_ns = market["ts_recv_ns"][market["kind"] == GAP]
    feed = market[market["instrument"] == index]
    latency = fit_latency(trips(own, shift_ns, gaps_ns), feed, replicates=replicates, seed=seed, shift_ns=shift_ns)
    rules = [AMEND_RULES[one.amend] for one in again.spec.instruments]
    found, parts, taken = stays(own, rules, int(rows["ts_exch_ns"].max()), shift_ns)
    stage = Stage.of(rows, index, instrument)
    queue = fit_queue(stage, found, parts, train=train, grace_s=grace_s, replicates=replicates, seed=seed)
    grace_ns = round(grace_s * 1e9)
    anew = travelled(found, latency, feed, seed)
    touches = stage.touches()
    modelled, _ = stage.play(queue.model, order_rows(anew, grace_ns))
    return MarketFit(
        instrument,
        latency,
        queue,
        _judge(stage, anew, found, parts, queue, train, grace_ns, replicates, seed),
        races(found, parts, touches, found["end_sent_ns"]),
        races(anew, modelled, touches, anew["end_sent_ns"]),
        takers(stage, taken, queue.model, replicates=replicates, seed=seed),
    )


def _judge(
    stage: Stage,
    anew: np.ndarray,
    found: np.ndarray,
    parts: np.ndarray,
    queue: QueueFit,
    train: float,
    grace_ns: int,
    replicates: int,
    seed: int,
) -> dict[str, tuple[float, float, float]]:
    """Return RATES of the trained model on unseen orders that travel anew, with intervals."""
    tried = trials(stage, anew, parts, [queue.trained], grace_ns)
    rest = ~first_part(found, train)
    weights = Blocks.of(found["start_ns"], replicates=replicates, seed=seed).weights(found["start_ns"])[:, rest]
    value = rates(part(tried, rest), 0, found[rest])
    drawn = [rates(part(tried, rest), 0, found[rest], w) for w in weights]
    return {name: (value[name], *interval_of([one[name] for one in drawn])) for name in RATES}


def _assumptions(again: Replay, tape: Tape, train: float, grace_s: float) -> dict[str, str]:
    said = [text for _, text in tape.notes.sentences]
    return {
        "session": repr(again),
        "tape": " ".join(said) or "our orders never were in the public book.",
        "order": "an order at one price: an amend that moves it begins a new one",
        "fit": f"the first {train:.0%} of the orders; a lot filled {grace_s:g} s apart or more counts as wrong as a whole",
    }
