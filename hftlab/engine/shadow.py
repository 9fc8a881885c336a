"""Shadow mode: what live would have sent, as bytes, and how far three models of our fills lie apart."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from hftlab.analytics.divergence.shadow import Divergence
from hftlab.engine.clock import wall_now_ns
from hftlab.engine.lines import place_of
from hftlab.engine.spec import RunSpec
from hftlab.types import KIND_NAMES
from hftlab.venues.live.connect import make_wire
from hftlab.venues.live.ids import Ids
from hftlab.venues.live.keys import Keys
from hftlab.venues.live.model import OrderRequest, Wire
from hftlab.venues.live.spec import LiveFeed

FILE = "shadow.jsonl"
NOBODY = Keys.of("nobody", "nothing", "", "0x" + "1" * 40, "0x" + "1" * 64)  # nothing is signed with them, and nothing is sent


class Shadow:
    """Keeps one line for every request in shadow.jsonl; `figures` is the divergence of optimistic, modelled and pessimistic fills."""

    def __init__(self, spec: RunSpec, directory: Path) -> None:
        self._file = (directory / FILE).open("a", buffering=1)
        self._divergence = Divergence(
            spec.instruments,
            spec.quoters,
            spec.limits,
            fees=spec.venue.fees,
            latency=spec.venue.latency,
            queue=spec.venue.queue,
            sample_ms=spec.sample_ms,
            bar_s=spec.bar_s,
            run=spec.run(),
        )
        self._wires: dict[int, tuple[int, Wire, Ids]] = {}
        assert isinstance(spec.feed, LiveFeed)
        for venue in dict.fromkeys(one.venue for one in spec.instruments):
            places = [i for i, one in enumerate(spec.instruments) if one.venue == venue]
            wire = make_wire(place_of(spec.feed, venue), tuple(spec.instruments[i] for i in places), NOBODY, wall_now_ns)
            self._wires |= {place: (i, wire, Ids(venue, spec.tag)) for i, place in enumerate(places)}
        self._number = 0

    def step(self, rows: np.ndarray) -> None:
        """Let the three modelled exchanges follow."""
        self._divergence.step(rows)

    def keep(self, requests: np.ndarray) -> None:
        """Write down what live would have sent for these requests (EVENT rows)."""
        for row in requests:
            place, wire, ids = self._wires[int(row["instrument"])]
            self._number += 1
            kind = int(row["kind"])
            request = OrderRequest(
                self._number,
                kind,
                ids.client_id(int(row["order_id"])),
                "",
                place,
                int(row["side"]),
                int(row["price_ticks"]),
                int(row["qty_lots"]),
                int(row["flags"]),
            )
            line = {"ts_ns": int(row["ts_recv_ns"]), "kind": KIND_NAMES[kind], "order_id": int(row["order_id"])}
            self._file.write(json.dumps(line | {"wire": wire.encode(request).decode()}) + "\n")

    def close(self) -> None:
        """End shadow.jsonl."""
        self._file.close()

    def figures(self) -> dict[str, Any]:
        """Return the divergence meter, for screens."""
        return self._divergence.figures()
