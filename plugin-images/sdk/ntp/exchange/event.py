"""One market event, encoded at most once for each form in which clients want it."""

from dataclasses import dataclass, field
from typing import Any

import msgspec

_TIMES = ("E", "T")


@dataclass(slots=True)
class Event:
    """`stream` as a client subscribes to it; `data` as Binance sends it, times in ms."""

    stream: str
    data: dict[str, Any]
    depth_update: bool = False
    _texts: dict[tuple[bool, bool], bytes] = field(default_factory=dict)

    def text(self, *, combined: bool, micro: bool) -> bytes:
        text = self._texts.get((combined, micro))
        if text is None:
            data = microseconds(self.data) if micro else self.data
            message = {"stream": self.stream, "data": data} if combined else data
            text = self._texts[combined, micro] = msgspec.json.encode(message)
        return text


def microseconds(data: dict[str, Any]) -> dict[str, Any]:
    """The same event for a client that asked for `timeUnit=MICROSECOND`."""
    changed = {
        key: value * 1000 if key in _TIMES and isinstance(value, int) else value
        for key, value in data.items()
    }
    if "k" in changed:
        changed["k"] = {
            key: value * 1000 if key in ("t", "T") else value for key, value in data["k"].items()
        }
    return changed
