"""How wrong each queue model is: the same orders in the matching engine, which knows the true queue, and in the modelled exchange."""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

import numpy as np

from hftlab.analytics.queues.probes import Probes, modelled, record
from hftlab.analytics.queues.result import QueueCalibration
from hftlab.assumptions import Queue
from hftlab.errors import InputError, UnknownName, did_you_mean
from hftlab.instrument import Instrument
from hftlab.kernels.flow_types import FLOW_DEFAULTS
from hftlab.strict import number

MODELS = (
    Queue(model="risk_averse"),
    *(Queue(model="power", power=n) for n in (1.0, 2.0, 3.0)),
    Queue(model="power2"),
    Queue(model="power3"),
    Queue(model="log"),
    Queue(model="log2"),
    Queue(model="touch"),
    Queue(model="through"),
)
AGES = (0.1, 0.25, 0.5)  # of the horizon
_OWN = ("instrument", "seeds", "minutes", "horizon_s", "behind_ticks", "every_s", "models", "progress")


def calibrate_queue(
    instrument: Instrument | None = None,
    *,
    seeds: Iterable[int] = range(20),
    minutes: float = 10.0,
    horizon_s: float = 2.0,
    behind_ticks: Sequence[int] = (0, 1),
    every_s: float = 0.5,
    models: Sequence[Queue | str] = MODELS,
    progress: Callable[[int, int], object] | None = None,
    **options: float,
) -> QueueCalibration:
    """Send many small orders into simulated markets, and the same orders through each queue model on the same events.

    Every seed is a market of `minutes` of its own time, in which about every `every_s` seconds, at random times and on a random side,
    one post-only order of one lot joins the queue `behind_ticks` behind the best price and is cancelled after `horizon_s`. What the
    public saw of that market, without our orders, is then played to the modelled exchange with the same orders at the same times.
    Latency is zero on both sides, so that only the queue differs. The same arguments give the same result.

    `models` are names or `hl.Queue`s; "fifo" needs order-by-order data, which this market does not tell: the truth stands in its place.
    `progress(done, all)` is called after each seed. Other keywords are options of the crowd (`kernels.flow_types.FLOW_DEFAULTS`, such
    as `toxic=0.5`) and `price`. Raises InputError, UnknownName.
    """
    _known(options)
    plan = _Plan(
        instrument or Instrument.bundled("sim:BTC/USDT"),
        number(minutes, "minutes", 0.5, 1e5) * 60,
        number(horizon_s, "horizon_s", 0.01, 600),
        _whole(behind_ticks, "behind_ticks", 0),
        number(every_s, "every_s", 0.001, 1e4),
        _queues(models),
        options,
    )
    numbers = _whole(seeds, "seeds")
    if len(numbers) < 2:
        raise InputError(f"seeds were {list(numbers)}; wanted at least two: forecasts are learned from one part and scored on another.")
    runs: dict[int, _Run] = {}
    with ThreadPoolExecutor(max_workers=min(len(numbers), os.cpu_count() or 1)) as pool:  # the kernels run without the GIL
        waiting = {pool.submit(plan.run, seed): seed for seed in numbers}
        for done in as_completed(waiting):
            runs[waiting[done]] = done.result()
            if progress is not None:
                progress(len(runs), len(numbers))
    return plan.result(numbers, [runs[seed] for seed in numbers])


@dataclass(frozen=True, slots=True)
class _Run:
    """What is kept of one seed: its probes without their rows, and what each model made of them (truth last)."""

    behind_ticks: np.ndarray
    level_lots: np.ndarray
    past_lots: np.ndarray
    known: np.ndarray
    wait_s: np.ndarray
    ahead_lots: np.ndarray


