"""What Binance's spot streams send, in one structure: raw or combined, an event or a reply."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECONDS = 10**14
"""Milliseconds reach this in the year 5138, microseconds did in 1973 (`timeUnit=MICROSECOND`)."""


class Event(msgspec.Struct, frozen=True):
    """The fields that we use of trade, aggTrade, bookTicker and serverShutdown.

    bookTicker alone has no `kind`. `bid` and `ask` are prices there; in other events these letters
    mean other things, so they are taken as they come.
    """

    kind: str = msgspec.field(default="", name="e")
    symbol: str = msgspec.field(default="", name="s")
    trade: int | None = msgspec.field(default=None, name="t")
    bid: Any = msgspec.field(default=None, name="b")
    ask: Any = msgspec.field(default=None, name="a")
    """In an aggTrade: its number."""
    price: str = msgspec.field(default="", name="p")
    quantity: str = msgspec.field(default="", name="q")
    time: int = msgspec.field(default=0, name="T")
    buyer_maker: bool = msgspec.field(default=False, name="m")


class Fault(msgspec.Struct, frozen=True):
    code: int = 0
    msg: str = ""


class _Frame(Event, frozen=True):
    stream: str = ""
    data: Event | None = None
    id: int | str | None = None
    error: Fault | None = None
    result: Any = msgspec.UNSET


class Reply(msgspec.Struct, frozen=True):
    """To a request of ours; `fault` is None where it was taken."""

    id: int | str | None
    fault: Fault | None


_decode = msgspec.json.Decoder(_Frame).decode


def read(frame: bytes) -> Event | Reply:
    """Raises msgspec.MsgspecError for what is none of Binance's frames."""
    found = _decode(frame)
    if found.data is not None:
        return found.data
    if found.error is not None or found.result is not msgspec.UNSET:
        return Reply(found.id, found.error)
    return found


def moment(time: int) -> datetime:
    """Return aware UTC of milliseconds, or of microseconds, since 1970; exact."""
    if time >= _MICROSECONDS:
        return _EPOCH + timedelta(microseconds=time)
    return _EPOCH + timedelta(milliseconds=time)
