"""What a live session's journal teaches: its requests again, byte for byte; the latencies and the queue; and a cause for every fill.

A session trades against the loopback venue. What it put on its way is kept beside it. Then the journal alone is replayed through the
backtester's loop, fitted (`hl.fit_fills`), and its market data, with our own orders taken out, is backtested with what was fitted: every
fill that differs from live is attributed to a cause (`hl.attribute`).
"""

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import hftlab as hl
from benchmarks.drills.desk import SYMBOLS, Desk, differences, fresh_environment, spec_of, truth_of
from hftlab.venues.server.serve import LoopbackVenue

# The venue's base tier, so that the backtest charges what live paid.
FEES = {
    "binance": hl.Fees(maker_bps=10, taker_bps=10),
    "binanceusdm": hl.Fees(maker_bps=2, taker_bps=5),
    "hyperliquid": hl.Fees(maker_bps=1.5, taker_bps=4.5),
}


def main(arguments: list[str]) -> int:
    """Run it and print JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drills session")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--skin", default="binanceusdm", choices=list(SYMBOLS))
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args(arguments)
    fresh_environment()
    folder = Path(tempfile.mkdtemp(prefix="hftlab-session-"))
    sent: list[np.ndarray] = []
    with LoopbackVenue.launch(skins=(options.skin,), tls=False, seed=options.seed) as venue:
        desk = Desk(folder / "run", spec_of(options.skin, venue.url, fees=FEES[options.skin]), options.skin)
        submit = desk.driver.submit

        def kept(requests: np.ndarray) -> None:
            sent.append(requests.copy())
            submit(requests)

        desk.driver._source = _Tapped(desk.driver, kept)
        desk.start()
        time.sleep(options.seconds)
        desk.halt()
        left = differences(desk, venue)
        truth = truth_of(venue, options.skin, desk.spec)
        desk.end()
    print(
        json.dumps(
            _taught(folder / "run", sent) | {"differs_from_venue": left, "fills": truth.fills, "orders": truth.orders},
            indent=1,
            default=str,
        )
    )
    shutil.rmtree(folder, ignore_errors=True)
    return 0


class _Tapped:
    """The driver as its own source, with another `submit`."""

    def __init__(self, driver: Any, submit: Any) -> None:
        self._driver, self.submit = driver, submit

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)


def _taught(run: Path, sent: list[np.ndarray]) -> dict[str, Any]:
    again = hl.replay(run)
    live = np.concatenate(sent)
    fit = hl.fit_fills(again)
    cause = hl.attribute(again, fit=fit)
    return {
        "requests": len(live),
        "requests_replayed_byte_for_byte": live.tobytes() == again.requests.tobytes(),
        "published_state_replayed": again.published,
        "fit": fit.summary(),
        "attribution": cause.summary(),
        "causes": cause.table("cause").to_dict("records"),
        "unexplained": cause.unexplained,
    }
