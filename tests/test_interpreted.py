"""The kernels as plain Python: the same bytes as compiled, and no warning of numpy's on the way."""

import os
import random
import subprocess
import sys
from pathlib import Path

from tapes import build_tape
from test_core import ALL_ON, DECISIONS, two_markets

from hftlab.assumptions import Fees, Latency
from hftlab.kernels import core

WHAT = ["move", "trade", "level", "sweep", "timer", "gap", "command", "move", "trade", "funding", "latency", "order"]
VENUES = (
    {},
    {
        "queue": "log2",
        "latency": Latency(order_ms=1, feed_share=0.5, jitter_ms=2, seed=3),
        "fees": Fees(maker_bps=1, tiers=[(500, -0.5, 4)]),
    },
    {"queue": ("fifo", "power3")},
    {"more": ALL_ON},
    {"decisions": DECISIONS},
)


def digests():
    """Digests of random tapes of two markets, each at other venues, then with every limit on, then with every quoting decision."""
    draw, found = random.Random(7), []
    for venue in VENUES:
        steps = [(draw.randint(0, 1), draw.choice(WHAT), draw.randint(-3, 3), draw.randint(1, 60), draw.randint(0, 400)) for _ in range(60)]
        state = two_markets(**venue)
        state.step(core.run, build_tape(steps))
        found.append(f"{state.digest()} {int(state.desk['submits'][0])} {int(state.markets['fills_count'].sum())}")
    return found


def test_compiled_and_interpreted_kernels_leave_the_same_bytes():
    here = Path(__file__).parent
    env = os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": os.pathsep.join([str(here), str(here.parent)])}
    script = "import test_interpreted as t; print(*t.digests(), sep='\\n')"
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    compiled = digests()
    assert done.stdout.split("\n")[:-1] == compiled
    assert sum(int(line.split()[1]) for line in compiled) > 50
    assert sum(int(line.split()[2]) for line in compiled) > 5
