"""What `hftlab venue` can be told. Apart from `command`, so that the command line starts without the exchange."""

import argparse
from pathlib import Path

from hftlab.venues.server.rules import RULES


def add_venue_options(parser: argparse.ArgumentParser) -> None:
    """Add what a venue can be told on the command line."""
    parser.add_argument("--market", help="synth (a simulated crowd), still (a fixed ladder), or the path of a recording")
    parser.add_argument("--speed", type=float, help="of a recording: 1 is its own pace")
    parser.add_argument("--loop", action="store_const", const=True, help="play a recording over and over")
    parser.add_argument("--seed", type=int, help="of the simulated crowd")
    parser.add_argument("--skins", nargs="+", choices=tuple(RULES), help="which venues to be")
    parser.add_argument("--symbols", nargs="+", help="bases or the venues' own symbols, e.g. BTC ETH")
    parser.add_argument("--accounts", type=int, help="how many accounts each venue has")
    for name in ("plain", "tls", "proxy", "control"):
        parser.add_argument("--port" if name == "plain" else f"--{name}-port", dest=f"port_{name}", type=int, help=f"the {name} port")
    parser.add_argument("--no-tls", dest="tls", action="store_const", const=False, help="neither a TLS port nor a proxy")
    parser.add_argument("--faults", type=Path, help="a file of faults (YAML)")
    parser.add_argument("--state", help="a directory from which it comes back after it was killed")
    parser.add_argument("--config", type=Path, help="a file with a whole VenueConfig (YAML); options go over it")
    parser.add_argument(
        "--ready", type=Path, help=argparse.SUPPRESS
    )  # for `launch`: ports are written here; the end of stdin ends the venue
