"""The docs: built without a warning, every public name in them, with its units and its errors."""

import ast
import dataclasses
import inspect
import re
import subprocess
import sys
import textwrap
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

import hftlab as hl
from hftlab import errors

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
sys.path.append(str(DOCS))

import conf_reference as reference  # noqa: E402  # beside the pages that it makes
import conf_tables as tables  # noqa: E402

PAGES = sorted(page.relative_to(DOCS) for page in DOCS.rglob("*.md") if "_build" not in page.parts)
SHOWN = {path: reference.thing(path) for _, paths in reference.GROUPS.values() for path in paths}
ERRORS = {name: one for name, one in vars(errors).items() if inspect.isclass(one) and one.__module__ == errors.__name__}


def methods(kind):
    """Yield the public functions of a class that are ours, also those behind properties."""
    for name in dir(kind):
        found = inspect.getattr_static(kind, name)
        found = getattr(found, "fget", None) or getattr(found, "func", None) or getattr(found, "__func__", found)
        if not name.startswith("_") and inspect.isfunction(found) and found.__module__.startswith("hftlab"):
            yield name, found


def documented():
    """Yield path, thing, and the class that it is a method of, for all that the reference shows."""
    for path, found in SHOWN.items():
        yield path, found, None
        if inspect.isclass(found):
            yield from ((f"{path}.{name}", function, found) for name, function in methods(found))


ALL = {path: (found, owner) for path, found, owner in documented()}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The pages as `make docs` builds them, and what was said meanwhile."""
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-n", "--keep-going", "-j", "auto", DOCS, out / "html"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    return out / "html", done


def test_the_docs_are_built_without_a_warning(site):
    html, done = site
    assert (done.stdout + done.stderr, done.returncode) == ("", 0)
    missing = [page for page in PAGES if not (html / page.with_suffix(".html")).exists()]
    assert not missing


def test_every_public_name_is_in_the_built_reference(site):
    html, _ = site
    ids = {page.stem: set(re.findall(r'id="([^"]+)"', page.read_text(encoding="utf-8"))) for page in (html / "reference").glob("*.html")}
    for page, (_, paths) in reference.GROUPS.items():
        for path in paths:
            found = SHOWN[path]
            where = f"hftlab.{path}" if ">" not in path else f"{found.__module__}.{found.__qualname__}"
            assert where in ids[page]
    assert {f"hftlab.errors.{name}" for name in ERRORS} <= ids["errors"]
    for name in (name for name, _ in methods(hl.Report)):
        assert f"hftlab.Report.{name}" in ids["report"]


def test_the_pictures_take_the_colour_of_the_page(site):
    html, _ = site
    for picture in (DOCS / "concepts").glob("*.svg"):
        page = (html / "concepts" / f"{picture.stem}.html").read_text(encoding="utf-8")
        assert page.count('<svg aria-label="') == 1, picture
        assert "prefers-color-scheme:dark){.figure" not in page


def test_the_pictures_are_those_that_the_script_draws(tmp_path, monkeypatch):
    source = (DOCS / "concepts" / "draw.py").read_text(encoding="utf-8")
    names = {"__name__": "__main__", "__file__": str(tmp_path / "draw.py")}
    exec(compile(source, "draw.py", "exec"), names)
    drawn = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.glob("*.svg")}
    assert drawn == {path.name: path.read_text(encoding="utf-8") for path in (DOCS / "concepts").glob("*.svg")}
    assert len(drawn) == 5


def test_every_public_name_has_its_place_in_the_reference():
    places = [path for path in SHOWN if path in hl.__all__]
    assert sorted(places) == hl.__all__


def test_all_that_the_reference_shows_has_a_docstring():
    bare = [path for path, (found, _) in ALL.items() if not inspect.getdoc(found)]
    assert not bare
    made = [path for path, found in SHOWN.items() if dataclasses.is_dataclass(found) and found.__doc__.startswith(f"{found.__name__}(")]
    assert not made, "dataclasses made these docstrings themselves"
    count = sum(bool(inspect.getdoc(getattr(hl, name))) for name in hl.__all__)
    print(f"{count} of {len(hl.__all__)} public names documented, and {len(ALL)} classes, functions and methods in all")


def is_number(parameter):
    default, said = parameter.default, str(parameter.annotation)
    plain = isinstance(default, int | float | Decimal | np.number) and not isinstance(default, bool)
    return plain or parameter.annotation in {int, float, Decimal} or said.startswith(("int", "float")) or "Number" in said


def said_of(path):
    """Return the docstring, and that of the class that it is a method of."""
    found, owner = ALL[path]
    return (inspect.getdoc(found) or "") + (inspect.getdoc(owner) or "" if owner else "")


def test_every_number_says_what_it_counts():
    """By the end of its name, in the table of names that always count the same, or in the docstring beside its name."""
    numbers = [
        (path, one.name) for path, (found, _) in ALL.items() for one in inspect.signature(found).parameters.values() if is_number(one)
    ]
    silent = [(path, name) for path, name in numbers if not tables.unit(name) and f"`{name}`" not in said_of(path)]
    assert len(numbers) > 300
    assert not silent, "end the name in a unit, or say in the docstring what it is"


def raised(function):
    """Return the errors of hftlab that stand behind a `raise` in the function itself."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function))))
    calls = [node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)]
    return {call.func.id for call in calls if isinstance(call.func, ast.Name) and call.func.id in ERRORS}


def test_every_error_that_is_raised_is_named():
    """By itself, or by a parent."""
    pairs = [(path, name) for path, (found, _) in ALL.items() if inspect.isfunction(found) for name in sorted(raised(found))]
    parents = {name: [one.__name__ for one in kind.__mro__ if one.__name__ in ERRORS] for name, kind in ERRORS.items()}
    silent = [(path, name) for path, name in pairs if not any(parent in said_of(path) for parent in parents[name])]
    assert len(pairs) > 30
    assert not silent


def test_every_quoter_limit_and_model_parameter_has_a_unit():
    for kind in (*tables.QUOTERS.values(), hl.Limits, hl.Latency, hl.Queue, hl.Fees):
        for parameter in inspect.signature(kind).parameters.values():
            assert not is_number(parameter) or tables.unit(parameter.name), (kind, parameter.name)


def test_a_unit_is_that_of_the_longest_ending():
    assert tables.unit("loss_quote_max") == "quote currency"
    assert tables.unit("requests_per_s_max") == "1/s"
    assert tables.unit("half_spread_ticks_min") == "ticks"
    assert tables.unit("name") == ""


def test_the_words_of_the_code_reach_the_tables():
    assert "the level now holds qty" in tables.kinds()
    assert "last row of its message" in tables.flags()
    for name, function in vars(hl).items():
        assert name not in hl.__all__ or tables.first(function)
    assert "hftlab doctor" in tables.commands()
    assert str(ROOT) not in tables.commands()
    assert all(name in tables.tree() for name in ERRORS)
