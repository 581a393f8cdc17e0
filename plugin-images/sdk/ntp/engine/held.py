"""The signals of one strategy that wait for the ticks that caused them."""

from bisect import insort
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ntp.contract.messages import SignalMessage, TickRef
from ntp.engine.claims import Key


class Waiting(NamedTuple):
    """Sorts by cause, then in the order in which the strategy made them."""

    seq: int
    number: int
    id: str
    message: SignalMessage


class Held:
    """In the order of their ticks, and in that in which they came."""

    def __init__(self) -> None:
        self._by_tick: dict[Key, list[Waiting]] = {}
        self._lives: dict[tuple[str, str], set[Key]] = {}
        """By source and symbol, the keys of `_by_tick`."""
        self._places: dict[str, tuple[Key, int]] = {}
        """By id, oldest first: which tick it waits for."""
        self._since: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, signal_id: str) -> bool:
        return signal_id in self._places

    @property
    def oldest(self) -> str:
        """The id of the one that came first."""
        return next(iter(self._places))

    def add(self, message: SignalMessage) -> None:
        key, seq = Key.of(message.tick), message.tick.seq
        insort(self._by_tick.setdefault(key, []), Waiting(seq, message.number, message.id, message))
        self._lives.setdefault((key.source, key.symbol), set()).add(key)
        self._places[message.id] = (key, seq)

    def take(self, signal_id: str) -> SignalMessage:
        key, _ = self._places.pop(signal_id)
        self._since.pop(signal_id, None)
        waiting = self._by_tick[key]
        at = next(i for i, entry in enumerate(waiting) if entry.id == signal_id)
        message = waiting.pop(at).message
        if not waiting:
            del self._by_tick[key]
            lives = self._lives[key.source, key.symbol]
            lives.discard(key)
            if not lives:
                del self._lives[key.source, key.symbol]
        return message

    def up_to(self, key: Key, seq: int) -> list[Waiting]:
        """Return those of the ticks up to here."""
        waiting = self._by_tick.get(key)
        if not waiting or waiting[0].seq > seq:
            return []
        return [entry for entry in waiting if entry.seq <= seq]

    def of_other_lives(self, key: Key) -> list[Waiting]:
        """Return those of the same symbol whose ticks are of another life of its source, as they were made."""
        lives = self._lives.get((key.source, key.symbol))
        if lives is None or lives == {key}:
            return []
        others = [entry for life in lives if life != key for entry in self._by_tick[life]]
        return sorted(others, key=lambda entry: entry.number)

    def overdue(
        self, now: float, patience_s: float, comes: Callable[[TickRef], bool]
    ) -> Iterator[str]:
        """Yield those whose tick has for so long not been on its way, from the first call on that missed it."""
        for signal_id, (key, _) in list(self._places.items()):
            since = self._since.setdefault(signal_id, now)
            if now - since < patience_s:
                continue
            tick = next(each for each in self._by_tick[key] if each.id == signal_id).message.tick
            if comes(tick):
                del self._since[signal_id]
            else:
                yield signal_id
