"""What a plugin says, read from its messages: a line for people, a document for programs."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from ntp.contract.beat import Beat
from ntp.contract.messages import (
    DataBatch,
    Fill,
    IndicatorBatch,
    MarketData,
    ProgressMessage,
    SignalMessage,
    SignalType,
)
from orchestrator.app.backlog import Heard

CHANNELS = {"data": "data", "ind": "indicator", "sig": "signal", "fill": "fill", "beat": "beat"}
"""First token of a subject -> what it is called in plugins.yaml and in `status`."""
BAR = ("open", "high", "low")
"""What lies in the metadata of a bar."""

_data = msgspec.json.Decoder(DataBatch).decode
_values = msgspec.json.Decoder(IndicatorBatch).decode
_signal: msgspec.json.Decoder[SignalMessage | ProgressMessage] = msgspec.json.Decoder(
    SignalMessage | ProgressMessage
)
_fill = msgspec.json.Decoder(Fill).decode
_beat = msgspec.json.Decoder(Beat).decode


@dataclass(frozen=True, slots=True)
class Message:
    """One tick, bar, value, signal, fill or beat; or `end`: a finite source has said everything.

    `words` say it to a person, after time and symbol. `good` colours it: True bought, False sold.
    """

    what: str
    symbol: str
    words: str
    body: Mapping[str, Any]
    seq: int | None = None
    incarnation: str = ""
    good: bool | None = None


class Reader:
    """Reads what is heard of one plugin. That all is said is said again every second, and read once."""

    def __init__(self) -> None:
        self._ended: set[tuple[str, str]] = set()

    def read(self, heard: Heard) -> Iterator[Message]:
        """Yield what is in a message of the bus: nothing, one thing or thousands."""
        try:
            match channel(heard.subject):
                case "data":
                    yield from self._ticks(_data(heard.payload))
                case "indicator":
                    yield from _each_value(_values(heard.payload))
                case "signal":
                    yield from self._signals(_signal.decode(heard.payload))
                case "fill":
                    yield _filled(_fill(heard.payload))
                case _:
                    yield _alive(_beat(heard.payload))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            text = heard.payload.decode(errors="replace")
            yield Message("unreadable", "", f"cannot be read ({error}): {text}", {"text": text})

    def _ticks(self, batch: DataBatch) -> Iterator[Message]:
        for seq, tick in enumerate(batch.ticks, batch.seq):
            yield _tick(tick, seq, batch.incarnation)
        if batch.end:
            yield from self._end(batch.symbol, batch.incarnation)

    def _signals(self, message: SignalMessage | ProgressMessage) -> Iterator[Message]:
        if isinstance(message, SignalMessage):
            yield _wish(message)
        elif message.end:
            yield from self._end("", message.incarnation)

    def _end(self, symbol: str, incarnation: str) -> Iterator[Message]:
        if (symbol, incarnation) not in self._ended:
            self._ended.add((symbol, incarnation))
            yield Message("end", symbol, "has said everything", {}, incarnation=incarnation)


def channel(subject: str) -> str:
    return CHANNELS.get(subject.partition(".")[0], subject)


def document(name: str, heard: Heard, message: Message, dropped: int) -> dict[str, Any]:
    """Return what `tap -o json` prints for it; docs/json.md has its shape."""
    return {
        "at": _time(heard.at),
        "name": name,
        "channel": channel(heard.subject),
        "what": message.what,
        "symbol": message.symbol,
        "seq": message.seq,
        "incarnation": message.incarnation,
        "dropped": dropped,
        "body": message.body,
    }


def raw(name: str, heard: Heard) -> dict[str, Any]:
    """Return what `tap --raw -o json` prints: the message as it is on the bus, its payload as JSON or text."""
    try:
        payload = json.loads(heard.payload)
    except ValueError:
        payload = heard.payload.decode(errors="replace")
    return {
        "at": _time(heard.at),
        "name": name,
        "subject": heard.subject,
        "dropped": heard.dropped,
        "payload": payload,
    }


def _tick(tick: MarketData, seq: int, incarnation: str) -> Message:
    bar = [tick.metadata.get(key) for key in BAR]
    if all(isinstance(each, int | float) for each in bar):
        what = "bar"
        words = "  ".join(f"{key} {each:.10g}" for key, each in zip(BAR, bar, strict=True))
        words += f"  close {tick.price:.10g}  volume {tick.volume:.10g}"
    else:
        what, words = "tick", f"{tick.price:.10g}  volume {tick.volume:.10g}"
    quote = [
        f"{side} {price:.10g}"
        for side, price in (("bid", tick.bid), ("ask", tick.ask))
        if price is not None
    ]
    body = msgspec.to_builtins(msgspec.structs.asdict(tick))
    told = "  ".join([words, *quote, _time(tick.timestamp)])
    return Message(what, tick.symbol, told, body, seq, incarnation)


def _each_value(batch: IndicatorBatch) -> Iterator[Message]:
    for seq, value in enumerate(batch.values, batch.seq):
        if isinstance(value, dict):
            words = "  ".join(f"{key} {each:.10g}" for key, each in value.items())
        else:
            words = "-" if value is None else f"{value:.10g}"
        body = {"source": batch.source, "value": value}
        yield Message("value", batch.symbol, words, body, seq, batch.incarnation)


def _wish(message: SignalMessage) -> Message:
    signal = message.signal
    words = [
        f"{signal.signal_type:<4}",
        f"price {signal.price:.10g}",
        *(
            f"{name} {value:.10g}"
            for name, value in (
                ("size", signal.size),
                ("stop", signal.stop_loss),
                ("target", signal.take_profit),
            )
            if value is not None
        ),
        f"confidence {signal.confidence:.2g}",
    ]
    return Message(
        "signal",
        signal.symbol,
        "  ".join(words),
        msgspec.to_builtins(message),
        message.number,
        message.incarnation,
        None if signal.signal_type is SignalType.HOLD else signal.signal_type is SignalType.BUY,
    )


def _filled(fill: Fill) -> Message:
    words = (
        f"{fill.side:<4}  {fill.quantity} at {fill.price}  fee {fill.fee}  realised {fill.realised}"
        f"  for {fill.strategy} ({fill.reason})"
    )
    body = msgspec.to_builtins(fill)
    return Message("fill", fill.symbol, words, body, good=fill.side == "buy")


def _alive(beat: Beat) -> Message:
    sent, received = (sum(flow.count for flow in flows) for flows in (beat.sent, beat.received))
    told = [f"{beat.stage}", f"sent {sent}", f"received {received}"]
    told += [
        f"{symbol} {name} {value:.10g}"
        for symbol, values in beat.indicators.items()
        for name, value in values.items()
    ]
    told += [f"{each.reason}: {each.message}" for each in beat.conditions]
    body = msgspec.to_builtins(beat)
    return Message("beat", "", "  ".join(told), body, beat.number, beat.incarnation)


def _time(at: datetime) -> str:
    """Print a moment in UTC, to the millisecond."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
