"""Rows of one market in, what was known at fixed times out: the feed of every flow estimator and of `hl.study_signal`."""

from typing import TYPE_CHECKING

import numpy as np

from hftlab.errors import InputError
from hftlab.kernels.flow_est_play import play_rows
from hftlab.kernels.flow_est_types import FEATURE, JOINED, PLAYER, TOUCH_AT, WAITING
from hftlab.kernels.jit import records
from hftlab.strict import number
from hftlab.types import BOOK, EVENT, NO_PRICE

if TYPE_CHECKING:
    import pandas as pd

NEVER_S = 4e9  # longer than any tape: no sample is due
WAITING_MAX = 1 << 16


class Player:
    """Plays market rows (EVENT, in receive order, cut anywhere) of instrument number `market`, on our clock.

    A sample holds what had been received at its time, a multiple of `every_s`; it is given out when a later row has come. `joined_s`
    above zero lets one lot join each side of the touch at every sample, for as long.
    """

    def __init__(self, market: int = 0, *, every_s: float = NEVER_S, joined_s: float = 0.0) -> None:
        every_ns = round(number(every_s, "every_s", 1e-6, NEVER_S) * 1e9)
        joined_ns = round(number(joined_s, "joined_s", 0, 1e5) * 1e9)
        places = joined_ns // every_ns + 2 if joined_ns else 0
        if places > WAITING_MAX:
            raise InputError(
                f"orders that wait {joined_s:g} s at samples every {every_s:g} s are {places:,} at a time; wanted {WAITING_MAX:,}."
            )
        self.market, self.every_ns = market, every_ns
        self._book, self._player = records(np.zeros(1, BOOK)), records(np.zeros(1, PLAYER))
        self._waiting = records(np.zeros(places, WAITING))
        for name in ("anchor_ticks", "best_bid_ticks", "best_ask_ticks"):
            self._book[name] = NO_PRICE
        self._player["every_ns"], self._player["joined_ns"] = every_ns, joined_ns
        self._player["bid_ticks"] = self._player["ask_ticks"] = NO_PRICE

    def play(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the samples (FEATURE), what became of joined orders (JOINED) and the changes of the touch (TOUCH_AT) of these rows."""
        if rows.dtype != EVENT or rows.ndim != 1:
            raise InputError(f"rows had dtype {rows.dtype} and shape {rows.shape}; wanted one dimension of hftlab.types.EVENT.")
        if not len(rows):
            return np.zeros(0, FEATURE), np.zeros(0, JOINED), np.zeros(0, TOUCH_AT)
        next_ns = int(self._player["next_ns"][0]) or int(rows["ts_recv_ns"][0])
        room = max((int(rows["ts_recv_ns"][-1]) - next_ns) // self.every_ns + 2, 1)
        # Every order that waits may have its time in these rows.
        samples, joined = (
            records(np.empty(room, FEATURE)),
            records(np.empty(room + len(self._waiting) if len(self._waiting) else 1, JOINED)),
        )
        touches = records(np.empty(len(rows), TOUCH_AT))
        made, done, moved = play_rows(records(rows), self.market, self._book, self._player, self._waiting, samples, joined, touches)
        return samples[:made], joined[:done], touches[:moved]


def mid_ticks(rows: np.ndarray) -> np.ndarray:
    """Return the mid of samples or touches in ticks, float64, NaN where the book was not to be trusted."""
    mid = (rows["bid_ticks"] + rows["ask_ticks"]) / 2.0
    mid[rows["bid_ticks"] == NO_PRICE] = np.nan
    return np.asarray(mid)


def imbalance(bid_lots: np.ndarray, ask_lots: np.ndarray) -> np.ndarray:
    """Return (bid - ask) / (bid + ask), from -1 to 1; NaN where both are zero."""
    total = (bid_lots + ask_lots).astype(np.float64)
    return np.divide(bid_lots - ask_lots, total, out=np.full(len(total), np.nan), where=total > 0)


def size_weighted(bid: np.ndarray, bid_lots: np.ndarray, ask: np.ndarray, ask_lots: np.ndarray) -> np.ndarray:
    """Return the mid weighted by the *other* side's size: 100 x 30 against 101 x 10 is 100.75, nearer the side that is about to give way."""
    bid, ask = np.asarray(bid, np.float64), np.asarray(ask, np.float64)
    total = np.asarray(bid_lots, np.float64) + np.asarray(ask_lots, np.float64)
    return np.divide(bid * ask_lots + ask * bid_lots, total, out=np.full(np.shape(total), np.nan), where=total > 0)


def frame_of(samples: np.ndarray) -> "pd.DataFrame":
    """Return the features of samples, one row a sample time (UTC index), float64. A row looks at its own time and before, never later.

    `mid_ticks`, `spread_ticks`, `bid_lots`, `ask_lots`, `bid_deep_lots` and `ask_deep_lots` (best five levels); `imbalance` and
    `imbalance_5` in -1..1; `microprice` less the mid in ticks; since the sample before: `ofi` in lots, `trade_flow` (bought less sold by
    takers, lots), `volume` (lots), `prints` and `move_ticks` of the mid.
    """
    import pandas as pd

    mid = mid_ticks(samples)
    known = np.isfinite(mid)
    flow = samples["bought_lots"] - samples["sold_lots"]
    columns = {
        "mid_ticks": mid,
        "spread_ticks": samples["ask_ticks"] - samples["bid_ticks"],
        **{name: samples[name] for name in ("bid_lots", "ask_lots", "bid_deep_lots", "ask_deep_lots")},
        "imbalance": imbalance(samples["bid_lots"], samples["ask_lots"]),
        "imbalance_5": imbalance(samples["bid_deep_lots"], samples["ask_deep_lots"]),
        "microprice": size_weighted(samples["bid_ticks"], samples["bid_lots"], samples["ask_ticks"], samples["ask_lots"]) - mid,
        "ofi": np.diff(samples["ofi_lots"], prepend=samples["ofi_lots"][:1]),
        "trade_flow": np.diff(flow, prepend=flow[:1]),
        "volume": np.diff(samples["bought_lots"] + samples["sold_lots"], prepend=(samples["bought_lots"] + samples["sold_lots"])[:1]),
        "prints": np.diff(samples["prints"], prepend=samples["prints"][:1]),
        "move_ticks": np.diff(mid, prepend=mid[:1]),
    }
    values = {name: np.where(known, column, np.nan) for name, column in columns.items()}
    return pd.DataFrame(values, index=pd.to_datetime(samples["ts_ns"], utc=True).rename("ts"))
