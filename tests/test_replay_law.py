"""The replay law: the journal of a session gives the bytes, the fills and the digest that the session published."""

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tapes import STEP, A, B, build_tape

import hftlab as hl
from hftlab.data import journal as jn
from hftlab.data.snapshot import SnapshotReader
from hftlab.data.tape import Tape
from hftlab.engine.figures import Figures
from hftlab.engine.session import Command, Driver
from hftlab.engine.spec import RunSpec, load_spec
from hftlab.types import FILL, TIMER

COMMANDS = st.one_of(
    st.just(("pause", {})),
    st.just(("resume", {})),
    st.just(("halt", {})),
    st.just(("flatten", {})),
    st.builds(lambda q: ("target", {"qty": q}), st.sampled_from([None, "0.2", "-0.3", "0"])),
    st.builds(lambda s: ("set", {"half_spread_ticks": s}), st.floats(0.5, 4)),
    st.builds(lambda x: ("set_limits", {"loss_quote_max": x}), st.floats(1, 1000)),
    st.just(("set", {"half_spread_tiks": 1.0})),  # misspelt: refused, and no trace in the journal
)


def spec_for(folder: Path, steps) -> RunSpec:
    rows = build_tape(steps, copies=False, commands=False)
    market = rows[rows["kind"] < TIMER]
    path = Tape(np.ascontiguousarray(market), (A, B), "random").save(folder / "tape.npz")
    quoter = hl.FixedSpread(order_qty="0.2", half_spread_ticks=1, life_ms_min=0, levels=2)
    other = hl.AvellanedaStoikov(order_qty="20", risk_aversion=0.001, decay_per_price=100, life_ms_min=0)
    return RunSpec(
        feed=hl.ReplayFeed(path, speed=float("inf")),
        venue=hl.PaperVenue(fees=hl.Fees(maker_bps=1)),
        instruments=(A, B),
        quoters=(quoter, other),
        limits=(hl.Limits(position_qty_max="1"), hl.Limits(position_qty_max="100")),
    )


@settings(max_examples=40)
@given(
    steps=st.lists(STEP, min_size=5, max_size=60),
    orders=st.lists(st.tuples(st.integers(0, 80), st.integers(0, 1), COMMANDS), max_size=12),
)
def test_a_replayed_journal_is_the_session(steps, orders):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        spec = spec_for(folder, steps)
        spec.save(folder)
        driver = Driver(spec, folder, Figures())
        fills = 0
        for turn in range(90):
            for when, market, (command, values) in orders:
                if when == turn:
                    driver.inbox.put(Command(command, market, values, "test"))
            driver.turn()
        driver.publish(1)
        fills = int(driver.state.markets["fills_count"].sum())

        again = load_spec(folder)
        state = again.state()
        written = state.step(again.run(), jn.read(folder / "journal"))
        assert state.digest() == driver.state.digest()
        assert int((written["kind"] == FILL).sum()) == fills
        frame = SnapshotReader(folder / "snapshot.bin", (A, B)).frame()
        assert (frame.desk.tobytes(), frame.markets.tobytes()) == (state.desk.tobytes(), state.markets.tobytes())
