"""Stoikov's micro-price, estimated: where the mid will settle, given how the touch looks now.

S. Stoikov 2018, "The micro-price: a high-frequency estimator of future prices", Quantitative Finance 18(12). The touch is a chain over
states x = (imbalance bucket, spread). With Q the transitions that leave the mid where it is, T those that move it, r the mean move of
the next step, G1 = (I - Q)^-1 r and B = (I - Q)^-1 T, the micro-price is mid + G*, G* = sum over i of B^i G1 (his theorem 3.1). Summed,
that is the one solution of G = r + (Q + T) G that is odd under the mirror (imbalance to minus imbalance): mid + G(x) has no drift.
"""

import math

import numpy as np

from hftlab.analytics.estimators.result import FEW, Estimate
from hftlab.analytics.grow import Grow
from hftlab.analytics.report.sensitivity import student_t
from hftlab.analytics.signals.player import Player, imbalance, size_weighted
from hftlab.analytics.stats.regression import Floats, f_tail
from hftlab.errors import InputError
from hftlab.kernels.flow_est_types import TOUCH_AT
from hftlab.strict import keywords, number
from hftlab.types import NO_PRICE

Ints = np.ndarray

STEP = np.dtype([("from_state", "i4"), ("to_state", "i4"), ("move2", "i4")])
"""One step of the chain; `move2` is the move of the mid in half ticks."""

BLOCKS = 50


class MicroPrice:
    """Reads a market's touch, step by step, and estimates the adjustment G* of each state, in ticks.

    `buckets` of imbalance, spreads of 1 to `spreads` ticks (the widest bucket takes all wider ones). Each step also counts mirrored
    (Stoikov's symmetrisation). Any cut of the rows into `update` calls gives the same.
    """

    @keywords
    def __init__(self, market: int = 0, *, buckets: int = 10, spreads: int = 3, level: float = 0.90) -> None:
        for name, value in (("buckets", buckets), ("spreads", spreads)):
            if not isinstance(value, int) or not 1 <= value <= 50:
                raise InputError(f"{name} was {value!r}; wanted a whole number from 1 to 50.")
        self.buckets, self.spreads, self.level = buckets, spreads, number(level, "level", 0.5, 0.999)
        self._player = Player(market)
        self._last: np.ndarray = np.zeros(0, TOUCH_AT)
        self._steps = Grow(STEP)

    def update(self, rows: np.ndarray) -> None:
        """Read market rows (EVENT, in receive order)."""
        _, _, new = self._player.play(rows)
        touches = np.concatenate([self._last, np.asarray(new)])
        if not len(touches):
            return
        self._last = touches[-1:].copy()
        known = touches["bid_ticks"] != NO_PRICE
        both = known[1:] & known[:-1]
        state = self.state_of(touches["bid_ticks"], touches["bid_lots"], touches["ask_ticks"], touches["ask_lots"])
        mid2 = touches["bid_ticks"] + touches["ask_ticks"]
        steps = np.zeros(int(both.sum()), STEP)
        steps["from_state"], steps["to_state"], steps["move2"] = state[:-1][both], state[1:][both], np.diff(mid2)[both]
        self._steps.append(steps)

    def state_of(self, bid: Ints, bid_lots: Ints, ask: Ints, ask_lots: Ints) -> Ints:
        """Return the number of the state of each touch, spread x buckets + imbalance bucket."""
        leaning = np.nan_to_num(imbalance(np.asarray(bid_lots), np.asarray(ask_lots)))
        bucket = np.clip(((leaning + 1) / 2 * self.buckets).astype(np.int64), 0, self.buckets - 1)
        spread = np.clip(np.asarray(ask) - np.asarray(bid), 1, self.spreads) - 1
        return np.asarray(spread * self.buckets + bucket)

    def fit(self) -> tuple[Floats, Floats, Floats]:
        """Return G* (states,) in ticks, its error (delete-a-block jackknife of BLOCKS stretches) and the steps seen from each state."""
        steps, size = self._steps.rows, self.buckets * self.spreads
        block = np.arange(len(steps)) * BLOCKS // max(len(steps), 1)
        pairs = np.bincount((block * size + steps["from_state"]) * size + steps["to_state"], minlength=BLOCKS * size * size).reshape(
            BLOCKS, size, size
        )
        drift = np.bincount(block * size + steps["from_state"], steps["move2"] / 2.0, BLOCKS * size).reshape(BLOCKS, size)
        whole = adjustment(pairs.sum(0), drift.sum(0), self.buckets)
        kept = np.array([adjustment(pairs.sum(0) - pairs[b], drift.sum(0) - drift[b], self.buckets) for b in range(BLOCKS)])
        error = np.sqrt((BLOCKS - 1) / BLOCKS * ((kept - kept.mean(0)) ** 2).sum(0))
        seen = pairs.sum((0, 2))
        return whole, error, (seen + seen[mirror(size, self.buckets)]).astype(np.float64)

    def fit_p(self, adjust: Floats) -> float:
        """Return the p-value of the touch being such a chain: then mid + G* has no drift, whatever the past beside the state.

        Its changes are held against the sign of the last move of the mid, and of the last change of imbalance: the sums over BLOCKS
        stretches, each by its own size (Student), twice the smaller p.
        """
        steps = self._steps.rows
        change = steps["move2"] / 2.0 + adjust[steps["to_state"]] - adjust[steps["from_state"]]
        turned = np.sign(steps["to_state"] % self.buckets - steps["from_state"] % self.buckets) * (steps["move2"] == 0)
        block = np.arange(len(steps)) * BLOCKS // max(len(steps), 1)
        p = [_no_drift(change[1:] * _last_sign(past)[:-1], block[1:]) for past in (np.sign(steps["move2"]), turned)]
        return min(1.0, 2 * min(p))

    def estimate(self, imbalance: float = 0.9, spread_ticks: int = 1) -> Estimate:
        """Return G* in ticks where the queues have `imbalance` (-1..1) and the spread is `spread_ticks`, with its band."""
        number(imbalance, "imbalance", -1, 1)
        number(spread_ticks, "spread_ticks", 1)
        lots = np.array([round(1e6 * (1 + imbalance))]), np.array([round(1e6 * (1 - imbalance))])
        state = int(self.state_of(np.array([0]), lots[0], np.array([spread_ticks]), lots[1])[0])
        name = f"micro-price less mid, imbalance {imbalance:g}, spread {spread_ticks}"
        if len(self._steps) < FEW:
            return Estimate(name, math.nan, math.nan, math.nan, "ticks", len(self._steps), level=self.level)
        adjust, error, seen = self.fit()
        reach = student_t(BLOCKS - 1, self.level) * error[state]
        words = f"Stoikov's G*, symmetrised; jackknife of {BLOCKS} stretches"
        value = adjust[state] if seen[state] else math.nan
        return Estimate(name, value, value - reach, value + reach, "ticks", int(seen[state]), self.fit_p(adjust), self.level, words)

    def price(self, bid_ticks: float, bid_lots: float, ask_ticks: float, ask_lots: float) -> float:
        """Return the micro-price of a touch in ticks. Before there is anything to estimate from: the size-weighted mid."""
        touch = tuple(np.array([value]) for value in (bid_ticks, bid_lots, ask_ticks, ask_lots))
        if len(self._steps) < FEW:
            return float(size_weighted(*touch)[0])
        state = int(self.state_of(*touch)[0])
        return float(bid_ticks + ask_ticks) / 2 + float(self.fit()[0][state])


