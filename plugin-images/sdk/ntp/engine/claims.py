"""What a strategy says of its own progress, and from when on that can be believed.

A claim reads "I have analysed this symbol up to this tick, and made so many signals on the way". It is
believed once that many signals are here: whatever the strategy made of those ticks has then been heard.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ntp.contract.messages import TickRef

_REMEMBERED_INCARNATIONS = 8
_HELD_CLAIMS = 10_000
_BEYOND = 10_000
"""Signals that are here while one before them is not; of more the older half waits no longer."""
_BELIEVED = 20_000
"""Symbols, those of a source's former lives too; of more the ones that were heard of first go."""


class Series(NamedTuple):
    """A symbol of a source, whichever life of it speaks."""

    source: str
    symbol: str


class Key(NamedTuple):
    """What a tick's `seq` counts within."""

    source: str
    incarnation: str
    symbol: str

    @classmethod
    def of(cls, tick: TickRef) -> "Key":
        return cls(tick.source, tick.incarnation, tick.symbol)

    @property
    def series(self) -> Series:
        return Series(self.source, self.symbol)


@dataclass(slots=True)
class _Claim:
    number: int
    key: Key
    seq: int
    end: bool
    since: float | None = None


@dataclass(slots=True)
class _Life:
    """One incarnation of the strategy: its signals came up to `floor` without a hole, and `beyond`."""

    floor: int
    beyond: set[int] = field(default_factory=set)
    held: list[_Claim] = field(default_factory=list)

    def add(self, number: int) -> None:
        if number > self.floor:
            self.beyond.add(number)
            self._settle()
        if len(self.beyond) > _BEYOND:
            self.give_up_to(sorted(self.beyond)[_BEYOND // 2])

    def give_up_to(self, number: int) -> int:
        """Wait no longer for signals up to `number`; return how many never came."""
        # Counted, not looked for one by one: a strategy may claim any number.
        came = sum(n <= number for n in self.beyond)
        missing = max(0, number - self.floor - came)
        self.floor = max(self.floor, number)
        self.beyond = {n for n in self.beyond if n > self.floor}
        self._settle()
        return missing

    def _settle(self) -> None:
        while self.floor + 1 in self.beyond:
            self.floor += 1
            self.beyond.discard(self.floor)


class Claims:
    """How far a strategy has come.

    Args:
        seen: signals already consumed, by incarnation of the strategy (`{}`: none, ever). None: not
            known; the first message heard then tells where one joins.
    """

    def __init__(self, seen: Mapping[str, int] | None) -> None:
        self._seen = seen
        self._lives: OrderedDict[str, _Life] = OrderedDict()
        self._believed: dict[Key, int] = {}
        self._spoken: dict[Series, set[str]] = {}
        self._ended_by: str | None = None

    @property
    def ended(self) -> bool:
        """The strategy's inputs are through; it will make no more signals."""
        return self._ended_by is not None

    def covers(self, key: Key, seq: int) -> bool:
        return self.ended or seq <= self._believed.get(key, 0)

    def mentions(self, key: Key) -> bool:
        return key in self._believed

    def incarnations(self, series: Series) -> set[str]:
        """Return the lives of a symbol's source of which the strategy has analysed something of it."""
        return self._spoken.get(series, set())

    def heard(self, incarnation: str, number: int) -> None:
        """Note that the `number`-th signal of an incarnation is here."""
        self._life(incarnation, joined_after=number - 1).add(number)

    def hole(self, incarnation: str, number: int) -> None:
        """Note that nobody has to wait for the `number`-th signal of an incarnation."""
        life = self._life(incarnation, joined_after=number - 1)
        life.add(number)
        self._believe(incarnation, life)

    def gap(self, incarnation: str, number: int) -> None:
        """Note that signals up to `number` that are not here were consumed before."""
        life = self._life(incarnation, joined_after=number)
        life.give_up_to(number)
        self._believe(incarnation, life)

    def claim(self, incarnation: str, number: int, key: Key, seq: int, *, end: bool) -> None:
        life = self._life(incarnation, joined_after=number)
        life.held.append(_Claim(number, key, seq, end))
        if len(life.held) > _HELD_CLAIMS:
            life.give_up_to(life.held[0].number)
        self._believe(incarnation, life)

    def expire(self, now: float, patience_s: float) -> int:
        """Believe what has waited `patience_s`; return how many signals never came."""
        missing = 0
        for incarnation, life in self._lives.items():
            for claim in life.held:
                claim.since = now if claim.since is None else claim.since
            stale = [
                c.number for c in life.held if c.since is not None and now - c.since >= patience_s
            ]
            if stale:
                missing += life.give_up_to(max(stale))
                self._believe(incarnation, life)
        return missing

    def _life(self, incarnation: str, *, joined_after: int) -> _Life:
        life = self._lives.get(incarnation)
        if life is None:
            if self._seen is not None:
                floor = self._seen.get(incarnation, 0)
            else:
                floor = 0 if self._lives else joined_after
            life = self._lives[incarnation] = _Life(floor)
            self._ended_by = None
            if len(self._lives) > _REMEMBERED_INCARNATIONS:
                self._lives.popitem(last=False)
        return life

    def _believe(self, incarnation: str, life: _Life) -> None:
        still_held = []
        for claim in life.held:
            if claim.number > life.floor:
                still_held.append(claim)
                continue
            if claim.seq > self._believed.get(claim.key, 0):
                self._believed[claim.key] = claim.seq
                self._spoken.setdefault(claim.key.series, set()).add(claim.key.incarnation)
                if len(self._believed) > _BELIEVED:
                    self._forget_the_older_half()
            if claim.end and next(reversed(self._lives)) == incarnation:
                self._ended_by = incarnation
        life.held = still_held

    def _forget_the_older_half(self) -> None:
        newer = list(self._believed.items())[_BELIEVED // 2 :]
        self._believed = dict(newer)
        self._spoken = {}
        for key in self._believed:
            self._spoken.setdefault(key.series, set()).add(key.incarnation)

    def forget(self, key: Key) -> None:
        """Drop what is known of a life of a source that is long gone, of one symbol."""
        self._spoken.get(key.series, set()).discard(key.incarnation)
        self._believed.pop(key, None)
