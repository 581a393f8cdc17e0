"""What a protocol machine asks its connection to do."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Send:
    """One text frame, UTF-8."""

    text: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """Close with this code; 1006 is no close frame at all, the socket just ends."""

    code: int
    reason: str = ""


Answer = Send | Close
