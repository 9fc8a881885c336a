"""A sweep on a Dask cluster: the same points come out the same, and a worker that is killed in the middle loses none of them."""

import os
import signal
import time

import numpy as np
import pytest

import hftlab as hl

pytestmark = pytest.mark.filterwarnings("ignore")  # distributed leaves sockets and tasks of dead workers to the collector

LIMITS = hl.Limits(position_qty_max="0.1")
LONG_S = 180.0
EDGES = list(np.linspace(0.5, 6.0, 60))


def decide(desk, market, params, quote):
    lean = 0.05 * market.position_lots
    quote.bid_ticks = int(np.floor(market.fair_ticks - params.user0 - lean))
    quote.ask_ticks = int(np.ceil(market.fair_ticks + params.user0 - lean))
    quote.bid_lots = quote.ask_lots = int(params.order_lots)
    quote.levels = 1


@pytest.fixture(scope="module")
def cluster():
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as workers:
        yield workers


def until(condition):
    end = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.002)


def test_a_worker_that_is_killed_loses_no_point_and_doubles_none(cluster):
    tape = hl.sample().slice(0, 30)
    quoter = hl.UserQuoter(order_qty="0.01", decide=decide, values={"edge": 1.0})
    grid = hl.grid(quoter, edge=EDGES, latency_order_ms=[0, 10])
    wanted = hl.sweep(tape, None, grid, LIMITS).wait(LONG_S)
    found = hl.sweep(tape, None, grid, LIMITS, cluster=cluster.scheduler_address)
    until(lambda: found.progress().done >= 5)
    os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)
    found.wait(LONG_S)
    assert [cell.error for cell in found.cells if cell.error] == []
    assert [cell.figures["digest"] for cell in found.cells] == [cell.figures["digest"] for cell in wanted.cells]
    assert len(found.cells) == len(grid)
    assert found.report().digest == wanted.best.figures["digest"]


def test_a_cancel_reaches_the_workers_and_leaves_what_was_found(cluster):
    grid = hl.grid(hl.FixedSpread(order_qty="0.01"), half_spread_ticks=list(np.linspace(0.5, 6, 3000)))
    found = hl.sweep(hl.sample(), None, grid, LIMITS, cluster=cluster)
    until(lambda: found.progress().done >= 3)
    found.cancel()
    assert found.progress().state == "cancelled"
    assert 3 <= found.progress().done < 3000
    # The workers are free again: the next sweep runs on them.
    few = hl.sweep(hl.sample().slice(0, 10), None, grid.sample(4), LIMITS, cluster=cluster).wait(LONG_S)
    assert [cell.state for cell in few.cells] == ["done"] * 4
