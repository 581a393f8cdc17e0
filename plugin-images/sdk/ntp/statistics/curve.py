"""A strategy's equity as ticks stream by: what the engine's book says, in memory that stays the same.

`EquityCurve` is shown each tick and each fill in the order of events, a tick before the fills that it
caused, and costs O(1) a tick: a multiplication while something is held, next to nothing while it is not.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import fsum, inf

from ntp.contract.messages import Fill, MarketData, Side
from ntp.engine.book import Book
from ntp.engine.exact import LIMIT, ZERO, exact, worth
from ntp.statistics.closes import Closes, Series
from ntp.statistics.drawdown import Drawdown, Falls
from ntp.statistics.envelope import Envelope
from ntp.statistics.line import Line
from ntp.statistics.market import Market
from ntp.ticks import Ticks

_LATEST = datetime.max.replace(tzinfo=UTC)


class EquityCurve:
    """Follows one strategy's equity.

    Args:
        capital: what it began with, quote currency.
        most: points that each line may have.

    Raises:
        ValueError: the capital is not above 0.

    Attributes:
        equity: at the last tick, quote currency.
        start, end: event time of the first and the last tick or fill; None: none came.
        ticks: that were taken.
        stale, unusable: ticks that were older than the last of their symbol, or whose price was no number
            of a usable size; they change nothing, as in the engine.
        traded: worth of all fills; `slipped`: what they cost beyond the last price, by spread and slippage.
        in_market: how long something was held, up to the last fill that left the market.
    """

    def __init__(self, capital: Decimal, *, most: int = 8_192) -> None:
        self._book = Book.opened_with(capital)
        self.capital = self._book.capital
        self.equity = float(self.capital)
        self.start: datetime | None = None
        self.ticks = self.stale = self.unusable = self.fills = 0
        self.traded = self.slipped = ZERO
        self.in_market = timedelta(0)
        self._since: datetime | None = None
        self._at = self._before = datetime.min.replace(tzinfo=UTC)
        self._ends = self._period_ends = self._at
        self._floor, self._ceiling = inf, -inf
        self._markets: dict[str, Market] = {}
        self._closes = Closes()
        self._line, self._fees, self._exposure = Envelope(most), Envelope(most), Envelope(most)
        self._falls = Falls(self._at, self.equity)

    def add(self, tick: MarketData) -> None:
        """Take a tick."""
        at, price = tick.timestamp, tick.price
        if not -LIMIT < price < LIMIT:
            self.unusable += 1
            return
        market = self._markets.get(tick.symbol)
        if market is None:
            market = self._meet(tick.symbol, price, at)
        elif at < market.at:
            self.stale += 1
            return
        market.at = at
        self.ticks += 1
        if at >= self._ends:
            self._turn(at)
        self._before = self._at
        if at > self._at:  # noqa: PLR1730 - a call would cost more than the rest of the way
            self._at = at
        if not market.quantity:
            market.mark = price
            return
        equity = self.equity = market.move(self.equity, price)
        if not self._floor < equity < self._ceiling:
            self._reach()

    def add_all(self, ticks: Ticks, start: int, stop: int) -> None:
        """Take those of one symbol from `start` to `stop`, each newer than the one before and usable.

        Those that end no period and reach no equity beyond what their stretch has seen are passed over.
        """
        times, at, last = ticks.times, start, stop - 1
        while at <= last:
            market = self._markets.get(ticks[at].symbol)
            if market is not None and times[at] >= market.at:
                end = bisect_left(times, self._ends, at, last)
                if end > at:
                    whole = self.ticks + end - at
                    if market.quantity:
                        self._reach_all(market, ticks, at, end)
                    self.equity = market.move(self.equity, ticks.prices[end - 1])
                    self.ticks, self._at, at = whole, times[end - 1], end
            self.add(ticks[at])
            at += 1

    def _reach_all(self, market: Market, ticks: Ticks, at: int, end: int) -> None:
        """Add those that reach beyond what the open stretch has seen, or what comes to the same."""
        falls, prices, start = self._falls, ticks.prices, at
        while True:
            within = market.between(self.equity, self._floor, self._ceiling)
            at = ticks.beyond(*within, at, end)
            if at == end:
                return
            matter, then = [at], at + 1
            if falls.trough < falls.peak:
                low, high = ticks.extremes(at, end)
                top = market.equity(self.equity, high if market.quantity > 0 else low)
                if top < falls.peak - abs(falls.peak) * 1e-12:
                    # Below the last peak only the ends of what is reached matter, in their order.
                    matter = sorted({prices.index(low, at, end), prices.index(high, at, end)})
                    then = end
            for each in matter:
                if each > start:
                    self._at = ticks.times[each - 1]
                self.add(ticks[each])
            at = then

    def fill(self, fill: Fill) -> None:
        """Take a fill of this strategy."""
        price = float(fill.price)
        market = self._markets.get(fill.symbol) or self._meet(fill.symbol, price, fill.time)
        self._arrive(max(fill.time, self._at))
        self._line.add(self._at, self.equity)
        self._expose()
        self._book.execute(fill.side, fill.symbol, fill.quantity, fill.price, fill.fee)
        held = self._book.positions.get(fill.symbol)
        market.quantity = 0.0 if held is None else float(held.quantity)
        traded = worth(fill.quantity, fill.price)
        beyond = traded - worth(fill.quantity, exact(market.mark))
        self.slipped += beyond if fill.side is Side.BUY else -beyond
        self.traded += traded
        self.fills += 1
        self._hold()
        self.equity = self._exactly()
        self._reach()
        self._expose()
        self._fees.add(self._at, float(self._book.fees))

    def note(self, at: datetime, equity: float) -> None:
        """Take an equity that is known otherwise, such as a ledger's sample; not together with ticks."""
        self.ticks += 1
        self._arrive(max(at, self._at))
        self.equity = equity
        self._reach()

    @property
    def book(self) -> Book:
        """The engine's own, moved by the fills and marked at the last prices: exact to the last digit."""
        self._mark()
        return self._book

    @property
    def end(self) -> datetime | None:
        return None if self.start is None else self._at

    @property
    def marks(self) -> Mapping[str, Decimal]:
        """The last price of each symbol."""
        return {symbol: exact(market.mark) for symbol, market in self._markets.items()}

    @property
    def moves(self) -> Mapping[str, float]:
        """How far each symbol's price went from its first to its last, as a share of the first."""
        return {
            symbol: market.mark / market.first - 1
            for symbol, market in self._markets.items()
            if market.first > 0
        }

    @property
    def held_for(self) -> timedelta:
        """How long something was held, up to the last tick."""
        return self.in_market + (
            self._at - self._since if self._since is not None else timedelta(0)
        )

    @property
    def line(self) -> Line:
        """Equity after fees."""
        return self._to_the_end(self._line, self.equity)

    @property
    def fees(self) -> Line:
        """All fees so far, at each fill."""
        return Line(*self._fees.points())

    @property
    def exposure(self) -> Line:
        """Worth of what is held, long and short added up, as a share of equity."""
        return self._to_the_end(
            self._exposure, self._gross() / self.equity if self.equity > 0 else 0.0
        )

    @property
    def deepest(self) -> Drawdown | None:
        return self._falls.deepest(self._at)

    @property
    def longest(self) -> Drawdown | None:
        return self._falls.longest(self._at)

    def series(self, periods_per_year: float | None = None) -> Series:
        """Return equity at the ends of periods: see closes.py for which."""
        self._close()
        return self._closes.series(float(self.capital), periods_per_year)

    def days(self) -> Sequence[tuple[int, float]]:
        """Return days since 1970-01-01 that had ticks, and the equity at the end of each."""
        self._close()
        return self._closes.days()

    def _meet(self, symbol: str, price: float, at: datetime) -> Market:
        return self._markets.setdefault(symbol, Market(price, price, at))

    def _arrive(self, at: datetime) -> None:
        if at >= self._ends:
            self._turn(at)
        self._before, self._at = self._at, at

    def _turn(self, at: datetime) -> None:
        """Close what ends before this moment, with the equity as it was ahead of it."""
        if self.start is None:
            self.start = self._at = at
            self._falls = Falls(at, self.equity)
            self._line.add(at, self.equity)
            self._exposure.add(at, 0.0)
        if self._book.positions:
            self.equity = self._exactly()  # sums of floats drift
            self._line.add(self._at, self.equity)
            self._expose()
        self._close()
        self._period_ends = _moment(self._closes.after(at.timestamp()))
        self._ends = self._period_ends
        self._floor, self._ceiling = inf, -inf

    def _reach(self) -> None:
        """Take an equity that is beyond what its stretch has seen, or the first of it."""
        line, falls = self._line, self._falls
        line.add(self._at, self.equity)
        falls.note(self._at, self.equity, self._before)
        self._floor, self._ceiling = max(line.low, falls.trough), min(line.high, falls.peak)
        # While nothing is held, equity stays: its line needs no further point.
        self._ends = (
            min(self._period_ends, line.ends) if self._book.positions else self._period_ends
        )

    def _hold(self) -> None:
        if self._book.positions and self._since is None:
            self._since = self._at
        elif not self._book.positions and self._since is not None:
            self.in_market += self._at - self._since
            self._since = None

    def _mark(self) -> None:
        for name in self._book.positions:
            self._book.marks[name] = self._markets[name].mark

    def _exactly(self) -> float:
        self._mark()
        return float(self._book.equity)

    def _gross(self) -> float:
        held = (self._markets[symbol] for symbol in self._book.positions)
        return fsum(abs(market.quantity * market.mark) for market in held)

    def _expose(self) -> None:
        if self.equity > 0:
            self._exposure.add(self._at, self._gross() / self.equity)

    def _to_the_end(self, line: Envelope, last: float) -> Line:
        times, values = line.points()
        now = self._at.timestamp()
        # Another tick of the same moment may have moved it too, and reached nothing.
        if times and (times[-1], values[-1]) != (now, last):
            times.append(now)
            values.append(last)
        return Line(times, values)

    def _close(self) -> None:
        if self.start is not None:
            self._closes.close(self._at.timestamp(), self.equity)


def _moment(at: float) -> datetime:
    try:
        return datetime.fromtimestamp(at, UTC)
    except (OverflowError, ValueError):
        return _LATEST
