"""`run` around a user's `decide`, compiled or as plain Python, and what is said when it fails.

The loop of the core is compiled once for *a pointer to* a decide and lies in the cache of the kernels like the rest; only
the user's own function is compiled in their process, in a third of a second. The same pointer can lead back into Python:
then the engine is the compiled one, and `decide` can print and be stopped in.
"""

import bdb
import ctypes
import traceback
from collections.abc import Callable, Iterable
from functools import cache
from types import FunctionType
from typing import Any

import numpy as np

from hftlab.data.state import State
from hftlab.errors import UserCodeError
from hftlab.kernels import core
from hftlab.types import DESK, MARKET, NO_BAD_QUOTE, PARAMS, QUOTE
from hftlab.usercode.explain import explain
from hftlab.usercode.functions import again, family, fault, key_of, plain
from hftlab.usercode.lint import check

_FLAGS = {"nogil": True, "error_model": "numpy", "boundscheck": True}
_STOPPED = 99  # stands in desk.fault while the loop is being left; no run ever shows it
_KEPT = 32  # compiled functions that a process keeps: the cells one works on, and those of a sweep

_compiled: dict[Any, Any] = {}


def runner(decide: Any, *, jit: bool = True, told: Callable[[Any, Any], None] | None = None) -> Any:
    """Return `run(desk, markets, exchanges, events, out)` with a user's `decide` in it.

    `jit=False` calls decide as plain Python from the compiled engine: the same results, some hundred times slower; `told` then
    hears the desk and the market after each call. Indices are checked in either. Raises UserCodeError, here for what cannot be
    compiled, and out of `run` for an exception inside decide.
    """
    import numba

    function = check(decide)
    if jit and told is None and not numba.config.DISABLE_JIT:
        return _Run(function, compiled(function))
    interpreted = plain(function)

    def call(desk: Any, market: Any, params: Any, quote: Any) -> None:
        interpreted(desk, market, params, quote)
        if told is not None:
            told(desk, market)

    return _Run(function, call) if numba.config.DISABLE_JIT else _PlainRun(function, call)


def compiled(decide: Any) -> Any:
    """Return `decide` compiled for the loop: without the GIL, with checked indices, without exceptions on division by zero.

    The decorators over it are not asked, so that it does the same here and in an engine that has its source only.
    Raises UserCodeError.
    """
    import numba

    function = check(decide)
    key = key_of(function)
    if key is not None and key in _compiled:
        return _compiled[key]
    signature, by_address = _pointer()
    try:
        made = by_address(again(function, numba.njit(**_FLAGS)).py_func, targetoptions={"nopython": True, **_FLAGS})
        made.compile(signature)
    except Exception as error:  # why: numba answers a user's mistake with its own errors, KeyError, AttributeError and more
        raise explain(error, function) from None
    if key is not None:
        if len(_compiled) >= _KEPT:
            _compiled.pop(next(iter(_compiled)))
        _compiled[key] = made
    return made


@cache
def _pointer() -> tuple[Any, Any]:
    """Return the signature of a decide, and the class of compiled functions that the loop takes by their address."""
    import numba
    from numba.core.registry import CPUDispatcher

    signature = numba.types.void(*(numba.from_dtype(record) for record in (DESK, MARKET, PARAMS, QUOTE)))

    class ByAddress(CPUDispatcher):
        """A compiled function that is a plain function pointer to whoever takes it as an argument.

        Else each function is a type of its own, and the whole loop would be compiled again around it.
        """

        @property
        def _numba_type_(self) -> Any:
            return numba.types.FunctionType(signature)

    return signature, ByAddress


class _Run:
    """The loop with a compiled decide, or all of it interpreted where numba is switched off."""

    def __init__(self, function: FunctionType, decide: Any) -> None:
        self._function, self._decide = function, decide

    def __call__(self, desk: Any, markets: Any, exchanges: Any, events: Any, out: Any) -> int:
        try:
            return int(core.loop(desk, markets, exchanges, events, out, self._decide))
        except Exception as error:  # why: a user's function may raise anything
            raise blame(error, self._function, desk, markets) from None


