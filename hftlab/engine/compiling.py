"""What is said while an engine finds no compiled kernels and compiles them first: that takes minutes, and looks like a hang."""

from pathlib import Path

import numba

from hftlab.kernels.jit import cache_dir

LONG = "two to three minutes on two quiet cores"
"""How long the first compile takes, for people."""

TELL_S = 10.0
_LAST = "core.loop-*.nbi"  # what every run goes through: it is in the cache when all that it calls is


class Compiling:
    """Looks whether the kernels' cache is cold, and if so says how far it has been filled. `folder`: the cache, by default ours."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = cache_dir() if folder is None else folder
        # That the folder is there means nothing: numba makes it when it decorates.
        self.cold = not numba.config.DISABLE_JIT and next(self._folder.rglob(_LAST), None) is None
        self._next_s = TELL_S
        if self.cold:
            print(f"the kernels are compiled once, which takes {LONG}; `hftlab warm` does it ahead of time …", flush=True)

    def tell(self, waited_s: float) -> None:
        """Say, every `TELL_S` of the time waited, how many kernels there are by now; nothing where they were there before."""
        if self.cold and waited_s >= self._next_s:
            self._next_s = waited_s + TELL_S
            print(f"  {waited_s:.0f} s: {len(list(self._folder.rglob('*.nbi')))} kernels compiled so far …", flush=True)
