"""House rules that a machine can check."""

import ast
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "hftlab").rglob("*.py"))
NOTEBOOKS = sorted(p for p in (ROOT / "notebooks").rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)

LINES_MAX = 300  # a longer file has two subjects
FUNCTION_LINES_MAX = 60

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
    text = path.read_text(encoding="utf-8")
    lines = text.count("\n")
    assert lines <= LINES_MAX, f"{path} has {lines} lines: it has two subjects, split it"
    for function in functions(ast.parse(text)):
        length = function.end_lineno - function.lineno + 1
        assert length <= FUNCTION_LINES_MAX, f"{path}:{function.lineno} {function.name} has {length} lines"


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_a_handler_that_catches_everything_says_why(path):
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    silent = [line for line in catch_alls(ast.parse(text)) if "# why:" not in lines[line - 1]]
    assert not silent, f"{path}, lines {silent}: name the exceptions, or say `# why:` on the line"


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_units_and_bounds_come_last_in_names(path):
    wrong = [
        f"{path}:{line} {name}" for line, name in defined_names(ast.parse(path.read_text(encoding="utf-8"))) if UNITS_FIRST.match(name)
    ]
    assert not wrong, "\n".join(wrong)


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
    assert MACHINE_PATH.search("cd " + "/wo" + "rk/main")
    assert not MACHINE_PATH.search("notebooks/ho" + "me/x")
    assert URL.search("numpy @ file:x")
    assert URL.search("https" + "://x")
