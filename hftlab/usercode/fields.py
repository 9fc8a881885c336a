"""The field reference of decide: one table from the dtypes, for the notebook and for docs/decide.md.

`python -m hftlab.usercode.fields docs/decide.md` writes the reference into the document anew, after a change of a record.
"""

import importlib
import inspect
import sys
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hftlab.errors import InputError, did_you_mean
from hftlab.usercode.lint import RECORDS
from hftlab.usercode.meanings import MEANINGS, RECORDS_MEAN

if TYPE_CHECKING:
    import pandas as pd

BEGIN, END = "<!-- made by hftlab.usercode.fields: begin -->", "<!-- end -->"

# Kernels that a decide may call, by module of hftlab.kernels: questions about the market, and the formulas of the built-in quoters.
CALLS = {
    "book": ("lots_at", "next_level"),
    "own": ("public_lots", "own_lots", "open_lots"),
    "quote": ("public_touch", "decay_per_tick", "arrival_per_s", "around", "avellaneda_stoikov"),
    "pricing": ("as_reservation_ticks", "as_spread", "glft_depths", "ewma_weight", "ewma_variance_per_s"),
}

_IMPORTED = {"quote": "q"}  # `quote` is an argument of decide
_BOUNDS = ("_min", "_max")
# The longest suffix that fits counts.
_UNITS = {
    "_ticks2_per_s": "ticks²/s",
    "_ticks_per_lot": "ticks/lot",
    "_per_ticklot": "1/ticklot",
    "_per_tick": "1/tick",
    "_per_s": "1/s",
    "_uticklots": "ticklot/10⁶",
    "_e8ticklots": "ticklot/10⁸",
    "_ticklots": "ticklots",
    "_e8": "1/10⁸",
    "_ticks": "ticks",
    "_lots": "lots",
    "_ns": "ns",
    "_s": "s",
    "_centibps": "bps/100",
    "_bps": "bps",
    "_quote": "settlement currency",
}
_KINDS = {"i": "integer", "u": "integer", "f": "float"}


@dataclass(frozen=True, repr=False)
class Fields:
    """A table of names with type, unit and meaning."""

    title: str
    rows: tuple[tuple[str, str, str, str], ...]

    def frame(self) -> "pd.DataFrame":
        """Return the table with columns name, type, unit, meaning."""
        import pandas as pd

        return pd.DataFrame(self.rows, columns=["name", "type", "unit", "meaning"])

    def __repr__(self) -> str:
        widths = [max((len(row[i]) for row in self.rows), default=0) for i in range(3)]
        lines = [("  ".join(part.ljust(w) for part, w in zip(row, [*widths, 0], strict=True))).rstrip() for row in self.rows]
        return "\n".join([self.title, *lines])

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr><td style='text-align:left'><code>{escape(name)}</code></td><td>{escape(kind)}</td><td>{escape(unit)}</td>"
            f"<td style='text-align:left'>{escape(meaning)}</td></tr>"
            for name, kind, unit, meaning in self.rows
        )
        return f"<p>{escape(self.title)}</p><table><tr><th>name</th><th>type</th><th>unit</th><th>meaning</th></tr>{cells}</table>"

    def markdown(self) -> str:
        """Return the table for a document."""
        lines = [f"| `{name}` | {kind} | {unit} | {_cell(meaning)} |" for name, kind, unit, meaning in self.rows]
        return "\n".join(["| field | type | unit | meaning |", "|---|---|---|---|", *lines])


def fields(record: str | None = None) -> Fields:
    """Return the field reference of one record that a decide sees, of "functions" it may call, or without a name the records.

    Raises InputError for another name.
    """
    if record is None:
        rows = tuple((name, "record", "", meaning) for name, meaning in RECORDS_MEAN.items())
        return Fields("what a decide reads and fills", (*rows, ("functions", "", "", "the functions that it may call")))
    if record == "functions":
        return Fields("functions that a decide may call", tuple(_calls()))
    if record not in RECORDS:
        raise InputError(f"no record {record!r}.{did_you_mean(record, [*RECORDS, 'functions'])}")
    dtype = RECORDS[record]
    names = [name for name in dtype.names or () if not name.startswith("pad")]
    rows = tuple((name, _kind(dtype[name]), unit(name), MEANINGS[record].get(name, "")) for name in names)
    return Fields(f"{record}: {RECORDS_MEAN[record]}", rows)


def unit(name: str) -> str:
    """Return the unit that a field's name ends in, empty for a count, a code or a record."""
    for bound in _BOUNDS:
        name = name.removesuffix(bound)
    fits = [suffix for suffix in _UNITS if name.endswith(suffix)]
    return _UNITS[max(fits, key=len)] if fits else ""


def _kind(dtype: np.dtype) -> str:
    base, shape = dtype.subdtype or (dtype, ())
    what = "record" if base.names else _KINDS[base.kind]
    return f"{what}[{', '.join(map(str, shape))}]" if shape else what


def _calls() -> list[tuple[str, str, str, str]]:
    result = []
    for module, names in CALLS.items():
        for name in names:
            function = getattr(importlib.import_module(f"hftlab.kernels.{module}"), name)
            plain = getattr(function, "py_func", function)
            first = (inspect.getdoc(plain) or "").splitlines()[0]
            result.append((f"{_IMPORTED.get(module, module)}.{name}{inspect.signature(plain)}", "function", "", first))
    return result


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def reference() -> str:
    """Return the reference part of docs/decide.md."""
    parts = [BEGIN]
    for name in RECORDS:
        parts += [f"### {name}", RECORDS_MEAN[name][0].upper() + RECORDS_MEAN[name][1:] + ".", fields(name).markdown()]
    lines = [f"| `{name}` | {_cell(meaning)} |" for name, _, _, meaning in fields("functions").rows]
    parts += [
        "### functions",
        "Imported as `from hftlab.kernels import book, own, pricing` and `from hftlab.kernels import quote as q`; `side` is `BID` or `ASK` of `hftlab.types`.",
    ]
    return "\n\n".join([*parts, "\n".join(["| function | returns |", "|---|---|", *lines]), END])


def rewrite(document: str) -> str:
    """Return a document with the reference in it made anew. Raises InputError where its marks are missing."""
    head, begin, rest = document.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise InputError(f"the document has no lines {BEGIN!r} and {END!r}; between them the reference is written.")
    return head + reference() + tail


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(rewrite(path.read_text(encoding="utf-8")), encoding="utf-8")
