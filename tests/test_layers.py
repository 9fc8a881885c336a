"""The floors of docs and architecture, read from the imports: every import goes down or stays, never up."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from trees import FILES, PACKAGE, ROOT, parsed

# The longest matching name counts, so one module may stand above its package.
FLOORS = {
    "hftlab.codes": 0,
    "hftlab.codes_params": 0,
    "hftlab.types": 0,
    "hftlab.types_exchange": 0,
    "hftlab.types_rows": 0,
    "hftlab.limits": 0,
    "hftlab.strict": 0,
    "hftlab.tunable": 0,
    "hftlab.errors": 0,
    "hftlab.svg": 0,
    "hftlab.instrument": 0,
    "hftlab.params": 0,
    "hftlab.assumptions": 0,
    "hftlab.config": 0,
    "hftlab.config_names": 0,
    "hftlab.secret": 0,
    "hftlab.show": 0,
    "hftlab.kernels": 1,
    "hftlab.data": 2,
    "hftlab.venues": 3,
    "hftlab.strategies": 3,
    "hftlab.execution": 3,
    "hftlab.analytics": 3,
    "hftlab.usercode": 3,
    "hftlab.engine": 4,
    "hftlab.backtesting": 4,
    "hftlab.engine.door": 5,
    "hftlab.engine.alerts": 5,  # the process that follows an engine
    "hftlab.engine.__main__": 6,  # a command, like the cli
    "hftlab.widgets": 5,
    "hftlab.followers": 5,
    "hftlab.warm": 6,
    "hftlab.cli": 6,
    "hftlab.cli_live": 6,
    "hftlab.cli_ops": 6,
    "hftlab.cli_serve": 6,
    "hftlab.doctor": 6,
    "hftlab.publish": 6,
    "hftlab.__main__": 6,
}

# The rooms of hftlab.analytics from the ground up. When it is loaded, a room imports from those before it; methods of Report load the
# rooms after theirs when they are called, and functions that are given a Report name its type.
ROOMS = (
    "stats",
    "drawing",
    "facts",
    "markouts",
    "returns",
    "luck",
    "costs",
    "report",
    "portfolio",
    "sheets",
    "estimators",
    "signals",
    "queues",
    "fit_fills",
    "divergence",
    "theory",
)

# Who may import what. A path ends with "/" for a folder; otherwise it is how the path begins.
ONLY = {
    "asyncio": ("engine/", "venues/"),
    "ccxt": ("venues/live/ccxt_",),
    "fastapi": ("engine/", "venues/server/"),
    "uvicorn": ("engine/", "venues/server/"),
    "ipywidgets": ("widgets/",),
    "voila": ("publish/",),
    "tornado": ("publish/",),
    "jupyter_server": ("publish/",),
    "bqplot": ("widgets/",),
    "anywidget": ("widgets/",),
    "traitlets": ("widgets/", "publish/"),
}

# The time of day reaches a run only as rows, so one module reads it for them; the process around it stamps its log and its
# first frame. A stopwatch measures the program, not the market.
WALL_CLOCK = {
    ("time", "time"),
    ("time", "time_ns"),
    ("time", "clock_gettime"),
    ("time", "clock_gettime_ns"),
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
    ("Timestamp", "now"),
    ("Timestamp", "utcnow"),
}
STOPWATCH = {("time", name) for name in ("monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "process_time", "sleep")}
WALL_CLOCK_IN = ("engine/session.py", "engine/clock.py", "venues/server/serve.py")
STOPWATCH_IN = ("engine/", "backtesting/", "venues/", "widgets/", "followers/", "publish/", "cli.py", "warm.py")

HEAVY = ("numba", "pandas", "ipywidgets", "bqplot", "anywidget", "ccxt", "fastapi", "uvicorn", "scipy", "IPython", "httpx", "pydantic")


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def floor_of(module: str) -> int | None:
    parts = module.split(".")
    known = (FLOORS.get(".".join(parts[:n])) for n in range(len(parts), 0, -1))
    return next((floor for floor in known if floor is not None), None)


def imports(tree: ast.AST, module: str, *, is_package: bool) -> Iterator[tuple[int, str]]:
    """Yield line and full name of everything imported; `from a import b` yields a.b, for b may be a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                parents = parts[: len(parts) - node.level + is_package]
                base = ".".join([*parents, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


@cache
def imports_of(path: Path) -> list[tuple[int, str]]:
    return list(imports(parsed(path), name_of(path), is_package=path.name == "__init__.py"))


def under(path: Path, allowed: tuple[str, ...]) -> bool:
    return path.relative_to(PACKAGE).as_posix().startswith(allowed)


def clock_reads(tree: ast.AST, clocks: set[tuple[str, str]]) -> Iterator[tuple[int, str]]:
    """Yield line and text of every use of one of `clocks`, called as owner.name, or imported by name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
            if (owner, node.attr) in clocks:
                yield node.lineno, f"{owner}.{node.attr}"
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{a.name}") for a in node.names if (node.module, a.name) in clocks)


def test_there_is_something_to_read():
    assert len(FILES) > 10


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_imports_go_down_only(path):
    module = name_of(path)
    if module == "hftlab":
        return  # the public names: test_importing_hftlab_loads_nothing_heavy holds that they load on first use
    here = floor_of(module)
    assert here is not None, f"{module} has no floor yet: add it to FLOORS, and to the plan"
    up = []
    for line, name in imports_of(path):
        there = floor_of(name)
        if name == "hftlab" or (name.startswith("hftlab.") and there is None):
            up.append(f"{path}:{line} imports {name}, the façade: import the module itself")
        elif there is not None and there > here:
            up.append(f"{path}:{line} imports {name} of floor {there} from floor {here}")
    assert not up, "\n".join(up)


def loaded_at_once(tree: ast.Module) -> ast.Module:
    """Return the statements that run when a module is loaded: not the bodies of functions, nor what only a type checker reads."""
    return ast.Module([node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)], [])


def room_of(module: str) -> str | None:
    parts = module.split(".")
    return parts[2] if parts[:2] == ["hftlab", "analytics"] and len(parts) > 2 and parts[2] in ROOMS else None


def test_the_rooms_of_analytics_stand_on_each_other():
    folders = {path.name for path in (PACKAGE / "analytics").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == set(ROOMS), "a new room needs its place in ROOMS, and its line in the docstring of hftlab.analytics"
    up = []
    for path in (PACKAGE / "analytics").rglob("*.py"):
        module = name_of(path)
        here = ROOMS.index(room) if (room := room_of(module)) else -1  # exact and grow are below all rooms
        for line, name in imports(loaded_at_once(parsed(path)), module, is_package=path.name == "__init__.py"):
            there = ROOMS.index(room) if (room := room_of(name)) else -1
            if there > here:
                up.append(f"{path}:{line} imports {name} when it is loaded: {ROOMS[there]} stands on its room")
    assert not up, "\n".join(up)


def test_each_room_says_what_its_files_do():
    wrong = []
    for folder in [PACKAGE / "analytics" / room for room in ROOMS]:
        said = re.findall(r"^`(\w+)`  +\S", ast.get_docstring(parsed(folder / "__init__.py")) or "", re.MULTILINE)
        there = {path.stem for path in folder.glob("*.py")} - {"__init__"}
        if sorted(said) != sorted(there):
            wrong.append(f"{folder.name}: its docstring tells of {sorted(set(said) - there)} and not of {sorted(there - set(said))}")
    rooms = re.findall(r"^`(\w+)`  +\S", ast.get_docstring(parsed(PACKAGE / "analytics" / "__init__.py")) or "", re.MULTILINE)
    assert tuple(rooms) == ROOMS, "the table of hftlab.analytics has the rooms in their order"
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("library", ONLY)
def test_each_of_these_libraries_has_its_place(library):
    wrong = [
        f"{path}:{line} imports {name}; only {ONLY[library]} may"
        for path in FILES
        if not under(path, ONLY[library])
        for line, name in imports_of(path)
        if name.split(".")[0] == library
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(("clocks", "allowed"), [(WALL_CLOCK, WALL_CLOCK_IN), (STOPWATCH, STOPWATCH_IN)], ids=["wall clock", "stopwatch"])
def test_clocks_are_read_where_they_may_be(clocks, allowed):
    wrong = [
        f"{path}:{line} reads {what}; only {allowed} may"
        for path in FILES
        if not under(path, allowed)
        for line, what in clock_reads(parsed(path), clocks)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("path", sorted((PACKAGE / "kernels").glob("*.py")), ids=lambda p: p.name)
def test_kernels_know_numbers_only(path):
    # No files, no text formats, no randomness that is not in a record. jit.py and core.py make the compiled functions.
    allowed = {"math", "numpy", "hftlab", "__future__"}
    if path.name in {"jit.py", "core.py"}:
        allowed |= {"numba", "hashlib", "fcntl", "os", "pathlib", "collections", "functools", "typing"}
    for line, name in imports_of(path):
        assert name.split(".")[0] in allowed, f"{path}:{line} imports {name}"


def test_importing_hftlab_loads_nothing_heavy():
    # In a fresh process: here the test runner has loaded half of it already.
    code = f"import sys, hftlab; print(*sorted({set(HEAVY)!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == [], "loaded by `import hftlab`; they should load on first use"


def test_the_readers_of_this_file_see_what_they_look_for():
    # The rules above pass on an empty tree; each is tried on a line that breaks it.
    up = ast.parse("from hftlab.widgets.pump import Pump\nfrom ..engine import session\nimport asyncio\n")
    found = [name for _, name in imports(up, "hftlab.kernels.book", is_package=False)]
    assert found == ["hftlab.widgets.pump.Pump", "hftlab.engine.session", "asyncio"]
    assert [floor_of(name) for name in found] == [5, 4, None]
    assert floor_of("hftlab.engine.door.gate") == 5
    clock = ast.parse("import time\nfrom time import time_ns\nx = time.time()\ny = datetime.datetime.now()\n")
    assert {what for _, what in clock_reads(clock, WALL_CLOCK)} == {"time.time_ns", "time.time", "datetime.now"}
