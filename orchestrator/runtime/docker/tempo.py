"""How long the Docker runtime waits, and how often it looks. A test gives it other numbers."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tempo:
    """All in seconds."""

    call: float = 10.0
    """For one question to the engine."""
    start: float = 60.0
    """A start on a loaded machine; the engine itself gives up on containerd after this long."""
    load: float = 600.0
    """For an image to be taken."""
    usage: float = 2.0
    """Figures of use are read anew when they are older."""
    flood: float = 15.0
    """So long may output come too fast: a traceback, a table, a debug session is no flood."""
    fence: float = 20.0
    """The rules around a network of its own are read anew when they were read longer ago."""
