"""Messages between plugins: typed structs, on the wire as JSON that any NATS client can read.

A receiver ignores fields it does not know (a newer sender may add some). Times are aware UTC.
"""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

import msgspec

AwareTime = Annotated[datetime, msgspec.Meta(tz=True)]
"""A message whose time names no zone is not read: nobody could tell what it means."""

MOST = 2**53
Number = Annotated[int, msgspec.Meta(ge=0, le=MOST)]
"""Counts messages or ticks: what every reader of JSON holds exactly."""


class SignalType(StrEnum):
    BUY = "BUY"
    SELL = "SELL"
    HOLD = "HOLD"


class MarketData(msgspec.Struct, frozen=True, array_like=True):
    """One tick, or one closed bar; on the wire an array in the order of these fields.

    Attributes:
        timestamp: event time; aware UTC once it crossed the border.
        price: in quote currency; a bar's close.
        volume: in base units.
        id: the exchange's own id where it has one, else `source:position`; survives replay.
    """

    timestamp: AwareTime
    symbol: str
    price: float
    volume: float
    bid: float | None = None
    ask: float | None = None
    metadata: dict[str, Any] = {}
    id: str = ""


class TradingSignal(msgspec.Struct, frozen=True):
    """What a strategy wishes; never an order. `size` is in base units, None = let the runner size it."""

    symbol: str
    signal_type: SignalType
    confidence: float
    price: float
    size: float | None = None
    stop_loss: float | None = None
    take_profit: float | None = None
    metadata: dict[str, Any] = {}


class TickRef(msgspec.Struct, frozen=True):
    """Which tick caused something. `seq` counts 1, 2, 3 … per (source, incarnation, symbol)."""

    source: str
    symbol: str
    seq: Number
    id: str
    time: AwareTime
    incarnation: str = ""
    """The source's incarnation, without which `seq` says nothing; its sender always fills it in."""


class DataBatch(msgspec.Struct, frozen=True):
    """Ticks of one symbol of one source, in order; `data.<symbol>`.

    Tick i has sequence `seq + i`. No ticks: a watermark, "the next one will be `seq`", by which a
    receiver notices a lost tail. `end` says that a finite source has sent everything.
    """

    source: str
    incarnation: str
    symbol: str
    seq: Number
    ticks: list[MarketData]
    end: bool = False


class IndicatorBatch(msgspec.Struct, frozen=True):
    """Values for the ticks `seq`, `seq + 1`, … of (source, symbol); None while warming up; `ind.<symbol>`.

    No values: a watermark, as in a DataBatch.
    """

    indicator: str
    incarnation: str
    source: str
    source_incarnation: str
    symbol: str
    seq: Number
    values: list[float | dict[str, float] | None]


class SignalMessage(msgspec.Struct, frozen=True, tag="signal", tag_field="type"):
    """A signal on its way to the executors; `sig.<symbol>`, through JetStream.

    `id` is made of (strategy, symbol, id of the tick, ordinal) alone, so a replayed strategy makes it
    again. `number` counts the strategy's signals in this incarnation, from 1.
    """

    id: str
    strategy: str
    incarnation: str
    number: Number
    tick: TickRef
    signal: TradingSignal


class Noticed(msgspec.Struct, frozen=True):
    """A strategy took note of a fill after it had analysed this tick of the fill's symbol."""

    fill: str
    source: str
    incarnation: str
    symbol: str
    seq: Number


class ProgressMessage(msgspec.Struct, frozen=True, tag="progress", tag_field="type"):
    """A strategy has analysed everything up to `tick` and made `number` signals; same stream as the
    signals, so it is ordered among them. Executors apply ticks of a strategy's book up to here and no further.

    `noticed`: fills since the last one, of a strategy that looks at them.
    """

    strategy: str
    incarnation: str
    number: Number
    tick: TickRef
    end: bool = False
    noticed: list[Noticed] = []


class FillReason(StrEnum):
    SIGNAL = "signal"
    STOP_LOSS = "stop_loss"
    TAKE_PROFIT = "take_profit"
    FLATTEN = "flatten"
    """`ntpctl halt --flatten` closed it."""


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"


class Fill(msgspec.Struct, frozen=True):
    """One execution. `price` includes spread and slippage; `fee` is in quote currency; exact decimals.

    `realised` is the profit that this fill realised before its fee. `fill.<strategy>.<symbol>`.
    """

    id: str
    signal_id: str
    executor: str
    strategy: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal
    realised: Decimal
    reason: FillReason
    time: AwareTime
    tick_id: str


def signal_id(strategy: str, symbol: str, tick_id: str, ordinal: int) -> str:
    """Return the id that the same strategy makes again when the same tick is replayed."""
    return f"{strategy}:{symbol}:{tick_id}:{ordinal}"
