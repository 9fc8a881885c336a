"""`study_signal`: whether a signal says anything about the next moves of the mid, and what a maker who followed it would have made."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hftlab.analytics.signals.player import Player, frame_of, mid_ticks
from hftlab.analytics.signals.study_result import SignalStudy, Touch
from hftlab.analytics.signals.study_stats import (
    BLOCKS_MIN,
    DECILES,
    HORIZONS_A_BLOCK,
    Blocks,
    blocks_for,
    correlation,
    deciles,
    ranks,
    sign_flips,
)
from hftlab.analytics.stats.regression import Floats
from hftlab.errors import InputError, UnknownName, did_you_mean
from hftlab.strict import keywords, number
from hftlab.types import NO_PRICE

if TYPE_CHECKING:
    import pandas as pd

SIGNALS = ("imbalance", "imbalance_5", "ofi", "microprice", "trade_flow")
SAMPLES_MIN = 200

Signal = str | Floats | Sequence[float] | Callable[["pd.DataFrame"], Any]


class _Market:
    """What a source told: samples, what became of joined orders, and the mid at any time."""

    def __init__(self, source: Any, market: int, every_s: float, joined_s: float) -> None:
        player = Player(market, every_s=every_s, joined_s=joined_s)
        parts: list[tuple[np.ndarray, ...]] = []
        self.end_ns = 0
        for rows in rows_of(source):
            if len(rows):
                parts.append(player.play(rows))
                self.end_ns = int(rows["ts_recv_ns"][-1])
        if not parts:
            raise InputError("the source has no market rows.")
        self.samples, self.joined, touches = (np.concatenate([part[k] for part in parts]) for k in range(3))
        if not (self.samples["bid_ticks"] != NO_PRICE).any():
            raise InputError(
                f"market {market} never has a two-sided book at a sample; wanted rows that begin with a snapshot, over {every_s:g} s."
            )
        mids = mid_ticks(touches)
        moved = np.append(True, (mids[1:] != mids[:-1]) & ~(np.isnan(mids[1:]) & np.isnan(mids[:-1])))
        self._mid_ns, self._mids = touches["ts_ns"][moved], mids[moved]

    def mid_at(self, ts_ns: np.ndarray) -> Floats:
        """Return the mid in ticks as it was known at each time; NaN before the first book, and after the last row."""
        at = np.searchsorted(self._mid_ns, ts_ns, side="right") - 1
        return np.where((at >= 0) & (ts_ns <= self.end_ns), self._mids[np.maximum(at, 0)], np.nan)


def rows_of(source: Any) -> Any:
    """Return an iterator over the market rows (EVENT) of a tape, a stream, a view, or the tape of a report. Raises InputError."""
    if not hasattr(source, "chunks"):
        source = getattr(source, "origin", None)
    if source is None:
        raise InputError("wanted a tape, a stream, the view of a session, or the report of hl.backtest(…), which knows its tape.")
    try:
        return source.chunks(1_000_000)
    except TypeError:  # the origin of a report has its own pieces
        return source.chunks()


def features(tape: Any, *, market: int = 0, every_s: float = 0.1) -> "pd.DataFrame":
    """Return the feature frame that a signal's function is given: one row a sample time (see `flow_player.frame_of`)."""
    return frame_of(_Market(tape, market, every_s, 0.0).samples)


