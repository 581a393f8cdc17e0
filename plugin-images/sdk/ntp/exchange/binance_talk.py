"""Binance's protocol at a socket: session, subscriptions, the exchange's own endings."""

import time
from collections.abc import Callable, Iterable

from ntp.exchange.answer import Answer, Close
from ntp.exchange.backlog import Data
from ntp.exchange.binance_stream import BinanceSession
from ntp.exchange.client import Client
from ntp.exchange.event import Event
from ntp.exchange.faults import Fault
from ntp.exchange.hub import Hub

END = Close(1001, "Disconnected after 24 hours")


class BinanceTalk:
    """One client of the market streams."""

    def __init__(
        self,
        client: Client,
        session: BinanceSession,
        hub: "Hub[BinanceTalk]",
        now_ms: Callable[[], int],
        begin: Callable[[], None],
    ) -> None:
        self.client = client
        self._session = session
        self._hub = hub
        self._now_ms = now_ms
        self._begin = begin
        self._shutdown_s: float | None = None

    def open(self, path: str) -> None:
        """Subscribe to what the path names."""
        refusal = self._session.open(path)
        if refusal is not None:
            self.client.send(refusal)
        self._subscribe()

    def close(self) -> None:
        self._hub.put(self, ())

    def deliver(self, event: Event) -> None:
        """Queue an event of a stream that the client has."""
        self.client.send(Data(self._session.text(event), event.depth_update))

    def hear(self, text: str | bytes) -> Iterable[Answer]:
        refusal = self._session.counted(time.monotonic())
        if refusal is not None:
            return [refusal]
        answers = self._session.receive(text)
        self._subscribe()
        # No step of the market comes between: the ack is queued before the new stream's first event.
        return answers

    def _subscribe(self) -> None:
        self._hub.put(self, self._session.streams)
        if self._session.streams:
            self._begin()

    def control(self) -> Close | None:
        return self._session.counted(time.monotonic())

    def strike(self, fault: Fault) -> Iterable[Answer]:
        match fault.name:
            case "server-shutdown":
                self._shutdown_s = self.client.age_s + (fault.value or 0.0)
                self.client.look()
                return [self._session.shutdown(self._now_ms())]
            case "session-end":
                return [END]
            case _:
                return []

    def overdue(self) -> tuple[float, Iterable[Answer]] | None:
        if self._shutdown_s is not None:
            return self._shutdown_s, [Close(1001, "Server shutdown")]
        return self._session.rules.session_s, [END]

    def too_slow(self) -> Iterable[Answer]:
        # TCP has pushed back for as long as the backlog lasted; then the socket is gone.
        return [Close(1006)]
