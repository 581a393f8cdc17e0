"""The border: what a plugin's results must be before anybody else sees them.

Numbers of numpy are taken as what they mean, naive times as local time; what cannot be meant (a NaN
price, a confidence of 3) raises RefusedError, is counted and shown, and is never published.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from enum import Enum
from math import isfinite
from typing import Any, SupportsFloat

import msgspec

from ntp.contract.messages import (
    DataBatch,
    Fill,
    IndicatorBatch,
    MarketData,
    SignalType,
    TradingSignal,
)

LONGEST_SYMBOL = 64
"""Characters; a symbol becomes one token of a subject."""
LONGEST_ID = 128
LARGEST_MESSAGE = 100 * 1024
"""Bytes of one message."""
EARLIEST, LATEST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
"""Event times lie between: beyond them is no room for the bar of a day."""


class RefusedError(ValueError):
    """Says what was found and what is right."""


class Refusals:
    """How many results were refused, and the last reason."""

    def __init__(self) -> None:
        self.count = 0
        self.last = ""

    def note(self, error: Exception | str) -> None:
        self.count += 1
        self.last = str(error)


def number(value: object, what: str) -> float:
    """Return a finite float; bool and text are no numbers."""
    if type(value) is float:
        result = value
    elif isinstance(value, SupportsFloat) and not isinstance(value, bool | str | bytes):
        try:
            result = float(value)
        except (TypeError, ValueError, OverflowError):
            raise RefusedError(f"{what} was {value!r}, which is no number") from None
    else:
        raise RefusedError(f"{what} was {value!r} ({type(value).__name__}); it must be a number")
    if not isfinite(result):
        raise RefusedError(f"{what} was {result}; it must be finite")
    return result


def symbol(value: object) -> str:
    if not isinstance(value, str):
        raise RefusedError(f"symbol was {value!r} ({type(value).__name__}); it must be text")
    if not value or len(value) > LONGEST_SYMBOL:
        raise RefusedError(f"symbol was {value[:80]!r}; give 1 to {LONGEST_SYMBOL} characters")
    if not value.isprintable():
        raise RefusedError(f"symbol was {value!r}; it must not hold control characters")
    return str(value)  # numpy's own kind of text becomes plain text


def moment(value: object) -> datetime:
    """Return an aware time in UTC. A naive one is local time, as datetime.fromtimestamp() makes it."""
    if not isinstance(value, datetime):
        raise RefusedError(f"timestamp was {value!r} ({type(value).__name__}); give a datetime")
    try:
        at = value if value.tzinfo is UTC else value.astimezone(UTC)
    except (OverflowError, OSError, ValueError):
        raise RefusedError(f"timestamp was {value!r}, which is no time in UTC") from None
    if not EARLIEST <= at <= LATEST:
        raise RefusedError(f"timestamp was {at.isoformat()}; that is no time of a market")
    return at


def tick(item: object, identify: Callable[[MarketData, str], str]) -> MarketData:
    """Return a tick as everyone may rely on it: numbers finite, time in UTC, with an id.

    `identify` names it (see tick_ids.Identify).
    """
    if not isinstance(item, MarketData):
        raise RefusedError(f"stream() yielded {type(item).__name__}; it must yield MarketData")
    name = symbol(item.symbol)
    # The position counts whatever the stream yields for a symbol, refused or not, so that a replay
    # of the same recording gives the same ids.
    given = identify(item, name)
    at = moment(item.timestamp)
    price = number(item.price, f"price of {name}")
    volume = number(item.volume, f"volume of {name}")
    if volume < 0:
        raise RefusedError(f"volume of {name} was {volume}; it must not be negative")
    bid = None if item.bid is None else number(item.bid, f"bid of {name}")
    ask = None if item.ask is None else number(item.ask, f"ask of {name}")
    if not isinstance(item.metadata, dict):
        raise RefusedError(f"metadata of {name} was {type(item.metadata).__name__}; give a dict")
    return MarketData(at, name, price, volume, bid, ask, item.metadata, given)


def heard(batch: DataBatch | IndicatorBatch) -> None:
    """Hold to the border what another plugin sent, for its runner was in its own hands.

    What it says of one symbol must be of that one: others may be wired to be heard from elsewhere.
    """
    name = symbol(batch.symbol)
    identifier(batch.incarnation)
    if isinstance(batch, IndicatorBatch):
        identifier(batch.source_incarnation)
        return
    for tick in batch.ticks:  # each of which passes here, so the usual one costs no call
        if (
            tick.symbol == name
            and EARLIEST <= tick.timestamp <= LATEST
            and len(tick.id) <= LONGEST_ID
            and tick.id.isprintable()
        ):
            continue
        if tick.symbol != name:
            raise RefusedError(f"a tick of {tick.symbol[:80]!r} came among those of {name!r}")
        identifier(tick.id)
        moment(tick.timestamp)


def identifier(given: object, most: int = LONGEST_ID) -> str:
    """Return an id as text that may stand in a message's header."""
    text = str(given)
    if len(text) > most or not text.isprintable():
        raise RefusedError(f"id was {text[:80]!r}; give at most {most} plain characters")
    return text


