"""Progress on standard error: on a terminal one line that changes, elsewhere a line now and then."""

import os
import sys
import time
from collections.abc import Callable
from typing import Self

SAY_S = 10.0
"""Between two lines where there is no terminal."""
_MOVE_S = 0.2
"""Between two states of the line that changes."""


class ProgressLine:
    """Shows how far something is; `say` writes a line of its own above it.

    Attributes:
        seconds: since it was made.
    """

    def __init__(self) -> None:
        self._moves = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._began = time.monotonic()
        self._shown = self._began
        self._open = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.clear()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def show(self, words: Callable[[], str]) -> None:
        """Show these words, made only if it is time to."""
        now = time.monotonic()
        if now - self._shown < (_MOVE_S if self._moves else SAY_S):
            return
        self._shown = now
        if self._moves:
            self.clear()
            print(words(), end="", file=sys.stderr, flush=True)
            self._open = True
        else:
            print(words(), file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        self.clear()
        print(text, file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self._open:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._open = False
