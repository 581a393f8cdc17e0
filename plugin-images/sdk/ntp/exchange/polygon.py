"""One connection to Polygon's stocks stream, as a state machine: text in, answers out."""

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from ntp.exchange.answer import Answer, Close, Send
from ntp.exchange.rules import Rules

PATH = "/stocks"
KINDS = ("T", "Q", "A", "AM")
_TOPIC = re.compile(rf"(?:{'|'.join(KINDS)})\.(?:\*|[A-Z][A-Z0-9.]*)")
CONNECTED = "Connected Successfully (synthetic data)"
MAX_CONNECTIONS = "Maximum number of websocket connections exceeded. You have reached the connection limit for your account."
_CUTS = {
    "slow_consumer": "The client read too slowly: its buffer is full.",
    "force_disconnect": "The connection was ended by the server.",
}


def status(name: str, message: str) -> Send:
    """A status frame; like every frame of this server, an array."""
    return Send(msgspec.json.encode([{"ev": "status", "status": name, "message": message}]))


@dataclass(slots=True)
class PolygonSession:
    """Auth first, then topics.

    `fault` tells whether a lasting fault is in force; `keys` counts the connections of each API key
    and is shared by all sessions.
    """

    rules: Rules
    fault: Callable[[str], bool]
    keys: Counter[str]
    topics: dict[str, None] = field(default_factory=dict)  # a set that keeps its order
    key: str | None = None

    def open(self) -> Send:
        """The first frame. Nothing else may come before the answer to auth: a client takes the next frame for it."""
        return status("connected", CONNECTED)

    def close(self) -> None:
        """Give the key's place back."""
        if self.key is not None:
            self.keys[self.key] -= 1
            self.key = None

    def receive(self, text: str | bytes) -> list[Answer]:
        """Answer one request."""
        try:
            request = json.loads(text)
            action, params = request["action"], request["params"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return [status("error", "invalid message")]
        if not isinstance(params, str):
            return [status("error", "invalid message")]
        match action:
            case "auth":
                return self._auth(params)
            case "subscribe" | "unsubscribe" if self.key is None:
                return [status("error", "not authorized")]
            case "subscribe":
                return self._subscribe(params)
            case "unsubscribe":
                return self._unsubscribe(params)
            case _:
                return [status("error", f"unknown action {str(action)[:40]}")]

    def late(self) -> list[Answer]:
        """What is said when no auth came in time."""
        return [status("auth_timeout", "No authentication request received."), Close(1008)]

    def cut(self, reason: str) -> list[Answer]:
        """End it as `slow_consumer` or `force_disconnect`."""
        return [status(reason, _CUTS[reason]), Close(1008)]

    def _auth(self, key: str) -> list[Answer]:
        if self.key is not None:
            return [status("auth_success", "authenticated")]
        if self.fault("auth-timeout"):
            return self.late()
        wanted = self.rules.api_key
        if self.fault("auth-failed") or not key.strip() or wanted not in (None, key):
            return [status("auth_failed", "authentication failed"), Close(1008)]
        self.key = key
        self.keys[key] += 1
        return [status("auth_success", "authenticated")]

    def _subscribe(self, params: str) -> list[Answer]:
        topics = _topics(params)
        if self.fault("not-authorized") or not all(map(_TOPIC.fullmatch, topics)):
            return [status("error", "not authorized")]
        self.topics.update(dict.fromkeys(topics))
        answers: list[Answer] = [status("success", f"subscribed to: {topic}") for topic in topics]
        # Users report it here, after auth_success: what makes a client that resets its back-off there loop.
        surplus = self.key is not None and self.keys[self.key] > self.rules.connections_per_key
        if surplus or self.fault("max-connections"):
            answers += [status("max_connections", MAX_CONNECTIONS), Close(1008)]
        return answers

    def _unsubscribe(self, params: str) -> list[Answer]:
        topics = _topics(params)
        for topic in topics:
            self.topics.pop(topic, None)
        return [status("success", f"unsubscribed to: {topic}") for topic in topics]


def _topics(params: str) -> list[str]:
    return [topic for topic in (part.strip() for part in params.split(",")) if topic]
