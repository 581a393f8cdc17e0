"""A dead letter: a message that its receiver cannot take, kept with the reason beside it.

On the bus it is the message as it came, with what is known of it in one header.
"""

from enum import StrEnum

import msgspec

from ntp.contract.messages import AwareTime, Number

HEADER = "Ntp-Letter"


class Why(StrEnum):
    UNREADABLE = "Unreadable"
    """It is no message of this contract."""
    OUT_OF_BORDER = "OutOfBorder"
    """It can be read, and what it says cannot be meant, or not by its sender."""
    ENDED_RECEIVER = "EndedReceiver"
    """Each life of the receiver that began to process it ended there."""


class Letter(msgspec.Struct, frozen=True):
    """What a receiver says of a message. `id` and `symbol`: as far as they can be told, else empty.

    Attributes:
        stream: that it came from, and its place there.
        stored: when it was sent.
        tries: how many lives began to process it; 1 for what was refused.
        at: when it was given up.
        cut: the end of the message is missing, for the whole has no room.
    """

    receiver: str
    sender: str
    stream: str
    seq: Number
    stored: AwareTime
    reason: Why
    message: str
    tries: Number
    at: AwareTime
    id: str = ""
    symbol: str = ""
    cut: bool = False
