"""Tables of docs/reference/, as Markdown, made from the code they describe: each function is named by a `{made}` directive."""

import argparse
import dataclasses
import inspect
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import hftlab as hl
from hftlab import codes, errors
from hftlab.analytics.facts.collector import FILL_FACT, HORIZONS_NS
from hftlab.assumptions import Fees, Latency, Queue
from hftlab.cli import parser
from hftlab.config import SECTIONS, Settings
from hftlab.limits import RULES, Limits
from hftlab.params import QUOTERS
from hftlab.tunable import TUNABLE
from hftlab.types import EVENT, FILL_ROW, SAMPLE_ROW

ROOT = Path(__file__).resolve().parents[1]

# The unit that a name ends in, for people; the longest suffix that fits counts. `_min` and `_max` come after it.
UNITS = {
    "_qty": "base units",
    "_lots": "lots",
    "_ticks": "ticks",
    "_ticklots": "ticks × lots",
    "_quote": "quote currency",
    "_bps": "basis points",
    "_frac": "share, 1 is all",
    "_share": "share, 1 is all",
    "_ns": "ns",
    "_us": "µs",
    "_ms": "ms",
    "_s": "s",
    "_per_s": "1/s",
    "_log_sd": "standard deviation of the logarithm",
    "_sigmas": "standard deviations",
    "_uticklots": "ticks × lots / 10⁶",
    "mid2": "half ticks",
    "_z": "standard deviations",
    "_gb": "GB",
    "_mb": "MB",
}
# Numbers that end in no unit, and what they are counted in.
PLAIN = {
    "levels": "prices a side",
    "orders_max": "orders",
    "leverage_max": "times the equity",
    "requests_burst": "requests",
    "requests_reserved": "requests",
    "vpin_max": "0 to 1",
    "sweep_levels_max": "prices",
    "widen_factor": "times",
    "power": "exponent",
    "i": "index of a market",
    "account": "index of an account",
    "order_id": "number of an order",
    "rows": "rows",
    "rows_max": "rows",
    "messages": "messages",
    "samples": "samples",
    "blocks": "stretches of time",
    "level": "of confidence, 0 to 1",
    "depth": "prices a side",
    "events": "rows",
    "seed": "a number to start from",
    "speed": "simulated seconds a second",
    "lookback": "bars",
    "market": "index of an instrument",
    "port": "TCP port, 0 is any free one",
    "files_max": "files",
    "per_min_max": "1/min",
    "tick_size": "quote currency per base unit",
    "lot_size": "base units",
    "multiplier": "base units per unit of quantity (inverse: quote currency)",
}


def unit(name: str) -> str:
    """Return the unit of a parameter or field for people, empty where its name says none."""
    if name in TUNABLE:
        return {"base": "base units", "quote": "quote currency", "": "prices a side"}.get(TUNABLE[name].unit, TUNABLE[name].unit)
    if name in PLAIN:
        return PLAIN[name]
    bare = name.removesuffix("_max").removesuffix("_min")
    fits = [suffix for suffix in UNITS if bare.endswith(suffix)]
    return UNITS[max(fits, key=len)] if fits else ""


def table(head: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> str:
    """Return a Markdown table."""
    lines = ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in (head, ["---"] * len(head), *rows)]
    return "\n".join(lines) + "\n"


def first(thing: Any) -> str:
    """Return the first sentence of a docstring."""
    text = " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())
    return re.split(r"(?<=[.:]) (?=[A-Z`])", text)[0].rstrip(":")


def names() -> str:
    """Return every public name with its page and its first sentence, in the order of GROUPS."""
    from conf_reference import GROUPS

    rows = [
        (f"[`{path}`]({page}.md)", title, first(getattr(hl, path)))
        for page, (title, paths) in GROUPS.items()
        for path in paths
        if path in hl.__all__
    ]
    return table(("name", "page", "what it is"), rows)


