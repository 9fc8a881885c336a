"""Random faults of one kind for a drill: how many, when and how badly follow from a seed."""

import random
from typing import Any

from hftlab.errors import UnknownName, did_you_mean
from hftlab.venues.server.faults import KINDS, SPELL, Fault

STRIKES = (2, 5)
WITHIN = (0.1, 0.7)  # of the duration: the end is left to recover in
SPELL_SHARE = (0.03, 0.12)  # of the duration

# What is drawn for each parameter: whole numbers and numbers between two bounds, words and truths from a list.
_RANGES: dict[str, dict[str, Any]] = {
    "gap": {"k": (1, 5)},
    "duplicate": {"k": (1, 3)},
    "reorder": {"k": (1, 3)},
    "garbage": {"how": ["truncate", "noise", "binary"]},
    "duplicate_fill": {"k": (1, 3)},
    "late_fill": {"ms": (50, 1500)},
    "replayed_fills": {"k": (1, 20)},
    "accept_then_timeout": {"s": (0.5, 3.0), "say": ["silence", "unknown", "gateway"]},
    "reject_then_timeout": {"s": (0.5, 3.0), "say": ["silence", "unknown", "gateway"]},
    "crossed_book": {"ticks": (1, 20), "lots": (1, 50)},
    "missing_deletion": {"k": (1, 3)},
    "stale_snapshot": {"k": (5, 200), "ms": (0, 800)},
    "cancel_fill_race": {"share": (0.1, 1.0)},
    "post_only_race": {"lots": (1, 50)},
    "amend_race": {"lots": (1, 50)},
    "key_expiry": {"event": [True, False]},
    "stall": {"pong": [True, False]},
    "mass_disconnect": {"code": [0, 0, 1001, 1008]},
    "delayed_visibility": {"ms": (100, 2000)},
    "amnesia": {"share": (0.3, 1.0)},
    "filter_change": {"price_step": [1, 2, 5], "qty_step": [1, 2, 5]},
    "clock_offset": {"ms": [-4000, -1500, 1500, 4000]},
    "clock_step": {"ms": [-2500, -800, 800, 2500]},
    "clock_drift": {"ppm": (-2000.0, 2000.0)},
    "rate_limit": {"k": (2, 8), "ban_s": (1.0, 3.0)},
    "maintenance": {"kind": ["*", "cancel", "order|amend"]},
    "latency": {"kind": ["order", "cancel", "amend", "query", "md", "user", "reply"], "ms": (20, 800), "jitter_ms": [0, 0, 100]},
}


def random_schedule(name: str, seed: int, duration_s: float, **options: Any) -> list[Fault]:
    """Return a few faults of one kind within the first seven tenths of `duration_s`; the same for the same seed.

    `options` go over what is drawn: a scope, or a parameter that shall not vary. Raises UnknownName.
    """
    if name not in KINDS:
        raise UnknownName(f"no fault is called {name!r}.{did_you_mean(name, KINDS)}")
    rng = random.Random(f"{name}/{seed}")
    low, high = WITHIN
    times = sorted(rng.uniform(low, high) * duration_s for _ in range(rng.randint(*STRIKES)))
    return [Fault(name, **{"at_s": round(at_s, 3), **_drawn(name, rng, duration_s), **options}) for at_s in times]


def _drawn(name: str, rng: random.Random, duration_s: float) -> dict[str, Any]:
    drawn = {option: _draw(within, rng) for option, within in _RANGES.get(name, {}).items()}
    if KINDS[name].point == SPELL and "s" in KINDS[name].params:
        low, high = SPELL_SHARE
        drawn["s"] = round(max(0.2, rng.uniform(low, high) * duration_s), 3)
    return drawn


def _draw(within: Any, rng: random.Random) -> Any:
    if isinstance(within, list):
        return rng.choice(within)
    low, high = within
    return rng.randint(low, high) if isinstance(low, int) else round(rng.uniform(low, high), 3)
