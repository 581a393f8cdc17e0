"""Who is subscribed to what, by symbol, so that an event finds its readers in one look-up."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Reader = TypeVar("Reader")


@dataclass(slots=True)
class Hub(Generic[Reader]):
    """Streams are `symbol@kind`; readers are kept in the order in which they came."""

    _readers: dict[str, dict[str, dict[Reader, None]]] = field(default_factory=dict)
    _streams: dict[Reader, frozenset[str]] = field(default_factory=dict)

    def put(self, reader: Reader, streams: Iterable[str]) -> None:
        """Replace what a reader is subscribed to; nothing takes it out."""
        new, old = frozenset(streams), self._streams.get(reader, frozenset())
        for stream in old - new:
            symbol, _, kind = stream.partition("@")
            kinds = self._readers[symbol]
            del kinds[kind][reader]
            if not kinds[kind]:
                del kinds[kind]
            if not kinds:
                del self._readers[symbol]
        for stream in new - old:
            symbol, _, kind = stream.partition("@")
            self._readers.setdefault(symbol, {}).setdefault(kind, {})[reader] = None
        if new:
            self._streams[reader] = new
        else:
            self._streams.pop(reader, None)

    def kinds(self, symbol: str) -> set[str]:
        """What anybody is subscribed to of a symbol."""
        return set(self._readers.get(symbol, ()))

    def readers(self, stream: str) -> list[Reader]:
        symbol, _, kind = stream.partition("@")
        return list(self._readers.get(symbol, {}).get(kind, ()))
