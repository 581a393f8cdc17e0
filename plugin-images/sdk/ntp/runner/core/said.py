"""What a strategy says to an executor."""

import msgspec

from ntp.contract.messages import ProgressMessage, SignalMessage
from ntp.contract.reading import reader
from ntp.runner.core import border

LONGEST_SIGNAL_ID = 512
MOST_NOTICED = 100
"""Fills in one message."""

decode_heard = reader(msgspec.json.Decoder(SignalMessage | ProgressMessage))


def read(strategy: str, payload: bytes) -> SignalMessage | ProgressMessage:
    """Return what a strategy sent, held to the border again: its own runner was in its own hands."""
    message: SignalMessage | ProgressMessage = decode_heard(payload)
    if message.strategy != strategy:
        raise border.RefusedError(f"it says that it is of {message.strategy!r}")
    tick = message.tick
    for name in (message.incarnation, tick.source, tick.incarnation, tick.id):
        border.identifier(name)
    if tick.symbol:  # else it is the end of a strategy that has seen nothing
        border.symbol(tick.symbol)
    if isinstance(message, ProgressMessage):
        if len(message.noticed) > MOST_NOTICED:
            raise border.RefusedError(f"it names {len(message.noticed)} fills at once")
        for each in message.noticed:
            border.identifier(each.fill, most=2 * LONGEST_SIGNAL_ID)
            border.identifier(each.source)
            border.identifier(each.incarnation)
            border.symbol(each.symbol)
    if isinstance(message, SignalMessage):
        border.identifier(message.id, most=LONGEST_SIGNAL_ID)
        border.signal(message.signal, None)
    return message
