"""Who may open nothing, by a person's word."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from ntp.contract.control import Halt

BY_HAND = "halted by hand"
UNKNOWN = "halted, as who was halted or stopped before is not known"


@dataclass(frozen=True, slots=True)
class Halts:
    """As the controller keeps it. True: what is held is closed, too.

    Attributes:
        number: counts every change; 0: nobody was ever halted.
        everything: all strategies, those to come as well.
        names: strategies, and executors: all that they hear.
        lost: by nobody's word: who was halted, or stopped by hand, could not be read.
    """

    number: int = 0
    everything: bool | None = None
    names: Mapping[str, bool] = field(default_factory=dict)
    lost: bool = False

    def unknown(self, now: datetime) -> "Halts":
        """Nobody may open anything until a person says so.

        Its number is larger than any that was counted, or executors would take it for old.
        """
        number = max(int(now.timestamp()), self.number + 1)
        return replace(self, number=number, everything=bool(self.everything), lost=True)

    @property
    def why(self) -> str:
        return UNKNOWN if self.lost else BY_HAND

    @property
    def none(self) -> bool:
        return self.everything is None and not self.names

    def halt(self, names: Collection[str], *, flatten: bool) -> "Halts":
        """No names: all. Who was to be flattened still is."""
        if not names:
            everything = flatten or bool(self.everything)
            return replace(self, number=self.number + 1, everything=everything, lost=False)
        fresh = {name: flatten or self.names.get(name, False) for name in names}
        return replace(self, number=self.number + 1, names={**self.names, **fresh})

    def resume(self, names: Collection[str]) -> "Halts":
        """No names: all, however they were halted."""
        kept = {name: how for name, how in self.names.items() if names and name not in names}
        everything = self.everything if names else None
        return Halts(self.number + 1, everything, kept)

    def of(self, *names: str) -> bool | None:
        """Return whether one who goes by these names is halted (None: no), and what it holds is closed."""
        found = [self.everything, *(self.names.get(name) for name in names)]
        halted = [how for how in found if how is not None]
        return any(halted) if halted else None

    def told(self, executor: str, strategies: Collection[str]) -> Halt:
        """Return what an executor that hears these strategies is told."""
        halted = {name: how for name in strategies if (how := self.of(name, executor)) is not None}
        return Halt(self.number, halted, self.why)

    def words(self, name: str) -> str:
        """Say how a strategy or executor is halted; empty: it is not."""
        how = self.of(name)
        if how is None:
            return ""
        clears = "ntpctl resume" if self.everything is not None else f"ntpctl resume {name}"
        what = f"{self.why}, what is held is closed" if how else self.why
        return f"{what}; `{clears}` clears it"
