"""What the controller says to a running plugin, read."""

import msgspec

from ntp.contract.beat import Pushed
from ntp.contract.control import Control
from ntp.runner.core import border

LONGEST_REFUSAL = 500
"""Characters; it goes into every beat."""


def read(payload: bytes, refusals: border.Refusals) -> Control | None:
    """Return the message; None where it cannot be read, which is counted."""
    try:
        return msgspec.json.decode(payload, type=Control)
    except msgspec.MsgspecError as error:
        refusals.note(f"a control message cannot be read: {error}")
        return None


def newest(pushed: Pushed | None, launched: int) -> int:
    """Return the generation of what a plugin runs with: what was pushed last, or what it was launched with."""
    return pushed.generation if pushed else launched


def taken(generation: int, refusal: str) -> Pushed:
    """Return what every beat says from then on; `refusal`: why it was not taken, or empty."""
    return Pushed(generation, refusal[:LONGEST_REFUSAL])
