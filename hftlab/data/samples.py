"""The tape that ships with the package."""

from hftlab.data.synth import sample_rows
from hftlab.data.tape import Tape
from hftlab.instrument import Instrument


def sample() -> Tape:
    """Return seven minutes of a simulated market (sim:BTC/USDT): small, synthetic, seeded, the same everywhere."""
    return Tape(sample_rows(), (Instrument.bundled("sim:BTC/USDT"),), "the shipped sample (simulated)")
