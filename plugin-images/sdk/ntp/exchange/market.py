"""The market behind the streams: recorded frames in, the events of every stream out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from ntp.exchange.book import Book, Side, difference
from ntp.exchange.candles import Candle, Candles
from ntp.exchange.event import Event
from ntp.exchange.pace import Pace
from ntp.exchange.recording import Frame, Recording, Track
from ntp.exchange.stream_name import KlineName, kline, partial_book

# Between the last frame of one round and the first of the next, as between two depth updates.
SEAM_NS = 100_000_000
SLOW_DEPTH_MS = 1_000
KLINE_MS = 2_000
SECOND_KLINE_MS = 1_000


@dataclass(slots=True)
class Ticking:
    """One symbol's state while it is played."""

    track: Track
    book: Book
    candles: Candles = field(default_factory=Candles)
    ids: int = 0  # added to update ids in this round
    trades: int = 0  # added to trade ids
    orders: int = 0  # aggregate trades so far
    order: tuple[int, Decimal] | None = None  # first trade and quantity of the order being filled
    slow: dict[str, Any] | None = None
    slow_sides: tuple[Side, Side] = field(default_factory=lambda: ({}, {}))
    slow_due_ms: int = 0
    kline_due_ms: int = 0
    second_due_ms: int = 0


class Market:
    """Play a recording, and again where it loops, as one stream without a gap in any id."""

    def __init__(self, recording: Recording, pace: Pace) -> None:
        self.recording = recording
        self.pace = pace
        self.symbols = {
            symbol: Ticking(track, track.book.copy()) for symbol, track in recording.tracks.items()
        }
        self._round_ms = 0.0

    def step(self, frame: Frame, streams: Callable[[str], set[str]]) -> Iterator[Event]:
        """Yield the events of one frame, once `pace` has advanced to it.

        Args:
            frame: the next one.
            streams: what clients are subscribed to of a symbol in lower case (`kline_1m`, …);
                nothing else is built.

        """
        ticking = self.symbols[frame.symbol]
        data = frame.data()
        wanted = streams(frame.symbol.lower())
        if "E" in data:
            # A book ticker has no time, and so none to close a kline by.
            self._stamp(frame, data)
            yield from self._candles(ticking, data["E"], wanted)
        match frame.kind:
            case "trade":
                yield from self._trade(ticking, frame, data, wanted)
            case "depthUpdate":
                data["U"] += ticking.ids
                data["u"] += ticking.ids
                yield from self._depth(ticking, data, wanted)
            case "bookTicker":
                data["u"] += ticking.ids
                if "bookTicker" in wanted:
                    yield self._event(ticking, "bookTicker", data)

    def again(self, streams: Callable[[str], set[str]]) -> Iterator[Event]:
        """Begin the next round: ids and times go on, and one depth update leads back to its first book."""
        self._round_ms += (self.recording.length_ns + SEAM_NS) / 1e6
        for symbol, ticking in self.symbols.items():
            track = ticking.track
            if track.first_trade is not None:
                ticking.trades += track.last_trade - track.first_trade + 1
            if track.first_diff is None:
                ticking.ids += track.last_update
                continue
            last = track.last_update + ticking.ids + 1
            stamp = self.pace.event_ms(symbol, int(self._first_ms()), 0.0)
            seam = {
                "e": "depthUpdate", "E": stamp, "s": symbol,
                "U": track.last_diff + ticking.ids + 1, "u": last,
                "b": difference(ticking.book.bids, track.book.bids),
                "a": difference(ticking.book.asks, track.book.asks),
            }  # fmt: skip
            yield from self._depth(ticking, seam, streams(symbol.lower()))
            ticking.ids = last + 1 - track.first_diff

    def _first_ms(self) -> float:
        return self.recording.frames[0].at_ns / 1e6 + self.recording.lead_ms + self._round_ms

    def _stamp(self, frame: Frame, data: dict[str, Any]) -> None:
        """Move the frame's times to this round and pace."""
        received_ms, recorded = frame.at_ns / 1e6 + self.recording.lead_ms, data["E"]
        data["E"] = self.pace.event_ms(
            frame.symbol, int(recorded + self._round_ms), received_ms - recorded
        )
        if "T" in data:
            data["T"] = self.pace.earlier_ms(frame.symbol, data["E"], recorded - data["T"])

    def _trade(
        self, ticking: Ticking, frame: Frame, data: dict[str, Any], wanted: set[str]
    ) -> Iterator[Event]:
        data["t"] += ticking.trades
        # By event time: a kline that was told as final must not change for a trade of a moment before.
        ticking.candles.trade(data["E"], data["t"], data["p"], data["q"], buyer=not data["m"])
        if "trade" in wanted:
            yield self._event(ticking, "trade", data)
        first, quantity = ticking.order or (data["t"], Decimal(0))
        quantity += Decimal(data["q"])
        ticking.order = (first, quantity)
        if frame.ends_order:
            ticking.orders += 1
            ticking.order = None
            if "aggTrade" in wanted:
                yield self._event(
                    ticking,
                    "aggTrade",
                    {
                        "e": "aggTrade",
                        "E": data["E"],
                        "s": data["s"],
                        "a": ticking.orders,
                        "p": data["p"],
                        "q": f"{quantity:f}",
                        "f": first,
                        "l": data["t"],
                        "T": data["T"],
                        "m": data["m"],
                        "M": True,
                    },
                )

    def _depth(self, ticking: Ticking, data: dict[str, Any], wanted: set[str]) -> Iterator[Event]:
        book, now_ms = ticking.book, data["E"]
        book.apply(data["u"], data["b"], data["a"])
        if "depth@100ms" in wanted:
            yield self._event(ticking, "depth@100ms", data, depth_update=True)
        slow = ticking.slow
        if slow is None:
            slow = ticking.slow = {**data}
            ticking.slow_due_ms = ticking.slow_due_ms or now_ms + SLOW_DEPTH_MS
        slow["u"], slow["E"] = data["u"], now_ms
        for side, levels in zip(ticking.slow_sides, (data["b"], data["a"]), strict=True):
            # Not `put`: a level that is gone is part of the diff.
            side.update((level[0], level[1]) for level in levels)
        due = now_ms >= ticking.slow_due_ms
        if due:
            bids, asks = ([list(level) for level in side.items()] for side in ticking.slow_sides)
            ticking.slow, ticking.slow_sides = None, ({}, {})
            ticking.slow_due_ms = now_ms + SLOW_DEPTH_MS
            if "depth" in wanted:
                yield self._event(
                    ticking, "depth", {**slow, "b": bids, "a": asks}, depth_update=True
                )
        for kind in sorted(wanted):
            partial = partial_book(kind)
            if partial is not None and (partial.fast or due):
                bids, asks = book.best(partial.levels)
                yield self._event(
                    ticking,
                    kind,
                    {"lastUpdateId": book.last_update, "bids": bids, "asks": asks},
                )

    def _candles(self, ticking: Ticking, now_ms: int, wanted: set[str]) -> Iterator[Event]:
        final = dict(ticking.candles.advance(now_ms))
        second = now_ms >= ticking.second_due_ms
        slow = now_ms >= ticking.kline_due_ms
        if second:
            ticking.second_due_ms = now_ms // SECOND_KLINE_MS * SECOND_KLINE_MS + SECOND_KLINE_MS
        if slow:
            ticking.kline_due_ms = now_ms // KLINE_MS * KLINE_MS + KLINE_MS
        if not (final or second):
            return
        for kind in sorted(wanted):
            name = kline(kind)
            if name is None:
                continue
            if name in final:
                yield self._kline(ticking, kind, name, final[name], now_ms, final=True)
            elif slow or (second and name.interval == "1s"):
                candle = ticking.candles.current(name)
                if candle is not None:
                    yield self._kline(ticking, kind, name, candle, now_ms, final=False)

    def _kline(
        self,
        ticking: Ticking,
        kind: str,
        name: KlineName,
        candle: Candle,
        now_ms: int,
        *,
        final: bool,
    ) -> Event:
        symbol = ticking.track.symbol
        k = candle.wire(symbol, name.interval, final=final)
        return self._event(ticking, kind, {"e": "kline", "E": now_ms, "s": symbol, "k": k})

    def _event(
        self, ticking: Ticking, kind: str, data: dict[str, Any], *, depth_update: bool = False
    ) -> Event:
        return Event(f"{ticking.track.symbol.lower()}@{kind}", data, depth_update=depth_update)
