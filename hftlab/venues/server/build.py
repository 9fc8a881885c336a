"""From a config to cores, skins and faults."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from hftlab.data.recordings import load
from hftlab.errors import InputError
from hftlab.venues.server.binance_skin import BinanceSpot, BinanceUsdm
from hftlab.venues.server.config import STILL, SYNTH, VenueConfig
from hftlab.venues.server.core import Exchange
from hftlab.venues.server.hyperliquid_limits import HyperliquidRules
from hftlab.venues.server.hyperliquid_skin import HyperliquidSkin
from hftlab.venues.server.inject_market import raced
from hftlab.venues.server.injector import Injector
from hftlab.venues.server.market import Market, StillMarket, SynthMarket
from hftlab.venues.server.market_tape import TapeMarket
from hftlab.venues.server.rules import bundled_instruments, venue_symbol
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
    for name, markets in _markets(config).items():
        core = cores[name] = _core(config, name, markets, clock)
        for account in range(config.accounts):
            keys = config.keys(name, account)
            core.add_account(config.account(name, account), keys.get("secret", ""), config.balances.get(name, {}))
        skins[name] = _skin(name, raced(core, injector.of(name)), injector.of(name), config.limits.get(name, {}))
    return Built(config, clock, schedule, injector, cores, skins)


def _markets(config: VenueConfig) -> dict[str, dict[str, Market]]:
    """Return the driver of each symbol of each skin."""
    if config.market not in {SYNTH, STILL}:
        return _recorded(config)
    found: dict[str, dict[str, Market]] = {}
    options: dict[str, Any] = dict(config.market_options)
    for number, name in enumerate(config.skins):
        known = bundled_instruments(name)
        listed = {symbol: one for symbol, one in known.items() if symbol in config.symbols or one.base in config.symbols}
        if not listed:
            raise InputError(f"{name} lists none of {', '.join(config.symbols)}; it knows {', '.join(known)}.")
        found[name] = {
            symbol: StillMarket(one, **options)
            if config.market == STILL
            else SynthMarket(one, seed=config.seed + 100 * number + place, **options)
            for place, (symbol, one) in enumerate(listed.items())
        }
    return found


def _recorded(config: VenueConfig) -> dict[str, dict[str, Market]]:
    """Return the instruments of a recording, each at the venue where it was recorded."""
    if not Path(config.market).exists():
        raise InputError(f"market was {config.market!r}; wanted {SYNTH}, {STILL}, or the path of a recording.")
    tape = load(config.market, **config.market_options)
    found: dict[str, dict[str, Market]] = {}
    for index, one in enumerate(tape.instruments):
        if one.venue in config.skins:
            market = TapeMarket(tape, index=index, speed=config.speed, loop=config.loop)
            found.setdefault(one.venue, {})[venue_symbol(one)] = market
    if not found:
        names = ", ".join(one.name for one in tape.instruments)
        raise InputError(f"{config.market} holds {names}; wanted an instrument of {', '.join(config.skins)}.")
    return found


def _core(config: VenueConfig, name: str, markets: Mapping[str, Market], clock: VenueClock) -> Exchange:
    maker_bps, taker_bps = config.fees_bps.get(name, (None, None))
    return Exchange(name, markets, clock_ns=clock, maker_bps=maker_bps, taker_bps=taker_bps)


def _skin(name: str, core: Any, faults: Faults, limits: Mapping[str, Any]) -> Skin:
    """Return a skin; `limits` are its own options. Raises TypeError for one that it does not have."""
    if name == "hyperliquid":
        return cast("Skin", HyperliquidSkin(core, faults, HyperliquidRules(**limits)))  # its core is a narrower one
    return cast("Skin", (BinanceSpot if name == "binance" else BinanceUsdm)(core, faults, **limits))
