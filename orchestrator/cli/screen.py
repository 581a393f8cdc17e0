"""The whole terminal as a live view: drawn again and again, and put back as it was, however it ends."""

import os
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType
from typing import Any, Self

from rich.console import RenderableType
from rich.live import Live

from orchestrator.cli.failure import ended_like_ctrl_c
from orchestrator.cli.output import console


def possible() -> bool:
    """Tell whether there is a terminal that a picture can be drawn on again and again."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


class Screen:
    """Takes over the terminal as `less` does. Use it as `with`; nobody else may print meanwhile.

    `q` asks to leave, which `pause` tells. Ctrl-C, SIGTERM and a closed terminal are a
    KeyboardInterrupt. Ctrl-Z lays the view aside until `fg`; another size is drawn at once.
    """

    def __init__(self) -> None:
        # No thread of rich's own: it would draw while we put the terminal back.
        self._live = Live(
            console=console(),
            screen=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._stack = ExitStack()
        self._keys: int | None = None
        """Where keys are read; None: nobody can press any."""
        self._modes: tuple[int, list[Any]] | None = None
        """The terminal and how it was before us, while we have it."""
        self._wake = -1
        self._laid_aside = self._resized = False

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(ended_like_ctrl_c())
            self._wake = stack.enter_context(_woken())
            for number, note in (
                (signal.SIGTSTP, self._note_aside),
                (signal.SIGWINCH, self._note_size),
            ):
                stack.callback(signal.signal, number, signal.signal(number, note))
            if sys.stdin is not None and sys.stdin.isatty():
                self._keys = sys.stdin.fileno()
            stack.callback(self._leave)
            self._enter()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def show(self, picture: RenderableType) -> None:
        self._live.update(picture, refresh=True)

    def pause(self, seconds: float) -> bool:
        """Wait so long; False as soon as the person wants to leave."""
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            watched = [self._wake] if self._keys is None else [self._wake, self._keys]
            ready, _, _ = select.select(watched, [], [], left)
            if self._wake in ready:
                os.read(self._wake, 1024)
            if self._laid_aside:
                self._lay_aside()
            elif self._resized:
                self._live.refresh()
            self._resized = False
            if self._keys in ready and self._wants_to_leave():
                return False
        return True

    def _wants_to_leave(self) -> bool:
        pressed = os.read(self._keys, 1024) if self._keys is not None else b""
        if not pressed:  # and no key will ever come
            self._keys = None
        return b"q" in pressed.lower()

    def _enter(self) -> None:
        if self._keys is not None:
            self._modes = self._keys, termios.tcgetattr(self._keys)
            # Keys come one by one and are not shown; Ctrl-C and Ctrl-Z remain signals.
            tty.setcbreak(self._keys, termios.TCSANOW)
        self._live.start()

    def _leave(self) -> None:
        # Where the terminal has gone there is nothing to put back.
        with suppress(OSError):
            self._live.stop()
        if self._modes is not None:
            with suppress(termios.error):
                termios.tcsetattr(self._modes[0], termios.TCSANOW, self._modes[1])
            self._modes = None

    def _lay_aside(self) -> None:
        """Give the terminal back and stop; take it again when we are told to go on."""
        self._laid_aside = False
        self._leave()
        before = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, before)
        self._enter()
        self._live.refresh()

    def _note_aside(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._laid_aside = True

    def _note_size(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._resized = True


@contextmanager
def _woken() -> Iterator[int]:
    """Yield a descriptor that can be read after each signal: `select` alone sleeps on over it."""
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        yield reading
    finally:
        signal.set_wakeup_fd(before)
        os.close(reading)
        os.close(writing)
