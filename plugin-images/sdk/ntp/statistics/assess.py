"""From a curve and fills to every figure."""

from collections.abc import Iterable, Sequence

from ntp.contract.messages import Fill
from ntp.statistics import calendar, returns
from ntp.statistics.assessment import Assessment
from ntp.statistics.closes import DAY, Series
from ntp.statistics.curve import EquityCurve
from ntp.statistics.line import Line
from ntp.statistics.measured import FEWEST_DAYS, Measured
from ntp.statistics.returns import UndefinedError
from ntp.statistics.trades import Trades

_WINDOW = 63
"""Returns: a quarter of the trading days of a year."""
_FEW_TRIPS = 30
_FEW_DAYS = 90


def assess(
    fills: Iterable[Fill] | Trades,
    curve: EquityCurve,
    *,
    strategy: str = "",
    periods_per_year: float | None = None,
    risk_free: float = 0.0,
) -> Assessment:
    """Return what one strategy's run came to.

    Args:
        fills: all of its fills, in the order of events, or what took them one by one; the curve was shown
            them too.
        curve: was shown every tick and fill.
        strategy: its name.
        periods_per_year: how many periods of the returns make a year; None: by the rule of closes.py.
        risk_free: return of a year without risk, such as 0.04, which Sharpe and Sortino ask for more than.

    Raises:
        ValueError: `periods_per_year` is not above 0.
    """
    if periods_per_year is not None and not periods_per_year > 0:
        raise ValueError(f"periods_per_year was {periods_per_year}; give a number above 0")
    trades = fills if isinstance(fills, Trades) else Trades.of(fills)
    still_open = trades.open(curve.marks, curve.end)
    trips = trades.listed(still_open)
    series = curve.series(periods_per_year)
    try:
        found, why = returns.simple(series.first, series.values), ""
    except UndefinedError as error:
        found, why = [], str(error)
    measured = Measured(
        curve,
        trades,
        len(still_open),
        series,
        found,
        why,
        risk_free,
        given=periods_per_year is not None,
    )
    window = _window(len(found))
    months = calendar.months(float(curve.capital), curve.days())
    return Assessment(
        strategy=strategy,
        capital=curve.capital,
        start=curve.start,
        end=curve.end,
        ticks=curve.ticks,
        fills=curve.fills,
        figures=measured.figures(),
        trips=trips,
        period=series.period,
        returns=found,
        line=curve.line,
        fees=curve.fees,
        exposure=curve.exposure,
        rolling=_rolling(series, found, window) if measured.annual else Line((), ()),
        window=window,
        months=months,
        years=calendar.years(months),
        distribution=calendar.distribution([each for each in found if each]),
        deepest=curve.deepest,
        longest=curve.longest,
        cautions=_cautions(series, trades.profits.count, len(still_open), len(trips), found),
    )  # fmt: skip


def _window(count: int) -> int:
    """Return how many returns a rolling figure looks at: a quarter, at least 10 and at most 63."""
    return max(10, min(_WINDOW, count // 4))


def _rolling(series: Series, found: Sequence[float], window: int) -> Line:
    values = returns.rolling_sharpe(found, series.period.per_year, window)
    pairs = [
        (time, value)
        for time, value in zip(series.times[window - 1 :], values, strict=False)
        if value is not None
    ]
    return Line([time for time, _ in pairs], [value for _, value in pairs])


def _cautions(
    series: Series, closed: int, still: int, listed: int, found: Sequence[float]
) -> list[str]:
    told = []
    days = len(found) * series.period.seconds / DAY
    if FEWEST_DAYS <= days < _FEW_DAYS:
        told.append(
            f"Annualised figures are made of {len(found):,} returns of a {series.period.name} each: over"
            " so short a time chance decides them."
        )
    if 0 < closed < _FEW_TRIPS:
        trades = "1 closed trade" if closed == 1 else f"{closed} closed trades"
        told.append(f"{trades}: figures of trades mean little below {_FEW_TRIPS}.")
    if still:
        told.append(
            f"{still} {'position is' if still == 1 else 'positions are'} still open at the end, valued at"
            " the last price without the cost of leaving; figures of trades leave them out."
        )
    if listed < closed + still:
        told.append(
            f"{listed:,} of {closed + still:,} trades are listed one by one: the first, the latest, the best and"
            " the worst; figures are of all."
        )
    return told