@keywords
def study_signal(
    tape: Any,
    signal: Signal | Mapping[str, Signal],
    *,
    horizons_s: Sequence[float] = (0.1, 0.5, 1.0, 5.0, 10.0),
    blocks: int | None = None,
    level: float = 0.95,
    every_s: float = 0.1,
    join_s: float = 1.0,
    market: int = 0,
) -> SignalStudy:
    """Study one signal, or a dict of several, on a tape (or a stream, a view, the report of a backtest), before there is any strategy.

    A signal is the name of a feature ("imbalance", "imbalance_5", "ofi", "microprice", "trade_flow"), a function of the feature frame
    (`analytics.signals.study.features` shows it) that returns one value a row, or an array aligned with the frame's rows. Above its
    median it says "up". Everything is on our clock, at samples every `every_s`.

    For each signal and horizon: the rank and linear correlation with the move of the mid (information coefficient) with block-bootstrap
    intervals at `level`; the mean move by tenth of the signal; and what one lot that joins the touch on the signal's side makes when a
    print reaches it within `join_s`. p-values are corrected over all signals and horizons (Romano–Wolf, whole blocks turned round).
    `blocks`: how many stretches of time the tape is cut into (default: each three times the longest horizon, at most 50).
    Raises InputError, UnknownName.
    """
    horizons = _horizons(horizons_s)
    level = number(level, "level", 0.5, 0.999)
    found = _Market(tape, market, every_s, number(join_s, "join_s", 1e-3, 1e4))
    samples = found.samples
    ts_ns = samples["ts_ns"]
    cut = _blocks(int(ts_ns[0]), found.end_ns, int(horizons[-1] * 1e9), blocks)
    frame = frame_of(samples)
    given = dict(signal) if isinstance(signal, Mapping) else {_name(signal): signal}
    values = {name: _values(name, one, frame) for name, one in given.items()}
    study = _Study(found, cut, horizons, level)
    parts = [study.one(name, column) for name, column in values.items()]
    scores = np.stack([one.scores for part in parts for one in part.rank], axis=1)
    raw, corrected = sign_flips(scores)
    shape = (len(parts), len(horizons))
    return SignalStudy(
        names=tuple(values),
        horizons_s=horizons,
        level=level,
        every_s=every_s,
        join_s=join_s,
        samples=len(samples),
        blocks=len(cut),
        bps_per_tick=1e4 / float(np.nanmean(mid_ticks(samples))),
        ic=np.array([[one.value for one in part.rank] for part in parts]),
        ic_reach=np.array([[one.reach for one in part.rank] for part in parts]),
        linear=np.array([[one.value for one in part.linear] for part in parts]),
        linear_reach=np.array([[one.reach for one in part.linear] for part in parts]),
        by_block=np.array([[one.by_block for one in part.rank] for part in parts]),
        used=np.array([part.used for part in parts]),
        p_raw=raw.reshape(shape),
        p=corrected.reshape(shape),
        tenths=np.array([part.tenths for part in parts]),
        touch={kind: Touch(*(np.array([part.touch[kind][k] for part in parts]) for k in range(4))) for kind in ("hit", "queue")},
        looks_ahead=tuple(name for name, one in given.items() if callable(one) and _looks_ahead(one, frame, values[name])),
    )


def _horizons(horizons_s: Sequence[float]) -> tuple[float, ...]:
    horizons = tuple(sorted({number(one, "horizons_s", 1e-3, 1e5) for one in horizons_s}))
    if not horizons:
        raise InputError("horizons_s was empty; wanted one or more times in seconds.")
    return horizons


def _blocks(start_ns: int, end_ns: int, horizon_ns: int, wanted: int | None) -> Blocks:
    room = (end_ns - start_ns) // max(horizon_ns, 1) // 2
    count = blocks_for(end_ns - start_ns, horizon_ns) if wanted is None else wanted
    if isinstance(count, bool) or not isinstance(count, int) or not BLOCKS_MIN <= count <= max(room, BLOCKS_MIN - 1):
        raise InputError(
            f"{count} blocks for a longest horizon of {horizon_ns / 1e9:g} s on a tape of {(end_ns - start_ns) / 1e9:,.0f} s; wanted {BLOCKS_MIN} "
            f"or more, each of at least two such horizons (best {HORIZONS_A_BLOCK}). Take a longer tape or shorter horizons_s."
        )
    return Blocks.of(start_ns, end_ns, count)


def _name(signal: Any) -> str:
    return signal if isinstance(signal, str) else getattr(signal, "__name__", "signal").strip("<>")


def _values(name: str, signal: Any, frame: "pd.DataFrame") -> Floats:
    if isinstance(signal, str):
        if signal not in frame:
            raise UnknownName(f"no feature {signal!r}.{did_you_mean(signal, SIGNALS)}")
        return np.asarray(frame[signal], np.float64)
    made = signal(frame.copy()) if callable(signal) else signal
    try:
        values = np.asarray(made, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"signal {name!r} gave a {type(made).__name__}; wanted one number a sample.") from error
    if values.shape != (len(frame),):
        raise InputError(
            f"signal {name!r} has shape {values.shape}; wanted ({len(frame)},), one value a row of hftlab.analytics.signals.study.features(tape)."
        )
    known = np.isfinite(values)
    if int(known.sum()) < SAMPLES_MIN or np.ptp(values[known]) == 0.0:
        raise InputError(
            f"signal {name!r} has {int(known.sum())} known values that differ; wanted {SAMPLES_MIN} or more, not all the same."
        )
    return values


def _looks_ahead(function: Callable[..., Any], frame: "pd.DataFrame", values: Floats) -> bool:
    """Say whether a function gives other values for the past when the frame ends earlier: then it has used the future."""
    for share in (0.37, 0.71):
        end = int(len(frame) * share)
        short = np.asarray(function(frame.iloc[:end].copy()), np.float64)
        if short.shape != (end,) or not np.allclose(short, values[:end], rtol=1e-9, atol=1e-12, equal_nan=True):
            return True
    return False


