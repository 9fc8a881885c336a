"""Laws of the gateway with the real engine in the loop: whatever acknowledgements are lost, the truth stays inside what is counted with."""

import asyncio
from fractions import Fraction

import pytest
from fake_wire import FakeWire, Faults, run, until
from live_desk import Crowd, Engine

from hftlab.assumptions import Fees
from hftlab.instrument import Instrument
from hftlab.params import FixedSpread, Limits
from hftlab.types import BID, HALT

USDM = Instrument.bundled("binanceusdm:BTC/USDT:USDT")
NEVER = Instrument(**(USDM.to_dict() | {"amend": "never"}))
QUOTER = FixedSpread(order_qty="0.010", half_spread_ticks=3, levels=2, level_step_ticks=4, hysteresis_ticks=1, life_ms_min=0)
LIMITS = Limits(
    position_qty_max="0.060",
    order_qty_max="0.010",
    requests_per_s_max=1e6,
    requests_burst=1e6,
    loss_quote_max=1e9,
    drawdown_frac_max=1e9,
    capital_quote=1e9,
)
LOST_ACKS = Faults(lost_before=0.02, lost_after=0.04, late=0.01, silent=0.01, visible_s=1.0, duplicate=0.1, reorder=0.1)


def watch(engine: Engine, wire: FakeWire) -> None:
    """The laws of every moment."""
    position = wire.position[0]
    low, high = engine.interval()
    assert low <= position <= high, f"the venue has {position}, the engine counts with {low}..{high}"
    limit = int(engine.market["limits"]["position_lots_max"])
    resting = {side: sum(o.qty_lots - o.filled_lots for o in wire.resting() if o.side == side) for side in (BID, -BID)}
    assert position + resting[BID] <= limit
    assert position - resting[-BID] >= -limit


async def end(engine: Engine, wire: FakeWire) -> None:
    """Halt, let everything be resolved, and compare with the truth."""
    engine.command(HALT)
    await asyncio.sleep(1)
    await engine.gateway.halt()
    await until(lambda: engine.gateway.settled and not engine.inbox and not int(engine.market["working"]))
    assert wire.resting() == []
    assert engine.market["position_lots"] == wire.position[0]
    assert abs(engine.money() - Fraction(wire.cash)) < Fraction(1, 10**12)
    assert int(engine.market["open_lots"].sum()) == 0
    assert wire.counts["duplicates sent"] == 0


def session(instrument: Instrument, seed: int, orders: int, faults: Faults) -> tuple[Engine, FakeWire]:
    """Quote through a faulty venue until so many orders were sent; return engine and venue after the end."""

    async def story() -> tuple[Engine, FakeWire]:
        wire = FakeWire((instrument,), seed=seed, faults=faults)
        engine = Engine(wire, (instrument,), quoter=QUOTER, limits=LIMITS, fees=Fees(maker_bps=2, taker_bps=5))
        engine.check = wire.on_change = lambda: watch(engine, wire)
        crowd = Crowd(wire, lambda: engine, seed)
        await engine.gateway.start()
        running = asyncio.create_task(engine.gateway.run())
        await crowd.play(lambda: engine.submits >= orders)
        await end(engine, wire)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await engine.gateway.close()
        return engine, wire

    return run(story)


@pytest.mark.parametrize("instrument", [NEVER, USDM], ids=["cancel and new", "amend in place"])
def test_with_lost_acknowledgements_the_true_position_is_always_inside_what_the_engine_counts_with(instrument):
    engine, wire = session(instrument, seed=1, orders=500, faults=LOST_ACKS)
    status = engine.gateway.status()
    assert status["fills"] == len(wire.all_fills) > 50
    assert status["counts"]["resolved"] > 5
