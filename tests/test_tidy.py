"""House rules that a machine can check."""

import ast
import json
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from trees import FILES, ROOT, parsed
from trees import text_of as code_of

NOTEBOOKS = sorted(p for p in (ROOT / "notebooks").rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)

LINES_MAX = 300  # a longer file has two subjects
FUNCTION_LINES_MAX = 60
MODULES_MAX = 16  # in a room of hftlab.analytics: more names than an eye takes in at once
SAME_STATEMENTS_MAX = 3  # two functions with the same longer body are one function

# Functions and classes that nothing in the package, its documents, notebooks, examples and benchmarks calls by name, and why they stand.
CALLED_FROM_OUTSIDE = {
    "borrowed": "numba calls it, by its decorator",
    "exact_depths": "the exact depths, to which the kernels' closed form is held",
    "mean_of_sums": "a choice for `probability_of_overfitting(figure=…)`",
    "fetch_instrument": "the rules of a market as the venue states them now, for who writes an instrument down",
    "metric_names": "the list of metrics, which the tests hold the documents to",
    "open_exchange": "an exchange in this process, for who tests a client of their own against it",
    "slot_of": "the place of an order in the matching engine's table, for who looks into it",
    "write_hftbacktest": "the way out to another program's files",
    "write_sample": "makes hftlab/data/sample.npz anew",
}

# Put together here, or this file would find itself.
UNFINISHED = re.compile("|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "NotImplemented" + "Error")))
MACHINE_PATH = re.compile(
    "(?<![\\w.])/(?:" + "|".join(("ro" + "ot", "wo" + "rk", "ho" + "me", "Us" + "ers", "o" + "pt", "m" + "nt")) + ")/\\w"
)
URL = re.compile(r"[a-z]+://|^\s*--|\s@\s")

# Units and bounds come last: position_qty_max, not max_position_qty; life_ns_min, not ns_life_min.
UNITS_FIRST = re.compile(r"^_?(max|min|ns|us|ms|bps)_(?!per_)")


def tracked() -> list[Path]:
    """Return the files of the repository, or every file where this is not a clone."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    names = [name for name in listed.stdout.split("\0") if name]
    paths = [ROOT / name for name in names] if names else [p for p in ROOT.rglob("*") if ".venv" not in p.parts]
    return [path for path in paths if path.is_file()]


def text_of(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None  # a binary file


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def defined_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and text of every name that this code gives: variables, fields, arguments, functions, fields of records."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.Tuple) and len(node.elts) in {2, 3}:
            first = getattr(node.elts[0], "value", None)
            if isinstance(first, str):  # ("field", "i8") of a dtype
                yield node.lineno, first


def catch_alls(tree: ast.AST) -> Iterator[int]:
    """Yield the line of every handler, or `suppress`, that catches everything."""

    def is_everything(node: ast.expr | None) -> bool:
        names = node.elts if isinstance(node, ast.Tuple) else [node]
        return any(n is None or getattr(n, "id", "") in {"Exception", "BaseException"} for n in names)

    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and is_everything(node.type):
            yield node.lineno
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == "suppress":
            yield from (node.lineno for argument in node.args if is_everything(argument))


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_files_and_functions_stay_short(path):
    lines = code_of(path).count("\n")
    assert lines <= LINES_MAX, f"{path} has {lines} lines: it has two subjects, split it"
    for function in functions(parsed(path)):
        length = function.end_lineno - function.lineno + 1
        assert length <= FUNCTION_LINES_MAX, f"{path}:{function.lineno} {function.name} has {length} lines"


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_a_handler_that_catches_everything_says_why(path):
    lines = code_of(path).splitlines()
    silent = [line for line in catch_alls(parsed(path)) if "# why:" not in lines[line - 1]]
    assert not silent, f"{path}, lines {silent}: name the exceptions, or say `# why:` on the line"


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_units_and_bounds_come_last_in_names(path):
    wrong = [f"{path}:{line} {name}" for line, name in defined_names(parsed(path)) if UNITS_FIRST.match(name)]
    assert not wrong, "\n".join(wrong)


def called_names(tree: ast.AST) -> Iterator[str]:
    """Yield every name that this code uses, as a variable, an attribute, a keyword, or in a string like "module:function"."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.arg
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"[\w.:]+", node.value):
            yield from re.findall(r"\w+", node.value)


