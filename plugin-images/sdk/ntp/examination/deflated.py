"""What the best of many tries is worth: the deflated Sharpe ratio.

D. H. Bailey, M. López de Prado: The Deflated Sharpe Ratio, Journal of Portfolio Management 40(5), 2014. The
best of N strategies without any edge has by chance alone a Sharpe ratio of about (their equation 1)

    SR0 = sqrt(V) ((1 - g) Z(1 - 1/N) + g Z(1 - 1/(N e)))

where V is the variance of the N ratios, g the Euler-Mascheroni constant, Z the inverse of the normal
distribution; and the probability that the ratio SR of T returns, of skewness s and kurtosis k, is above that is

    DSR = F((SR - SR0) sqrt(T - 1) / sqrt(1 - s SR + (k - 1)/4 SR^2))

(equation 2). All ratios are of one return, none is annualised.
"""

from collections.abc import Sequence
from math import e, sqrt
from statistics import NormalDist, fmean, pvariance, stdev, variance

_EULER = 0.5772156649015329
_NORMAL = NormalDist()


def sharpe(returns: Sequence[float]) -> float | None:
    """Return mean by standard deviation (n - 1) of returns; None where they do not vary, or are below 2."""
    if len(returns) < 2:
        return None
    deviation = stdev(returns)
    # What rounding leaves of equal returns is no deviation.
    return fmean(returns) / deviation if deviation > 1e-15 else None


def expected_best(ratios: Sequence[float], tried: int) -> float | None:
    """Return the Sharpe ratio that the best of so many tries has by chance; None: below two ratios.

    `ratios`: those of the tries that have one.
    """
    if tried < 2 or len(ratios) < 2:
        return None
    spread = sqrt(variance(ratios))
    inverse = _NORMAL.inv_cdf
    return spread * ((1 - _EULER) * inverse(1 - 1 / tried) + _EULER * inverse(1 - 1 / (tried * e)))


def probability(
    ratio: float, chance: float, count: int, skewness: float, kurtosis: float
) -> float | None:
    """Return how likely a ratio of `count` returns is above `chance`; None where the formula has no value.

    `kurtosis` of a normal distribution is 3.
    """
    inside = 1 - skewness * ratio + (kurtosis - 1) / 4 * ratio**2
    if count < 2 or inside <= 0:
        return None
    return _NORMAL.cdf((ratio - chance) * sqrt(count - 1) / sqrt(inside))


def shape(returns: Sequence[float]) -> tuple[float, float]:
    """Return skewness and kurtosis (3 is normal), by the moments of the population."""
    mean, spread = fmean(returns), pvariance(returns)
    if not spread:
        return 0.0, 3.0
    third = fmean((each - mean) ** 3 for each in returns)
    fourth = fmean((each - mean) ** 4 for each in returns)
    return third / spread**1.5, fourth / spread**2