def notebooks() -> str:
    """Return the notebooks in their order: the heading of each, and the first sentence under it."""
    rows = []
    for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")):
        head, _, rest = "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"]).partition("\n")
        prose = next(part for part in rest.strip().split("\n\n") if not part.startswith(("before: ", "![")))
        sentence = re.split(r"(?<=[.?!:]) ", " ".join(prose.split()))[0]
        rows.append((path.stem[:2], f"[{head.lstrip('# ')}](../notebooks/{path.name})", sentence))
    return table(("", "notebook", "how it begins"), rows)


def guides() -> str:
    """Return the table of contents of the guides that there are, the overview first."""
    pages = sorted(path.stem for path in (ROOT / "docs" / "guides").glob("*.md") if path.stem != "index")
    first_page = ["index"] if (ROOT / "docs" / "guides" / "index.md").exists() else []
    lines = "\n".join(f"guides/{name}" for name in first_page + pages)
    return f"```{{toctree}}\n:caption: Do\n:hidden:\n\n{lines}\n```\n" if lines else ""


def value_text(value: Any) -> str:
    """Return a default as it is typed."""
    if value is dataclasses.MISSING:
        return "needed"
    return "none" if value is None else f"`{value!r}`"


def default(field: Any) -> str:
    """Return the default of a dataclass field as text."""
    if field.default is dataclasses.MISSING and field.default_factory is not dataclasses.MISSING:
        return value_text(field.default_factory())
    return value_text(field.default)


def bounds(low: float, high: float) -> str:
    """Return the values that are taken."""
    return f"{low:g} to {high:g}" if high < float("inf") else f"from {low:g}"


def quoters() -> str:
    """Return the parameters of all quoters: which have it, default, unit, bounds, and whether it can be set while it runs."""
    rows = {}
    for kind in QUOTERS.values():
        for field in dataclasses.fields(kind):
            rule = TUNABLE.get(field.name)
            of = "all" if field.name in Base else ", ".join(k for k, c in QUOTERS.items() if field.name in c.__dataclass_fields__)
            rows[field.name] = (
                f"`{field.name}`",
                of,
                default(field),
                unit(field.name),
                "" if rule is None else bounds(rule.low, rule.high),
                "" if rule is None else "yes",
            )
    return table(("parameter", "of", "default", "unit", "from, to", "while it runs"), rows.values())


Base = {field.name for field in dataclasses.fields(QUOTERS["FixedSpread"].__bases__[0])}


def limits() -> str:
    """Return the limits: default, unit, bounds, of the desk or of a market, and which way is looser."""
    looser = {1: "more is looser", -1: "less is looser", 0: "fixed"}
    rows = [
        (
            f"`{field.name}`",
            default(field).replace("`inf`", "off"),
            unit(field.name),
            bounds(RULES[field.name].low, RULES[field.name].high),
            "desk" if RULES[field.name].desk else "market",
            looser[RULES[field.name].looser],
        )
        for field in dataclasses.fields(Limits)
        if field.name in RULES
    ]
    return table(("limit", "default", "unit", "from, to", "of the", "while it runs"), rows)


def models() -> str:
    """Return the parameters of Latency, Queue and Fees."""
    rows = [
        (f"`{kind.__name__}`", f"`{field.name}`", default(field), unit(field.name))
        for kind in (Latency, Queue, Fees)
        for field in dataclasses.fields(kind)
    ]
    return table(("of", "parameter", "default", "unit"), rows)


def dtype(which: str) -> str:
    """Return the fields of a row, by the name of its dtype."""
    made = {"EVENT": EVENT, "FILL_ROW": FILL_ROW, "SAMPLE_ROW": SAMPLE_ROW, "FILL_FACT": FILL_FACT}[which]
    rows = [(f"`{name}`", f"`{made[name]}`", made.fields[name][1], unit(name)) for name in made.names]
    return table(("field", "dtype", "byte", "unit"), rows) + f"\n{made.itemsize} bytes a row.\n"


