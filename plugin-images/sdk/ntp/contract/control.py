"""What the controller may say to a running plugin, on `ctl`.

A message may be lost, and is then sent again: what it asks for is a state, numbered, and to be asked
twice for the same changes nothing. Whether it was taken is told by the beat.
"""

import msgspec


class Control(msgspec.Struct, frozen=True):
    """What it does not name stays as it is."""

    generation: int
    """Of the entry whose symbols these are; one that is not newer than the last is passed over."""
    symbols: list[str] | None = None
    """For a data source: all the symbols that it is to send from now on."""
