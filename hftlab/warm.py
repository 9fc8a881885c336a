"""Compile every kernel that Python calls, once, into the cache that all later processes read.

Each group below drives the callers' own code on a moment of market instead of listing signatures: what is compiled is then
exactly what the callers will ask for. A new kernel that Python calls belongs to a group here; `python -m hftlab warm --check`
in a second process fails when any of them still compiles.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiprocessing.queues import SimpleQueue

    import numpy as np

    from hftlab.data.tape import Tape

START_NS = 1_700_000_000_000_000_000


def _pricing() -> None:
    from hftlab.kernels import pricing

    pricing.as_reservation_ticks(100.0, 1.0, 0.1, 1.0, 1.0)
    pricing.as_spread(0.1, 1.0, 1.0, 1.5, 1.0)
    pricing.glft_depths(1.0, 0.1, 1.0, 1.5, 1.0, 1.0)
    pricing.ewma_weight(1_000_000, 1.0)


def _market() -> None:
    from hftlab.instrument import Instrument
    from hftlab.types import SUBMIT
    from hftlab.venues.simulated import SimulatedMarket

    market = SimulatedMarket(Instrument.bundled("binance:BTC/USDT"), seed=1, start_ns=START_NS, entry_ns=0, response_ns=0)
    request = market.snapshot()[-1:]
    request["kind"], request["order_id"] = SUBMIT, 1
    market.submit(request)
    market.advance(START_NS)
    market.queue_ahead(1)


def _tape() -> None:
    _moment().merge()
    _moment().report  # noqa: B018  # reading it validates the tape


def _desk() -> None:
    from hftlab.backtesting.run import backtest
    from hftlab.backtesting.sweeps.grid import grid
    from hftlab.backtesting.sweeps.sweep import sweep
    from hftlab.data.samples import sample
    from hftlab.params import AvellanedaStoikov, Limits

    tape = sample().slice(0, 1)  # no moment of the simulated market: another process compiles that one meanwhile
    (btc,) = tape.instruments
    limits = Limits(position_qty_max=btc.lot_size * 10)
    backtest(tape, btc, AvellanedaStoikov(order_qty=btc.lot_size), limits)
    sweep(tape, btc, grid(AvellanedaStoikov(order_qty=btc.lot_size)), limits, workers=1).wait()


def _own() -> None:
    from hftlab.backtesting.run import backtest
    from hftlab.data.samples import sample
    from hftlab.params import Limits, UserQuoter

    tape = sample().slice(0, 1)
    (btc,) = tape.instruments
    # The loop that calls a user's decide through a pointer. Plain Python stands behind it here: that is never compiled.
    quoter = UserQuoter(order_qty=btc.lot_size, decide=_no_wish)
    backtest(tape, btc, quoter, Limits(position_qty_max=btc.lot_size * 10), jit=False)


def _no_wish(desk: Any, market: Any, params: Any, quote: Any) -> None:
    """Wish nothing."""


def _truth() -> None:
    from hftlab.analytics.queues.calibrate import calibrate_queue
    from hftlab.analytics.queues.fill_probability import fill_forecasts
    from hftlab.data.validate import validate

    calibrate_queue(seeds=range(2), minutes=0.5, horizon_s=1.0)
    fill_forecasts(seeds=range(2), minutes=0.5, horizon_s=1.0)
    validate(_moment())


def _flow() -> None:
    from hftlab.analytics.signals.hawkes import fit_hawkes, simulate_hawkes
    from hftlab.analytics.signals.player import Player

    Player(every_s=1.0, joined_s=1.0).play(_moment().rows)
    fit_hawkes(simulate_hawkes(1.0, 0.5, 2.0, 100.0), 100.0)


def _live() -> None:
    import numpy as np

    from hftlab.data.state import build
    from hftlab.instrument import Instrument
    from hftlab.kernels import core
    from hftlab.kernels.reader_book import SLOTS, TOUCH_WORDS, keep
    from hftlab.params import FixedSpread, Limits
    from hftlab.types import EVENT
    from hftlab.venues.live.binance_frames import Frames
    from hftlab.venues.live.book_rows import empty_book
    from hftlab.venues.live.gateway_money import Money

    btc = (Instrument.bundled("binanceusdm:BTC/USDT:USDT"),)
    frames = Frames(btc, (0,), print, 0, 0)
    frames.read(b"{}", START_NS)
    keep(frames.rows[:0], empty_book(), np.zeros((3, SLOTS, TOUCH_WORDS), np.int64))
    limits = [Limits(position_qty_max="0.01")]
    Money(btc, build(btc, [FixedSpread(order_qty="0.01", half_spread_ticks=1)], limits).markets)
    # The venue plays the exchange: a desk without a simulated one.
    matched = build(btc, [FixedSpread(order_qty="0.01", half_spread_ticks=1)], limits, simulate=False)
    matched.step(core.run, np.zeros(0, EVENT))


def _estimators() -> None:
    from hftlab.analytics.estimators.calibrate import calibrate
    from hftlab.analytics.estimators.estimate import estimate
    from hftlab.analytics.estimators.fills import FillIntensity
    from hftlab.data.samples import sample
    from hftlab.params import AvellanedaStoikov

    tape = sample().slice(0, 30)
    (btc,) = tape.instruments
    estimate(tape)
    calibrate(AvellanedaStoikov(order_qty=btc.lot_size), tape)
    fills = FillIntensity(btc)
    fills.update(tape.rows)
    fills.hear(_one_rest(tape.start_ns))
    fills.exposure()


def _one_rest(now_ns: int) -> "np.ndarray":
    """Return the rows of an order of ours that rested for a second."""
    import numpy as np

    from hftlab.types import ACCEPTED, BID, CANCELED, EVENT

    own = np.zeros(2, EVENT)
    own["kind"], own["order_id"], own["side"], own["leaves_lots"] = [ACCEPTED, CANCELED], 1, BID, [1, 0]
    own["ts_exch_ns"] = [now_ns, now_ns + 1_000_000_000]
    return own


def _venue() -> None:
    from hftlab.types import BID
    from hftlab.venues.server.build import build
    from hftlab.venues.server.config import VenueConfig
    from hftlab.venues.server.model import NewOrder

    config = VenueConfig(skins=("binanceusdm",))
    exchange = build(config, lambda: START_NS).cores["binanceusdm"]
    order = exchange.place(config.account("binanceusdm"), NewOrder("BTCUSDT", BID, 10, exchange.book("BTCUSDT", 1).bids[0][0]))
    exchange.cancel(order.account, "BTCUSDT", order_id=order.order_id)


def _moment() -> "Tape":
    """Return the opening book of a simulated market as a tape."""
    from hftlab.data.tape import Tape
    from hftlab.instrument import Instrument
    from hftlab.venues.simulated import SimulatedMarket

    btc = Instrument.bundled("binance:BTC/USDT")
    return Tape(SimulatedMarket(btc, seed=1, start_ns=START_NS).snapshot(), (btc,))


# Dearest first: whoever is free takes the next. What compiles the same kernels is far apart here, so that the later of two finds them.
GROUPS: dict[str, Callable[[], None]] = {
    "desk: book, orders, quotes, risk": _desk,
    "matching engine and order flow": _market,
    "tapes: merge and check": _tape,
    "a venue's streams and fees": _live,
    "flow estimators and signals": _flow,
    "formulas": _pricing,
    "a quoter of your own": _own,
    "estimators": _estimators,
    "the loopback exchange": _venue,
    "queue truth and validation": _truth,
}


@dataclass(frozen=True, slots=True)
class Warmed:
    """What one group cost: seconds, and the names of the kernels that had to be compiled (none when the cache had them)."""

    group: str
    seconds: float
    compiled: tuple[str, ...]


def warm_group(group: str, tell: Callable[[str, int], None]) -> Warmed:
    """Run one group. `tell` hears how many kernels it has begun to compile."""
    from numba.core import event

    compiled: list[str] = []

    class Counter(event.Listener):
        """Note the names of the kernels whose compilation begins."""

        def on_start(self, event: Any) -> None:
            compiled.append(event.data["dispatcher"].py_func.__name__)
            tell(group, len(compiled))

        def on_end(self, event: Any) -> None:
            """Nothing to note."""

    tell(group, 0)
    began = time.perf_counter()
    # numba reports a compile only after it has looked into its cache in vain.
    with event.install_listener("numba:compile", Counter()):
        GROUPS[group]()
    return Warmed(group, time.perf_counter() - began, tuple(compiled))


def warm_up(tell: Callable[[str, int], None] = lambda _group, _count: None, *, processes: int = 1) -> Iterator[Warmed]:
    """Run every group, yielding what it cost in the order in which they end. Two processes share the groups; more would wait for the desk."""
    if processes < 2:
        yield from (warm_group(group, tell) for group in GROUPS)
        return
    fresh = get_context("spawn")  # a forked child would keep the locks of threads that it does not have
    said = fresh.SimpleQueue()
    with ProcessPoolExecutor(processes, fresh, _listen, (said,)) as pool:
        running = {pool.submit(_in_child, group) for group in GROUPS}
        while running:
            done, running = wait(running, timeout=0.1, return_when=FIRST_COMPLETED)
            while not said.empty():
                tell(*said.get())
            for one in done:
                yield one.result()


_said: "SimpleQueue[tuple[str, int]] | None" = None


def _listen(said: "SimpleQueue[tuple[str, int]]") -> None:
    global _said
    _said = said


def _in_child(group: str) -> Warmed:
    assert _said is not None
    return warm_group(group, lambda *news: _said.put(news))
