"""What the bus has captured of a source, as the controller reads it for a client."""

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol


class Captures(Protocol):
    """A part of the port `Broker`; raises as it does."""

    def read(self, producer: str) -> AsyncGenerator[Sequence[bytes], None]:
        """Yield what is kept as of now in the order in which it was stored, some messages at a time."""
