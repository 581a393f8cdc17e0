"""What is done with a message that cannot be taken: why it is dead, and what can be told of it."""

from dataclasses import dataclass
from typing import Annotated

import msgspec

from ntp.contract.letters import Why
from ntp.contract.messages import Number
from ntp.contract.reading import reader

LONGEST_TEXT = 200
"""Characters: the header of a letter has to fit beside the longest message."""


@dataclass(frozen=True, slots=True)
class Dead:
    reason: Why
    message: str
    tries: int = 1


class Glimpse(msgspec.Struct, frozen=True):
    """What can be told of a message that is not taken. `number` 0: not known."""

    id: str = ""
    incarnation: Annotated[str, msgspec.Meta(max_length=LONGEST_TEXT)] = ""
    number: Number = 0


_read = reader(msgspec.json.Decoder(Glimpse))


def glimpse(payload: bytes) -> Glimpse:
    try:
        return _read(payload)
    except msgspec.MsgspecError:
        return Glimpse()


def short(text: str) -> str:
    """Return one printable line."""
    plain = "".join(one if one.isprintable() else " " for one in text)
    return plain if len(plain) <= LONGEST_TEXT else f"{plain[: LONGEST_TEXT - 2]} …"
