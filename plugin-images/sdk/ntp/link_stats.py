"""What a link to the bus counts: what a beat tells of the way that messages take."""

import msgspec


class Stats(msgspec.Struct):
    """Counts since the link was made."""

    connected: bool
    reconnects: int
    dropped: int
    """Messages that arrived while the inbox was full: the plugin is too slow."""
    unsent: int
    """Messages that were not sent: disconnected, and the buffer was full."""
    unacked: int
    """Signals or fills that the broker has not acknowledged yet."""
    repeats: int
    """How often everything under way was sent again."""
    waiting: int
    """Messages in the inbox."""