class _PlainRun:
    """The compiled loop with a decide that is called back in Python."""

    def __init__(self, function: FunctionType, decide: Callable[[Any, Any, Any, Any], None]) -> None:
        self._function, self._decide = function, decide
        self._error: BaseException | None = None
        self._written = 0
        self._records: list[Any] = []
        self._back = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 4)(self._called)
        self._pointer = _python_pointer(ctypes.cast(self._back, ctypes.c_void_p).value or 0)

    def __call__(self, desk: Any, markets: Any, exchanges: Any, events: Any, out: Any) -> int:
        # Records of the arrays themselves, so that one which a user keeps keeps its array alive.
        self._records = [desk.view(np.recarray)[0], *markets.view(np.recarray)]
        self._error, self._out, self._first = None, out, markets.ctypes.data
        rows = int(desk["rows"][0])
        done = int(core.loop(desk, markets, exchanges, events, out, self._pointer))
        error = self._error
        if error is None:
            return done
        # The row in which it failed ended, with nothing wished: what that wrote is taken back.
        desk["fault"], desk["rows"], out["seq"][0] = 0, rows, self._written
        if isinstance(error, bdb.BdbQuit) or not isinstance(error, Exception):
            raise error
        raise blame(error, self._function, desk, markets) from None

    def _called(self, _desk_at: int, market_at: int, _params_at: int, _quote_at: int) -> None:
        if self._error is not None:
            return
        desk, market = self._records[0], self._records[1 + (market_at - self._first) // MARKET.itemsize]
        try:
            self._decide(desk, market, market.params, market.quote)
        except BaseException as error:  # why: nothing passes through compiled code; it is raised again when the loop has ended
            self._error, self._written = error, int(self._out["seq"][0])
            market.quote.bid_lots = market.quote.ask_lots = 0
            desk.fault = _STOPPED


def _python_pointer(address: int) -> Any:
    """Return what the loop takes as a pointer to the C function at `address`."""
    import numba

    class Pointer(numba.types.WrapperAddressProtocol):
        def __wrapper_address__(self) -> int:
            return address

        def signature(self) -> Any:
            return _pointer()[0]

    return Pointer()


# --- a failure in words ------------------------------------------------------------------------------------------------------


def blame(error: Exception, function: FunctionType, desk: Any, markets: Any) -> UserCodeError:
    """Return the error that names the user's line for an exception out of decide.

    Compiled code does not say where it was, so the call is made again in plain Python, on copies of the records.
    """
    same, frame = error, _frame(error, function)
    interpreted = plain(function)
    for i in range(len(markets) if frame is None else 0):
        head, market = (np.array(part[:1]).view(np.recarray)[0] for part in (desk, markets[i:]))
        for name in ("bid_lots", "ask_lots", "levels", "step_ticks"):
            setattr(market.quote, name, 0)
        try:
            interpreted(head, market, market.params, market.quote)
        except Exception as raised:  # why: a user's function may raise anything; plain Python also where compiled code has inf or NaN
            if type(raised) is type(error):
                same, frame = raised, _frame(raised, function)
                break
    name, filename, line = frame or (function.__name__, function.__code__.co_filename, function.__code__.co_firstlineno)
    return fault(filename, line, name, _raised(same), details=error)


def _raised(error: Exception) -> str:
    return f"It raised {type(error).__name__}{f': {error}' if str(error) else ''}."


def blame_method(error: Exception, method: Any) -> UserCodeError:
    """Return the error that names the user's line for an exception out of a method of a Python strategy."""
    code = getattr(method, "__func__", method).__code__
    stack = [(f.f_code.co_name, f.f_code.co_filename, line) for f, line in traceback.walk_tb(error.__traceback__)]
    name, filename, line = next(
        (s for s in reversed(stack) if s[1] == code.co_filename), (code.co_name, code.co_filename, code.co_firstlineno)
    )
    return fault(filename, line, name, _raised(error), details=error)


def _frame(error: BaseException, function: FunctionType) -> tuple[str, str, int] | None:
    """Return name, file and line of the innermost frame that is a function of the user's."""
    codes = {one.__code__ for one in family(function)}
    frames = [(f.f_code.co_name, f.f_code.co_filename, line) for f, line in traceback.walk_tb(error.__traceback__) if f.f_code in codes]
    return frames[-1] if frames else None


def warning(state: State) -> str:
    """Return in words what a run shows of wishes that could not be meant; empty when there were none."""
    found = []
    times = int(state.desk["verdicts"][0][NO_BAD_QUOTE])
    if times:
        found.append(
            f"{times:,} time{'s' * (times > 1)} decide began to wish a quote that is none (its bid not below its ask, or a price out of a NaN or an "
            "infinity); the risk gate refused it and nothing was shown"
        )
    wish = state.markets["quote"]
    if np.any((wish["levels"] < 1) & ((wish["bid_lots"] > 0) | (wish["ask_lots"] > 0))):
        found.append("decide wished sizes but left quote.levels at 0, so nothing is shown; set quote.levels = 1")
    return "; ".join(found)


def say_when(error: UserCodeError, desk: Any, chunks: Iterable[np.ndarray]) -> None:
    """Write into an error where on the tape it happened: the time, and the last row received by then (rows in receive order)."""
    error.ts_ns = int(desk["now_ns"][0])
    error.row = -1
    for rows in chunks:
        before = int(np.searchsorted(rows["ts_recv_ns"], error.ts_ns, side="right"))
        error.row += before
        if before < len(rows):
            break
    error.row = max(error.row, 0)
    when = str(np.datetime64(error.ts_ns, "ns").astype("datetime64[us]")).replace("T", " ")
    error.args = (
        f"{error.args[0]}\nIt was called at {when} UTC, at row {error.row:,} of the tape. What was done until then is in `error.report`.",
    )
