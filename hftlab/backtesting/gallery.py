"""Backtests kept to be compared: figures, parameters and curves of each in a small JSON file. Reading one runs nothing."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hftlab.analytics.report.report import Report
from hftlab.backtesting.codec import encode
from hftlab.errors import FormatError, InputError

FORMAT = 1
POINTS_MAX = 400
BYTES_MAX = 1 << 20
TEXT_MAX = 60
SUFFIX = ".backtest.json"


@dataclass(frozen=True)
class Kept:
    """A kept backtest: `figures` as in Report.summary, `parameters` flat by name, curves over `seconds` (float64, shape (n,))."""

    name: str
    settle: str
    figures: Mapping[str, Any]
    parameters: Mapping[str, Any]
    assumptions: Mapping[str, str]
    seconds: np.ndarray
    pnl_quote: np.ndarray
    position_base: np.ndarray


def save_backtest(report: Report, name: str, folder: str | Path = "runs/gallery", **parameters: Any) -> Path:
    """Keep a backtest for the gallery as `folder/name.backtest.json`; an earlier one of this name is replaced. Returns the path.

    Its parameters are those of the call that made it; `parameters` adds others (numbers or short texts), such as a fold's number.
    Raises InputError for a name that is no plain file name.
    """
    if not re.fullmatch(r"[\w][\w .+=,-]{0,79}", name):
        raise InputError(f"name was {name!r}; wanted letters, digits, blanks and any of _ . + = , - (at most 80).")
    table = report.curves()
    pnl = table["pnl_quote"].groupby(level="ts").sum() if len(table) else None
    position = table["position_base"].groupby(level="ts").sum() if len(table) else None
    at = np.unique(np.linspace(0, len(pnl) - 1, min(POINTS_MAX, len(pnl))).astype(int)) if pnl is not None else np.zeros(0, int)
    call = dict(report.origin.call) if report.origin is not None else {}
    values = {
        "hftlab_backtest": FORMAT,
        "name": name,
        "settle": report.instruments[0].settle,
        "figures": {key: _plain(value) for key, value in report.summary().items()},
        "parameters": flat({key: encode(value, key) for key, value in call.items()}) | flat(parameters),
        "assumptions": dict(report.assumptions),
        "seconds": [] if pnl is None else np.round((pnl.index - pnl.index[0]).total_seconds().to_numpy()[at], 3).tolist(),
        "pnl_quote": [] if pnl is None else pnl.to_numpy()[at].tolist(),
        "position_base": [] if position is None else position.to_numpy()[at].tolist(),
    }
    path = Path(folder) / f"{name}{SUFFIX}"
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(values, allow_nan=False), encoding="utf-8")
    part.replace(path)
    return path


def read_backtest(path: Path) -> Kept:
    """Return a kept backtest. Raises FormatError for a file that `save_backtest` did not write."""
    try:
        if path.stat().st_size > BYTES_MAX:
            raise FormatError(f"{path.name} has more than {BYTES_MAX:,} bytes; wanted a file written by save_backtest.")
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["hftlab_backtest"] != FORMAT:
            raise FormatError(f"{path.name} is of format {values['hftlab_backtest']}; this hftlab reads {FORMAT}.")
        curves = [np.array(values[key], dtype=np.float64) for key in ("seconds", "pnl_quote", "position_base")]
        texts = {str(key): str(value) for key, value in values["assumptions"].items()}
        made = Kept(str(values["name"]), str(values["settle"]), dict(values["figures"]), dict(values["parameters"]), texts, *curves)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FormatError(f"{path.name} is no kept backtest ({type(error).__name__}: {error}); wanted a file of save_backtest.") from error
    if len({len(curve) for curve in curves}) != 1 or any(curve.ndim != 1 for curve in curves):
        raise FormatError(f"{path.name}: its curves are of different lengths; wanted a file of save_backtest.")
    return made


def read_gallery(folder: str | Path) -> tuple[list[Kept], list[str]]:
    """Return the kept backtests of a folder by name, and what could not be read, in words. A folder that is missing is empty."""
    found, problems = [], []
    for path in sorted(Path(folder).glob(f"*{SUFFIX}")):
        try:
            found.append(read_backtest(path))
        except FormatError as error:
            problems.append(str(error))
    return found, problems


def flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Return encoded arguments (see `codec.encode`) as numbers and short texts by dotted name; what is longer is left out."""
    out: dict[str, Any] = {}
    for name, value in values.items():
        key = f"{before}{name}"
        match value:
            case {"type": kind, "values": dict(inner)}:
                out |= {key: kind} | flat(inner, f"{key}.")
            case {"dict": dict(inner)}:
                out |= flat(inner, f"{key}.")
            case {"decimal": text} | {"float": text}:
                out[key] = str(text)
            case bool() | int() | str():
                if len(str(value)) <= TEXT_MAX:
                    out[key] = value
            case float():
                out[key] = _plain(value)
            case [one] if isinstance(one, dict):
                out |= flat({name: one}, before)
    return out


def _plain(value: Any) -> Any:
    """Return a figure as JSON has it: None where it is not a number."""
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
