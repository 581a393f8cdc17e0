"""The distribution of returns as a drawing that needs no program."""

from collections.abc import Sequence
from html import escape

from ntp.page import figures
from ntp.statistics.assessment import Assessment, Bin

_WIDTH, _HEIGHT, _FOOT, _SIDE = 680, 180, 22, 8
_MOST_WORDS = 8
"""Under the axis."""


def drawing(found: Assessment, *, named: bool) -> str:
    """Return the figure as HTML with its SVG; empty where there are no returns. `named`: with the strategy."""
    bins = found.distribution
    if len(bins) < 2:
        return ""
    returns = found.returns
    zero = sum(not each for each in returns)
    words = (
        f"{len(returns):,} returns of a {found.period.name} each: mean {_told(sum(returns) / len(returns))},"
        f" lowest {_told(min(returns))}, highest {_told(max(returns))}"
        + (f"; {zero:,} of exactly 0 are not drawn" if zero else "")
    )
    title = f"Distribution of returns{f': {found.strategy}' if named else ''}"
    high = max(each.count for each in bins)
    bars = "".join(_bar(each, number, len(bins), high) for number, each in enumerate(bins))
    return (
        f'<figure class="distribution"><figcaption><h3>{escape(title)}</h3><p>{words}</p></figcaption>'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}: {words}">'
        f"{bars}{_axis(bins)}</svg></figure>"
    )


def _bar(each: Bin, number: int, count: int, high: int) -> str:
    left, right = _x(number, count), _x(number + 1, count)
    height = (_HEIGHT - _FOOT - 14) * each.count / high
    kind = "won" if each.low >= 0 else "lost"
    top = _HEIGHT - _FOOT - height
    name = f"{_told(each.low)} to {_told(each.high)}: {each.count:,}"
    shown = (
        f'<text x="{(left + right) / 2:.1f}" y="{top - 3:.1f}">{each.count:,}</text>'
        if each.count == high
        else ""
    )
    return (
        f'<g><title>{name}</title><rect class="{kind}" x="{left + 0.5:.1f}" y="{top:.1f}"'
        f' width="{right - left - 1:.1f}" height="{height:.1f}"/>{shown}</g>'
    )


def _axis(bins: Sequence[Bin]) -> str:
    """Return the line under the bars, and what some of their edges are."""
    edges = [each.low for each in bins] + [bins[-1].high]
    zero = edges.index(0.0) if 0.0 in edges else 0
    every = -(-len(edges) // _MOST_WORDS)
    shown = [number for number in range(len(edges)) if (number - zero) % every == 0]
    words = "".join(
        f'<text x="{min(max(_x(number, len(bins)), 26), _WIDTH - 26):.1f}" y="{_HEIGHT - 5}">{_told(edges[number])}</text>'
        for number in shown
    )
    foot = _HEIGHT - _FOOT + 0.5
    return f'<line x1="{_SIDE}" x2="{_WIDTH - _SIDE}" y1="{foot}" y2="{foot}"/>{words}'


def _x(number: float, count: int) -> float:
    return _SIDE + number * (_WIDTH - 2 * _SIDE) / count


def _told(share: float) -> str:
    decimals = 2 if abs(share) >= 0.0001 or not share else 4
    return figures.share(share, decimals)
