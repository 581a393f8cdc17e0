"""One connection to Binance's market streams, as a state machine: text in, answers out."""

import json
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from ntp.exchange.answer import Answer, Close, Send
from ntp.exchange.event import Event
from ntp.exchange.rules import RollingCount, Rules
from ntp.exchange.stream_name import well_formed

METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
_ID = re.compile(r"[A-Za-z0-9-]{1,36}")
_UNKNOWN_PROPERTY, _WRONG_TYPE, _INVALID_REQUEST, _INVALID_JSON = range(4)


def serves(path: str) -> bool:
    """Tell whether a request path (query included) is one of the market streams."""
    bare = urlsplit(path).path
    return bare in ("/ws", "/stream", "/stream/") or bare.startswith("/ws/")


class _Refused(Exception):  # noqa: N818 - an answer, not an error of ours
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass(slots=True)
class BinanceSession:
    """What one client is subscribed to, and how it wants its events."""

    rules: Rules
    combined: bool = False
    micro: bool = False
    streams: dict[str, None] = field(default_factory=dict)  # a set that keeps its order
    _count: RollingCount = field(init=False)

    def __post_init__(self) -> None:
        self._count = RollingCount(self.rules.messages_per_second, 1.0)

    def open(self, path: str) -> Close | None:
        """Take the streams that the request path names."""
        url = urlsplit(path)
        query = parse_qs(url.query)
        self.combined = url.path.startswith("/stream")
        self.micro = query.get("timeUnit", [""])[-1].upper() == "MICROSECOND"
        if self.combined:
            names = [name for text in query.get("streams", []) for name in text.split("/")]
        else:
            names = unquote(url.path).split("/")[2:]
        # `/ws/0`, as one client numbers its connections, is a path like any other: it names no stream.
        self.streams.update(dict.fromkeys(name for name in names if well_formed(name)))
        if len(self.streams) > self.rules.streams:
            return Close(1008, "Too many streams")
        return None

    def counted(self, now_s: float) -> Close | None:
        """Count one incoming message, PING, PONG or JSON, at a monotonic time."""
        return None if self._count.allows(now_s) else Close(1008, "Too many requests")

    def receive(self, text: str | bytes) -> list[Answer]:
        """Answer one request."""
        raw = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        number: object = None
        try:
            request = self._read(raw)
            number = _identity(request)
            result = self._perform(request, len(raw))
        except _Refused as refused:
            error = {"error": {"code": refused.code, "msg": refused.message}, "id": number}
            return [Send(msgspec.json.encode(error))]
        return [Send(msgspec.json.encode({"result": result, "id": number}))]

    def text(self, event: Event) -> bytes:
        """The frame of an event in this connection's form."""
        return event.text(combined=self.combined, micro=self.micro)

    def shutdown(self, now_ms: int) -> Send:
        """The announcement that the server is about to stop."""
        event = Event("!serverShutdown", {"e": "serverShutdown", "E": now_ms})
        return Send(event.text(combined=self.combined, micro=self.micro))

    def _read(self, raw: str) -> dict[str, object]:
        try:
            request = json.loads(raw)
        except ValueError as error:
            line, column = getattr(error, "lineno", 1), getattr(error, "colno", 1)
            raise _Refused(
                _INVALID_JSON, f"Invalid JSON: expected value at line {line} column {column}"
            ) from None
        except RecursionError:
            raise _Refused(
                _INVALID_JSON, "Invalid JSON: recursion limit exceeded at line 1 column 128"
            ) from None
        if not isinstance(request, dict):
            raise _Refused(
                _INVALID_REQUEST,
                "Invalid request: invalid type, expected a map at line 1 column 0",
            )
        return request

    def _perform(self, request: dict[str, object], length: int) -> object:
        method, params = _call(request, length)
        match method:
            case "SUBSCRIBE":
                names = _names(params)
                if len(self.streams.keys() | set(names)) > self.rules.streams:
                    raise _Refused(_INVALID_REQUEST, "Invalid request: too many streams")
                self.streams.update(dict.fromkeys(names))
            case "UNSUBSCRIBE":
                for name in _names(params):
                    self.streams.pop(name, None)
            case "LIST_SUBSCRIPTIONS":
                return list(self.streams)
            case "GET_PROPERTY":
                _property(params, 1)
                return self.combined
            case _:
                _property(params, 2)
                value = params[1] if len(params) > 1 else None
                if not isinstance(value, bool):
                    raise _Refused(_WRONG_TYPE, "Invalid value type: expected Boolean")
                self.combined = value
        return None


def _identity(request: dict[str, object]) -> object:
    number = request.get("id")
    whole = isinstance(number, int) and not isinstance(number, bool) and -(2**63) <= number < 2**63
    worded = isinstance(number, str) and _ID.fullmatch(number) is not None
    if number is None or whole or worded:
        return number
    raise _Refused(_INVALID_REQUEST, "Invalid request: request ID must be an unsigned integer")


def _names(params: list[object]) -> list[str]:
    names = [name for name in params if isinstance(name, str) and well_formed(name)]
    if len(names) != len(params):
        raise _Refused(_INVALID_REQUEST, "Invalid request: invalid stream")
    return names


def _property(params: list[object], most: int) -> None:
    if len(params) > most:
        raise _Refused(_INVALID_REQUEST, "Invalid request: too many parameters")
    if not params or not isinstance(params[0], str):
        raise _Refused(_INVALID_REQUEST, "Invalid request: property name must be a string")
    if params[0] != "combined":
        raise _Refused(_UNKNOWN_PROPERTY, "Unknown property")


def _call(request: dict[str, object], length: int) -> tuple[str, list[object]]:
    method, params = request.get("method"), request.get("params", [])
    if method is None:
        raise _Refused(
            _INVALID_REQUEST,
            f"Invalid request: missing field `method` at line 1 column {length}",
        )
    if method not in METHODS:
        known = ", ".join(f"`{name}`" for name in METHODS)
        raise _Refused(
            _INVALID_REQUEST,
            f"Invalid request: unknown variant `{method}`, expected one of {known}",
        )
    if not isinstance(params, list):
        raise _Refused(
            _INVALID_REQUEST, "Invalid request: invalid type, expected a sequence of params"
        )
    return str(method), params
