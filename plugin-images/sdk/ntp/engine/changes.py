"""What a desk tells its ledger: what has to be kept of a step, and where its ticks have come to."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

import msgspec

from ntp.contract.messages import Fill
from ntp.engine.orders import Order


class Sample(msgspec.Struct, frozen=True):
    """A point of the equity curve. `bucket`: which stretch of event time it is the first of."""

    bucket: int
    time: datetime
    equity: Decimal
    cash: Decimal


class Change(msgspec.Struct, frozen=True):
    """What has to be kept. `orders`: those that this brought from one state to another, or cut."""

    fills: tuple[Fill, ...] = ()
    sample: Sample | None = None
    orders: tuple[Order, ...] = ()


@dataclass(slots=True)
class Seen:
    """Where a symbol's ticks have come to: the newest event time, and the ids of its ticks."""

    time: datetime
    ids: set[str] = field(default_factory=set)
