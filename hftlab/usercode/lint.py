"""What can be told of a user's `decide` without compiling it: unknown fields and names, calls that do not fit, facts written to.

The records are known, so an attribute that none of them has is found with its line, and answered with the nearest name. A
compiler meets the same mistake as a bare KeyError.
"""

import ast
import difflib
import inspect
from collections.abc import Iterable
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from hftlab.types import BOOK, DESK, LIMITS, MARKET, PARAMS, QUOTE, SPEC
from hftlab.types_rows import BAR, CHANGE, FILL_ROW, SAMPLE_ROW, TOUCH_FLOW
from hftlab.usercode.functions import PARAMETERS, fault, helper, is_kernel, python_function, source_of, used

RECORDS: dict[str, np.dtype] = {
    "desk": DESK,
    "market": MARKET,
    "params": PARAMS,
    "quote": QUOTE,
    "book": BOOK,
    "order": MARKET["orders"].base,
    "limits": LIMITS,
    "spec": SPEC,
    "bar": BAR,
    "fill": FILL_ROW,
    "sample": SAMPLE_ROW,
    "flow": TOUCH_FLOW,
    "change": CHANGE,
}
"""The records that a `decide` can reach, by the name under which `hl.fields` shows them."""

_ARGUMENTS = tuple(RECORDS[name] for name in PARAMETERS)


def check(decide: Any) -> FunctionType:
    """Return the plain function of `decide`. Raises UserCodeError that names the line of a mistake that can be seen."""
    function = python_function(decide)
    _check(function, _ARGUMENTS, set())
    return function


def _check(function: FunctionType, kinds: tuple[Any, ...], seen: set[tuple[FunctionType, tuple[str, ...]]]) -> None:
    key = (function, tuple(str(kind) for kind in kinds))
    if key not in seen:
        seen.add(key)
        _Reader(function, kinds, seen).read()


