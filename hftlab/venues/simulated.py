"""A market for one instrument, made by a seeded crowd on an order-by-order matching engine. Our orders queue among theirs."""

import numpy as np

from hftlab.data.synth import open_world
from hftlab.errors import InputError
from hftlab.instrument import Instrument, Number
from hftlab.kernels.lob import ahead_of
from hftlab.kernels.world import OUT_ROWS, advance_world, request_world, snapshot_world
from hftlab.types import AMEND, CANCEL, EVENT, KIND_NAMES, STP_CANCEL_TAKER, SUBMIT

OWNER = 1


class SimulatedMarket:
    """One simulated world: deterministic in its seed, its options, and the requests with their times.

    Rows are EVENT rows. A request sent at `ts_recv_ns` reaches the engine `entry_ns` later; every row is received `response_ns`
    after it happened. `seq` counts the rows up by one. Prices, sizes and queues are in ticks and lots of `instrument`.

    `options` are flow parameters (`hftlab.kernels.flow_types.FLOW_DEFAULTS`): `activity` multiplies all rates, `informed=0` makes
    trades carry no information, `toxic` in 0..1 lets takers see news first, `day_depth` gives a U-shaped day.
    """

    def __init__(
        self,
        instrument: Instrument,
        *,
        seed: int,
        start_ns: int,
        price: Number | None = None,
        instrument_index: int = 0,
        entry_ns: int = 1_000_000,
        response_ns: int = 1_000_000,
        stp_mode: int = STP_CANCEL_TAKER,
        **options: float,
    ) -> None:
        if entry_ns < 0 or response_ns < 0:
            raise InputError(f"latencies were entry_ns={entry_ns}, response_ns={response_ns}; wanted zero or more.")
        self.instrument = instrument
        self.entry_ns = entry_ns
        self.response_ns = response_ns
        self._world = open_world(
            instrument,
            seed=seed,
            start_ns=start_ns,
            price=price,
            stp_mode=stp_mode,
            response_ns=response_ns,
            instrument_index=instrument_index,
            **options,
        )
        self._now_ns = start_ns
        self._out = np.zeros(OUT_ROWS, EVENT)
        # Loads the request's kernel now, on a copy: in the first turn that sends one it would be a gap of 15 ms.
        request_world(self._world.copy(), self._out, np.zeros(1, EVENT), 0, start_ns, OWNER)
        self._waiting: list[tuple[int, np.ndarray]] = []

    @property
    def now_ns(self) -> int:
        """Return how far the exchange has come: exchange time in ns UTC."""
        return self._now_ns

    @property
    def efficient_ticks(self) -> float:
        """Return the hidden price that the crowd believes in, in ticks: truth for tests, unknown to any strategy."""
        return float(self._world["flow"]["efficient_ticks"][0])

    def snapshot(self) -> np.ndarray:
        """Return the book at `now_ns`: a CLEAR row of both sides, then DEPTH rows, all SNAPSHOT, the final one LAST."""
        count = snapshot_world(self._world, self._out, self._now_ns, self._now_ns + self.response_ns)
        return self._out[:count].copy()

    def submit(self, requests: np.ndarray) -> None:
        """Send SUBMIT, AMEND and CANCEL rows (EVENT). Raises InputError for another kind or dtype; nothing is sent then."""
        if requests.dtype != EVENT:
            raise InputError(f"requests had dtype {requests.dtype}; wanted rows of hftlab.types.EVENT.")
        for kind in np.unique(requests["kind"]):
            if kind not in (SUBMIT, AMEND, CANCEL):
                raise InputError(f"a request had kind {KIND_NAMES.get(int(kind), kind)}; wanted SUBMIT, AMEND or CANCEL.")
        for row in requests.copy().reshape(-1, 1):
            # a request that comes late by the caller's clock cannot change what has already happened
            self._waiting.append((max(int(row["ts_recv_ns"][0]) + self.entry_ns, self._now_ns), row))
        self._waiting.sort(key=lambda item: item[0])

    def advance(self, until_ns: int) -> np.ndarray:
        """Return the rows received after the last call and up to `until_ns`, in order of time."""
        horizon_ns = until_ns - self.response_ns
        parts = []
        while self._waiting and self._waiting[0][0] <= horizon_ns:
            arrival_ns, row = self._waiting.pop(0)
            parts += self._crowd(arrival_ns)
            count = request_world(self._world, self._out, row, 0, arrival_ns, OWNER)
            parts.append(self._out[:count].copy())
        parts += self._crowd(horizon_ns)
        return np.concatenate(parts) if parts else np.zeros(0, EVENT)

    def queue_ahead(self, order_id: int) -> int:
        """Return the true lots in front of our order at its price, or -1 when it does not rest."""
        return int(ahead_of(self._world["lob"][0], OWNER, order_id))

    def _crowd(self, until_ns: int) -> list[np.ndarray]:
        """Let the crowd act up to `until_ns`."""
        parts = []
        while self._world["flow"]["next_ns"][0] <= until_ns:
            count = advance_world(self._world, self._out, until_ns)
            parts.append(self._out[:count].copy())
        self._now_ns = max(self._now_ns, until_ns)
        return parts
