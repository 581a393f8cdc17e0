"""Ids of ticks that survive a replay: a tick that comes again bears the name that it had."""

from datetime import datetime
from typing import Any

from ntp.contract.messages import MarketData
from ntp.runner.core import border


class Identify:
    """Names ticks so that the names survive a restart.

    The exchange's own id where there is one (`id`, else metadata "id" or "trade_id"). Else of a
    recording `source:position`, the position counting the ticks of the symbol from 1; else of a market
    `source:time`, microseconds since 1970, since there a new life goes on where the old one was, and a
    position that began again at 1 would name other ticks.
    """

    def __init__(self, source: str, *, finite: bool) -> None:
        self._source = source
        self._finite = finite
        self._positions: dict[str, int] = {}
        self._times: dict[str, tuple[datetime, int]] = {}

    def __call__(self, item: MarketData, name: str) -> str:
        if self._finite:
            position = self._positions.get(name, 0) + 1
            self._positions[name] = position
        else:
            position = 0
        given: Any = item.id
        if not given and item.metadata and isinstance(item.metadata, dict):
            given = item.metadata.get("id", item.metadata.get("trade_id"))
        if given or given == 0:
            return border.identifier(given)
        if self._finite:
            return f"{self._source}:{position}"
        at = border.moment(item.timestamp)
        last, repeats = self._times.get(name, (None, 0))
        repeats = repeats + 1 if last == at else 0
        self._times[name] = (at, repeats)
        stamp = f"{self._source}:{round(at.timestamp() * 1e6)}"
        return f"{stamp}.{repeats}" if repeats else stamp
