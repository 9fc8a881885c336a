"""What rested at a venue and when, as one picture: the venue's own record of a drill."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hftlab.svg import Chart
from hftlab.venues.server.handle import OPEN


class Resting:
    """The number of orders that rested over time. `truth` is that of a venue; `spans` are (from, to) in ns to be shaded, on its clock.

    `seconds` and `orders` are the corners of the steps, float64; a notebook shows the picture.
    """

    def __init__(self, truth: Mapping[str, Any], spans: Sequence[tuple[int, int]] = ()) -> None:
        orders, end_ns = truth["orders"], int(truth["ts_ns"])
        came = [int(one["created_ns"]) for one in orders]
        went = [int(one["updated_ns"]) for one in orders if one["status"] not in OPEN]
        times = np.array([*came, *went, end_ns], np.int64)
        change = np.array([1] * len(came) + [-1] * len(went) + [0])
        order = np.argsort(times, kind="stable")
        self._start_ns = int(times[order[0]])
        self.seconds = np.repeat((times[order] - self._start_ns) / 1e9, 2)[1:]
        self.orders = np.repeat(np.cumsum(change[order]).astype(float), 2)[:-1]
        self._spans = [((a - self._start_ns) / 1e9, (b - self._start_ns) / 1e9) for a, b in spans]

    def _repr_html_(self) -> str:
        chart = Chart(
            "our orders at the venue; red: from a kill until nothing rests",
            x=(0.0, float(self.seconds[-1])),
            y=(0.0, max(2.0, float(self.orders.max()))),
            x_unit="s",
            x_label="since the first order",
            y_label="orders",
            width=720,
            height=140,
        )
        return chart.spans(self._spans).line(self.seconds, self.orders).svg()
