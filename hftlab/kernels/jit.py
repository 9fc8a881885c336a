"""The one decorator of the kernels.

numba's disk cache notices a change of the decorated file, but not of a function that it calls in *another* file: after an
edit of `book.py` a cached `core.py` would go on filling orders with the old code. So the cache directory is named after a
digest of every kernel source. `nogil` because a call that keeps the GIL stalls every thread of the process for its length.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
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
    return Path(root) / "hftlab" / f"kernels-{digest.hexdigest()}"


_CACHE_DIR = str(cache_dir())


def records(rows: np.ndarray) -> np.ndarray:
    """Return rows that the kernels can read by attribute: as they are for numba, a recarray when NUMBA_DISABLE_JIT is set."""
    return rows.view(np.recarray) if numba.config.DISABLE_JIT else rows


def kernel(function: Callable[..., Any], *, inline: str = "never") -> Any:
    """Compile without the GIL, without exceptions on division, and cached under the digest of all kernels."""
    # numba picks the cache directory while it decorates; the setting is put back so that a user's own functions keep theirs.
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = _CACHE_DIR
    try:
        return numba.njit(cache=True, nogil=True, error_model="numpy", inline=inline)(function)
    finally:
        numba.config.CACHE_DIR = before


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
