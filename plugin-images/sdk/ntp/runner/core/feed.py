"""A data source at work: what its stream yields, checked, named, numbered and batched."""

from collections.abc import Iterator, Sequence

from ntp.contract.beat import Flow
from ntp.contract.messages import DataBatch, MarketData
from ntp.contract.names import Channel
from ntp.runner.core import border
from ntp.runner.core.tick_ids import Identify

MOST_WAITING = 8192
"""Ticks between stream and link; then the stream waits."""
MOST_BYTES = 16 * 1024 * 1024
"""About as many bytes at most, as far as earlier ticks tell."""
WATERMARK_S = 1.0
"""How often a quiet sender says where it stands, so that a lost tail is noticed."""
_FIRST_GUESS = 128
"""Bytes that a tick is taken to need until one was seen."""


class _Channel:
    """One symbol: what waits, and what was sent."""

    __slots__ = ("name", "quiet", "seq", "waiting")

    def __init__(self, name: str) -> None:
        self.name = name
        self.seq = 1
        """Of the next tick."""
        self.waiting: list[MarketData] = []
        self.quiet = False
        """Nothing was sent since the last watermark."""


class Feed:
    """Takes what a stream yields and gives batches.

    Attributes:
        waiting: ticks that were taken and not yet batched.
        newest: the last tick that was taken.
    """

    def __init__(
        self, source: str, incarnation: str, refusals: border.Refusals, *, finite: bool
    ) -> None:
        self._source = source
        self._incarnation = incarnation
        self._refusals = refusals
        self._identify = Identify(source, finite=finite)
        self._channels: dict[str, _Channel] = {}
        self._busy: dict[str, _Channel] = {}
        self._bytes_each = _FIRST_GUESS
        self.waiting = 0
        self.newest: MarketData | None = None

    @property
    def full(self) -> bool:
        """Whether the stream has to wait until a part of it was sent."""
        return self.waiting >= MOST_WAITING or self.waiting * self._bytes_each >= MOST_BYTES

    def expect(self, symbols: Sequence[str]) -> None:
        """Watermark these symbols from the start, before their first tick."""
        for symbol in symbols:
            self._channels.setdefault(symbol, _Channel(symbol))

    def take(self, item: object) -> MarketData | None:
        """Take what the stream yielded; None where it was refused (and counted)."""
        try:
            tick = border.tick(item, self._identify)
        except border.RefusedError as error:
            self._refusals.note(error)
            return None
        channel = self._channels.get(tick.symbol)
        if channel is None:
            channel = self._channels[tick.symbol] = _Channel(tick.symbol)
        if not channel.waiting:
            self._busy[tick.symbol] = channel
        channel.waiting.append(tick)
        self.waiting += 1
        self.newest = tick
        return tick

    def batches(self) -> Iterator[tuple[DataBatch, bytes]]:
        """Yield what waits, symbols in the order in which each first had something."""
        busy, self._busy = self._busy, {}
        for channel in busy.values():
            ticks, channel.waiting = channel.waiting, []
            self.waiting -= len(ticks)
            channel.quiet = False
            at = 0
            while at < len(ticks):
                count = max(1, border.LARGEST_MESSAGE * 9 // 10 // self._bytes_each)
                part = ticks[at : at + count]
                at += len(part)
                yield from self._encoded(channel, part)

    def watermarks(self, *, end: bool) -> Iterator[tuple[DataBatch, bytes]]:
        """Yield where each symbol stands that was quiet since the last call; all of them at the end."""
        for channel in self._channels.values():
            if end or channel.quiet:
                batch = self._batch(channel, [], end=end)
                yield batch, border.encoded(batch)
            channel.quiet = True

    def flows(self) -> Iterator[Flow]:
        for channel in self._channels.values():
            sent = channel.seq - 1
            yield Flow(peer="", channel=Channel.DATA, symbol=channel.name, count=sent, through=sent)

    def _encoded(
        self, channel: _Channel, ticks: list[MarketData]
    ) -> Iterator[tuple[DataBatch, bytes]]:
        batch = self._batch(channel, ticks)
        try:
            payload = border.encoded(batch)
        except border.RefusedError as error:
            # One of them cannot be sent, or all together are too long: halves tell which.
            if len(ticks) == 1:
                self._refusals.note(error)
                return
            half = len(ticks) // 2
            yield from self._encoded(channel, ticks[:half])
            yield from self._encoded(channel, ticks[half:])
            return
        self._bytes_each = max(1, len(payload) // len(ticks))
        channel.seq += len(ticks)
        yield batch, payload

    def _batch(self, channel: _Channel, ticks: list[MarketData], *, end: bool = False) -> DataBatch:
        return DataBatch(
            source=self._source,
            incarnation=self._incarnation,
            symbol=channel.name,
            seq=channel.seq,
            ticks=ticks,
            end=end,
        )
