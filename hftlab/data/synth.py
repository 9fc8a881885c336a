"""Tapes of the simulated market as EVENT rows, made as fast as it goes, and the sample tape that ships with the package.

The sample is stored by column, differences where values grow or wander, each in the smallest integer that holds it, then compressed.
"""

from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from hftlab.errors import FormatError, InputError
from hftlab.instrument import AMEND_RULES, Instrument, Number
from hftlab.kernels.world import OUT_ROWS, advance_world, snapshot_world, world_new
from hftlab.types import CLEAR, EVENT, NO_PRICE

SAMPLE_INSTRUMENT = "sim:BTC/USDT"
SAMPLE_START_NS = 1_767_571_200_000_000_000  # 2026-01-05 00:00 UTC
SAMPLE_SECONDS = 420
SAMPLE_SEED = 3
SAMPLE_LATENCY_NS, SAMPLE_JITTER_NS = 1_500_000, 400_000

START_PRICES: dict[str, Decimal] = {"BTC": Decimal(60000), "ETH": Decimal(3000)}
UNIT_QUOTE = 60.0  # value of the crowd's smallest order, where lots are finer than that


def start_price(instrument: Instrument) -> Decimal:
    """Return the price at which a simulated market opens when none is given: 60000 for BTC, 3000 for ETH, else 10,000 ticks."""
    return START_PRICES.get(instrument.base, 10_000 * instrument.tick_size)


def unit_lots(instrument: Instrument, price: Number) -> float:
    """Return the crowd's unit of size in lots: about 60 of the quote currency, at least one lot."""
    value = float(instrument.lot_size * instrument.multiplier) * (1.0 if instrument.inverse else float(price))
    return float(max(1, round(UNIT_QUOTE / value)))


def open_world(instrument: Instrument, *, seed: int, start_ns: int, price: Number | None = None, **options: Any) -> np.ndarray:
    """Return a world (`kernels.flow_types.WORLD`, shape (1,)) for `instrument`; `options` as `kernels.world.world_new`."""
    price = start_price(instrument) if price is None else price
    defaults = {"unit_lots": unit_lots(instrument, price), "amend_rule": AMEND_RULES[instrument.amend]}
    return world_new(seed=seed, start_ns=start_ns, price_ticks=instrument.ticks(price), **(defaults | options))


def synth_rows(
    instrument: Instrument,
    seconds: float,
    seed: int,
    *,
    start_ns: int = SAMPLE_START_NS,
    latency_ns: int = 1_000_000,
    jitter_ns: int = 0,
    instrument_index: int = 0,
    **options: Any,
) -> np.ndarray:
    """Return a snapshot and `seconds` of a simulated market: EVENT rows in order of time, the same for the same arguments.

    A row is received `latency_ns` after it happened, plus an exponential delay of mean `jitter_ns`, and never before an earlier row.
    `options` are `price` and the flow parameters of `kernels.flow_types.FLOW_DEFAULTS`. Raises InputError, UnknownName.
    """
    if not 0 < seconds < 1e7 or latency_ns < 0 or jitter_ns < 0:
        raise InputError(
            f"seconds={seconds}, latency_ns={latency_ns}, jitter_ns={jitter_ns}; wanted seconds above 0, the others 0 or more."
        )
    world = open_world(instrument, seed=seed, start_ns=start_ns, instrument_index=instrument_index, **options)
    out = np.zeros(OUT_ROWS, EVENT)
    parts = [out[: snapshot_world(world, out, start_ns, start_ns)].copy()]
    until_ns = start_ns + int(seconds * 1e9)
    while world["flow"]["next_ns"][0] <= until_ns:
        parts.append(out[: advance_world(world, out, until_ns)].copy())
    rows = np.concatenate(parts)
    delay = np.full(len(rows), latency_ns)
    if jitter_ns:
        # rows of one message travel together
        _, message = np.unique(rows["ts_exch_ns"], return_inverse=True)
        delay += np.random.default_rng(seed).exponential(jitter_ns, message[-1] + 1).astype("i8")[message]
    rows["ts_recv_ns"] = np.maximum.accumulate(rows["ts_exch_ns"] + delay)
    return rows


def _narrow(column: np.ndarray) -> np.ndarray:
    """Return `column` in the smallest integer dtype that holds it."""
    return column.astype(np.result_type(np.min_scalar_type(column.min()), np.min_scalar_type(column.max())))


def pack_rows(path: str | Path, rows: np.ndarray, **facts: Any) -> None:
    """Write market rows (no reports: DEPTH, TRADE, CLEAR) to a small npz; `facts` are integers kept beside them."""
    # a CLEAR row has no price: it repeats the next one's, and gets NO_PRICE back from its kind
    price = np.where(rows["kind"] == CLEAR, rows["price_ticks"][1], rows["price_ticks"])
    columns: dict[str, Any] = {
        "ts_exch_ns": np.diff(rows["ts_exch_ns"]),
        "delay_ns": rows["ts_recv_ns"] - rows["ts_exch_ns"],
        "price_ticks": np.diff(price),
        "seq": np.diff(rows["seq"]),
        **{name: rows[name] for name in ("qty_lots", "kind", "side", "flags", "instrument")},
    }
    first = np.array([rows["ts_exch_ns"][0], price[0], rows["seq"][0]])
    narrow: dict[str, Any] = {name: _narrow(column) for name, column in columns.items()}
    narrow |= {name: np.int64(value) for name, value in facts.items()}
    np.savez_compressed(path, first=first, **narrow)


def unpack_rows(path: Any) -> np.ndarray:
    """Read what `pack_rows` wrote. Raises FormatError for another file."""
    with np.load(path) as file:
        missing = {"first", "delay_ns", "price_ticks", "qty_lots"} - set(file.files)
        if missing:
            raise FormatError(f"the tape lacked {', '.join(sorted(missing))}; wanted a file written by pack_rows().")
        rows = np.zeros(len(file["kind"]), EVENT)
        for name, start in zip(("ts_exch_ns", "price_ticks", "seq"), file["first"], strict=True):
            rows[name] = np.cumsum(np.concatenate(([start], file[name].astype("i8"))))
        for name in ("qty_lots", "kind", "side", "flags", "instrument"):
            rows[name] = file[name]
        rows["ts_recv_ns"] = rows["ts_exch_ns"] + file["delay_ns"]
    rows["price_ticks"][rows["kind"] == CLEAR] = NO_PRICE
    return rows


def make_sample(seed: int = SAMPLE_SEED) -> np.ndarray:
    """Return the rows of the shipped sample, made anew."""
    return synth_rows(
        Instrument.bundled(SAMPLE_INSTRUMENT),
        SAMPLE_SECONDS,
        seed,
        start_ns=SAMPLE_START_NS,
        latency_ns=SAMPLE_LATENCY_NS,
        jitter_ns=SAMPLE_JITTER_NS,
    )


def write_sample(path: str | Path) -> None:
    """Write the sample that ships with the package: `python -c "from hftlab.data import synth; synth.write_sample('sample.npz')"`."""
    pack_rows(path, make_sample(), seed=SAMPLE_SEED)


def sample_rows() -> np.ndarray:
    """Return the rows of the shipped sample: EVENT, one instrument (sim:BTC/USDT, index 0), 7 minutes from 2026-01-05 00:00 UTC."""
    with resources.as_file(resources.files("hftlab").joinpath("data/sample.npz")) as path:
        return unpack_rows(path)
