"""From a config to cores, skins and faults."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from hftlab.errors import InputError
from hftlab.instrument import Instrument
from hftlab.venues.server.config import SKINS, STILL, SYNTH, VenueConfig
from hftlab.venues.server.core import Exchange
from hftlab.venues.server.inject_market import raced
from hftlab.venues.server.injector import Injector
from hftlab.venues.server.market import Market, StillMarket, SynthMarket
from hftlab.venues.server.rules import bundled_instruments
from hftlab.venues.server.schedule import Schedule, load_faults
from hftlab.venues.server.skin import Faults, Skin


class VenueClock:
    """The venue's clock, ns UTC: the one given, or while a log is lived through again, the time of its lines."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self.held_ns = 0

    def __call__(self) -> int:
        """Return the time."""
        return self.held_ns or self._now_ns()


@dataclass(slots=True)
class Built:
    """The parts of a venue, before it has a socket."""

    config: VenueConfig
    clock: VenueClock
    schedule: Schedule
    injector: Injector
    cores: dict[str, Exchange]
    skins: dict[str, Skin]


def build(config: VenueConfig, now_ns: Callable[[], int], start_ns: int = 0) -> Built:
    """Make the parts of a venue that opens now, or did at `start_ns`. Raises InputError, DataError."""
    clock = VenueClock(now_ns)
    clock.held_ns = start_ns
    faults, seed = load_faults(list(config.faults))
    schedule = Schedule(faults, seed=config.fault_seed or seed, clock=clock)
    injector = Injector(schedule, config.skins)
    cores, skins = {}, {}
    for number, name in enumerate(config.skins):
        core = cores[name] = _core(config, name, clock, 100 * number)
        for account in range(config.accounts):
            keys = config.keys(name, account)
            core.add_account(config.account(name, account), keys.get("secret", ""), config.balances.get(name, {}))
        skins[name] = _skin(name, raced(core, injector.of(name)), injector.of(name), config.limits.get(name, {}))
    return Built(config, clock, schedule, injector, cores, skins)


def _core(config: VenueConfig, name: str, clock: VenueClock, seed: int) -> Exchange:
    known = bundled_instruments(name)
    listed = {symbol: one for symbol, one in known.items() if symbol in config.symbols or one.base in config.symbols}
    if not listed:
        raise InputError(f"{name} lists none of {', '.join(config.symbols)}; it knows {', '.join(known)}.")
    markets = {symbol: _market(config, one, config.seed + seed + place) for place, (symbol, one) in enumerate(listed.items())}
    maker_bps, taker_bps = config.fees_bps.get(name, (None, None))
    return Exchange(name, markets, clock_ns=clock, maker_bps=maker_bps, taker_bps=taker_bps)


def _market(config: VenueConfig, instrument: Instrument, seed: int) -> Market:
    options: dict[str, Any] = dict(config.market_options)
    if config.market == SYNTH:
        return SynthMarket(instrument, seed=seed, **options)
    if config.market == STILL:
        return StillMarket(instrument, **options)
    raise InputError(f"market was {config.market!r}")


def _skin(name: str, core: Any, faults: Faults, limits: Mapping[str, Any]) -> Skin:
    if name == "hyperliquid":
        from hftlab.venues.server.hyperliquid_limits import HyperliquidRules
        from hftlab.venues.server.hyperliquid_skin import HyperliquidSkin

        return cast("Skin", HyperliquidSkin(core, faults, HyperliquidRules(**limits)))  # its core is a narrower one
    if name == "binance":
        from hftlab.venues.server.binance_skin import BinanceSpot

        return BinanceSpot(core, faults, **limits)
    if name == "binanceusdm":
        from hftlab.venues.server.binance_skin import BinanceUsdm

        return BinanceUsdm(core, faults, **limits)
    raise InputError(f"no skin {name!r} is installed; known: {', '.join(SKINS)}.")