def kinds() -> str:
    """Return the kinds of event rows with their numbers and what their fields hold, from the comments beside them."""
    said = comments()
    return table(
        ("kind", "number", "what happened"), [(f"`{name}`", n, said.get(name, "")) for n, name in sorted(codes.KIND_NAMES.items())]
    )


def horizons() -> str:
    """Return the horizons of a fill's later mids."""
    return ", ".join(f"{ns / 1e9:g} s" for ns in HORIZONS_NS) + "\n"


def flags() -> str:
    """Return the flags of event rows."""
    said = comments()
    found = {name: value for name, value in vars(codes).items() if name in said and name in FLAGS}
    return table(
        ("flag", "bit", "what it says"), [(f"`{name}`", value, said[name]) for name, value in sorted(found.items(), key=lambda x: x[1])]
    )


FLAGS = ("LAST", "SNAPSHOT", "AT_EXCHANGE", "AT_DESK", "MAKER", "REDUCE_ONLY", "BACKFILL")


def comments() -> dict[str, str]:
    """Return what hftlab/codes.py says about its numbers: behind them, or in the comment lines right above."""
    found, above = {}, []
    for line in inspect.getsource(codes).splitlines():
        match = re.match(r"([A-Z_0-9]+) = \d+(?:\s+# (.*))?$", line)
        if match:
            found[match[1]] = (match[2] or " ".join(above)).removeprefix(f"{match[1]}: ").removeprefix(f"{match[1]} ")
        above = [*above, line[2:]] if line.startswith("# ") and not line.startswith("# ---") else []
    return found


def tree() -> str:
    """Return the tree of errors as it stands in the module's docstring."""
    return "```text\n" + (errors.__doc__ or "").split("\n\n", 1)[1].rstrip() + "\n```\n"


def error_classes() -> str:
    """Return the docstring of every class of hftlab.errors."""
    classes = [name for name, one in vars(errors).items() if inspect.isclass(one) and one.__module__ == errors.__name__]
    return "```{eval-rst}\n.. currentmodule:: hftlab.errors\n\n" + "".join(f".. autoexception:: {name}\n" for name in classes) + "```\n"


def commands() -> str:
    """Return every command of `hftlab`: what it does, and its options."""
    parts = []
    (commands,) = (action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))  # noqa: SLF001  # argparse has no public way
    for name, one in commands.choices.items():
        rows = [
            (", ".join(f"`{s}`" for s in action.option_strings) or f"`{action.metavar or action.dest}`", said(action))
            for action in one._actions  # noqa: SLF001  # the same
            if action.help != argparse.SUPPRESS and action.dest != "help"
        ]
        parts += [f"## hftlab {name}\n", (one.description or "") + "\n", table(("option", "what it does"), rows) if rows else ""]
    return "\n".join(parts)


def said(action: argparse.Action) -> str:
    """Return the help of an option, with its choices and its default where it has one."""
    choices = f" One of {', '.join(f'`{c}`' for c in action.choices)}." if action.choices else ""
    plain = action.default in (None, False, argparse.SUPPRESS, "", [], ()) or "default" in (action.help or "")
    text = (action.help or "") % {"default": action.default, "prog": "hftlab"}
    # A folder of this clone is named as in any other.
    found = str(action.default).replace(f"{ROOT}/", "")
    return f"{text}{choices}{'' if plain else f' Default: `{found}`.'}"


def entries() -> str:
    """Return the entries of a run file's sections that it alone has: pace, alerts, door, log."""
    rows = [
        (f"`{section}`", f"`{name}`", f"`{field.default!r}`", unit(name))
        for section, made in SECTIONS.items()
        for name, field in made.model_fields.items()
    ]
    return table(("section", "entry", "default", "unit"), rows)


def top() -> str:
    """Return the lines of a run file."""
    return ", ".join(f"`{name}`" for name in Settings.model_fields if name != "alert_urls") + "\n"
