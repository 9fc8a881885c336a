"""The one decorator of the kernels.

numba's disk cache notices a change of the decorated file, but not of a function that it calls in *another* file: after an
edit of `book.py` a cached `core.py` would go on filling orders with the old code. So the cache directory is named after a
digest of every kernel source, and after nothing else: not after the path of the checkout, which numba would put in. A second
clone, a worktree and an image that keeps the cache start warm.
`nogil` because a call that keeps the GIL stalls every thread of the process for its length.
"""

import fcntl
import hashlib
import os
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba.core import caching, types
from numba.extending import intrinsic

_HERE = Path(__file__).parent


def cache_dir() -> Path:
    """Return the directory of the compile cache for exactly these sources, numba and numpy."""
    digest = hashlib.blake2b(digest_size=8)
    for path in sorted(
        [*_HERE.glob("*.py"), *(_HERE.parent / f"{name}.py" for name in ("codes", "codes_params", "types", "types_rows", "types_exchange"))]
    ):
        digest.update(path.read_bytes())
    digest.update(f"{numba.__version__} {np.__version__}".encode())
    root = os.environ.get("HFTLAB_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    # Indices are checked in other machine code, and numba's cache does not tell the two apart.
    return Path(root) / "hftlab" / f"kernels-{digest.hexdigest()}{'-checked' if numba.config.BOUNDSCHECK else ''}"


_CACHE_DIR = str(cache_dir())


class _Place(caching._CacheLocator):  # noqa: SLF001  # numba's base for this; it has no other name
    """Keeps every kernel in the directory of the digest, stamped with what its own file says: a few live outside this folder."""

    def __init__(self, function: Any, file: str) -> None:
        self._line, self._file = function.__code__.co_firstlineno, Path(file)

    def get_cache_path(self) -> str:
        return str(Path(_CACHE_DIR, self._file.parent.name))

    def get_source_stamp(self) -> bytes:
        return _stamp(self._file)

    def get_disambiguator(self) -> str:
        return str(self._line)

    @classmethod
    def from_function(cls, function: Any, file: str) -> "_Place | None":
        place = cls(function, file)
        return place if _writable(place.get_cache_path()) else None


@cache
def _stamp(file: Path) -> bytes:
    return hashlib.blake2b(file.read_bytes(), digest_size=8).digest()


@cache
def _writable(folder: str) -> bool:
    """Return whether a folder can be written. numba tries it for each kernel with a file; one answer is enough for all."""
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


class _Results(caching.CompileResultCacheImpl):
    """Where ours cannot be written, numba's own places do: beside the source, in the home directory."""

    _locator_classes = (_Place, caching.InTreeCacheLocator, caching.UserWideCacheLocator)


class _Cache(caching.FunctionCache):
    """numba's cache of one function, one writer at a time.

    It numbers the files of a function by what its index holds when it looks. Two processes that compile a function for different
    arguments at once would both take the next number, and one of them would later load the other's machine code as its own.
    """

    _impl_class = _Results

    def save_overload(self, sig: Any, data: Any) -> None:
        with Path(self.cache_path, "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            super().save_overload(sig, data)


def records(rows: np.ndarray) -> np.ndarray:
    """Return rows that the kernels can read by attribute: as they are for numba, a recarray when NUMBA_DISABLE_JIT is set."""
    return rows.view(np.recarray) if numba.config.DISABLE_JIT else rows


def kernel(function: Callable[..., Any], *, inline: str = "never") -> Any:
    """Compile without the GIL, without exceptions on division, and cached under the digest of all kernels."""
    made = numba.njit(nogil=True, error_model="numpy", inline=inline)(function)
    if not numba.config.DISABLE_JIT:
        made._cache = _Cache(function)  # noqa: SLF001  # as `cache=True` does, with ours
        made.get_call_template = partial(_call_template, made.get_call_template)
    return made


def _call_template(template: Callable[..., Any], args: tuple[Any, ...], kws: dict[str, Any]) -> Any:
    """Resolve a call between kernels.

    numba would compile a kernel again for every constant and for every width of an integer that some caller passes, and with it all
    that it calls: it was half of the compile time. One of 64 bits says the same. The two sides stay constants.
    """
    return template(tuple(map(_widened, args)), {name: _widened(kind) for name, kind in kws.items()})


def _widened(kind: Any) -> Any:
    if isinstance(kind, types.IntegerLiteral) and kind.literal_value in (-1, 1):
        return kind
    kind = types.unliteral(kind)
    return types.int64 if isinstance(kind, types.Integer) and kind.bitwidth < 64 else kind


def inlined(function: Callable[..., Any]) -> Any:
    """As `kernel`, and put into its callers: for the few lines that run for every row of a tape."""
    return kernel(function, inline="always")


@intrinsic
def _borrow(typingctx: Any, array: Any) -> Any:
    """Return the same array without its reference count."""

    def codegen(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        made = context.make_array(array)(context, builder, args[0])
        for part in ("meminfo", "parent"):
            setattr(made, part, getattr(made, part).type(None))
        return made._getvalue()  # noqa: SLF001  # numba's own way to hand out what it has put together

    return array(array), codegen


def borrowed(array):  # type: ignore[no-untyped-def]
    """Return an array that is not counted when it is handed from function to function; whoever called the kernel keeps it alive.

    Each count is two locked instructions, and a row of a tape passes several functions with several arrays: it was a sixth of a run.
    """
    return array


@numba.extending.overload(borrowed, inline="always")
def _borrowed(array):  # type: ignore[no-untyped-def]  # numba compares the names and annotations of the two
    return lambda array: _borrow(array)
