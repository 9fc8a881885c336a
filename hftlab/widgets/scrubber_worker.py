"""The thread behind a scrubber: it answers what the page asks, the newest wish first, and reads on while nobody asks."""

import threading
from collections.abc import Callable
from typing import Any

IDLE_S = 20.0  # then the thread ends; the next wish starts another
PAGES_MAX = 8  # pages of one widget whose wishes are kept apart


class Worker:
    """Calls `answer` with each wish, and `idle` while there is none, until it returns False. Both run in one thread of its own.

    Of wishes that would be overtaken at once (a slider that is dragged) only the last of each page is kept.
    """

    def __init__(self, answer: Callable[[dict[str, Any]], None], idle: Callable[[], bool]) -> None:
        self._answer, self._idle = answer, idle
        self._wishes: dict[tuple[str, Any], dict[str, Any]] = {}
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def ask(self, wish: dict[str, Any]) -> None:
        """Take a wish; from any thread. `wish["k"]` is what, `wish.get("page")` whose."""
        with self._wake:
            if self._closed or len(self._wishes) > 2 * PAGES_MAX:
                return
            key = ("play" if wish.get("k") == "play" else "hello" if wish.get("k") == "hello" else "go", wish.get("page"))
            self._wishes.pop(key, None)
            self._wishes[key] = wish
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="scrubber", daemon=True)
                self._thread.start()
            self._wake.notify()

    def close(self) -> None:
        """Answer nothing more."""
        with self._wake:
            self._closed = True
            self._wishes.clear()
            self._wake.notify()

    def _work(self) -> None:
        more = True
        while True:
            with self._wake:
                if not self._wishes and not more:
                    self._wake.wait(IDLE_S)
                if self._closed or (not self._wishes and not more):
                    self._thread = None
                    return
                wish = self._wishes.pop(min(self._wishes, key=_first)) if self._wishes else None
            if wish is not None:
                self._answer(wish)
                more = True
            else:
                more = self._idle()


def _first(key: tuple[str, Any]) -> int:
    return ("hello", "go", "play").index(key[0])
