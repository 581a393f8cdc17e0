"""Polygon's protocol at a socket: session, topics, the server's cuts."""

from collections.abc import Callable, Iterable, Sequence

from ntp.exchange.answer import Answer, Close
from ntp.exchange.backlog import Data
from ntp.exchange.client import Client
from ntp.exchange.faults import Fault
from ntp.exchange.polygon import PolygonSession


class PolygonTalk:
    """One client of the stocks stream."""

    def __init__(self, client: Client, session: PolygonSession, begin: Callable[[], None]) -> None:
        self.client = client
        self.session = session
        self._begin = begin

    def deliver(self, events: Sequence[tuple[str, str, bytes]]) -> None:
        """Queue one array of those events (kind, symbol, JSON) that the client has topics for."""
        if not self.session.topics:
            return
        texts = [text for kind, symbol, text in events if self.has(kind, symbol)]
        if texts:
            self.client.send(Data(b"[" + b",".join(texts) + b"]"))

    def has(self, kind: str, symbol: str) -> bool:
        """Whether the client has a topic for it."""
        topics = self.session.topics
        return f"{kind}.{symbol}" in topics or f"{kind}.*" in topics

    def hear(self, text: str | bytes) -> Iterable[Answer]:
        # No step of the market comes between: the acks are queued before the topics' first events.
        answers = self.session.receive(text)
        if self.session.topics:
            self._begin()
        return answers

    def control(self) -> Close | None:
        return None

    def strike(self, fault: Fault) -> Iterable[Answer]:
        if fault.name in ("slow-consumer", "force-disconnect"):
            return self.session.cut(fault.name.replace("-", "_"))
        return []

    def overdue(self) -> tuple[float, Iterable[Answer]] | None:
        if self.session.key is not None:
            return None
        return self.session.rules.auth_s, self.session.late()

    def too_slow(self) -> Iterable[Answer]:
        return self.session.cut("slow_consumer")
