"""The transports for an endpoint: our own where there is one, ccxt's for every other venue. Libraries load when they are needed."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from hftlab.errors import InputError
from hftlab.instrument import Instrument
from hftlab.venues.live.keys import Keys
from hftlab.venues.live.model import Endpoint, Reader, Wire

if TYPE_CHECKING:
    from hftlab.venues.live.record import Recorder


def checked(endpoint: Endpoint, instruments: tuple[Instrument, ...]) -> None:
    """Refuse an endpoint without instruments, or with those of another venue."""
    if not instruments:
        raise InputError(f"no instruments for {endpoint.venue}; wanted at least one.")
    strangers = [i.name for i in instruments if i.venue != endpoint.venue]
    if strangers:
        raise InputError(f"{', '.join(strangers)}: not of {endpoint.venue}; one connection serves one venue.")


def make_wire(
    endpoint: Endpoint, instruments: tuple[Instrument, ...], keys: Keys, clock_ns: Callable[[], int], *, through_ccxt: bool = False
) -> Wire:
    """Return the wire of an endpoint, not yet open. `through_ccxt` takes ccxt's road where there is a shorter one, to compare them."""
    checked(endpoint, instruments)
    if not keys.complete:
        raise InputError(f"the keys for {endpoint.venue} are empty; wanted key and secret (Hyperliquid: wallet and private key).")
    if endpoint.venue in {"binance", "binanceusdm"} and not through_ccxt:
        from hftlab.venues.live.binance_wire import BinanceWire

        return BinanceWire(endpoint, instruments, keys, clock_ns)
    from hftlab.venues.live.ccxt_wire import CcxtWire

    return CcxtWire(endpoint, instruments, keys, clock_ns)


def make_reader(
    endpoint: Endpoint,
    instruments: tuple[Instrument, ...],
    clock_ns: Callable[[], int],
    seed: int = 1,
    recorder: "Recorder | None" = None,
    audit_s: float = 60.0,
) -> Reader:
    """Return the reader of an endpoint's market data, not yet running; `recorder` is handed every raw frame.

    Raises InputError, also for a recording of a venue that is read through ccxt, which keeps no frames.
    """
    checked(endpoint, instruments)
    if endpoint.venue in {"binance", "binanceusdm"}:
        from hftlab.venues.live.binance_reader import BinanceReader
        from hftlab.venues.live.binance_tasks import Limits

        return BinanceReader(instruments, endpoint, clock_ns, seed=seed, recorder=recorder, limits=Limits(audit_s=audit_s))
    if endpoint.venue == "hyperliquid":
        from hftlab.venues.live.hyperliquid_reader import HyperliquidLiveReader

        reader = HyperliquidLiveReader(instruments, endpoint, clock_ns, seed)
        if recorder is not None:
            kept = recorder
            # Its messages name their coin, so the frames of all instruments go into the first one's file as they are.
            reader.taken = lambda recv_ns, payload: kept.frame(instruments[0], "", recv_ns, payload)
        return reader
    if recorder is not None:
        raise InputError(f"{endpoint.venue} is read through ccxt, which keeps no raw frames: it cannot be recorded. Use record=False.")
    from hftlab.venues.live.ccxt_feed import CcxtReader

    return CcxtReader(endpoint, instruments, clock_ns, seed)


def recording_reader(
    instruments: tuple[Instrument, ...], endpoint: Endpoint, clock_ns: Callable[[], int], *, recorder: "Recorder"
) -> Reader:
    """Return a reader that records (what `record` makes its reader with)."""
    return make_reader(endpoint, instruments, clock_ns, recorder=recorder)