class _Reader(ast.NodeVisitor):
    """Walks one function in the order of its lines, knowing which names stand for which record."""

    def __init__(self, function: FunctionType, kinds: tuple[Any, ...], seen: set[Any]) -> None:
        self._function, self._seen = function, seen
        self._used = used(function)
        # What a name stands for: a dtype with fields, a tuple (dtype,) for an array of it, None for a number or unknown.
        self._kinds: dict[str, Any] = dict(zip(inspect.signature(function).parameters, kinds, strict=False))
        self._locals = {*function.__code__.co_varnames, *function.__code__.co_cellvars}

    def read(self) -> None:
        """Read the function. Raises UserCodeError."""
        source = source_of(self._function)
        try:
            tree = ast.parse(source or "").body
        except SyntaxError:  # a lambda in the middle of an expression
            return
        if tree and isinstance(tree[0], ast.FunctionDef):
            ast.increment_lineno(tree[0], self._function.__code__.co_firstlineno - 1)
            for statement in tree[0].body:
                self.visit(statement)

    def _fault(self, node: ast.AST, sentence: str) -> Exception:
        line = getattr(node, "lineno", self._function.__code__.co_firstlineno)
        return fault(self._function.__code__.co_filename, line, self._function.__name__, sentence)

    # --- statements, values before targets --------------------------------------------------------------------------------

    def visit_Assign(self, node: ast.Assign) -> None:
        """Read the value, then the targets, then remember what a plain name stands for now."""
        self.visit(node.value)
        for target in node.targets:
            self.visit(target)
            if isinstance(target, ast.Name):
                self._kinds[target.id] = self._kind(node.value)

    def visit_For(self, node: ast.For) -> None:
        """Let the variable of a loop over an array stand for one of its records."""
        self.visit(node.iter)
        kind = self._kind(node.iter)
        if isinstance(node.target, ast.Name):
            self._kinds[node.target.id] = kind[0] if isinstance(kind, tuple) else None
        for statement in (*node.body, *node.orelse):
            self.visit(statement)

    def visit_While(self, node: ast.While) -> None:
        """Refuse a loop that has no end: compiled code cannot be interrupted."""
        inside = {type(inner) for statement in node.body for inner in ast.walk(statement)}
        if isinstance(node.test, ast.Constant) and node.test.value and not inside & {ast.Break, ast.Return, ast.Raise}:
            raise self._fault(node, "This loop never ends.")
        self.generic_visit(node)

    # --- expressions ------------------------------------------------------------------------------------------------------

    def visit_Name(self, node: ast.Name) -> None:
        """Refuse a name that stands for nothing."""
        if node.id in self._used.missing:
            known = [*self._locals, *(name for name in self._function.__globals__ if not name.startswith("_"))]
            raise self._fault(node, f"There is no name {node.id!r} here.{_near(node.id, known)}")

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """Refuse a field that a record does not have, and a name that a module does not have."""
        self.visit(node.value)
        base = self._kind(node.value)
        if isinstance(base, np.dtype) and base.names and node.attr not in base.names:
            raise self._fault(node, _no_field(ast.unparse(node.value), node.attr, base))
        if isinstance(node.ctx, ast.Store) and isinstance(base, np.dtype):
            self._may_write(node, base)
        if isinstance(base, np.dtype) and base == DESK and node.attr == "rows":
            raise self._fault(node, "desk.rows depends on the pieces in which a run is made. Use desk.now_ns or market.messages.")
        module = self._object(node.value)
        if isinstance(module, ModuleType) and not hasattr(module, node.attr):
            raise self._fault(node, f"{module.__name__} has no {node.attr!r}.{_near(node.attr, dir(module))}")

    def visit_Subscript(self, node: ast.Subscript) -> None:
        """Refuse market["unknown"] as market.unknown is."""
        self.generic_visit(node)
        owner = self._kind(node.value.value) if isinstance(node.value, ast.Attribute) else None
        if isinstance(node.ctx, ast.Store) and isinstance(owner, np.dtype):
            self._may_write(node, owner)
        base, index = self._kind(node.value), node.slice
        named = isinstance(index, ast.Constant) and isinstance(index.value, str)
        if named and isinstance(base, np.dtype) and index.value not in (base.names or ()):  # type: ignore[attr-defined]
            raise self._fault(node, _no_field(ast.unparse(node.value), index.value, base))  # type: ignore[attr-defined]

    def _may_write(self, node: ast.Attribute | ast.Subscript, record: np.dtype) -> None:
        if record not in (QUOTE, PARAMS):
            what = ast.unparse(node)
            raise self._fault(
                node, f"{what} is a fact and no place to write to. Fill `quote`; numbers of your own can be kept in params.user0 to user15."
            )

    def visit_Call(self, node: ast.Call) -> None:
        """Refuse a call whose arguments do not fit, and read the user's own functions with what they are given."""
        self.generic_visit(node)
        called = self._object(node.func)
        plain = getattr(called, "py_func", called) if is_kernel(called) else helper(called)
        starred = any(isinstance(a, ast.Starred) for a in node.args) or any(k.arg is None for k in node.keywords)
        if plain is None or starred:
            return
        signature = inspect.signature(plain)
        try:
            bound = signature.bind(*node.args, **{k.arg: k.value for k in node.keywords if k.arg})
        except TypeError as error:
            raise self._fault(node, f"The call does not fit {plain.__name__}{signature}: {error}.") from None
        if is_kernel(called):
            self._records_fit(node, plain.__name__, bound.arguments)
        else:
            given = [self._kind(bound.arguments[name]) if name in bound.arguments else None for name in signature.parameters]
            _check(plain, tuple(given), self._seen)

    def _records_fit(self, node: ast.Call, name: str, arguments: dict[str, Any]) -> None:
        """Refuse a record in the place of another: the kernels call their arguments by the names of RECORDS."""
        for parameter, given in arguments.items():
            kind, wanted = self._kind(given), RECORDS.get(parameter)
            if wanted is not None and isinstance(kind, np.dtype) and kind != wanted:
                found = ast.unparse(given)
                hint = f" Did you mean {found}.{parameter}?" if parameter in (kind.names or ()) else ""
                raise self._fault(node, f"{name} takes a {parameter} record as its argument {parameter!r}, not {found}.{hint}")

    # --- what an expression stands for ------------------------------------------------------------------------------------

    def _kind(self, node: Any) -> Any:
        if isinstance(node, ast.Name):
            return self._kinds.get(node.id)
        if isinstance(node, ast.Attribute):
            base = self._kind(node.value)
            return _shape(base, node.attr) if isinstance(base, np.dtype) else None
        if isinstance(node, ast.Subscript):
            base = self._kind(node.value)
            if isinstance(base, tuple):
                return None if isinstance(node.slice, ast.Slice) else base[0]
            if isinstance(base, np.dtype) and isinstance(node.slice, ast.Constant):
                return _shape(base, node.slice.value)
        return None

    def _object(self, node: ast.expr) -> Any:
        """Return the global that `a` or `a.b.c` names, or None."""
        if isinstance(node, ast.Name):
            return None if node.id in self._locals else self._used.found.get(node.id)
        if isinstance(node, ast.Attribute):
            base = self._object(node.value)
            return getattr(base, node.attr, None) if isinstance(base, ModuleType) else None
        return None


def _shape(record: np.dtype, name: Any) -> Any:
    """Return what a field stands for: a record, (record,) for an array of records, None for numbers."""
    if name not in (record.names or ()):
        return None
    kind = record[name]
    base = kind.subdtype[0] if kind.subdtype else kind
    if not base.names:
        return None
    return (base,) if kind.subdtype else base


def _no_field(owner: str, name: str, record: np.dtype) -> str:
    shown = next((key for key, known in RECORDS.items() if known == record), None)
    listed = f'hl.fields("{shown}")' if shown else "hl.fields()"
    owners = [key for key in PARAMETERS if name in (RECORDS[key].names or ())]
    elsewhere = f" {owners[0]} has a field of that name." if owners else ""
    meant = _meant(name, record.names or ()) or elsewhere
    what = owner if owner == shown else f"{owner} is a {shown or 'record'} record and"
    return f"{what} has no field {name!r}.{meant} All its fields: {listed}, docs/decide.md."


def _meant(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean …?" with up to three fields: those that only lack their unit first, prices and sizes before times."""
    known = list(known)
    unit_left_out = sorted((k for k in known if k.startswith(f"{name}_")), key=lambda k: (not k.endswith(("_ticks", "_lots")), len(k)))
    near = dict.fromkeys([*unit_left_out, *difflib.get_close_matches(name, known, n=3, cutoff=0.6)])
    return f" Did you mean {' or '.join(repr(k) for k in list(near)[:3])}?" if near else ""


def _near(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'x'?", or nothing where no known name is near: a list of all would be a page."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.7)
    return f" Did you mean {near[0]!r}?" if near else ""
