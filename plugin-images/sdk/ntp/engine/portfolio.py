"""The limits of an executor: on the sum over all the desks that it has."""

from datetime import datetime
from decimal import Decimal, localcontext
from typing import Protocol

from ntp.engine.exact import ROOM, ZERO
from ntp.engine.risk import Day, Figures, Limits, refusal


class Member(Protocol):
    """One strategy's desk, as the sum needs it."""

    def exposure(self, symbol: str) -> Decimal:
        """Return the worth of what is held of a symbol once what waits is filled."""

    def figures(self, symbol: str, held: Decimal, time: datetime) -> Figures:
        """Return what limits are compared with; `held`: the worth once an order is filled."""


class Portfolio:
    """Shared by the desks of one executor. What it knows is what they know, so it has nothing to keep.

    Sums are of sizes: one strategy's long position gives no room to another's short one, for either may
    be closed first.
    """

    def __init__(self, executor: str, limits: Limits | None = None) -> None:
        self.executor = executor
        self.limits = limits or Limits()
        self._members: list[Member] = []

    def join(self, member: Member) -> None:
        self._members.append(member)

    def refusal(self, asking: Member, symbol: str, held: Decimal, time: datetime) -> str:
        """Return why an order of one of them may open nothing, or an empty text.

        `held`: worth of the symbol at `asking` once its order is filled; `time`: of its signal.
        """
        if self.limits.none:
            return ""
        own = asking.figures(symbol, held, time)
        others = [
            each.figures(symbol, each.exposure(symbol), time)
            for each in self._members
            if each is not asking
        ]
        today = [own, *(each for each in others if each.day.ends == own.day.ends)]
        with localcontext(ROOM):
            together = Figures(
                symbol=symbol,
                held=sum((each.held for each in others), held),
                capital=sum((each.capital for each in others), own.capital),
                equity=sum((each.equity for each in today), ZERO),
                day=Day(own.day.ends, sum((each.day.equity for each in today), ZERO)),
                orders=own.orders + sum(each.orders for each in others),
            )
        return refusal(self.limits, together, of=f"all strategies of {self.executor}: ")