def signal(made: object, seen: str | None) -> TradingSignal:
    """Return a signal with plain numbers, not yet sized. `seen`: the one symbol that its maker sees."""
    if not isinstance(made, TradingSignal):
        raise RefusedError(
            f"analyze() returned {type(made).__name__}; give a TradingSignal or None"
        )
    name = symbol(made.symbol)
    if seen is not None and name != seen:
        raise RefusedError(
            f"a signal for {name!r} came from the object that sees {seen!r};"
            " a strategy that trades across symbols says per_symbol = False"
        )
    confidence = number(made.confidence, "confidence")
    if not 0 <= confidence <= 1:
        raise RefusedError(f"confidence was {confidence}; it must lie between 0 and 1")
    if not isinstance(made.metadata, dict):
        raise RefusedError(f"signal metadata was {type(made.metadata).__name__}; give a dict")
    return TradingSignal(
        symbol=name,
        signal_type=_signal_type(made.signal_type),
        confidence=confidence,
        price=number(made.price, "signal price"),
        size=None if made.size is None else size(made.size),
        stop_loss=None if made.stop_loss is None else _level(made.stop_loss, "stop_loss"),
        take_profit=None if made.take_profit is None else _level(made.take_profit, "take_profit"),
        metadata=made.metadata,
    )


def size(value: object) -> float:
    """Return a size in base units."""
    result = number(value, "size")
    if result < 0:
        raise RefusedError(
            f"size was {result}; it must not be negative (signal_type says the side)"
        )
    return result


def base_units(worth: object, price: float) -> float:
    """Return what a worth in quote currency buys at a price."""
    result = number(worth, "calculate_position_size()")
    if result < 0:
        raise RefusedError(f"calculate_position_size() returned {result}; give 0 or more")
    if price <= 0:
        raise RefusedError(f"a size cannot be calculated at price {price}; give the signal a size")
    return result / price


def sized(made: TradingSignal, base: float) -> TradingSignal:
    return TradingSignal(
        symbol=made.symbol,
        signal_type=made.signal_type,
        confidence=made.confidence,
        price=made.price,
        size=base,
        stop_loss=made.stop_loss,
        take_profit=made.take_profit,
        metadata=made.metadata,
    )


def value(made: object) -> float | dict[str, float] | None:
    """Return an indicator's value with plain numbers."""
    if made is None or (type(made) is float and isfinite(made)):
        return made
    if isinstance(made, Mapping):
        result: dict[str, float] = {}
        for key, part in made.items():
            if not isinstance(key, str):
                raise RefusedError(f"update() returned a dict with the key {key!r}; use text")
            result[key] = number(part, f"value {key!r}")
        return result
    return number(made, "update()")


def fills(made: object) -> list[Fill]:
    """Return an executor's result as a list."""
    if made is None:
        return []
    if isinstance(made, Fill):
        return [made]
    if not isinstance(made, Iterable) or isinstance(made, str | bytes | Mapping):
        raise RefusedError(f"an executor returned {type(made).__name__}; give Fills or None")
    result = []
    for one in made:
        if not isinstance(one, Fill):
            raise RefusedError(f"an executor returned a {type(one).__name__} among its fills")
        result.append(one)
    return result


def plain(value: object) -> Any:
    """Turn what JSON does not know into what it means: numpy scalars and arrays, enums, sets."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):  # a subclass, such as pandas has
        return value.isoformat()
    for name in ("tolist", "item"):
        method = getattr(value, name, None)
        if callable(method):
            return method()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Iterable):
        return list(value)
    raise RefusedError(f"metadata held {value!r} ({type(value).__name__}), which JSON cannot say")


_encode = msgspec.json.Encoder(enc_hook=plain, decimal_format="string").encode


def encoded(message: msgspec.Struct, most: int = LARGEST_MESSAGE) -> bytes:
    """Return a message as JSON.

    Raises:
        RefusedError: its metadata holds what JSON cannot say, or it is longer than `most` bytes.
    """
    try:
        payload = _encode(message)
    except RefusedError:
        raise
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise RefusedError(f"metadata cannot be written as JSON: {error}") from error
    if len(payload) > most:
        raise RefusedError(
            f"a message with its metadata was {len(payload)} bytes; at most {most} may be"
        )
    return payload


def _signal_type(given: object) -> SignalType:
    if type(given) is SignalType:
        return given
    text = given.value if isinstance(given, Enum) else given
    if isinstance(text, str):
        try:
            return SignalType(text.upper())
        except ValueError:
            pass
    raise RefusedError(f"signal_type was {given!r}; give SignalType.BUY, SELL or HOLD")


def _level(value: object, what: str) -> float:
    result = number(value, what)
    if result <= 0:
        raise RefusedError(f"{what} was {result}; it must be above 0")
    return result
