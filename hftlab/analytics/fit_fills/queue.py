"""Which queue model, and with which exponent, a session's fills speak for: fitted on the first of its orders, judged on the rest."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from hftlab.analytics.fit_fills.play import Stage, judge, order_rows
from hftlab.analytics.stats.resample import Blocks, interval_of
from hftlab.assumptions import QUEUES, Queue
from hftlab.errors import InputError
from hftlab.kernels.jit import records

if TYPE_CHECKING:
    import pandas as pd

FAMILIES = ("power", "power2", "power3")
"""Models with an exponent."""
PLAIN = ("risk_averse", "log", "log2", "touch", "through")
NOT_TRIED = {name: "needs order-by-order data" for name in QUEUES if name not in (*FAMILIES, *PLAIN)}
EXPONENTS = (0.0, *np.geomspace(0.25, 8.0, 16).tolist())
_FINE = 24
_SURE = 0.95
STAYS_MIN = 30


@dataclass(frozen=True)
class Trials:
    """What each model made of each stay: f8 (models, stays) lots missed, false, wrong for their time; lots x ns late."""

    queues: tuple[Queue, ...]
    missed: np.ndarray = field(repr=False)
    false: np.ndarray = field(repr=False)
    shifted: np.ndarray = field(repr=False)
    late: np.ndarray = field(repr=False)

    @cached_property
    def loss(self) -> np.ndarray:
        """Return the lots that are wrong, f8 (models, stays)."""
        return np.asarray(self.missed + self.false + self.shifted)

    def family(self, name: str) -> np.ndarray:
        """Return which of the models have this name, by exponent."""
        mine = [k for k, one in enumerate(self.queues) if one.model == name]
        mine.sort(key=lambda k: self.queues[k].power)
        return np.array(mine, np.int64)

    def and_more(self, other: "Trials") -> "Trials":
        """Return both."""
        columns = ("missed", "false", "shifted", "late")
        return Trials(self.queues + other.queues, *(np.concatenate([getattr(self, n), getattr(other, n)]) for n in columns))


def trials(stage: Stage, found: np.ndarray, parts: np.ndarray, queues: Sequence[Queue], grace_ns: int) -> Trials:
    """Return what each of `queues` makes of STAYs whose live fills are `parts`."""
    own = order_rows(found, grace_ns)
    figures = np.zeros((len(queues), len(found), 4))
    for k, queue in enumerate(queues):
        model, _ = stage.play(queue, own)
        judge(records(parts), records(model), found["cap_lots"].astype(np.int64), float(grace_ns), figures[k])
    missed, false, shifted, late = np.moveaxis(figures, -1, 0)
    return Trials(tuple(queues), missed, false, shifted, late)


def _best(loss: np.ndarray, exponents: np.ndarray) -> tuple[float, float, float]:
    """Return the middle of the exponents with the smallest loss (f8, by exponent), and how far it may reach to either side.

    Fills make steps, not curves: several exponents can be equally good, and what lies halfway to the next one was not tried.
    """
    least = np.flatnonzero(loss <= loss.min() * (1 + 1e-12) + 1e-12)
    first, last = least[0], least[-1]
    low = (exponents[first] + exponents[max(first - 1, 0)]) / 2
    high = (exponents[last] + exponents[min(last + 1, len(exponents) - 1)]) / 2
    return float((exponents[first] + exponents[last]) / 2), float(low), float(high)


@dataclass(frozen=True)
class Choice:
    """A model chosen on some stays: the queue, the span of equally good exponents, and the loss of every model there (lots)."""

    queue: Queue
    low: float
    high: float
    loss: np.ndarray = field(repr=False)


def settle(tried: Trials, weights: np.ndarray, drawn: np.ndarray) -> Choice:
    """Return the model with the smallest loss, or the best power model where the two cannot be told apart.

    They can when the other is better in 95 % of the replicates: `drawn` f8 (replicates, stays) are their weights.
    """
    best, plain = choose(tried, weights), choose(tried, weights, "power")
    if best.queue.model != "power":
        losses = [tried.loss[_nearest(tried, one.queue)] for one in (best, plain)]
        if np.mean(drawn @ losses[0] < drawn @ losses[1]) < _SURE:
            return plain
    return best


def choose(tried: Trials, weights: np.ndarray, name: str | None = None) -> Choice:
    """Return the model with the smallest loss under `weights` (f8, one a stay), or the best of a family."""
    loss = tried.loss @ weights
    within = np.arange(len(loss)) if name is None else tried.family(name)
    first = tried.queues[int(within[np.argmin(loss[within])])]
    if first.model not in FAMILIES:
        return Choice(first, np.nan, np.nan, loss)
    family = tried.family(first.model)
    power, low, high = _best(loss[family], np.array([tried.queues[k].power for k in family]))
    return Choice(Queue(model=first.model, power=power), low, high, loss)


def search(stage: Stage, found: np.ndarray, parts: np.ndarray, grace_ns: int) -> Trials:
    """Return every model tried on a grid of exponents, and the best family on a finer one around its best. Raises InputError."""
    if len(found) < STAYS_MIN or not len(parts):
        raise InputError(
            f"the session has {len(found)} orders that rested and {len(parts)} fills of them; wanted {STAYS_MIN} orders and one fill or "
            "more to fit a queue model."
        )
    coarse = [Queue(model=name) for name in PLAIN] + [Queue(model=name, power=n) for name in FAMILIES for n in EXPONENTS]
    tried = trials(stage, found, parts, coarse, grace_ns)
    everything = np.ones(len(found))
    for name in FAMILIES:
        tried = _finer(tried, stage, found, parts, grace_ns, choose(tried, everything, name), steps=2)
    best = choose(tried, everything)
    return _finer(tried, stage, found, parts, grace_ns, best, steps=1) if best.queue.model in FAMILIES else tried


def _finer(tried: Trials, stage: Stage, found: np.ndarray, parts: np.ndarray, grace_ns: int, best: Choice, steps: int) -> Trials:
    """Return the trials with more exponents between those that lie `steps` to either side of the best."""
    known = np.array([tried.queues[k].power for k in tried.family(best.queue.model)])
    low, high = np.searchsorted(known, best.low, side="right") - steps, np.searchsorted(known, best.high) + steps - 1
    ends = float(known[max(int(low), 0)]), float(known[min(int(high), len(known) - 1)])
    fine = [n for n in np.linspace(*ends, _FINE + 2)[1:-1].tolist() if n not in known]
    return tried.and_more(trials(stage, found, parts, [Queue(model=best.queue.model, power=n) for n in fine], grace_ns))


RATES = ("false_fills", "missed_fills", "wrong", "false_lots", "missed_lots", "late_s")


def rates(tried: Trials, k: int, found: np.ndarray, weights: np.ndarray | None = None) -> dict[str, float]:
    """Return RATES of model `k` over STAYs, each an order at one price.

    Of orders: `false_fills`, filled by the model of those that live were not; `missed_fills`, not filled by it of those that were;
    `wrong`, both of all. Of lots, by the lots filled live: `false_lots`, `missed_lots`. `late_s`: mean delay of lots filled in both.
    """
    w = np.ones(len(found)) if weights is None else weights
    both = found["filled_lots"] - tried.missed[k]
    live, model = found["filled_lots"] > 0, tried.false[k] + both > 0
    filled, together = float((w * found["filled_lots"]).sum()), float((w * both).sum())
    return {
        "false_fills": _share(w, model & ~live, ~live),
        "missed_fills": _share(w, live & ~model, live),
        "wrong": _share(w, live != model, np.ones(len(w), bool)),
        "false_lots": float((w * tried.false[k]).sum()) / filled if filled else np.nan,
        "missed_lots": float((w * tried.missed[k]).sum()) / filled if filled else np.nan,
        "late_s": float((w * tried.late[k]).sum()) / together / 1e9 if together else np.nan,
    }


def _share(weight: np.ndarray, part: np.ndarray, whole: np.ndarray) -> float:
    return float(weight[part].sum() / weight[whole].sum()) if weight[whole].sum() > 0 else np.nan


@dataclass(frozen=True, repr=False)
class QueueFit:
    """`model` is fitted to all orders, with `low` to `high` its exponent's 95 % interval (NaN without one); `trained` to the first part.

    `judged`: RATES of `trained` on the stays of orders that it has not seen, each (value, low, high); `wins`: how often each model was
    best when blocks of the session were drawn anew.
    """

    model: Queue
    low: float
    high: float
    trained: Queue
    judged: dict[str, tuple[float, float, float]]
    wins: dict[str, float]
    stays: int
    stays_judged: int
    grace_s: float
    tried: Trials = field(repr=False)
    found: np.ndarray = field(repr=False)

    def table(self) -> "pd.DataFrame":
        """Return one row a model over all orders, each at its best exponent: lots wrong per lot filled live, RATES, wins."""
        import pandas as pd

        everything = np.ones(len(self.found))
        filled = float(self.found["filled_lots"].sum())
        rows = []
        for name in (*FAMILIES, *PLAIN):
            best = choose(self.tried, everything, name)
            k = _nearest(self.tried, best.queue)
            loss = float(self.tried.loss[k].sum()) / filled
            rows.append({"model": best.queue.text(), "wrong_lots": loss} | rates(self.tried, k, self.found) | {"wins": self.wins[name]})
        return pd.DataFrame(rows).set_index("model").sort_values("wrong_lots")

    def curve(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the exponents tried of the chosen family, and the lots wrong per lot filled live at each; empty without exponent."""
        if self.model.model not in FAMILIES:
            return np.zeros(0), np.zeros(0)
        family = self.tried.family(self.model.model)
        return np.array([self.tried.queues[k].power for k in family]), self.tried.loss[family].sum(axis=1) / self.found["filled_lots"].sum()


