"""What a report is made of, read from the rows of a run as they are written, chunk by chunk, in bounded memory."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from hftlab.analytics.facts.path import HORIZONS_NS, Path
from hftlab.analytics.facts.prices import Prices
from hftlab.analytics.grow import Grow
from hftlab.errors import AccountingError
from hftlab.instrument import Instrument
from hftlab.types import ACCEPTED, CANCEL, EVENT, FEE, FILL, MAKER, NEVER_NS, NO_PRICE, PAYMENT, SAMPLE, SET_TARGET, STATE, SUBMIT, TOUCH

FILL_FACT = np.dtype(
    [
        ("ts_ns", "i8"),  # matched, exchange clock
        ("learned_ns", "i8"),
        ("order_id", "i8"),
        ("price_ticks", "i8"),
        ("qty_lots", "i8"),
        ("leaves_lots", "i8"),
        ("position_lots", "i8"),  # after it
        ("fee_ticklots", "i8"),
        ("fee_uticklots", "i8"),  # the rest, in millionths
        ("fair_ticks", "f8"),  # the desk's, when it learned of the fill
        ("bid_ticks", "i8"),  # the exchange's best prices at the match; NO_PRICE when not known
        ("bid_lots", "i8"),
        ("ask_ticks", "i8"),
        ("ask_lots", "i8"),
        ("mid2", "i8"),  # bid + ask at the match, in half ticks
        ("later_mid2", "i8", (len(HORIZONS_NS),)),  # and HORIZONS_NS later; the last there was where `past_end` is set
        ("past_end", "u1", (len(HORIZONS_NS),)),
        ("side", "i1"),
        ("maker", "u1"),
        ("touched", "u1"),  # 1: the mid at the match is the exchange's own
        ("instrument", "u4"),
    ]
)
"""One fill of ours with the market around it."""

SAMPLES_MAX = 1 << 18
"""Sample rows kept. A run that writes more keeps every second, then every fourth … sample time, and always the last."""


@dataclass(frozen=True)
class Facts:
    """fills: FILL_FACT; own: EVENT, every request, report, fill and fee in the desk's order; samples: EVENT; paths: one a market.

    prices: PRICE, one array a market; targets: EVENT, SET_TARGET rows by time; states: EVENT, the STATE rows.
    """

    fills: np.ndarray
    own: np.ndarray
    samples: np.ndarray
    paths: tuple[Path, ...]
    digest: str
    start_ns: int
    end_ns: int
    prices: tuple[np.ndarray, ...] = ()
    targets: np.ndarray = field(default_factory=lambda: np.zeros(0, EVENT))
    states: np.ndarray = field(default_factory=lambda: np.zeros(0, EVENT))


class Collector:
    """Reads the rows that a run writes, in any chunks, and makes the Facts of its report.

    `keep_s` is how long after a match its report may come: the touches of that long are kept. Raises AccountingError for a
    later one.
    """

    def __init__(self, instruments: Sequence[Instrument], *, keep_s: float = 60.0) -> None:
        self.paths = tuple(Path(one) for one in instruments)
        self._keep_ns = max(int(keep_s * 1e9), HORIZONS_NS[-1])
        self._own, self._fills, self._samples = Grow(EVENT), Grow(FILL_FACT), Grow(EVENT)
        self._targets, self._states = Grow(EVENT), Grow(EVENT)
        self.prices = tuple(Prices() for _ in self.paths)
        self._fees = 0  # FEE rows seen: the n-th belongs to the n-th fill
        self._waiting = [[np.zeros(0, np.int64) for _ in HORIZONS_NS] for _ in self.paths]
        self._digest = hashlib.blake2b(digest_size=8)
        self._sample_times, self._sample_step, self._last_samples = 0, 1, np.zeros(0, EVENT)
        self._start_ns, self._end_ns = NEVER_NS, 0

    def add(self, rows: np.ndarray) -> None:
        """Read the rows (EVENT) that one step of the run wrote."""
        if not len(rows):
            return
        kinds = rows["kind"]
        touches = np.flatnonzero(kinds == TOUCH)
        others = np.flatnonzero(kinds != TOUCH)
        self._read_touches(rows, touches)
        rest, kinds = rows[others], kinds[others]
        samples = rest[kinds == SAMPLE]
        report = (kinds >= ACCEPTED) & (kinds <= PAYMENT)
        own = rest[report | ((kinds >= SUBMIT) & (kinds <= CANCEL)) | (kinds == FEE)]
        self._own.append(own)
        self._digest.update(own.tobytes())
        self._targets.append(rest[kinds == SET_TARGET])
        self._states.append(rest[kinds == STATE])
        self._read_samples(samples)
        at = others[kinds == FILL]
        if len(at):
            self._read_fills(rows, at, touches)
        self._read_fees(rest[kinds == FEE])
        for i, path in enumerate(self.paths):
            self.prices[i].follow(path)
            if len(path.ts_ns):
                self._look_ahead(i, path, int(path.ts_ns[-1]))
                path.settle(int(path.ts_ns[-1]) - self._keep_ns)
        times = rest["ts_recv_ns"]
        if len(times):
            self._start_ns, self._end_ns = min(self._start_ns, int(times.min())), max(self._end_ns, int(times.max()))

    def finish(self, *, end_ns: int = 0, marks_mid2: Sequence[int | None] = ()) -> Facts:
        """Return the Facts. `end_ns` is when the run ended; `marks_mid2` a last mid for markets whose exchange wrote no touch."""
        if self._fees != len(self._fills):
            raise AccountingError(f"{len(self._fills):,} fills but {self._fees:,} fees were written; wanted one FEE row behind each FILL.")
        end_ns = max([end_ns, self._end_ns, *(int(path.ts_ns[-1]) for path in self.paths if len(path.ts_ns))])
        for path, mark in zip(self.paths, marks_mid2, strict=False):
            if not path.touched and mark is not None:
                path.extend_mids(np.array([end_ns]), np.array([mark]))
        fills = self._fills.rows
        for i, path in enumerate(self.paths):
            mine = fills["instrument"] == i
            if path.first_mid2 == NO_PRICE and mine.any():  # there never were two sides: the price paid is the only one known
                price = fills[mine][:1]
                path.extend_mids(price["ts_ns"], 2 * price["price_ticks"])
            if not path.touched:  # of a path that was told one side alone, the price paid is no best price
                self.prices[i].follow(path)
            self._look_ahead(i, path, NEVER_NS)
            early = mine & (fills["touched"] == 0) & (fills["mid2"] == NO_PRICE)
            fills["mid2"][early] = path.first_mid2
            for k, horizon_ns in enumerate(HORIZONS_NS):
                fills["past_end"][mine, k] = fills["ts_ns"][mine] + horizon_ns > end_ns
            path.settle(NEVER_NS)
        start_ns = min(self._start_ns, end_ns)
        samples, digest = self._kept_samples(), self._digest.hexdigest()
        prices = tuple(one.rows for one in self.prices)
        targets = self._targets.rows[np.argsort(self._targets.rows["ts_recv_ns"], kind="stable")]
        return Facts(fills, self._own.rows, samples, self.paths, digest, start_ns, end_ns, prices, targets, self._states.rows)

    def _kept_samples(self) -> np.ndarray:
        kept, last = self._samples.rows, self._last_samples
        missing = len(last) and (not len(kept) or kept["ts_recv_ns"][-1] != last["ts_recv_ns"][0])
        return np.concatenate([kept, last]) if missing else kept

    def _read_samples(self, rows: np.ndarray) -> None:
        """Keep the samples of every `_sample_step`-th sample time; one time has a row for each market."""
        if not len(rows):
            return
        times = rows["ts_recv_ns"]
        before = self._last_samples["ts_recv_ns"][-1] if len(self._last_samples) else -1
        number = self._sample_times + np.cumsum(np.diff(times, prepend=before) != 0) - 1
        self._samples.append(rows[number % self._sample_step == 0])
        self._sample_times = int(number[-1]) + 1
        self._last_samples = rows[times == times[-1]]
        if len(self._samples) > SAMPLES_MAX:
            self._samples.keep(np.cumsum(np.diff(self._samples.rows["ts_recv_ns"], prepend=-1) != 0) % 2 == 1)
            self._sample_step *= 2

    def _read_touches(self, rows: np.ndarray, touches: np.ndarray) -> None:
        which = rows["instrument"]
        for i, path in enumerate(self.paths):
            mine = touches if len(self.paths) == 1 else touches[which[touches] == i]
            if len(mine):
                path.touched = True
                path.extend(rows[mine])
            elif not path.touched:  # a real or matched venue: the desk's fair price is the only mid there is
                one = rows[(rows["kind"] == SAMPLE) & (which == i)]
                path.extend_mids(one["ts_exch_ns"], _mid2(one["price_ticks"].view(np.float64)))

    def _read_fills(self, rows: np.ndarray, at: np.ndarray, touches: np.ndarray) -> None:
        """Note the fills at row numbers `at`, with the touch of their match: the last one written before they were learned of."""
        source = rows[at]
        facts = np.zeros(len(at), FILL_FACT)
        for name in ("order_id", "price_ticks", "qty_lots", "leaves_lots", "side", "instrument"):
            facts[name] = source[name]
        facts["ts_ns"], facts["learned_ns"] = source["ts_exch_ns"], source["ts_recv_ns"]
        facts["fair_ticks"] = source["seq"].view(np.float64)
        facts["maker"] = (source["flags"] & MAKER) != 0
        first = len(self._fills)
        for i, path in enumerate(self.paths):
            mine = np.flatnonzero(facts["instrument"] == i)
            if not len(mine):
                continue
            ts_ns, lots = facts["ts_ns"][mine], facts["side"][mine] * facts["qty_lots"][mine]
            path.fill(ts_ns, lots)
            if path.touched:
                here = touches[rows["instrument"][touches] == i]
                before = path.count - len(here) + np.searchsorted(here, at[mine])
                index = path.index_of_fills(ts_ns, facts["order_id"][mine], before)
            else:
                index = path.index_at(ts_ns)
            for name, column in path.touch_at(index).items():
                facts[name][mine] = column
            fair_mid2 = _mid2(facts["fair_ticks"][mine])
            seen = path.touched | (fair_mid2 == NO_PRICE)
            facts["mid2"][mine] = np.where(seen, path.mid2_at(index), fair_mid2)
            facts["touched"][mine] = path.touched & (index >= 0)
            self._waiting[i] = [np.concatenate([waiting, first + mine]) for waiting in self._waiting[i]]
        self._fills.append(facts)

    def _read_fees(self, rows: np.ndarray) -> None:
        mine = slice(self._fees, self._fees + len(rows))
        fills = self._fills.rows[mine]
        if len(fills) != len(rows):
            raise AccountingError(
                f"{self._fees + len(rows):,} fees were written for {len(self._fills):,} fills; wanted one FEE row behind each FILL."
            )
        for name, source in (("fee_ticklots", "price_ticks"), ("fee_uticklots", "qty_lots"), ("position_lots", "leaves_lots")):
            fills[name] = rows[source]
        self._fees += len(rows)

    def _look_ahead(self, i: int, path: Path, last_ns: int) -> None:
        """Note the later mids that are certain by now: those of times before the last touch."""
        if path.first_mid2 == NO_PRICE and last_ns != NEVER_NS:
            return
        fills = self._fills.rows
        for k, horizon_ns in enumerate(HORIZONS_NS):
            waiting = self._waiting[i][k]
            due_ns = fills["ts_ns"][waiting] + horizon_ns
            due = due_ns < last_ns
            if due.any():
                fills["later_mid2"][waiting[due], k] = path.mid2_at(path.index_at(due_ns[due]))
                self._waiting[i][k] = waiting[~due]


def _mid2(fair_ticks: np.ndarray) -> np.ndarray:
    """Return fair prices in half ticks, to the nearest; NO_PRICE for none."""
    known = np.isfinite(fair_ticks)
    return np.where(known, np.rint(2 * np.where(known, fair_ticks, 0)).astype(np.int64), NO_PRICE)