@dataclass(frozen=True, slots=True)
class _Plan:
    instrument: Instrument
    seconds: float
    horizon_s: float
    behind_ticks: tuple[int, ...]
    every_s: float
    queues: tuple[Queue, ...]
    options: dict[str, float]

    @property
    def ages_s(self) -> np.ndarray:
        return np.array(AGES) * self.horizon_s

    def run(self, seed: int) -> _Run:
        probes = record(
            self.instrument,
            seed,
            seconds=self.seconds,
            horizon_s=self.horizon_s,
            looks_s=self.ages_s,
            behind_ticks=self.behind_ticks,
            every_s=self.every_s,
            **self.options,
        )
        outcomes = [self._model(probes, queue) for queue in self.queues]
        true_ahead = probes.looks["ahead_lots"][:, 1:].astype(float)
        rests = true_ahead >= 0
        outcomes.append((probes.wait_s(probes.filled_ns), true_ahead))
        ahead = np.stack([np.where(rests, lots, np.nan) for _, lots in outcomes])
        wait = np.stack([wait_s for wait_s, _ in outcomes])
        return _Run(probes.behind_ticks, probes.looks["level_lots"][:, 0], probes.past()[:, 0, 0], probes.known(), wait, ahead)

    @staticmethod
    def _model(probes: Probes, queue: Queue) -> tuple[np.ndarray, np.ndarray]:
        filled_ns, ahead_lots = modelled(probes, queue)
        return probes.wait_s(filled_ns), np.nan_to_num(ahead_lots, nan=0.0)  # what it has filled stands in front of nothing

    def result(self, seeds: tuple[int, ...], runs: list[_Run]) -> QueueCalibration:
        known = np.concatenate([run.known for run in runs])
        return QueueCalibration(
            models=tuple(queue.text() for queue in self.queues),
            seeds=seeds,
            horizon_s=self.horizon_s,
            ages_s=tuple(float(age) for age in self.ages_s),
            seed=np.repeat(np.arange(len(runs)), [len(run.behind_ticks) for run in runs]),
            behind_ticks=np.concatenate([run.behind_ticks for run in runs]),
            level_lots=np.concatenate([run.level_lots for run in runs]),
            past_lots=np.concatenate([run.past_lots for run in runs]),
            wait_s=np.concatenate([run.wait_s for run in runs], axis=1),
            ahead_lots=np.concatenate([run.ahead_lots for run in runs], axis=1),
            at_placement=known[:, 0],
            at_age=known[:, 1:],
            assumptions=self._assumptions(),
        )

    def _assumptions(self) -> dict[str, str]:
        options = ", ".join(f"{name}={value:g}" for name, value in self.options.items())
        return {
            "market": f"simulated {self.instrument.name}, {self.seconds / 60:g} minutes a seed" + (f", {options}" if options else ""),
            "orders": f"1 lot, post-only, one about every {self.every_s:g} s, "
            + " or ".join(f"{b}" for b in self.behind_ticks)
            + f" ticks behind the best price, cancelled after {self.horizon_s:g} s",
            "latency": "none",
        }


def _known(options: dict[str, float]) -> None:
    for name in options:
        if name not in FLOW_DEFAULTS and name != "price":
            raise UnknownName(f"calibrate_queue has no parameter {name!r}.{did_you_mean(name, (*_OWN, 'price', *FLOW_DEFAULTS))}")


def _whole(values: Iterable[int], what: str, low: int | None = None) -> tuple[int, ...]:
    found = tuple(values)
    bad = [v for v in found if isinstance(v, bool) or not isinstance(v, int | np.integer) or (low is not None and v < low)]
    if bad or not found or len(set(found)) < len(found):
        raise InputError(f"{what} were {list(found)}; wanted different whole numbers" + ("" if low is None else f" from {low}") + ".")
    return tuple(int(v) for v in found)


def _queues(models: Sequence[Queue | str]) -> tuple[Queue, ...]:
    if isinstance(models, str) or not models:
        raise InputError(f"models was {models!r}; wanted a list of names or hl.Queue's.")
    queues = tuple(Queue.of(one) for one in models)
    for queue in queues:
        queue.code()
        if queue.model == "fifo":
            raise InputError(
                "models held 'fifo'; it needs order-by-order data, which this market does not tell. Leave it out: see `true queue`."
            )
    names = [queue.text() for queue in queues]
    if len(set(names)) < len(names):
        raise InputError(f"models were {names}; wanted each once.")
    return queues