class _Part:
    """What is found of one signal, horizon by horizon."""

    def __init__(self) -> None:
        self.rank: list[Any] = []
        self.linear: list[Any] = []
        self.used: list[int] = []
        self.tenths: list[Floats] = []
        self.touch: dict[str, tuple[Floats, ...]] = {}


class _Study:
    """The market of a study, and each signal held against it."""

    def __init__(self, market: _Market, blocks: Blocks, horizons: tuple[float, ...], level: float) -> None:
        self._market, self._blocks, self._level = market, blocks, level
        self._horizons_ns = [int(one * 1e9) for one in horizons]
        self._ts_ns = market.samples["ts_ns"]
        self._block = blocks.number(self._ts_ns)
        ends_ns = blocks.edges_ns[self._block + 1]
        mid = mid_ticks(market.samples)
        # A move that leaves its block would tie two blocks together: it is left out.
        self._moves = [np.where(self._ts_ns + h <= ends_ns, market.mid_at(self._ts_ns + h) - mid, np.nan) for h in self._horizons_ns]
        self._ranked: dict[tuple[int, bytes], Floats] = {}
        self._made = {kind: self._markouts(kind, ends_ns) for kind in ("hit", "queue")}

    def _markouts(self, kind: str, ends_ns: np.ndarray) -> tuple[np.ndarray, Floats]:
        """Return at (n, 2), the time at which an order joined at a sample is met, and what it made (n, 2, horizons) in ticks."""
        samples, joined = self._market.samples, self._market.joined
        at = np.zeros((len(samples), 2), np.int64)
        at[: len(joined)] = joined["hit_ns" if kind == "hit" else "filled_ns"]
        made = np.full((len(samples), 2, len(self._horizons_ns)), np.nan)
        for s, (side, price) in enumerate(((1, "bid_ticks"), (-1, "ask_ticks"))):
            met = np.flatnonzero(at[:, s])
            for k, h in enumerate(self._horizons_ns):
                due = at[met, s] + h
                worth = side * (self._market.mid_at(due) - samples[price][met])
                made[met, s, k] = np.where(due <= ends_ns[met], worth, np.nan)
        return at, made

    def one(self, name: str, values: Floats) -> _Part:
        """Return what is found of one signal. Raises InputError where too little of it meets a known move."""
        part = _Part()
        tenth = np.zeros(len(values), np.int64)
        finite = np.isfinite(values)
        tenth[finite] = deciles(values[finite])
        for k, moves in enumerate(self._moves):
            known = finite & np.isfinite(moves)
            if known.sum() < SAMPLES_MIN or np.ptp(moves[known]) == 0.0 or np.ptp(values[known]) == 0.0:
                raise InputError(
                    f"signal {name!r} meets {int(known.sum())} known moves over {self._horizons_ns[k] / 1e9:g} s, or none that differ; wanted "
                    f"{SAMPLES_MIN} or more. Take a longer tape, or a smaller every_s."
                )
            x, y, block = values[known], moves[known], self._block[known]
            part.rank.append(correlation(ranks(x), self._ranks_of(k, known), block, self._blocks, self._level))
            part.linear.append(correlation(x, y, block, self._blocks, self._level))
            part.used.append(int(known.sum()))
            part.tenths.append(np.stack(self._blocks.means(y, block, tenth[known], DECILES, self._level)[:2]))
        side = np.where(finite, np.sign(values - np.median(values[finite])), 0.0)
        part.touch = {kind: self._touch(kind, side, tenth) for kind in self._made}
        return part

    def _ranks_of(self, k: int, known: np.ndarray) -> Floats:
        """Return the ranks of the known moves; signals that are known at the same times share them."""
        key = (k, np.packbits(known).tobytes())
        if key not in self._ranked:
            self._ranked[key] = ranks(self._moves[k][known])
        return self._ranked[key]

    def _touch(self, kind: str, side: Floats, tenth: np.ndarray) -> tuple[Floats, ...]:
        """Return the share met (tenths,), the mean markout, half the width of its interval and the count (horizons, tenths)."""
        at, made = self._made[kind]
        asked = (side != 0) & (np.arange(len(side)) < len(self._market.joined))
        which = np.where(side > 0, 0, 1)
        met = at[np.arange(len(side)), which] > 0
        share = self._blocks.means(met[asked].astype(np.float64), self._block[asked], tenth[asked], DECILES, self._level)[0]
        rows = []
        for k in range(len(self._horizons_ns)):
            worth = made[np.arange(len(side)), which, k]
            use = asked & met & np.isfinite(worth)
            rows.append(self._blocks.means(worth[use], self._block[use], tenth[use], DECILES, self._level))
        return share, *(np.stack([row[k] for row in rows]) for k in range(3))
