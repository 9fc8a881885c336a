"""Who trades in a symbol besides the clients: the simulated crowd, or nobody."""

from collections.abc import Iterator, Mapping
from typing import Protocol

import numpy as np

from hftlab.data.synth import open_world, start_price, unit_lots
from hftlab.errors import InputError
from hftlab.instrument import Instrument, Number
from hftlab.kernels.flow_types import FLOW_DEFAULTS, WORLD
from hftlab.kernels.lob_types import lob_reset
from hftlab.kernels.world import advance_world, request_world
from hftlab.types import ASK, BID, EVENT, NEVER_NS, SUBMIT

CROWD = 0  # the owner of everything that no client placed; the matching engine writes no reports for it


class Market(Protocol):
    """What drives one symbol. Every driver keeps its book in a WORLD, where the clients' requests reach it too."""

    instrument: Instrument

    def open(self, start_ns: int, out: np.ndarray) -> np.ndarray:
        """Return the world (WORLD, shape (1,)) as it stands at `start_ns`; `out` (EVENT rows) is room to work in."""
        ...

    def advance(self, out: np.ndarray, until_ns: int) -> Iterator[np.ndarray]:
        """Let happen what is due up to and including `until_ns`.

        Yields EVENT rows in `out`, to be used up before the next are asked for. A row flagged LAST ends what the public sees at once.
        """
        ...


def empty_world() -> np.ndarray:
    """Return a world without orders in which nothing happens by itself: WORLD, shape (1,)."""
    world = np.zeros(1, WORLD)
    lob_reset(world["lob"])
    for name, value in FLOW_DEFAULTS.items():
        world["params"][name] = value  # a trade moves the crowd's beliefs, which nobody reads here; the formula divides by some of these
    world["flow"]["next_ns"] = NEVER_NS
    return world


class SynthMarket:
    """The seeded crowd of `hftlab.kernels.flow`. `options` are those of `hftlab.kernels.flow_types.FLOW_DEFAULTS`."""

    def __init__(self, instrument: Instrument, *, seed: int, price: Number | None = None, **options: float) -> None:
        self.instrument, self.seed, self.price, self.options = instrument, seed, price, options

    def open(self, start_ns: int, out: np.ndarray) -> np.ndarray:
        """Return a full book round the price. Raises UnknownName for an option that does not exist."""
        self._world = open_world(self.instrument, seed=self.seed, start_ns=start_ns, price=self.price, **self.options)
        return self._world

    def advance(self, out: np.ndarray, until_ns: int) -> Iterator[np.ndarray]:
        """Let the crowd act."""
        while self._world["flow"]["next_ns"][0] <= until_ns:
            yield out[: advance_world(self._world, out, until_ns)]


class StillMarket:
    """A fixed ladder: nothing moves unless it is told to."""

    def __init__(
        self,
        instrument: Instrument,
        *,
        bids: Mapping[int, int] | None = None,
        asks: Mapping[int, int] | None = None,
        price: Number | None = None,
        levels: int = 50,
        lots: int | None = None,
    ) -> None:
        """Give the ladder as {price_ticks: lots} of each side, or take `levels` a side of `lots` each, a tick apart round `price`."""
        self.instrument = instrument
        price = start_price(instrument) if price is None else price
        middle = instrument.ticks(price)
        lots = round(20 * unit_lots(instrument, price)) if lots is None else lots
        self._bids = {middle - n: lots for n in range(levels)} if bids is None else dict(bids)
        self._asks = {middle + 1 + n: lots for n in range(levels)} if asks is None else dict(asks)
        if self._bids and self._asks and max(self._bids) >= min(self._asks):
            raise InputError(f"the best bid was {max(self._bids)} ticks, the best ask {min(self._asks)}; wanted a bid below the ask.")

    def open(self, start_ns: int, out: np.ndarray) -> np.ndarray:
        """Return the ladder, each level one order of the crowd."""
        world, row = empty_world(), np.zeros(1, EVENT)
        row["kind"] = SUBMIT
        for side, levels in ((BID, self._bids), (ASK, self._asks)):
            for price_ticks, lots in sorted(levels.items(), reverse=side == BID):
                row["side"], row["price_ticks"], row["qty_lots"] = side, price_ticks, lots
                request_world(world, out, row, 0, start_ns, CROWD)
        return world

    def advance(self, out: np.ndarray, until_ns: int) -> Iterator[np.ndarray]:
        """Do nothing."""
        return iter(())
