"""The public face is a list: what `import hftlab` offers is what is written down, and nothing else."""

import dataclasses
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import hftlab as hl

ROOT = Path(__file__).resolve().parents[1]
NAMES_MAX = 48

# What a number counts in stands in its name, last but for a bound: order_qty, drift_bps, life_ms_min, notional_quote_max, loss_frac_max.
UNITS = "s ms us ns gb mb bps pct frac share qty lots ticks ticklots price quote base sigmas z order year size seconds minutes".split()  # noqa: SIM905
UNIT = re.compile(rf"(^|_)({'|'.join(UNITS)})(_per_[a-z]+|_per_sqrt_s)?(_min|_max)?$")
PER = re.compile(r"_per_[a-z]+(_min|_max)?$")
# Counts, ordinals, ratios of like to like, and numbers that have no unit. A new name is put here, or given its unit.
UNITLESS = frozenset(
    """
    account back blocks count cuts depth folds height instrument last_id level levels lookback market messages n order_id past replicates rows
    rows_max seed seeds start toward window workers
    bound jitter_log_sd leverage_max multiplier power regime_factor_max regime_ratio_min risk_aversion speed vpin_max widen_factor
    orders_max requests_burst requests_reserved sweep_levels_max timer_start
    """.split()  # noqa: SIM905  # a list of words reads better as words
)


def test_the_names_are_sorted_and_listed_by_dir():
    assert hl.__all__ == sorted(set(hl.__all__))
    assert set(dir(hl)) == {*hl.__all__, "__version__"}


@pytest.mark.parametrize("name", hl.__all__)
def test_every_public_name_loads_and_says_what_it_is(name):
    value = getattr(hl, name)
    assert value.__name__ == name
    assert inspect.getdoc(value), f"hl.{name} has no docstring"
    # It lives where the table says, so that an error points at the right file.
    assert getattr(importlib.import_module(value.__module__), name) is value


def test_a_misspelt_name_is_answered_with_the_nearest():
    with pytest.raises(AttributeError, match="Did you mean 'backtest'"):
        hl.backtets  # noqa: B018


def test_there_are_few_names():
    assert len(hl.__all__) <= NAMES_MAX, "a name that few need belongs in its module"


def test_the_version_is_that_of_the_package():
    import tomllib

    assert hl.__version__ == tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


def test_a_star_import_gives_the_public_names():
    code = "from hftlab import *; import hftlab; missing = [n for n in hftlab.__all__ if n not in globals()]; assert not missing, missing"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_no_folder_of_the_package_takes_the_place_of_a_public_name():
    # Importing `hftlab.x.y` binds `hftlab.x`; were x a public name, the module would stand where the function was.
    folders = {p.name for p in (ROOT / "hftlab").iterdir() if p.is_dir()} | {p.stem for p in (ROOT / "hftlab").glob("*.py")}
    assert not folders & set(hl.__all__)


# --- parameters -----------------------------------------------------------------------------------------------------------
def is_number(annotation):
    """Whether a parameter takes a number: one of several kinds counts, a truth or a text alone does not."""
    words = set(re.findall(r"\w+", f"{getattr(annotation, '__name__', '')} {annotation}"))
    return bool(words & {"int", "float", "Number", "Decimal"}) and not words & {"Callable", "Mapping", "tuple", "ndarray"}


def parameters(name, what):
    """Yield (function, parameter) for what a person passes: to a function, to make a value, to each public method of it."""
    if dataclasses.is_dataclass(what):
        yield from ((name, one.name, one.type) for one in dataclasses.fields(what) if one.init)
    functions = [(name, what)] if inspect.isfunction(what) else []
    if inspect.isclass(what):
        functions += [(f"{name}.{one}", f) for one, f in inspect.getmembers(what, callable) if not one.startswith("_")]
    for where, function in functions:
        try:
            found = inspect.signature(function).parameters.values()
        except ValueError:  # a method of a built-in type
            continue
        yield from ((where, one.name, one.annotation) for one in found if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD))


def without_unit(name, annotation):
    return is_number(annotation) and not (UNIT.search(name) or PER.search(name) or name in UNITLESS)


@pytest.mark.parametrize("name", hl.__all__)
def test_every_number_that_a_person_passes_says_its_unit(name):
    wrong = [f"{where}({one})" for where, one, kind in parameters(name, getattr(hl, name)) if without_unit(one, kind)]
    assert not wrong, f"{wrong}: end the name with its unit, or put it among UNITLESS"


def test_the_reader_of_names_sees_what_it_looks_for():
    assert is_number(int)
    assert is_number(float | None)
    assert is_number("Number | None")
    assert not is_number(bool)
    assert not is_number("str | Path")
    assert not is_number("Callable[[int], float]")
    assert without_unit("delay", float)
    assert without_unit("max_qty_order_", "Number")
    assert not without_unit("delay_ms", float)
    assert not without_unit("position_qty_max", "Number")
    assert not without_unit("skew_ticks_per_order", float)
    assert not without_unit("delay", str)


def test_no_name_is_called_unitless_in_vain():
    used = {one for name in hl.__all__ for _, one, kind in parameters(name, getattr(hl, name)) if is_number(kind)}
    assert used >= UNITLESS, "nobody passes these any more"


@pytest.mark.parametrize("name", [one for one in hl.__all__ if dataclasses.is_dataclass(getattr(hl, one))])
def test_an_editor_is_shown_the_parameters_of_a_value(name):
    # In a notebook this is what Shift-Tab and completion read.
    value = getattr(hl, name)
    shown = inspect.signature(value).parameters
    assert {one.name for one in dataclasses.fields(value) if one.init} <= set(shown)


# --- use ------------------------------------------------------------------------------------------------------------------
def test_every_public_name_is_used_where_people_read():
    files = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "notebooks").rglob("*.ipynb")]
    read = "\n".join(
        path.read_text(encoding="utf-8") for path in files if "reference" not in path.parts and ".ipynb_checkpoints" not in path.parts
    )
    # A class may be met as what a call gives; a function is called.
    missing = [name for name in hl.__all__ if not re.search(rf"\b{name}\b" if name[0].isupper() else rf"\bhl\.{name}\b", read)]
    assert not missing, "no page and no notebook shows them"
