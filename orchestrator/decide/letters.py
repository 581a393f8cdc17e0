"""What can be done with a dead letter. Pure."""

from ntp.contract import subjects
from orchestrator.decide.report import DeadLetter
from orchestrator.spec.model import Rights


def unsendable(letter: DeadLetter, rights: Rights | None) -> str:
    """Say why a letter cannot be sent to its receiver once more; empty: it can. `rights`: the receiver's."""
    drop = f"`ntpctl dlq drop {letter.id}`"
    if letter.cut:
        return f"{letter.id} was too long to be kept whole; {drop}"
    streams = {subjects.signal_stream(letter.sender), subjects.fill_stream(letter.sender)}
    heard = {each.stream for each in rights.consumers} if rights is not None else set()
    if not heard & streams:
        sender = letter.sender or "its sender"
        words = f"{letter.receiver} does not hear {sender} any more, so nothing would arrive"
        return f"{words}; wire them again, or {drop}"
    return ""


def told(count: int, name: str) -> str:
    """Say how many there are, and where to look."""
    many = "1 message" if count == 1 else f"{count} messages"
    return f"{many} that it could not take; `ntpctl dlq list {name}`"