def _nearest(tried: Trials, queue: Queue) -> int:
    """Return the number of the tried model that is this one, or the nearest in exponent."""
    family = tried.family(queue.model)
    return int(family[np.argmin([abs(tried.queues[k].power - queue.power) for k in family])])


def fit_queue(
    stage: Stage, found: np.ndarray, parts: np.ndarray, *, train: float = 0.7, grace_s: float = 1.0, replicates: int = 200, seed: int = 0
) -> QueueFit:
    """Return the QueueFit of STAYs with their live PARTs. The loss is the lots that are filled wrongly.

    A lot filled in the model alone or live alone counts whole, one filled in both by how far apart in time, whole from `grace_s` on; an
    order that was filled live may still be filled in the model that much later. The exponent is that of the smallest loss, which need
    not be how the others really cancel: a model moves by the expected place, a queue by what happened. Where everybody cancels with the
    same hazard (n = 1, the simulated market) sessions of five minutes give 0.8 to 1.3. Raises InputError for too few orders.
    """
    tried = search(stage, found, parts, round(grace_s * 1e9))
    first = first_part(found, train)
    blocks = Blocks.of(found["start_ns"], replicates=replicates, seed=seed)
    weights = blocks.weights(found["start_ns"])
    chosen, trained = settle(tried, np.ones(len(found)), weights), settle(tried, first.astype(float), weights * first)
    wins = dict.fromkeys((*FAMILIES, *PLAIN), 0.0)
    ends = []
    for w in weights:
        wins[choose(tried, w).queue.model] += 1 / len(weights)
        if chosen.queue.model in FAMILIES:
            again = choose(tried, w, chosen.queue.model)
            ends.append((again.low, again.high))
    low, high = (float(np.quantile([e[i] for e in ends], q)) if ends else np.nan for i, q in ((0, 0.025), (1, 0.975)))
    k, rest = _nearest(tried, trained.queue), ~first
    drawn = [rates(part(tried, rest), k, found[rest], w[rest]) for w in weights]
    value = rates(part(tried, rest), k, found[rest])
    judged = {name: (value[name], *interval_of([one[name] for one in drawn])) for name in RATES}
    count = int(np.count_nonzero(rest))
    return QueueFit(chosen.queue, low, high, trained.queue, judged, wins, len(found), count, grace_s, tried, found)


def first_part(found: np.ndarray, share: float) -> np.ndarray:
    """Return which STAYs belong to the first `share` of the orders by the time each began, bool."""
    _, order = np.unique(found[["instrument", "order_id"]], return_inverse=True)
    began = np.full(order.max() + 1, np.iinfo(np.int64).max)
    np.minimum.at(began, order, found["start_ns"])
    rank = np.argsort(np.argsort(began, kind="stable"), kind="stable")
    return np.asarray(rank[order] < share * len(began))


def part(tried: Trials, mask: np.ndarray) -> Trials:
    """Return the trials of some of the stays."""
    return Trials(tried.queues, *(getattr(tried, name)[:, mask] for name in ("missed", "false", "shifted", "late")))
