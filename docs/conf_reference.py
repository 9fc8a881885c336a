"""The parts of docs/reference/ that are made from the code: the directives `{public}` (docstrings) and `{made}` (tables).

`{public}` takes the name of a page in GROUPS and shows what belongs there. A class that is no public name, but is what a public function
returns, is named by that function: "at>" is the class of what `hl.at` returns, "holdout>1" the second of a tuple.
"""

import inspect
import typing
from typing import Any

import conf_tables
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

import hftlab as hl

GROUPS: dict[str, tuple[str, tuple[str, ...]]] = {
    "control": (
        "Start, watch, command",
        ("start", "attach", "resume", "run_file", "dashboard", "View", "Session", "View.frame>", "View.frame>.orders>"),
    ),
    "venues": (
        "Instruments, feeds, venues",
        ("Instrument", "SynthFeed", "ReplayFeed", "LiveFeed", "PaperVenue", "LiveVenue", "LoopbackVenue", "LoopbackVenue.launch>"),
    ),
    "quoters": (
        "Quoters, limits, models",
        (
            "AvellanedaStoikov",
            "FixedSpread",
            "UserQuoter",
            "WorkTarget",
            "ZScoreReversion",
            "Limits",
            "Latency",
            "Queue",
            "Fees",
            "try_decide",
            "check_lookahead",
            "check_lookahead>",
            "fields",
            "fields>",
        ),
    ),
    "data": ("Market data", ("load", "stream", "stream>", "sample", "validate", "validate>", "Tape", "holdout", "holdout>1")),
    "backtesting": (
        "Backtests and sweeps",
        (
            "backtest",
            "grid",
            "grid>",
            "sweep",
            "sweep>",
            "sweep>.progress>",
            "walk_forward",
            "walk_forward>",
            "at",
            "at>",
            "replay",
            "replay>",
            "risk_drill",
            "risk_drill>",
            "bundle",
            "check_bundle",
            "check_bundle>",
        ),
    ),
    "report": ("The report of a run", ("Report",)),
    "analysis": (
        "Estimates, calibration, research",
        (
            "estimate",
            "estimate>",
            "estimate>.__getitem__>",
            "calibrate",
            "calibrate>",
            "calibrate_queue",
            "calibrate_queue>",
            "fit_fills",
            "fit_fills>",
            "study_signal",
            "study_signal>",
            "attribute",
            "attribute>",
        ),
    ),
}

# Their fields are in tables with units; their methods turn them into records and are for the engine.
PARAMETERS = ("AvellanedaStoikov", "FixedSpread", "UserQuoter", "WorkTarget", "Limits", "Latency", "Queue", "Fees")
BASES_LEFT_OUT = "dict, list, tuple, VBox, Box, DOMWidget, Widget, HasTraits"


def returned(function: Any, place: int = 0) -> Any:
    """Return the class that a function is annotated to return: of a list its elements', of a tuple that at `place`."""
    plain = inspect.unwrap(function.fget if isinstance(function, property) else getattr(function, "func", function))
    found = plain.__annotations__["return"]
    if isinstance(found, str):
        found = eval(found, plain.__globals__)  # noqa: S307  # our own annotation
    parts = typing.get_args(found)
    return parts[place] if parts else found


def thing(path: str) -> Any:
    """Return what an entry of GROUPS stands for."""
    found: Any = hl
    for step in path.split("."):
        name, arrow, place = step.partition(">")
        found = inspect.getattr_static(found, name) if inspect.isclass(found) else getattr(found, name)
        found = found.__func__ if isinstance(found, staticmethod | classmethod) else found
        found = returned(found, int(place or 0)) if arrow else found
    return found


def shown(path: str) -> str:
    """Return the reStructuredText that shows one entry of GROUPS."""
    found = thing(path)
    if not inspect.isclass(found):
        return f".. autofunction:: hftlab.{path}\n"
    where = f"hftlab.{path}" if ">" not in path else f"{found.__module__}.{found.__qualname__}"
    options = "" if path in PARAMETERS else f"   :members:\n   :inherited-members: {BASES_LEFT_OUT}\n"
    return f".. autoclass:: {where}\n{options}"


class Public(SphinxDirective):
    """The docstrings of the names of one page."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the nodes."""
        _, paths = GROUPS[self.arguments[0]]
        text = "".join(f"```{{eval-rst}}\n{shown(path)}```\n\n" for path in paths)
        return self.parse_text_to_nodes(text, allow_section_headings=True)


class Made(SphinxDirective):
    """A table made from the code: a function of conf_tables, by name."""

    required_arguments = 1
    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the nodes."""
        name, *rest = self.arguments
        return self.parse_text_to_nodes(getattr(conf_tables, name)(*rest), allow_section_headings=True)


def setup(app: Any) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_directive("public", Public)
    app.add_directive("made", Made)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
