"""A drawing where no program runs: its lines as SVG, and how low and how high they go."""

from ntp.page import figures
from ntp.page.charts import Chart
from ntp.page.thin import thin

_WIDTH, _HEIGHT = 1000, 200
_MOST_POINTS = 400
"""Of a line."""


def drawing(chart: Chart, palette: int) -> str:
    """Return the lines as HTML; empty where there is nothing to draw. `palette`: colours that there are."""
    lines = [
        (line, _sums(line["t"], 1.0), _sums(line["v"], 10.0 ** line["scale"]))
        for line in chart.data["lines"]
    ]
    points = [
        (at, value) for _, times, values in lines for at, value in zip(times, values, strict=True)
    ]
    if not points:
        return ""
    start, end = min(at for at, _ in points), max(at for at, _ in points)
    low, high = min(value for _, value in points), max(value for _, value in points)
    unit, decimals = chart.data.get("unit", ""), chart.data["decimals"]

    def place(at: float, value: float) -> str:
        x = (at - start) / ((end - start) or 1) * _WIDTH
        y = (high - value) / ((high - low) or 1) * (_HEIGHT - 4) + 2
        return f"{x:.0f},{y:.0f}"

    drawn = "".join(
        f'<polyline class="ink{line["strategy"] % palette if line["strategy"] >= 0 else ""}{" dashed" if line["dashed"] else ""}"'
        f' points="{" ".join(place(times[at], values[at]) for at in thin(values, _MOST_POINTS))}"/>'
        for line, times, values in lines
    )
    reach = f"{figures.price(low, decimals)} to {figures.price(high, decimals)} {unit}".rstrip()
    return f'<svg class="still" viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none">{drawn}</svg><p>{reach}</p>'


def _sums(steps: list[int], scale: float) -> list[float]:
    found, sum_ = [], 0
    for step in steps:
        sum_ += step
        found.append(sum_ / scale)
    return found
