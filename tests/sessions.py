"""Sessions for tests of what a journal teaches: run by the engine's own driver, without its process, as fast as it goes."""

import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np

import hftlab as hl
from hftlab.engine import session
from hftlab.engine.figures import Figures
from hftlab.engine.session import Command, Driver
from hftlab.engine.spec import RunSpec
from hftlab.venues.sources import ReplaySource, SynthSource

BTC = hl.Instrument.bundled("sim:BTC/USDT")
NEVER = hl.Instrument(venue="sim", symbol="BTC/USDT", base="BTC", quote="USDT", tick_size="0.5", lot_size="0.001", amend="never")
START = 1_767_571_200_000_000_000
FREE = {"loss_quote_max": 1e9, "capital_quote": 1e9, "requests_per_s_max": 1e6, "requests_burst": 1e6, "drawdown_frac_max": 10}


def limits(**options):
    """Limits that stop nothing but what a test names."""
    return hl.Limits(**({"position_qty_max": "1"} | FREE | options))


def quoter(**options):
    """A spread of half a tick each side that leans a little and moves at once."""
    return hl.FixedSpread(**({"order_qty": "0.01", "half_spread_ticks": 0.5, "life_ms_min": 0, "skew_ticks_per_order": 0.2} | options))


def run_session(
    folder: Path,
    monkeypatch,
    *,
    feed=None,
    venue=None,
    by=None,
    bounds=None,
    seconds=60.0,
    step_ms=0.5,
    seed=3,
    commands=(),
    instrument=BTC,
    **options,
):
    """Play a session into `folder`. `commands` are (second, name, values), `options` the crowd's. Returns the driver and its requests.

    The clock goes on in steps that are shorter than any latency, so that no request is late by the pace of the loop; the
    time of day stands still, so that the same arguments give the same session.
    """
    monkeypatch.setattr(session, "FLAT_OUT_NS", round(step_ms * 1e6))
    monkeypatch.setattr(session, "time", SimpleNamespace(time_ns=lambda: START, perf_counter_ns=time.perf_counter_ns))
    feed = feed or hl.SynthFeed(instrument, seed=seed, speed=float("inf"), options=options)
    instruments = instrument if isinstance(instrument, tuple) else (instrument,)
    quoters = by if isinstance(by, tuple) else (by or quoter(),) * len(instruments)
    bounds = (bounds or limits(),) * len(instruments)
    spec = RunSpec(feed, venue or hl.PaperVenue(instruments[0]), instruments, quoters, bounds, publish_ms=1e9)
    folder.mkdir(parents=True)
    spec.save(folder)
    sent: list[np.ndarray] = []
    for source in (SynthSource, ReplaySource):
        monkeypatch.setattr(source, "submit", _kept(source.submit, sent))
    driver = Driver(spec, folder, Figures())
    waiting = sorted(commands, key=lambda one: one[0])
    for turn in range(round(seconds * 1e3 / step_ms)):
        while waiting and turn * step_ms / 1e3 >= waiting[0][0]:
            _, name, values = waiting.pop(0)
            driver.inbox.put(Command(name, 0, values, "test"))
        driver.turn()
    driver.publish(1)
    close(driver)
    monkeypatch.undo()
    return driver, np.concatenate(sent)


def _kept(submit, sent):
    return lambda source, rows: (sent.append(rows.copy()), submit(source, rows))[1]


def close(driver: Driver) -> None:
    driver._journal.close()
    driver._snapshot.close()
