"""What an engine is told beside its spec: alerts, door and log, with .env and the environment of its process laid over them."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hftlab.config import Settings, load
from hftlab.data.run_files import FILE, read_values
from hftlab.venues.feeds import PaperVenue, ReplayFeed, SynthFeed
from hftlab.venues.live.spec import LiveFeed, LiveVenue

FEEDS: dict[str, Any] = {"LiveFeed": LiveFeed, "SynthFeed": SynthFeed, "ReplayFeed": ReplayFeed}


def known_entries() -> dict[str, tuple[str, ...]]:
    """Return the entries of the sections whose schema is the parameters of a feed or a venue."""
    feeds = {f.name: None for feed in FEEDS.values() for f in dataclasses.fields(feed)}
    venues = {f.name: None for venue in (LiveVenue, PaperVenue) for f in dataclasses.fields(venue)}
    at_the_top = ("mode", "confirm", "instrument")
    return {"feed": ("type", *feeds), "venue": tuple(name for name in venues if name not in at_the_top)}


def settings_from(values: Mapping[str, Any] | None, source: str) -> Settings:
    """Return the settings of a session whose file, or caller, gave `values`. Raises what `hftlab.config.load` raises."""
    return load(values, known=known_entries(), source=source)


def settings_of(directory: Path) -> Settings:
    """Return the settings of a run directory. Raises DataError when there is no such run, and what `load` raises."""
    return settings_from(read_values(directory).get("settings"), str(directory / FILE))
