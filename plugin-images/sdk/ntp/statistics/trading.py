"""Figures of round trips, each with its formula and where it is from, in memory that stays the same.

`x_1 … x_n` are the profits of the closed trips after fees, in quote currency; a trip of exactly 0 is neither
won nor lost. Sums are exact: amounts lie on the grid of money. A figure that has no value raises
`UndefinedError`, which says why.
"""

from collections.abc import Iterable
from decimal import Decimal
from math import sqrt
from typing import Self

from ntp.engine.exact import ROOM, ZERO, money
from ntp.statistics.returns import UndefinedError

_NONE = "no trade was closed"


class Profits:
    """Takes x in the order in which trips were closed.

    Attributes:
        count: n.
        longest_wins, longest_losses: how many trips in a row won, or lost, at most.
    """

    def __init__(self) -> None:
        self.count = self.longest_wins = self.longest_losses = 0
        self._wins = self._losses = self._streak = 0
        self._won = self._lost = self._squares = ZERO
        self._best = self._worst = ZERO

    @classmethod
    def of(cls, profits: Iterable[Decimal]) -> Self:
        """Return what took all of these."""
        made = cls()
        for profit in profits:
            made.take(profit)
        return made

    def take(self, profit: Decimal) -> None:
        """Take the next one."""
        self._best = max(self._best, profit) if self.count else profit
        self._worst = min(self._worst, profit) if self.count else profit
        self.count += 1
        self._squares = ROOM.add(self._squares, ROOM.multiply(profit, profit))
        if profit > 0:
            self._wins += 1
            self._won = ROOM.add(self._won, profit)
            self._streak = max(self._streak, 0) + 1
            self.longest_wins = max(self.longest_wins, self._streak)
        elif profit < 0:
            self._losses += 1
            self._lost = ROOM.add(self._lost, profit)
            self._streak = min(self._streak, 0) - 1
            self.longest_losses = max(self.longest_losses, -self._streak)
        else:
            self._streak = 0

    def average(self) -> Decimal:
        """Return sum(x) / n, on the grid of money: the expectancy.

        Source: Tharp, Trade Your Way to Financial Freedom, 2nd ed., 2007, chapter 7; the same as win rate *
        average win + loss rate * average loss.

        Raises:
            UndefinedError: there is none.
        """
        return _average(ROOM.add(self._won, self._lost), self.count, _NONE)

    def average_win(self) -> Decimal:
        """Return sum(x > 0) / #(x > 0), on the grid of money.

        Raises:
            UndefinedError: no trip won.
        """
        return _average(self._won, self._wins, "no closed trade won")

    def average_loss(self) -> Decimal:
        """Return sum(x < 0) / #(x < 0), on the grid of money.

        Raises:
            UndefinedError: no trip lost.
        """
        return _average(self._lost, self._losses, "no closed trade lost")

    def best(self) -> Decimal:
        """Return the greatest x.

        Raises:
            UndefinedError: there is none.
        """
        self._some()
        return self._best

    def worst(self) -> Decimal:
        """Return the least x.

        Raises:
            UndefinedError: there is none.
        """
        self._some()
        return self._worst

    def win_rate(self) -> float:
        """Return the share of trips that won: #(x > 0) / n.

        Raises:
            UndefinedError: there is none.
        """
        self._some()
        return self._wins / self.count

    def factor(self) -> float:
        """Return the profit factor: sum(x > 0) / -sum(x < 0).

        Source: Schwager, Schwager on Futures: Technical Analysis, 1996, chapter 21 (gross profit by gross
        loss).

        Raises:
            UndefinedError: no trip lost.
        """
        self._some()
        if not self._losses:
            raise UndefinedError("no closed trade lost")
        return float(ROOM.divide(self._won, -self._lost))

    def payoff(self) -> float:
        """Return the average win by the average loss, above 0.

        Raises:
            UndefinedError: no trip won, or none lost.
        """
        self._some()
        if not self._wins or not self._losses:
            raise UndefinedError(f"no closed trade {'lost' if self._wins else 'won'}")
        won, lost = ROOM.multiply(self._won, self._losses), ROOM.multiply(self._lost, self._wins)
        return -float(ROOM.divide(won, lost))

    def system_quality(self) -> float:
        """Return the system quality number, SQN: sqrt(n) * mean(x) / s(x), with the sample deviation s.

        Source: Tharp, Definitive Guide to Position Sizing, 2008 (there of multiples of the risk; of one risk a
        trade it is the same). It means little below 30 trips. s is of the exact sums of x and of x².

        Raises:
            UndefinedError: fewer than 2 trips, or all the same.
        """
        self._some()
        if self.count < 2:
            raise UndefinedError(f"needs at least 2 closed trades; there was {self.count}")
        total = ROOM.add(self._won, self._lost)
        spread = ROOM.subtract(
            ROOM.multiply(self._squares, self.count), ROOM.multiply(total, total)
        )
        if self._best == self._worst or spread <= 0:
            raise UndefinedError("all closed trades brought the same")
        deviation = sqrt(float(ROOM.divide(spread, self.count * (self.count - 1))))
        return sqrt(self.count) * float(ROOM.divide(total, self.count)) / deviation

    def _some(self) -> None:
        if not self.count:
            raise UndefinedError(_NONE)


def _average(total: Decimal, count: int, none: str) -> Decimal:
    if not count:
        raise UndefinedError(none)
    return money(ROOM.divide(total, count))