def mirror(size: int, buckets: int) -> Ints:
    """Return for each state the one with the imbalance turned round."""
    state = np.arange(size)
    return state // buckets * buckets + buckets - 1 - state % buckets


def adjustment(pairs: Ints, drift: Floats, buckets: int) -> Floats:
    """Return G* (s,) in the units of `drift`: `pairs` (s, s) counts of steps, `drift` (s,) summed moves of the mid out of each state.

    States that were never left have none, 0.
    """
    size = len(drift)
    turned = mirror(size, buckets)
    counts, moves = pairs + pairs[np.ix_(turned, turned)], drift - drift[turned]
    seen = counts.sum(1).astype(np.float64)
    chances = np.divide(counts, seen[:, None], out=np.zeros((size, size)), where=seen[:, None] > 0)
    mean = np.divide(moves, seen, out=np.zeros(size), where=seen > 0)
    half = np.flatnonzero(np.arange(size) < turned)
    odd = np.eye(len(half)) - chances[np.ix_(half, half)] + chances[np.ix_(half, turned[half])]
    out = np.zeros(size)
    out[half] = np.linalg.lstsq(odd, mean[half], rcond=None)[0]
    out[turned[half]] = -out[half]
    return out


def _last_sign(signs: Ints) -> Ints:
    """Return at each step the last sign that was not zero, up to and with it."""
    at = np.maximum.accumulate(np.where(signs != 0, np.arange(len(signs)), 0))
    return np.asarray(signs[at]).astype(np.float64)


def _no_drift(values: Floats, block: Ints) -> float:
    """Return the two-sided p-value of `values` having mean zero, from the sums of their blocks (Student)."""
    sums = np.bincount(block, values, BLOCKS)
    power = float((sums**2).sum())
    if power == 0.0:
        return 1.0
    z = float(sums.sum()) / math.sqrt(power)
    return f_tail(z * z, 1, BLOCKS - 1)
