"""What came of the probes: how wrong each queue model is, against the matching engine's own queue."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from hftlab.analytics.queues import picture
from hftlab.analytics.queues import scores as sc
from hftlab.errors import InputError, UnknownName, did_you_mean

TRUTH = "true queue"


@dataclass(frozen=True)
class QueueCalibration:
    """Orders with their fate in truth and in every model. Rows of the arrays are models, the last is the truth itself.

    `seed` i8 (n,): index into `seeds`; `behind_ticks` i8 (n,): where the order joined; `wait_s` f8 (m + 1, n): from placement to
    fill, inf for none within `horizon_s`; `at_placement` and `at_age` f8 (n, k), (n, ages, k): what a forecast may know besides the
    queue; `ahead_lots` f8 (m + 1, n, ages): 0 where a model has filled the order already, NaN in all rows where it did not rest in truth.
    """

    models: tuple[str, ...]
    seeds: tuple[int, ...]
    horizon_s: float
    ages_s: tuple[float, ...]
    seed: np.ndarray = field(repr=False)
    behind_ticks: np.ndarray = field(repr=False)
    level_lots: np.ndarray = field(repr=False)
    past_lots: np.ndarray = field(repr=False)
    wait_s: np.ndarray = field(repr=False)
    ahead_lots: np.ndarray = field(repr=False)
    at_placement: np.ndarray = field(repr=False)
    at_age: np.ndarray = field(repr=False)
    assumptions: dict[str, str] = field(repr=False, default_factory=dict)

    @cached_property
    def filled(self) -> np.ndarray:
        """Return whether each order filled within the horizon: bool (m + 1, n)."""
        return np.isfinite(self.wait_s)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the models and, last, the truth."""
        return (*self.models, TRUTH)

    @cached_property
    def forecasts(self) -> np.ndarray:
        """Return P(fill within the horizon) at placement, f8 (m + 1, n): what backtests with each model on other seeds would teach.

        A logistic regression of the *model's* fills (the truth's for the last row) on the queue, the other side, the spread and the
        recent trades; the seeds are cut in two, and each half is forecast by what was learned from the other.
        """
        return np.stack([sc.out_of_sample(self.at_placement, label, self.behind_ticks, self._fold) for label in self.filled])

    @cached_property
    def forecasts_at_age(self) -> np.ndarray:
        """Return P(fill within what is left) at the last age, f8 (m + 1, n), NaN where the order rests no more.

        Here the labels are true fills and the models differ by the lots ahead that they report: how much their estimate is worth.
        """
        k = len(self.ages_s) - 1
        rests = ~np.isnan(self.ahead_lots[-1, :, k])
        p = np.full(self.filled.shape, np.nan)
        for m in range(len(p)):
            ahead = self.ahead_lots[m, rests, k]
            x = np.column_stack((np.log1p(ahead), np.sqrt(ahead), self.at_age[rests, k]))
            p[m, rests] = sc.out_of_sample(x, self.filled[-1, rests], self.behind_ticks[rests], self._fold[rests])
        return p

    @property
    def _fold(self) -> np.ndarray:
        return self.seed % 2

    def table(self) -> pd.DataFrame:
        """Return one row a model, the truth last; every figure is a mean over seeds with its standard error in `<name>_se`.

        Fills: `fill_share`; `false_fills`, the share filled of the orders that truly did not; `missed_fills`, the share not filled of
        those that did; `wrong`, both as a share of all: the Brier score of the model's own yes or no; `late_s`, how much later than in
        truth, of orders filled in both. Queue at the last age: `ahead_bias_lots`, `ahead_rmse_lots`. Forecasts at placement (see
        `forecasts`): `brier`, `skill`, `log_loss`, `slope`, and `brier_over`, the Brier score less that of the true queue. At
        the last age (see `forecasts_at_age`): `age_brier`, `age_skill`.
        """
        rows = [{"model": name} | sc.over_seeds([self._scores(m, s) for s in range(len(self.seeds))]) for m, name in enumerate(self.names)]
        return pd.DataFrame(rows).set_index("model")

    def _scores(self, m: int, s: int) -> dict[str, float]:
        mine = self.seed == s
        return self._fills(m, mine) | self._queue(m, mine, len(self.ages_s) - 1) | self._forecast(m, mine)

    def _fills(self, m: int, mine: np.ndarray) -> dict[str, float]:
        model, truth = self.filled[m, mine], self.filled[-1, mine]
        both = mine & self.filled[m] & self.filled[-1]
        late = self.wait_s[m, both] - self.wait_s[-1, both] if both.any() else np.array([np.nan])
        return {
            "fill_share": float(model.mean()),
            "false_fills": _share(model & ~truth, ~truth),
            "missed_fills": _share(~model & truth, truth),
            "wrong": float(np.mean(model != truth)),
            "late_s": float(late.mean()),
        }

    def _queue(self, m: int, mine: np.ndarray, k: int) -> dict[str, float]:
        error = (self.ahead_lots[m] - self.ahead_lots[-1])[mine, k]
        error = error[~np.isnan(error)]
        if not len(error):
            return {"ahead_bias_lots": np.nan, "ahead_rmse_lots": np.nan}
        return {"ahead_bias_lots": float(error.mean()), "ahead_rmse_lots": float(np.sqrt(np.mean(error**2)))}

    def _forecast(self, m: int, mine: np.ndarray) -> dict[str, float]:
        truth, where = self.filled[-1], mine & ~np.isnan(self.forecasts_at_age[m])
        now = sc.scores(self.forecasts[m, mine], self._base[mine], truth[mine])
        now["brier_over"] = now["brier"] - float(np.mean((self.forecasts[-1, mine] - truth[mine]) ** 2))
        later = sc.scores(self.forecasts_at_age[m, where], self._base_at_age[where], truth[where]) if where.any() else {}
        return now | {f"age_{name}": later.get(name, np.nan) for name in ("brier", "skill")}

    @cached_property
    def _base(self) -> np.ndarray:
        return sc.base_rate(self.filled[-1], self.behind_ticks, self._fold)

    @cached_property
    def _base_at_age(self) -> np.ndarray:
        rests = ~np.isnan(self.forecasts_at_age[-1])
        base = np.full(len(rests), np.nan)
        base[rests] = sc.base_rate(self.filled[-1, rests], self.behind_ticks[rests], self._fold[rests])
        return base

    def reliability(self, model: str, *, at: str = "placement") -> pd.DataFrame:
        """Return the reliability curve of a model's forecasts `at` "placement" or "age": forecast, filled, filled_se, orders.

        Raises UnknownName for a model that was not run, InputError for another `at`.
        """
        if at not in ("placement", "age"):
            raise InputError(f"at was {at!r}; wanted 'placement' or 'age'.")
        p = (self.forecasts if at == "placement" else self.forecasts_at_age)[self._index(model)]
        kept = ~np.isnan(p)
        return sc.reliability(p[kept], self.filled[-1, kept], self.seed[kept])

    def ahead(self) -> pd.DataFrame:
        """Return bias and root mean square error of the lots ahead by model and age: means over seeds with standard errors."""
        rows = [
            {"model": name, "age_s": age} | sc.over_seeds([self._queue(m, self.seed == s, k) for s in range(len(self.seeds))])
            for m, name in enumerate(self.models)
            for k, age in enumerate(self.ages_s)
        ]
        return pd.DataFrame(rows).set_index(["model", "age_s"])

    def by(self, what: str = "behind") -> pd.DataFrame:
        """Return the figures of the fills within groups of orders: where which model is right.

        `what`: "behind" (ticks behind the best price), "queue" or "trades" (thirds of the orders by lots at our price, or by lots traded
        against our side in the ten seconds before). Columns as in `table`, without the forecasts. Raises InputError for another.
        """
        groups = self._groups(what)
        rows = []
        for label, mine in groups:
            for m, name in enumerate(self.names):
                per_seed = [self._fills(m, mine & (self.seed == s)) for s in range(len(self.seeds)) if (mine & (self.seed == s)).any()]
                rows.append({what: label, "model": name, "orders": int(mine.sum())} | sc.over_seeds(per_seed))
        return pd.DataFrame(rows).set_index([what, "model"])

    def _groups(self, what: str) -> list[tuple[str, np.ndarray]]:
        if what == "behind":
            return [(f"{b} ticks" if b != 1 else "1 tick", self.behind_ticks == b) for b in np.unique(self.behind_ticks)]
        values = {"queue": self.level_lots, "trades": self.past_lots}.get(what)
        if values is None:
            raise InputError(f"groups were by {what!r}.{did_you_mean(what, ('behind', 'queue', 'trades'))}")
        low, high = np.quantile(values, (1 / 3, 2 / 3))
        return [
            (f"up to {low:,.0f} lots", values <= low),
            (f"{low:,.0f} to {high:,.0f} lots", (values > low) & (values <= high)),
            (f"over {high:,.0f} lots", values > high),
        ]

    @cached_property
    def best(self) -> str:
        """Return the model that is wrong about the fewest orders."""
        wrong = self.table()["wrong"][list(self.models)]
        return str(wrong.idxmin())

    def against_best(self) -> pd.DataFrame:
        """Return how much worse than the best each model is, paired by seed: mean, standard error, and t, their ratio.

        `wrong_more`: the share of orders it is wrong about; `brier_more`: the Brier score of the forecast at placement.
        """
        truth = self.filled[-1]
        columns: dict[str, np.ndarray] = {}
        for name, loss in (("wrong", (self.filled != truth).astype(float)), ("brier", (self.forecasts - truth) ** 2)):
            more = loss - loss[self._index(self.best)]
            per_seed = np.stack([more[:, self.seed == s].mean(axis=1) for s in range(len(self.seeds))])
            mean, error = per_seed.mean(axis=0), per_seed.std(axis=0, ddof=1) / np.sqrt(len(self.seeds))
            t = np.divide(mean, error, out=np.zeros_like(mean), where=error > 0)
            columns |= {f"{name}_more": mean, f"{name}_more_se": error, f"{name}_t": t}
        return pd.DataFrame(columns, index=pd.Index(self.names, name="model"))

    def _index(self, model: str) -> int:
        if model not in self.names:
            raise UnknownName(f"no model {model!r} was run.{did_you_mean(model, self.names)}")
        return self.names.index(model)

    def words(self) -> list[str]:
        """Return what the figures say, in sentences."""
        return picture.words(self)

    def _repr_html_(self) -> str:
        return picture.page(self)


def _share(part: np.ndarray, whole: np.ndarray) -> float:
    return float(part.sum() / whole.sum()) if whole.any() else np.nan
