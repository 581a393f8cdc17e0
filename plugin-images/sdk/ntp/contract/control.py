"""What the controller may say to a running plugin, on `ctl`.

A message may be lost, and is then sent again: what it asks for is a state, numbered, and to be asked
twice for the same changes nothing. Whether it was taken is told by the beat.
"""

from typing import Any

import msgspec


class Limits(msgspec.Struct, frozen=True):
    """Risk limits of an executor as its entry, and those of its strategies, have them."""

    own: dict[str, Any] = {}
    """On the sum over all its strategies."""
    strategies: dict[str, dict[str, Any]] = {}


class Halt(msgspec.Struct, frozen=True):
    """Who may open nothing. Each number tells all of it anew, so that only the newest one counts."""

    number: int = 0
    """0: nobody was ever halted."""
    strategies: dict[str, bool] = {}
    """Those that are halted; true: what they hold is closed."""
    why: str = "halted by hand"


class Control(msgspec.Struct, frozen=True):
    """What it does not name stays as it is."""

    generation: int
    """Of the entry whose symbols or limits these are; one that is not newer than the last is passed over."""
    symbols: list[str] | None = None
    """For a data source: all the symbols that it is to send from now on."""
    limits: Limits | None = None
    """For an executor: the limits that it is to obey from now on."""
    halt: Halt | None = None
    """For an executor: it has a number of its own."""
