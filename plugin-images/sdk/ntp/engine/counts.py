"""What did not go the undisturbed way in a lane."""

from dataclasses import dataclass


@dataclass(slots=True)
class Counts:
    """What did not go the undisturbed way; totals since the lane began."""

    late: int = 0
    """Signals let through although their tick was not the one just before them."""
    repeated: int = 0
    """Ticks and signals that came again, and were ignored."""
    overrun: int = 0
    """Ticks let through before the strategy had analysed them: the buffer was full."""
    unconfirmed: int = 0
    """Ticks let through because the strategy went on and never confirmed them."""
    missing: int = 0
    """Signals that the strategy counted and that did not come in time."""
    dead: int = 0
    """Signals that cannot be taken, and became dead letters: nobody waits for them."""
