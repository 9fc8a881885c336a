"""The market of Avellaneda & Stoikov 2008, section 3.3, and their two makers in it, with the formulas that the quoter uses.

The price makes steps of +-sigma sqrt(dt). A side that stands `depth` away from it is filled in a step with probability
A exp(-k depth) dt, held to 1, one unit at a time, both sides independently; fills are paid from the price before the step. Units as in
`kernels.pricing`: prices in P, quantities in units, seconds.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from hftlab.errors import UnknownName, did_you_mean
from hftlab.kernels import pricing
from hftlab.strict import number
from hftlab.svg import DATA, MARK, Chart

STRATEGIES = ("inventory", "symmetric")
PAPER = {
    (0.1, "inventory"): (1.49, 65.0, 6.6, 0.08, 2.9),
    (0.1, "symmetric"): (1.49, 68.4, 12.7, 0.26, 8.4),
    (0.01, "inventory"): (1.35, 68.6, 8.7, 0.12, 5.1),
    (0.01, "symmetric"): (1.35, 68.8, 12.8, 0.09, 8.7),
}
"""Of 1000 simulations each, as published: spread, profit, its standard deviation, final inventory, its standard deviation."""
TIME = "time, from 0 to the paper's horizon T = 1"

# The source of the kernels: the same formulas on whole arrays.
_reservation = getattr(pricing.as_reservation_ticks, "py_func", pricing.as_reservation_ticks)


@dataclass(frozen=True)
class PaperMarket:
    """The market of the paper. `sigma` in P/sqrt(s), `k` in 1/P, `A` in 1/s, `horizon_s` and `dt_s` in s."""

    price: float = 100.0
    horizon_s: float = 1.0
    sigma: float = 2.0
    dt_s: float = 0.005
    k: float = 1.5
    A: float = 140.0

    @property
    def steps(self) -> int:
        """Return the number of steps."""
        return round(self.horizon_s / self.dt_s)

    def spread(self, gamma: float, step: int) -> float:
        """Return the whole spread at a step (eq. 30)."""
        return float(pricing.as_spread(gamma, self.sigma, self.horizon_s - step * self.dt_s, self.k, 1.0))

    def mean_spread(self, gamma: float) -> float:
        """Return the spread averaged over time: what the symmetric maker quotes."""
        return float(np.mean([self.spread(gamma, i) for i in range(self.steps)]))


@dataclass(frozen=True)
class PaperRun:
    """Many lives of one maker: `profit` and `inventory` f8 (paths,) at the end; of the first life f8 (steps,) each: price, bid, ask, held."""

    gamma: float
    strategy: str
    market: PaperMarket
    profit: np.ndarray = field(repr=False)
    inventory: np.ndarray = field(repr=False)
    price: np.ndarray = field(repr=False)
    bid: np.ndarray = field(repr=False)
    ask: np.ndarray = field(repr=False)
    held: np.ndarray = field(repr=False)

    def row(self) -> dict[str, float]:
        """Return mean and standard deviation of profit and inventory with their standard errors `_se`.

        The error of a standard deviation takes the sample's own fourth moment: profits have fat tails.
        """
        found: dict[str, float] = {"spread": self.market.mean_spread(self.gamma)}
        for name, values in (("profit", self.profit), ("inventory", self.inventory)):
            centred, sd, n = values - values.mean(), float(values.std(ddof=1)), len(values)
            kurtosis = float(np.mean(centred**4) / np.mean(centred**2) ** 2)
            found |= {name: float(values.mean()), f"{name}_se": sd / np.sqrt(n)}
            found |= {f"{name}_sd": sd, f"{name}_sd_se": sd * np.sqrt((kurtosis - 1) / 4 / n)}
        return found

    def _repr_html_(self) -> str:
        """Draw the first life: the price with both quotes, and the inventory."""
        x = np.arange(len(self.price)) * self.market.dt_s
        low, high = float(min(self.bid.min(), self.price.min())), float(max(self.ask.max(), self.price.max()))
        name = f"{self.strategy}, gamma {self.gamma:g}"
        quotes = Chart(
            f"{name}: price (red) between bid and ask (blue band)",
            x=(0, x[-1]),
            y=(low, high),
            x_label=TIME,
            y_label="price, P",
            width=620,
            height=200,
        )
        quotes.band(x, self.bid, self.ask).line(x, self.price, MARK)
        most = max(float(np.abs(self.held).max()), 1.0)
        held = Chart(f"{name}: inventory", x=(0, x[-1]), y=(-most, most), x_label=TIME, y_label="held, units", width=620, height=130)
        return f"<div>{quotes.svg()}<br>{held.line(x, self.held).svg()}</div>"


def simulate_paper(
    gamma: float,
    strategy: str = "inventory",
    *,
    paths: int = 1000,
    seed: int = 0,
    market: PaperMarket | None = None,
    probability: Callable[[np.ndarray], np.ndarray] = lambda rate: np.minimum(rate, 1.0),
) -> PaperRun:
    """Return `paths` lives of one maker: "inventory" quotes around the reservation price, "symmetric" the mean spread around the price.

    `probability` turns A exp(-k depth) dt into the chance of a fill; the paper holds it to 1. The same arguments give the same
    result. Raises InputError, UnknownName.
    """
    if strategy not in STRATEGIES:
        raise UnknownName(f"no strategy {strategy!r}.{did_you_mean(strategy, STRATEGIES)}")
    gamma, paths = number(gamma, "gamma", 1e-9), int(number(paths, "paths", 2))
    of = market or PaperMarket()
    rng = np.random.default_rng(seed)
    s, q, cash = np.full(paths, of.price), np.zeros(paths), np.zeros(paths)
    symmetric, first = of.mean_spread(gamma), np.empty((of.steps, 4))
    for i in range(of.steps):
        centre, half = s, 0.5 * symmetric
        if strategy == "inventory":
            centre = _reservation(s, q, gamma, of.sigma, of.horizon_s - i * of.dt_s)
            half = 0.5 * of.spread(gamma, i)
        bid, ask = centre - half, centre + half
        first[i] = s[0], bid[0], ask[0], q[0]
        bought = rng.random(paths) < probability(of.A * np.exp(-of.k * (s - bid)) * of.dt_s)
        sold = rng.random(paths) < probability(of.A * np.exp(-of.k * (ask - s)) * of.dt_s)
        q += bought.astype(float) - sold
        cash += ask * sold - bid * bought
        s += np.where(rng.random(paths) < 0.5, -1.0, 1.0) * of.sigma * np.sqrt(of.dt_s)
    return PaperRun(gamma, strategy, of, cash + q * s, q, *first.T)


def paper_table(*, paths: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Return one row for each gamma and strategy of the paper: what it published (`published_…`) and what comes of `paths` lives here.

    `sigmas` is the largest of the four differences in standard errors of the two together, the paper's being of 1000 lives.
    """
    rows = []
    for (gamma, strategy), published in PAPER.items():
        mine = simulate_paper(gamma, strategy, paths=paths, seed=seed).row()
        names = ("spread", "profit", "profit_sd", "inventory", "inventory_sd")
        said = {f"published_{name}": value for name, value in zip(names, published, strict=True)}
        both = np.sqrt(1 + paths / 1000)
        # Half of the published last digit may be rounding.
        rounding = {"profit": 0.05, "profit_sd": 0.05, "inventory": 0.005, "inventory_sd": 0.05}
        away = [max(abs(mine[n] - said[f"published_{n}"]) - r, 0.0) / (mine[f"{n}_se"] * both) for n, r in rounding.items()]
        rows.append({"gamma": gamma, "strategy": strategy} | mine | said | {"sigmas": max(away)})
    return pd.DataFrame(rows).set_index(["gamma", "strategy"])


def profits(runs: tuple[PaperRun, ...], bins: int = 60) -> str:
    """Return SVG of the profits of two runs as histograms over one axis: the first blue, the second red."""
    every = np.concatenate([run.profit for run in runs])
    low, high = np.quantile(every, [0.0005, 0.9995])
    edges = np.linspace(low, high, bins + 1)
    counts = [np.histogram(run.profit, edges)[0].astype(float) for run in runs]
    named = " and ".join(f"{run.strategy} ({colour})" for run, colour in zip(runs, ("blue", "red"), strict=False))
    most = float(max(count.max() for count in counts))
    chart = Chart(
        f"Profit: {named}",
        x=(float(low), float(high)),
        y=(0, most),
        x_label="profit of one life, P",
        y_label="lives",
        width=620,
        height=190,
    )
    for count, colour in zip(counts, (DATA, MARK), strict=False):
        chart.bars(edges, count, colour)
    return chart.svg()
