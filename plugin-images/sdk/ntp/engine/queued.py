"""Ticks that wait for a strategy's word on them, in the order in which they came."""

from collections import deque
from datetime import datetime

from ntp.contract.messages import MarketData, TickRef
from ntp.engine.claims import Key, Series

Queued = tuple[Key, int, MarketData]
"""A tick, and its place in the stream of its source's life: no object, for each tick makes one."""


class Queue(deque[Queued]):
    """First in, first out; but for one symbol that is hurried."""

    def waits_until(self, series: Series, time: datetime) -> bool:
        """Whether a tick of a symbol waits here that is not later than this event time."""
        return any(key.series == series and data.timestamp <= time for key, _, data in self)

    def take_up_to(self, tick: TickRef) -> list[Queued]:
        """Take the ticks of one symbol away, up to this one, if it is here."""
        series = Key.of(tick).series
        mine, others = list[Queued](), list[Queued]()
        found = False
        for each in self:
            own = each[0].series == series and not found
            (mine if own else others).append(each)
            found = found or (own and each[2].id == tick.id)
        if not found:
            return []
        self.clear()
        self.extend(others)
        return mine
