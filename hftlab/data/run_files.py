"""The files of a run directory that anybody may read without loading the kernels."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from hftlab.errors import DataError
from hftlab.instrument import Instrument

FILE = "spec.yaml"
CLEAN = "clean"  # a file of the run directory: the engine left in order


def read_values(directory: Path) -> dict[str, Any]:
    """Return the raw values of a run's spec. Raises DataError when there is none or it cannot be read."""
    path = directory / FILE
    if not path.is_file():
        raise DataError(f"{directory} is no run directory: it holds no {FILE}. Runs lie under ./runs unless run=… said otherwise.")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise DataError(f"{path} is no YAML: {error}") from error
    if not isinstance(values, dict) or "instruments" not in values:
        raise DataError(f"{path} is not the spec of a run; wanted the file that hl.start wrote.")
    return values


def shows_our_orders(values: Mapping[str, Any]) -> bool:
    """Return whether the feed of a run showed our own orders: they went to the market that the feed tells of.

    It is what the records of the run say as `own_in_book`, read from the raw values of its spec.
    """
    feed, venue = values["feed"]["type"], values["venue"]
    return (feed == "SynthFeed" and venue.get("fills") != "modelled") or (venue["type"] == "LiveVenue" and venue["mode"] == "live")


def read_instruments(directory: Path) -> tuple[Instrument, ...]:
    """Return what a run trades: all that a viewer needs of its spec."""
    return tuple(Instrument(**i) for i in read_values(directory)["instruments"])
