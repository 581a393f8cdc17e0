"""The local exchange: one port, HTTP and WebSocket, all protocols."""

import asyncio
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from ntp.exchange import binance_rest, binance_stream, control, polygon, recording, synthetic
from ntp.exchange.binance_stream import BinanceSession
from ntp.exchange.binance_talk import BinanceTalk
from ntp.exchange.client import Client, Socket
from ntp.exchange.faults import Board, Fault, Strikes
from ntp.exchange.hub import Hub
from ntp.exchange.market import Market
from ntp.exchange.pace import Pace
from ntp.exchange.player import Player
from ntp.exchange.polygon import PolygonSession
from ntp.exchange.polygon_talk import PolygonTalk
from ntp.exchange.rules import RollingCount, Rules

MESSAGE_BYTES = 64 * 1024
LINE = "text/plain; charset=utf-8"
JSON = "application/json;charset=UTF-8"


@dataclass(frozen=True, slots=True)
class Settings:
    """What `ntp exchange` is asked for."""

    host: str = "127.0.0.1"
    port: int = 0
    speed: float = 1.0
    loop: bool = False
    hold: bool = False
    """Play nothing before `POST /play`."""
    seconds: float | None = None
    """Let both markets end after so many recorded seconds."""
    shift: bool = True
    recording: Path = recording.SHIPPED
    faults: Sequence[Fault] = ()
    rules: Rules = field(default_factory=Rules)
    tls: ssl.SSLContext | None = None


