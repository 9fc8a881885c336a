"""Which instrument a symbol of a recording is: the caller's choice, or the bundled catalogue."""

from collections.abc import Sequence
from functools import cache

from hftlab.errors import InputError, UnknownInstrument
from hftlab.instrument import Instrument, bundled_names

Wanted = Instrument | str | Sequence[Instrument | str] | None


def native_symbol(instrument: Instrument) -> str:
    """Return the symbol that the venue itself uses: BTCUSDT, BTCUSD_PERP, BTCUSDT_240927; the coin on Hyperliquid."""
    if "/" not in instrument.symbol:
        return instrument.symbol.upper()
    if instrument.venue == "hyperliquid":
        return instrument.base
    _, _, expiry = instrument.symbol.partition("-")
    pair = instrument.base + instrument.quote
    if expiry:
        return f"{pair}_{expiry}"
    return f"{pair}_PERP" if instrument.venue == "binancecoinm" else pair


def _plain(symbol: str) -> str:
    """Return a symbol without what vendors put between its parts."""
    return "".join(char for char in symbol.upper() if char.isalnum())


@cache
def _by_native() -> dict[tuple[str, str], str]:
    return {(found.venue, native_symbol(found)): name for name in bundled_names() if (found := Instrument.bundled(name))}


def as_instruments(wanted: Wanted) -> tuple[Instrument, ...] | None:
    """Return what the caller gave as instruments; names are looked up. Raises UnknownInstrument, InputError."""
    if wanted is None:
        return None
    every = (wanted,) if isinstance(wanted, Instrument | str) else tuple(wanted)
    for one in every:
        if not isinstance(one, Instrument | str):
            raise InputError(f"instrument was {one!r}; wanted hl.Instrument, or the name of a bundled one such as 'binance:BTC/USDT'.")
    return tuple(Instrument.bundled(one) if isinstance(one, str) else one for one in every)


class Markets:
    """The instruments of one tape, in order of appearance (or as given), found by venue and native symbol.

    With instruments given, symbols that are none of them are left out by `index` (-1) and remembered in `other`.
    """

    def __init__(self, wanted: Wanted) -> None:
        self.given = wanted is not None
        self.instruments = list(as_instruments(wanted) or ())
        self._index = {(one.venue, native_symbol(one)): i for i, one in enumerate(self.instruments)}
        self.used: set[int] = set()
        self.other: set[str] = set()

    def index(self, venue: str, symbol: str) -> int:
        """Return the number of the instrument, or -1 when others were asked for. Raises UnknownInstrument."""
        found = self._index.get((venue, symbol), -1)
        if found < 0 and self.given:
            self.other.add(f"{venue}:{symbol}")
            return -1
        if found < 0:
            name = _by_native().get((venue, symbol))
            if name is None:
                raise UnknownInstrument(
                    f"the recording holds {symbol} of {venue}, which is not in the bundled catalogue. Pass instrument="
                    f"hl.Instrument(venue={venue!r}, symbol=…, base=…, quote=…, tick_size=…, lot_size=…)."
                )
            found = self._index[venue, symbol] = len(self.instruments)
            self.instruments.append(Instrument.bundled(name))
        self.used.add(found)
        return found

    def find(self, venue: str, symbol: str) -> int:
        """As `index`, for vendors who spell symbols their own way: BTC-PERPETUAL is also BTC/USD, BTCUSDT also BTC/USDT.

        A given instrument of the same venue goes first; one of a venue that the vendor calls otherwise is taken by its symbol.
        """
        wanted = _plain(symbol)
        names = [
            (i, one.venue, {_plain(name) for name in (one.symbol, native_symbol(one), one.base + one.quote)})
            for i, one in enumerate(self.instruments)
        ]
        same = [(i, known) for i, known, spellings in names if wanted in spellings]
        found = next((i for i, known in same if known == venue), -1)
        if found < 0 and self.given and venue not in {name for name, _ in _by_native()}:
            found = next((i for i, _ in same), -1)
        if found < 0:
            return self.index(venue, symbol)
        self.used.add(found)
        return found

    def only(self, source: str) -> int:
        """Return the one given instrument, for recordings that do not say what was traded. Raises InputError."""
        if not self.given or len(self.instruments) != 1:
            raise InputError(f"{source} does not say what was traded; pass one instrument=, an hl.Instrument or the name of a bundled one.")
        self.used.add(0)
        return 0

    def check_used(self, source: str) -> None:
        """Raise InputError when a given instrument is not in the recording at all."""
        missing = [one.name for i, one in enumerate(self.instruments) if i not in self.used]
        if missing and self.given:
            holds = ", ".join(sorted({*self.other, *(self.instruments[i].name for i in self.used)})) or "no known market"
            raise InputError(
                f"{source} records {holds}; the instrument given was {', '.join(missing)}. "
                "Give the recorded one, or none to take it from the bundled catalogue."
            )
