"""A compile error of numba in one sentence about the user's line."""

import ast
import re
from collections.abc import Callable
from pathlib import PurePath
from types import FunctionType

from hftlab.errors import UserCodeError
from hftlab.usercode.functions import family, fault, source_of

# Where numba says that it was, the innermost first: "… at /path/file.py (12)", and File "../file.py", line 12:
_AT = re.compile(r'(?:at|Raised from) (?P<file>[^\n]+?) \((?P<line>\d+)\)|File "(?P<shown>[^"\n]+)", line (?P<at>\d+):')
_OPCODES = {
    "IMPORT_NAME": "An import inside decide cannot be compiled; import at the top of the cell.",
    "STORE_GLOBAL": "Compiled code cannot write to a global; keep numbers in params (user0 to user15) instead.",
    "LOAD_BUILD_CLASS": "A class inside decide cannot be compiled; use plain variables.",
    "YIELD_VALUE": "yield cannot be compiled here; use a loop.",
    "SETUP_WITH": "with cannot be compiled here.",
}


def explain(error: BaseException, decide: FunctionType) -> UserCodeError:
    """Return what numba found, in words: function, line, the line itself, one sentence. The original is in `details`."""
    members = family(decide)
    text = str(error)
    function, line = _spot(text, members)
    line = line or _line_of(error, function)
    return fault(function.__code__.co_filename, line, function.__name__, _sentence(text, error), details=error)


def _spot(text: str, members: list[FunctionType]) -> tuple[FunctionType, int]:
    """Return the innermost place in the user's functions that the message names; (decide, 0) when it names none."""
    for found in _AT.finditer(text):
        name, line = PurePath(found["file"] or found["shown"]).name, int(found["line"] or found["at"])
        for function in members:
            first = function.__code__.co_firstlineno
            length = (source_of(function) or "").count("\n") + 1
            if name == PurePath(function.__code__.co_filename).name and first <= line < first + length:
                return function, line
    return members[0], 0


def _line_of(error: BaseException, function: FunctionType) -> int:
    """Return the line that holds the attribute or name which the error is about, else the line of the def."""
    first, name = function.__code__.co_firstlineno, str(error.args[0]) if error.args else ""
    try:
        tree = ast.parse(source_of(function) or "")
    except SyntaxError:
        return first
    lines = [n.lineno for n in ast.walk(tree) if isinstance(n, ast.With)] if "context manager" in name else []
    lines += [
        n.lineno for n in ast.walk(tree) if (isinstance(n, ast.Attribute) and n.attr == name) or (isinstance(n, ast.Name) and n.id == name)
    ]
    return first - 1 + lines[0] if lines else first


def _sentence(text: str, error: BaseException) -> str:
    for pattern, words in _KNOWN:
        found = re.search(pattern, text, re.DOTALL)
        if found:
            return words(found)
    # Unknown to us: the first line that is not about numba itself.
    lines = [s for s in text.splitlines() if s.strip() and not s.startswith(("Failed in nopython", "During:"))]
    return f"It cannot be compiled: {_short(lines[0] if lines else type(error).__name__)}"


def _short(text: str, length: int = 200) -> str:
    """Return a message of numba's without its pages of record types."""
    text = re.sub(r"Record\(.*?\d+, (?:True|False)\)|Record\(.*?;\d+;(?:True|False)\)", "a record", text, flags=re.DOTALL)
    return text if len(text) <= length else text[: length - 1] + "…"


def _type(text: str) -> str:
    """Return a numba type in plain words."""
    text = text.strip()
    names = {
        "int64": "a whole number",
        "float64": "a float",
        "unicode_type": "a text",
        "none": "None",
        "bool": "a truth value",
        "boolean": "a truth value",
    }
    literal = re.match(r"Literal\[(\w+)\]\((.*)\)$", text, re.DOTALL)
    if literal:
        return f"the text {literal[2]!r}" if literal[1] == "str" else literal[2]
    if text.startswith("Record("):
        return "a record"
    return names.get(text, _short(text, 60))


def _cannot_call(found: re.Match[str]) -> str:
    called = re.search(r">>> (\w+)\((.*)", found[0], re.DOTALL)
    name = called[1] if called else "this"
    given = [_type(part) for part in _split((called[2] if called else "").split("\n")[0].rstrip().removesuffix(")"))]
    signs = {"add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%", "lt": "<", "gt": ">", "le": "<=", "ge": ">="}
    what = f"{given[0]} {signs[name]} {given[1]}" if name in signs and len(given) == 2 else f"{name}({', '.join(given)})"
    return f"Compiled code cannot do {what}."


def _split(text: str) -> list[str]:
    """Return the arguments of a signature: split at commas outside of brackets."""
    parts, depth, start = [], 0, 0
    for i, sign in enumerate(text):
        depth += (sign in "([{") - (sign in ")]}")
        if sign == "," and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    return [part for part in [*parts, text[start:]] if part.strip()]


def _opcode(found: re.Match[str]) -> str:
    return _OPCODES.get(found[1], f"Compiled code cannot do this ({found[1].lower().replace('_', ' ')}).")


_KNOWN: list[tuple[str, Callable[[re.Match[str]], str]]] = [
    (r"NameError: name '(\w+)' is not defined", lambda m: f"There is no name {m[1]!r} here."),
    (
        r"Cannot unify (.+?) and (.+?) for '([\w$.]+)'",
        lambda m: f"{m[3].split('.')[0]} is {_type(m[1])} on one way and {_type(m[2])} on another; a compiled variable keeps one type.",
    ),
    (
        r"No conversion from (.+?) to none for '[^']*return",
        lambda m: f"It returns {_type(m[1])}; decide fills `quote` and returns nothing.",
    ),
    (
        r"Cannot cast (.+?) to (int64|float64|Record).*?lowering \"\((\w+)\)\.(\w+) =",
        lambda m: f"{m[3]}.{m[4]} holds {_type(m[2] + '(' if m[2] == 'Record' else m[2])}; {_type(m[1])} cannot be put there.",
    ),
    (
        r"Untyped global name '(\w+)':? ?.*?<class '([\w.]+)'>",
        lambda m: (
            f"{m[1]} is a {m[2].split('.')[-1]}, which compiled code cannot read. Use numbers, tuples or numpy arrays, "
            "or pass numbers as UserQuoter(values={…})."
        ),
    ),
    (r"to signature '(\([^']*\))' due to \"TypeError: (.+?)\"", lambda m: f"The call does not fit {m[1]}: {m[2].rstrip('.')}."),
    (r"Unknown attribute '(\w+)' of type (.+?)(?:\n|$)", lambda m: f"{_type(m[2])[0].upper()}{_type(m[2])[1:]} has no attribute {m[1]!r}."),
    (r"has no attribute '(\w+)'", lambda m: f"{_short(m.string.splitlines()[0])}."),
    (r"No implementation of function .*? found for signature:.*", _cannot_call),
    (r"Use of unsupported opcode \((\w+)\)", _opcode),
    (
        r"Exception object cannot be stored",
        lambda _: "Compiled code cannot look at an exception: `except Exception:` without a name, or test before.",
    ),
    (
        r"format spec in f-strings",
        lambda _: "An f-string with a format (:.3f) cannot be compiled; hl.try_decide runs plain Python, where it works.",
    ),
    (r"The '(.+?)' construct is not supported", lambda m: f"The {m[1]} construct cannot be compiled."),
    (r"^'(\w+)'$", lambda m: f'No record has a field {m[1]!r} there. The fields: hl.fields("market"), docs/decide.md.'),
]
