"""Figures of a series of returns, each with its formula and where it is from.

`r_1 … r_n` are simple returns of one period, `r_i = E_i / E_(i-1) - 1`; P periods make a year; `f` is the
risk-free return of one period. Sums are exact to a double (`math.fsum`). A figure that has no value raises
`UndefinedError`, which says why: none is ever infinite or not a number.
"""

from collections.abc import Sequence
from math import fsum, inf, isfinite, pow, sqrt  # noqa: A004 - always a float

_NOISE = 1e-12
"""A deviation below this share of the largest return is what floats make of none."""


class UndefinedError(ValueError):
    """A figure has no value for this run; the message says why."""


def simple(first: float, values: Sequence[float]) -> list[float]:
    """Return the simple returns of equity `values` after `first`.

    Raises:
        UndefinedError: equity fell to zero or below, from where a return means nothing.
    """
    found, before = [], first
    for value in values:
        if before <= 0 or value <= 0:
            raise UndefinedError("equity fell to 0 or below: returns from there mean nothing")
        found.append(value / before - 1)
        before = value
    return found


def mean(values: Sequence[float]) -> float:
    """Return the arithmetic mean of at least one value."""
    return fsum(values) / len(values)


def deviation(values: Sequence[float]) -> float:
    """Return the sample standard deviation: sqrt(sum (x - mean)^2 / (n - 1)).

    Raises:
        UndefinedError: fewer than 2 values.
    """
    if len(values) < 2:
        raise UndefinedError(f"needs at least 2 values; there was {len(values)}")
    middle = mean(values)
    return sqrt(fsum((value - middle) * (value - middle) for value in values) / (len(values) - 1))


def growth(first: float, last: float, periods: int, per_year: float) -> float:
    """Return the compound annual growth rate, CAGR: (last / first) ^ (P / n) - 1.

    Source: Bacon, Practical Portfolio Performance Measurement and Attribution, 2nd ed., 2008, chapter 2;
    the same as empyrical's `cagr`.

    Raises:
        UndefinedError: no period, nothing left, or more than a number can hold.
    """
    if not periods:
        raise UndefinedError("no period is over")
    if last <= 0:
        raise UndefinedError("equity fell to 0 or below: nothing is left that could grow")
    try:
        found = pow(last / first, per_year / periods) - 1
    except OverflowError:
        found = inf
    if not isfinite(found):
        raise UndefinedError("the data is too short: a year of such growth is more than a number holds")  # fmt: skip
    return found


def volatility(returns: Sequence[float], per_year: float) -> float:
    """Return the annualised volatility: s(r) * sqrt(P), with the sample standard deviation s.

    Source: Hull, Options, Futures, and Other Derivatives, 8th ed., 2012, section 14.4.
    """
    return deviation(returns) * sqrt(per_year)


def sharpe(returns: Sequence[float], per_year: float, risk_free: float = 0.0) -> float:
    """Return the Sharpe ratio: mean(r - f) / s(r - f) * sqrt(P).

    Source: Sharpe, The Sharpe Ratio, Journal of Portfolio Management 21(1), 1994; the factor sqrt(P)
    holds for independent returns (Lo, The Statistics of Sharpe Ratios, 2002).

    Raises:
        UndefinedError: fewer than 2 returns, or they do not vary.
    """
    excess = [value - risk_free for value in returns]
    spread = deviation(excess)
    _vary(spread, excess)
    return mean(excess) / spread * sqrt(per_year)


def downside(returns: Sequence[float], per_year: float, target: float = 0.0) -> float:
    """Return the annualised downside deviation: sqrt(mean(min(r - t, 0)^2)) * sqrt(P), over all n.

    Source: Sortino and Price, Performance Measurement in a Downside Risk Framework, Journal of Investing
    3(3), 1994.
    """
    if not returns:
        raise UndefinedError("no period is over")
    return sqrt(mean([min(value - target, 0.0) ** 2 for value in returns])) * sqrt(per_year)


def sortino(returns: Sequence[float], per_year: float, target: float = 0.0) -> float:
    """Return the Sortino ratio: mean(r - t) * P / downside(r, t).

    Source: as `downside`.

    Raises:
        UndefinedError: no return, or none below the target.
    """
    risk = downside(returns, per_year, target)
    if not risk:
        raise UndefinedError("no period lost anything")
    return mean([value - target for value in returns]) * per_year / risk


def calmar(annual_growth: float, max_drawdown: float) -> float:
    """Return the Calmar ratio: CAGR / maximum drawdown.

    Source: Young, Calmar Ratio: A Smoother Tool, Futures 20(1), 1991 (there over 36 months; here over all).

    Raises:
        UndefinedError: equity never fell.
    """
    if max_drawdown <= 0:
        raise UndefinedError("equity never fell")
    return annual_growth / max_drawdown


def skewness(returns: Sequence[float]) -> float:
    """Return the adjusted skewness G1 = g1 * sqrt(n (n - 1)) / (n - 2), with g1 = m3 / m2^1.5.

    Source: Joanes and Gill, Comparing measures of sample skewness and kurtosis, The Statistician 47, 1998.

    Raises:
        UndefinedError: fewer than 3 returns, or they do not vary.
    """
    n = len(returns)
    if n < 3:
        raise UndefinedError(f"needs at least 3 returns; there were {n}")
    second, third, _ = _moments(returns)
    return third / (second * sqrt(second)) * sqrt(n * (n - 1)) / (n - 2)


def kurtosis(returns: Sequence[float]) -> float:
    """Return the adjusted excess kurtosis G2 = ((n + 1) g2 + 6) (n - 1) / ((n - 2) (n - 3)), g2 = m4 / m2^2 - 3.

    Source: as `skewness`. A normal distribution has 0.

    Raises:
        UndefinedError: fewer than 4 returns, or they do not vary.
    """
    n = len(returns)
    if n < 4:
        raise UndefinedError(f"needs at least 4 returns; there were {n}")
    second, _, fourth = _moments(returns)
    return ((n + 1) * (fourth / second**2 - 3) + 6) * (n - 1) / ((n - 2) * (n - 3))


def rolling_sharpe(returns: Sequence[float], per_year: float, window: int) -> list[float | None]:
    """Return the Sharpe ratio of the `window` returns up to each, from the first full window on.

    None where it is undefined: nothing was held, so nothing varied.
    """
    found: list[float | None] = []
    for end in range(window, len(returns) + 1):
        try:
            found.append(sharpe(returns[end - window : end], per_year))
        except UndefinedError:
            found.append(None)
    return found


def _moments(values: Sequence[float]) -> tuple[float, float, float]:
    middle = mean(values)
    gaps = [value - middle for value in values]
    second = mean([gap**2 for gap in gaps])
    _vary(sqrt(second), values)
    return second, mean([gap**3 for gap in gaps]), mean([gap**4 for gap in gaps])


def _vary(spread: float, values: Sequence[float]) -> None:
    if spread <= _NOISE * max(map(abs, values)):
        raise UndefinedError("all returns are the same")
