"""Prints what is heard of a plugin, and how much was dropped, without ever holding up who says it."""

import sys
import time
from typing import Self

import click
from click.termui import style

from orchestrator.app.backlog import Heard
from orchestrator.cli.failure import say
from orchestrator.cli.output import colour_wanted, emit_one, printable
from orchestrator.cli.tap_view import Message, Reader, document, raw

SAY_S = 1.0
"""How often it is said that messages were dropped."""
WIDEST = 16
"""Columns of a symbol."""


class Printer:
    """Prints one plugin's messages as they come. Use it as `with`: the last drops are told at the end.

    Attributes:
        shown: how many were printed.
        dropped: how many were dropped, for we were too slow.
    """

    def __init__(self, name: str, output: str, *, raw: bool, most: int | None) -> None:
        self._name = name
        self._output = output
        self._raw = raw
        self._most = most
        self._reader = Reader()
        self._width = 0
        self._before = 0
        """Dropped, and not told in a document yet."""
        self._told = 0
        self._told_at = 0.0
        self.shown = 0
        self.dropped = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._tell_dropped()

    @property
    def full(self) -> bool:
        """Whether as many were printed as were asked for."""
        return self.shown == self._most

    def show(self, heard: Heard) -> None:
        self.dropped += heard.dropped
        self._before += heard.dropped
        if self._raw:
            self._show_raw(heard)
        else:
            for message in self._reader.read(heard):
                self._show(heard, message)
                if self.full:
                    break
        if time.monotonic() - self._told_at >= SAY_S:
            self._tell_dropped()

    def _show(self, heard: Heard, message: Message) -> None:
        if self._output == "table":
            click.echo(self._line(heard, message))
        else:
            emit_one(document(self._name, heard, message, self._before), self._output)
        self._before = 0
        self.shown += 1

    def _show_raw(self, heard: Heard) -> None:
        if self._output == "table":
            text = f"{_clock(heard)}  {heard.subject}  {heard.payload.decode(errors='replace')}"
            click.echo(_one_line(text))
        else:
            emit_one(raw(self._name, heard), self._output)
        self.shown += 1

    def _line(self, heard: Heard, message: Message) -> str:
        self._width = min(WIDEST, max(self._width, len(message.symbol)))
        symbol = f"{message.symbol:<{self._width}}  " if self._width else ""
        text = _one_line(f"{symbol}{message.what:<6}  {message.words}")
        if message.good is not None and colour_wanted(sys.stdout):
            text = style(text, fg="green" if message.good else "red")
        return f"{_clock(heard)}  {text}"

    def _tell_dropped(self) -> None:
        new = self.dropped - self._told
        if new:
            say(f"{new} dropped: they came faster than they could be printed")
            self._told = self.dropped
            self._told_at = time.monotonic()


def _clock(heard: Heard) -> str:
    return heard.at.strftime("%H:%M:%S.%f")[:-3]


def _one_line(text: str) -> str:
    return printable(text).replace("\n", " ")
