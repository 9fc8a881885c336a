"""Ten thousand orders whose acknowledgements are lost at random, with the real engine in the loop and a venue in virtual time.

At every change at the venue, and after every row of the engine, the venue's true position must lie between what the engine counts with
at worst, and no limit may be passed; at the end position, money and orders must be the venue's, and nothing may have been sent twice. The
first breach raises.
"""

import argparse
import json
import sys
from pathlib import Path


def main(arguments: list[str]) -> int:
    """Run it and print JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drills lost")
    parser.add_argument("--orders", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=2)
    options = parser.parse_args(arguments)
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
    from test_gateway_laws import LOST_ACKS, NEVER, lost_acknowledgements

    session = lost_acknowledgements(NEVER, options.seed, options.orders)
    status, counts = session.engine.gateway.status(), session.wire.counts
    print(
        json.dumps(
            {
                "orders": session.engine.submits,
                "faults": {name: value for name, value in vars(LOST_ACKS).items() if value}
                if hasattr(LOST_ACKS, "__dict__")
                else repr(LOST_ACKS),
                "fills": len(session.wire.all_fills),
                "gateway": dict(status["counts"]),
                "duplicates_sent": counts["duplicates sent"],
                "alarms": session.engine.alarms,
            },
            indent=1,
            default=str,
        )
    )
    return 0
