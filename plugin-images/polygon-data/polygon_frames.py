"""What Polygon's stocks stream sends: every frame is an array, and may mix kinds of events."""

from typing import Any

import msgspec


class Trade(msgspec.Struct, frozen=True, tag="T", tag_field="ev"):
    """`t`: when the SIP had it, ms. `q`: grows for each symbol, with holes. `i`: of exchange `x`."""

    sym: str
    p: float
    t: int
    s: float = 0.0
    x: int = 0
    i: str = ""
    q: int = 0
    c: list[int] = []


class Quote(msgspec.Struct, frozen=True, tag="Q", tag_field="ev"):
    sym: str
    bp: float | None = None
    ap: float | None = None


class _Bar(msgspec.Struct, frozen=True):
    """From `s` to `e`, ms; `v` is its volume, `vw` its mean price by volume."""

    sym: str
    o: float
    h: float
    l: float  # noqa: E741 - Polygon's letter
    c: float
    s: int
    e: int
    v: float = 0.0
    vw: float | None = None


class Minute(_Bar, frozen=True, tag="AM", tag_field="ev"):
    pass


class Second(_Bar, frozen=True, tag="A", tag_field="ev"):
    pass


class Status(msgspec.Struct, frozen=True, tag="status", tag_field="ev"):
    status: str = ""
    message: str = ""


Event = Trade | Quote | Minute | Second | Status

_frame = msgspec.json.Decoder(list[Event]).decode
_parts = msgspec.json.Decoder(list[msgspec.Raw]).decode
_part = msgspec.json.Decoder(Event).decode


def read(frame: bytes) -> tuple[list[Any], str]:
    """Return the events, and the first complaint about those that are none ("": all are).

    Raises:
        msgspec.MsgspecError: the frame is no array.
    """
    try:
        return _frame(frame), ""
    except msgspec.ValidationError:
        pass
    events: list[Any] = []
    complaint = ""
    for part in _parts(frame):  # one that cannot be read takes no other along
        try:
            events.append(_part(part))
        except msgspec.MsgspecError as error:
            complaint = complaint or f"{error}: {bytes(part)[:120]!r}"
    return events, complaint
