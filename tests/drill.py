"""The kill drill: an engine is killed at a random moment, and what is left is held against what it had published."""

import os
import random
import signal
import time
from pathlib import Path

import hftlab as hl
from hftlab.data import journal as jn
from hftlab.engine.spec import load_spec
from hftlab.types import SET_PARAMS

BTC = hl.Instrument.bundled("sim:BTC/USDT")
LIMITS = hl.Limits(position_qty_max="0.05", loss_quote_max=200)


def start(directory: Path, seed: int = 7, **options):
    """Start a small paper session on the simulated market."""
    return hl.start(
        hl.SynthFeed(BTC, seed=seed),
        hl.PaperVenue(BTC),
        hl.AvellanedaStoikov(risk_aversion=0.1, order_qty="0.01"),
        LIMITS,
        run=directory,
        **options,
    )


def wait_dead(view, timeout_s: float = 10.0) -> None:
    """Wait until no engine holds the run's lock."""
    end = time.monotonic() + timeout_s
    while view.alive():
        assert time.monotonic() < end, "the engine is still alive"
        time.sleep(0.01)


def kill_once(directory: Path, seed: int) -> dict[str, object]:
    """Start, command, kill -9, compare, resume, compare, stop. Asserts; returns the figures."""
    rng = random.Random(seed)
    session = start(directory, seed=seed)
    acknowledged = []
    end = time.monotonic() + rng.uniform(0.05, 1.5)
    while time.monotonic() < end:
        value = round(rng.uniform(0.01, 1.0), 4)
        session.set(risk_aversion=value)
        acknowledged.append(value)
        time.sleep(rng.uniform(0.0, 0.1))
    os.kill(int(session.frame().engine["pid"]), signal.SIGKILL)
    wait_dead(session)

    view = hl.attach(directory)
    frame = view.frame()
    rows = jn.read(directory / "journal")
    published = int(frame.desk["rows"])
    assert published <= len(rows)
    spec = load_spec(directory)
    state = spec.state()
    state.step(spec.run(), rows[:published])
    assert state.desk.tobytes() == frame.desk.tobytes()
    assert state.markets.tobytes() == frame.markets.tobytes()

    commands = rows[rows["kind"] == SET_PARAMS]
    sent = commands["price_ticks"].view("f8") / BTC.ticklot_quote
    assert [round(float(v), 4) for v in sent[: len(acknowledged)]] == acknowledged

    again = hl.resume(directory)
    after = again.frame()
    assert int(after.desk["rows"]) >= len(rows)
    running = next(t["value"] for t in again.tunable() if t["name"] == "risk_aversion")
    assert round(running, 4) == round(float(sent[-1]), 4) if len(sent) else True
    again.wait(lambda f: len(f.orders()) > 0)
    report = again.stop()
    assert not view.alive()
    assert report.desk["state"] == "STOPPED"
    return {"rows": len(rows), "published": published, "acknowledged": len(acknowledged), "journaled_commands": len(commands)}


def main(count: int = 20) -> None:
    """Run the drill `count` times in temporary directories and print a table."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        for n in range(count):
            print(n, kill_once(Path(folder) / f"run-{n}", seed=1000 + n), flush=True)


if __name__ == "__main__":
    main()