def borrowed_privates(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and text of each name with an underscore that this code takes out of another module of the package."""
    modules, nodes = set(), list(ast.walk(tree))
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hftlab"):
            modules |= {alias.asname or alias.name for alias in node.names}
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names if re.match(r"_[^_]", alias.name))
    for node in nodes:
        owner = getattr(node.value, "id", "") if isinstance(node, ast.Attribute) else ""
        if owner in modules and owner.islower() and re.match(r"_[^_]", node.attr):
            yield node.lineno, f"{owner}.{node.attr}"


def body_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.stmt]:
    """Return the statements of a function without its docstring."""
    return function.body[1:] if ast.get_docstring(function, clean=False) is not None else function.body


def shape_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """Return the body of a function with its own variables numbered in order: equal for copies under other names."""
    own = {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)}
    own |= {node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    numbers: dict[str, int] = {}

    def plain(node: object) -> object:
        if isinstance(node, ast.Name) and node.id in own:
            return numbers.setdefault(node.id, len(numbers))
        if isinstance(node, ast.AST):
            return type(node).__name__, *(plain(value) for name, value in ast.iter_fields(node) if name not in {"ctx", "annotation"})
        return [plain(one) for one in node] if isinstance(node, list) else repr(node)

    return repr(plain(body_of(function)))


def copies(trees: dict[str, ast.AST]) -> Iterator[list[str]]:
    """Yield the places of functions that have one body of more than SAME_STATEMENTS_MAX statements. `trees` by file."""
    alike, same = defaultdict(list), defaultdict(list)
    for where, tree in trees.items():
        for function in functions(tree):
            if function.end_lineno - function.lineno > SAME_STATEMENTS_MAX:
                alike[tuple(type(one) for one in body_of(function))].append((f"{where}:{function.lineno} {function.name}", function))
    for places in alike.values():  # only bodies that begin alike are read in full
        for place, function in places if len(places) > 1 else ():
            if sum(isinstance(node, ast.stmt) for one in body_of(function) for node in ast.walk(one)) > SAME_STATEMENTS_MAX:
                same[shape_of(function)].append(place)
    yield from (places for places in same.values() if len(places) > 1)


def test_rooms_of_analytics_stay_small():
    for room in (ROOT / "hftlab" / "analytics").iterdir():
        count = len(list(room.glob("*.py"))) - 1
        assert count <= MODULES_MAX, f"{room} has {count} modules: it is two rooms"


def test_every_public_function_is_called_by_more_than_its_tests():
    called = {name for path in FILES for name in called_names(parsed(path))}
    for pattern in (
        "docs/**/*.md",
        "notebooks/*.ipynb",
        "benchmarks/**/*.py",
        "examples/**/*.*",
        "README.md",
        "Makefile",
        "pyproject.toml",
    ):
        for path in ROOT.glob(pattern):
            called.update(re.findall(r"\w+", text_of(path) or ""))
    idle = [
        f"{path}:{node.lineno} {node.name}"
        for path in FILES
        for node in parsed(path).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and node.name not in called
        and not node.name.startswith("__")
        and node.name.lstrip("_") not in CALLED_FROM_OUTSIDE
        and not (node.decorator_list and "hftlab/kernels" not in path.as_posix())  # a route, a verb, a subcommand: its decorator calls it
    ]
    assert not idle, "nothing but tests calls these; delete them, or say in CALLED_FROM_OUTSIDE who does:\n" + "\n".join(idle)


def test_no_module_takes_the_private_names_of_another():
    wrong = [f"{path}:{line} {name}" for path in FILES for line, name in borrowed_privates(parsed(path))]
    assert not wrong, "\n".join(wrong)


def test_no_function_is_written_twice():
    found = list(copies({path.relative_to(ROOT).as_posix(): parsed(path) for path in FILES}))
    assert not found, "\n".join(" is ".join(places) for places in found)


def test_nothing_is_left_unfinished():
    wrong = [
        f"{path}:{number} {line.strip()}"
        for path in tracked()
        if path.suffix in {".py", ".js", ".css", ".toml", ".yml", ".ipynb", ""} and (text := text_of(path)) is not None
        for number, line in enumerate(text.splitlines(), 1)
        if UNFINISHED.search(line)
    ]
    assert not wrong, "\n".join(wrong)


def test_no_path_of_one_machine_is_written_down():
    wrong = [
        f"{path}:{number} {line.strip()[:200]}"
        for path in tracked()
        if (text := text_of(path)) is not None
        for number, line in enumerate(text.splitlines(), 1)
        if MACHINE_PATH.search(line)
    ]
    assert not wrong, "\n".join(wrong)


def test_nothing_listens_on_every_interface():
    everywhere = ".".join("0" * 4)
    assert not [str(path) for path in FILES if everywhere in path.read_text(encoding="utf-8")]


def test_the_lock_names_no_host_and_hashes_everything():
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    lines = text.splitlines()
    assert not [line for line in lines if URL.search(line) and not line.lstrip().startswith("--hash=sha256:")]
    # One requirement goes on over lines that end in a backslash; each must carry a hash.
    requirements = text.replace("\\\n", " ").splitlines()
    assert len(requirements) > 50
    assert not [line for line in requirements if line.strip() and not line.startswith("#") and "--hash=sha256:" not in line]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_notebooks_are_committed_clean(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert "widgets" not in notebook["metadata"], "widget state in the metadata: strip it before committing"
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            assert output["output_type"] != "error", f"{path.name} holds an error: {output.get('ename')}"


def test_the_readers_of_this_file_see_what_they_look_for():
    code = "try:\n    f()\nexcept Exception:\n    pass\ntry:\n    f()\nexcept (OSError, BaseException):\n    pass\nwith suppress(Exception):\n    f()\n"
    assert sorted(catch_alls(ast.parse(code))) == [3, 7, 9]
    names = [name for _, name in defined_names(ast.parse("def f(max_qty): ns_life = 1\nD = [('min_qty', 'i8')]"))]
    assert {name for name in names if UNITS_FIRST.match(name)} == {"max_qty", "ns_life", "min_qty"}
    taken = ast.parse("from hftlab.data import tape\nfrom hftlab.data.rows import _row, __doc__\ntape._cut(1)\nself._x\n")
    assert [name for _, name in borrowed_privates(taken)] == ["hftlab.data.rows._row", "tape._cut"]
    one = "def f(a):\n    'Says.'\n    b = a + 1\n    if b:\n        b = g(b)\n    return b\n"
    other = "def h(x):\n    y = x + 1\n    if y:\n        y = g(y)\n    return y\n"
    assert list(copies({"one": ast.parse(one), "other": ast.parse(other)})) == [["one:1 f", "other:1 h"]]
    assert not list(copies({"one": ast.parse(one), "other": ast.parse(other.replace("g(", "k("))}))
    assert set(called_names(ast.parse("a.b(c=d, e='m:f')\n"))) == {"a", "b", "c", "d", "e", "m", "f"}
    assert MACHINE_PATH.search("cd " + "/wo" + "rk/main")
    assert not MACHINE_PATH.search("notebooks/ho" + "me/x")
    assert URL.search("numpy @ file:x")
    assert URL.search("https" + "://x")
