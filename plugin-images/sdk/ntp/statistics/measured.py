"""Every figure of a run, or why it has none."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import fsum

from ntp.engine.exact import ROOM, money
from ntp.statistics import returns
from ntp.statistics.assessment import Figure, Value
from ntp.statistics.closes import DAY, FEWEST, Series
from ntp.statistics.curve import EquityCurve
from ntp.statistics.drawdown import Drawdown
from ntp.statistics.returns import UndefinedError
from ntp.statistics.trades import Trades
from ntp.statistics.words import FIGURES

FEWEST_DAYS = 5
"""Of data, for a figure a year: a week of trading. With less, the factor is all that would be seen."""
_YEAR_S = 365.25 * DAY

_Made = Callable[[], Value]


@dataclass(frozen=True, slots=True)
class Measured:
    """A run, measured. `why`: for what reason there are no returns; `given`: how many make a year was said."""

    curve: EquityCurve
    trades: Trades
    still_open: int
    series: Series
    returns: Sequence[float]
    why: str
    risk_free: float
    given: bool

    def figures(self) -> list[Figure]:
        made: dict[str, _Made] = {**self._money(), **self._risk(), **self._falls(), **self._trading(), **self._activity()}  # fmt: skip
        return [self._figure(key, make) for key, make in made.items()]

    def _figure(self, key: str, make: _Made) -> Figure:
        told = FIGURES[key]
        try:
            value, why = make(), ""
        except UndefinedError as error:
            value, why = None, str(error)
        return Figure(key, told.group, told.name, told.unit, value, told.words, why, told.higher)

    @property
    def annual(self) -> bool:
        """Whether figures a year have a meaning."""
        return self.given or len(self.returns) * self.series.period.seconds >= FEWEST_DAYS * DAY

    def _money(self) -> dict[str, _Made]:
        curve, book = self.curve, self.curve.book
        # A curve of samples has no fills: its equity is all that is known.
        equity = book.equity if curve.fills else Decimal(repr(curve.equity))
        costs = ROOM.add(book.fees, curve.slipped)
        net = ROOM.subtract(equity, curve.capital)
        return {
            "capital": lambda: curve.capital,
            "equity": lambda: money(equity),
            "net_profit": lambda: money(net),
            "realised": lambda: book.realised,
            "unrealised": lambda: book.unrealised,
            "fees": lambda: book.fees,
            "slippage": lambda: curve.slipped,
            "costs": lambda: costs,
            "gross_profit": lambda: money(ROOM.add(net, costs)),
            "total_return": lambda: float(ROOM.divide(net, curve.capital)),
            "buy_and_hold": self._hold,
        }

    def _risk(self) -> dict[str, _Made]:
        per_year = self.series.period.per_year
        return {
            "cagr": self._growth,
            "volatility": lambda: returns.volatility(self._long(), per_year),
            "sharpe": lambda: returns.sharpe(self._long(), per_year, self._rate()),
            "sortino": lambda: returns.sortino(self._long(), per_year, self._rate()),
            "calmar": lambda: returns.calmar(self._growth(), self._depth()),
            "best_period": lambda: max(self._some()),
            "worst_period": lambda: min(self._some()),
            "positive_periods": lambda: sum(each > 0 for each in self._some()) / len(self.returns),
            "skewness": lambda: returns.skewness(self._found()),
            "kurtosis": lambda: returns.kurtosis(self._found()),
        }

    def _falls(self) -> dict[str, _Made]:
        deepest, longest = self.curve.deepest, self.curve.longest

        def of_deepest(make: Callable[[Drawdown], Value | None]) -> _Made:
            def made() -> Value:
                if deepest is None:
                    raise UndefinedError("equity never fell")
                value = make(deepest)
                if value is None:
                    raise UndefinedError("not within the data")
                return value

            return made

        return {
            "max_drawdown": self._depth,
            "max_drawdown_peak": of_deepest(lambda fall: fall.peak_at),
            "max_drawdown_trough": of_deepest(lambda fall: fall.trough_at),
            "max_drawdown_recovered": of_deepest(lambda fall: fall.recovered_at),
            "max_drawdown_length": of_deepest(lambda fall: fall.length.total_seconds()),
            "longest_drawdown": lambda: longest.length.total_seconds() if longest else 0.0,
        }

    def _trading(self) -> dict[str, _Made]:
        trades, profits = self.trades, self.trades.profits
        return {
            "trades": lambda: profits.count,
            "open_trades": lambda: self.still_open,
            "win_rate": profits.win_rate,
            "profit_factor": profits.factor,
            "expectancy": profits.average,
            "expectancy_share": trades.average_share,
            "average_win": profits.average_win,
            "average_loss": profits.average_loss,
            "payoff": profits.payoff,
            "best_trade": profits.best,
            "worst_trade": profits.worst,
            "sqn": profits.system_quality,
            "average_length": trades.average_length,
            "longest_wins": lambda: profits.longest_wins,
            "longest_losses": lambda: profits.longest_losses,
        }

    def _activity(self) -> dict[str, _Made]:
        curve = self.curve
        return {
            "fills": lambda: curve.fills,
            "traded": lambda: curve.traded,
            "turnover": lambda: float(ROOM.divide(curve.traded, curve.capital)),
            "turnover_year": self._turnover,
            "exposure": self._exposure,
        }

    def _hold(self) -> float:
        moves = list(self.curve.moves.values())
        if not moves:
            raise UndefinedError("no price above 0 came")
        return fsum(moves) / len(moves)

    def _found(self) -> Sequence[float]:
        if self.why:
            raise UndefinedError(self.why)
        return self.returns

    def _long(self) -> Sequence[float]:
        """Return the returns, if there are enough for a figure a year."""
        found = self._found()
        if not self.annual:
            raise UndefinedError(f"too short for a figure a year: less than {FEWEST_DAYS} days")
        return found

    def _some(self) -> Sequence[float]:
        if not self._found():
            raise UndefinedError("no period is over")
        return self.returns

    def _rate(self) -> float:
        return self.risk_free / self.series.period.per_year

    def _growth(self) -> float:
        period, values = self.series.period, self.series.values
        if period.seconds < DAY and not self.given:
            raise UndefinedError(
                f"too short for a growth a year: fewer than {FEWEST} days had ticks"
            )
        last = values[-1] if values else 0.0
        return returns.growth(self.series.first, last, len(values), period.per_year)

    def _depth(self) -> float:
        return self.curve.deepest.depth if self.curve.deepest else 0.0

    def _span(self) -> float:
        start, end = self.curve.start, self.curve.end
        if start is None or end is None or end <= start:
            raise UndefinedError("no time went by")
        return (end - start).total_seconds()

    def _exposure(self) -> float:
        return self.curve.held_for.total_seconds() / self._span()

    def _turnover(self) -> float:
        if self._span() < DAY:
            raise UndefinedError("too short for a figure a year: less than a day")
        return float(ROOM.divide(self.curve.traded, self.curve.capital)) * _YEAR_S / self._span()