class Exchange:
    """Everything behind the port."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.board = Board()
        for fault in settings.faults:
            # On the command line a fault without an age strikes at the opening of a connection.
            lasts = fault.kind.lasts or fault.after_s is not None
            self.board.add(fault if lasts else Fault(fault.name, fault.value, 0.0, fault.once))
        recorded = recording.read(settings.recording)
        pace = Pace(settings.speed, settings.shift, recorded.lead_ms)
        self.market = Market(recorded, pace)
        self.stocks = synthetic.Stocks(synthetic.read())
        # One day on both markets, where times are not shifted to now.
        self._first_ms = round(recorded.frames[0].at_ns / 1e6 + recorded.lead_ms)
        self.binance = self._player(pace)
        self.polygon = self._player(Pace(settings.speed, settings.shift))
        self.port = 0
        self._hub: Hub[BinanceTalk] = Hub()
        self._polygon_talks: dict[PolygonTalk, None] = {}
        self._binance_talks: dict[BinanceTalk, None] = {}
        self._keys: Counter[str] = Counter()
        self._attempts: dict[str, RollingCount] = {}

    def _player(self, pace: Pace) -> Player:
        asked = self.settings
        return Player(pace, self.board, loop=asked.loop, held=asked.hold, seconds=asked.seconds)

    @property
    def clients(self) -> list[tuple[Client, BinanceTalk | PolygonTalk]]:
        talks: list[BinanceTalk | PolygonTalk] = [*self._binance_talks, *self._polygon_talks]
        return [(talk.client, talk) for talk in talks]

    def urls(self) -> dict[str, str]:
        """Where each protocol is, by name."""
        host = self.settings.host
        at = f"{'[' + host + ']' if ':' in host else host}:{self.port}"
        secure = "s" if self.settings.tls else ""
        return {
            "binance": f"ws{secure}://{at}/ws",
            "binance-combined": f"ws{secure}://{at}/stream",
            "binance-rest": f"http{secure}://{at}/api/v3",
            "polygon": f"ws{secure}://{at}/stocks",
            "control": f"http{secure}://{at}{control.FAULTS}",
            "play": f"http{secure}://{at}{control.PLAY}",
        }

    def play(self) -> None:
        """End a hold: play once somebody subscribed."""
        self.binance.let_go()
        self.polygon.let_go()

    def playing(self) -> dict[str, Any]:
        """How far playing has come: what `GET /play` says."""
        wanted = {
            "binance": [
                name for name in self.market.symbols if "trade" in self._hub.kinds(name.lower())
            ],
            "polygon": [
                name
                for name in self.stocks.stocks
                if any(talk.has("T", name) for talk in self._polygon_talks)
            ],
        }
        return {
            "held": self.binance.held,
            "markets": {
                name: {"ended": player.ended, "wanted": wanted[name], "trades": dict(player.trades)}
                for name, player in (("binance", self.binance), ("polygon", self.polygon))
            },
        }

    def strike(self, fault: Fault) -> None:
        """Let a fault strike now: every open connection, or the market."""
        if fault.name == "burst":
            self._burst(fault)
            return
        for client, talk in self.clients:
            if fault.kind.protocol in (
                "both",
                "binance" if isinstance(talk, BinanceTalk) else "polygon",
            ):
                client.strike(fault, talk)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Exchange"]:
        """Listen and play until the block ends; then close every connection with 1001."""
        settings = self.settings
        async with serve(
            self._serve,
            settings.host,
            settings.port,
            ssl=settings.tls,
            process_request=self._request,
            create_connection=Socket,
            compression=None,
            server_header=None,
            max_size=MESSAGE_BYTES,
            # Our own keepalive carries the payload that Binance's does (`Client`).
            ping_interval=None,
            close_timeout=1,
        ) as server:
            self.port = _port(server)
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self.binance.play_recording(self.market, self._hub)),
                    group.create_task(
                        self.polygon.play_stocks(self.stocks, self._polygon_talks, self._first_ms)
                    ),
                ]
                yield self
                for task in tasks:
                    task.cancel()

    def _burst(self, fault: Fault) -> None:
        frames = int(fault.value or 1)
        self.market.pace.burst(frames)
        self.polygon.pace.burst(frames)

    async def _serve(self, connection: ServerConnection) -> None:
        assert isinstance(connection, Socket)  # noqa: S101 - as `create_connection` makes them
        assert connection.request is not None  # noqa: S101 - the handshake is over
        path = connection.request.path
        if binance_stream.serves(path):
            await self._serve_binance(connection, path)
        else:
            await self._serve_polygon(connection)

    async def _serve_binance(self, connection: Socket, path: str) -> None:
        rules = self.settings.rules
        client = Client(connection, rules, Strikes(self.board, "binance"), self._burst)
        session = BinanceSession(rules)
        talk = BinanceTalk(client, session, self._hub, self.binance.now_ms, self.binance.begin)
        self._binance_talks[talk] = None
        try:
            talk.open(path)
            await client.run(talk)
        finally:
            talk.close()
            del self._binance_talks[talk]

    async def _serve_polygon(self, connection: Socket) -> None:
        rules = self.settings.rules
        client = Client(connection, rules, Strikes(self.board, "polygon"), self._burst)
        session = PolygonSession(
            rules, lambda name: self.board.lasting(name, client.age_s) is not None, self._keys
        )
        talk = PolygonTalk(client, session, self.polygon.begin)
        self._polygon_talks[talk] = None
        try:
            client.send(session.open())
            await client.run(talk)
        finally:
            session.close()
            del self._polygon_talks[talk]

    def _request(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer plain HTTP here; None lets the WebSocket handshake go on."""
        path = urlsplit(request.path).path
        peer = str(connection.remote_address[0])
        if path in (control.FAULTS, control.PLAY):
            origin = request.headers.get("Origin")
            return _response(*(control.refusal(peer, origin) or self._command(path, request)), JSON)
        if request.method != "GET":
            return _response(405, b"use GET\n", LINE)
        if path.startswith(binance_rest.PREFIX):
            return _response(
                *binance_rest.respond(request.path, self.market, self.binance.now_ms()), JSON
            )
        if binance_stream.serves(request.path):
            return None if self._attempt(peer) else _response(429, b"Too many connections\n", LINE)
        if path == polygon.PATH:
            return None
        lines = [f"{name} {url}" for name, url in self.urls().items()]
        return _response(404 if path != "/" else 200, "\n".join([*lines, ""]).encode(), LINE)

    def _command(self, path: str, request: Request) -> tuple[int, bytes]:
        if path == control.PLAY:
            return control.play(request.method, self.playing, self.play)
        answer = control.faults(request.method, request.path, board=self.board, strike=self.strike)
        for client, _ in self.clients:
            client.look()
        return answer

    def _attempt(self, peer: str) -> bool:
        rules = self.settings.rules
        if len(self._attempts) > 1024:
            self._attempts.clear()
        count = self._attempts.setdefault(
            peer, RollingCount(rules.attempts, rules.attempts_window_s)
        )
        return count.allows(time.monotonic())


def _port(server: Server) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port


def _response(status: int, body: bytes, kind: str) -> Response:
    headers = Headers(
        {"Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close"}
    )
    return Response(status, HTTPStatus(status).phrase, headers, body)
