"""`ntp plugin test --grid`: what trying every variant found, as words and tables."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ntp.cli.report import Report
from ntp.examination.confined import Told
from ntp.examination.examine import examine
from ntp.examination.grid import PARTS, Searched, search
from ntp.examination.ranges import variants, words
from ntp.examination.wish import Wish
from ntp.page.run import Table

_SHOWN = 20
"""Variants that a table lists."""
_MOST_CELLS = 2_500
"""Of a table of two ranges."""


def searched(wish: Wish, ranges: Sequence[str], told: Told) -> Report:
    """Return the report of the best variant, with what the search says of it.

    Raises:
        AuthorError, LayoutError, ConfinedError: as `search`.
    """
    grid = variants(ranges)
    found = search(wish, grid, told)
    best = found.best.variant if found.best is not None else grid[0]
    told(f"testing {words(best)}")
    tested = examine(wish.varied(best), told)
    return Report(
        tested, tables=_tables(found), words=_words(found), extra={"grid": document(found)}
    )


def document(found: Searched) -> dict[str, Any]:
    """Return a search as JSON has it; of what is held out it has the best one's alone."""
    best, train = found.best, found.train
    return {
        "variants": len(found.tried),
        "first": _time(found.first),
        "held_out_from": _time(found.held_out),
        "last": _time(found.last),
        "best": None if best is None else {
            "config": dict(best.variant),
            "sharpe": best.sharpe(0, train),
            "return": best.over(0, train),
            "held_out_sharpe": best.sharpe(train, PARTS),
            "held_out_return": best.over(train, PARTS),
        },
        "sharpe_by_chance": found.chance,
        "deflated_sharpe": found.probability,
        "walk_forward": [
            {"config": dict(s.variant), "before": s.before, "after": s.after} for s in found.steps
        ],
        "tried": [
            {
                "config": dict(one.variant),
                "sharpe": one.sharpe(0, train) if one.returns else None,
                "return": one.over(0, train) if one.returns else None,
                "fills": one.fills,
                "why": one.why,
            }
            for one in found.tried
        ],
    }  # fmt: skip


def _words(found: Searched) -> list[str]:
    count = len(found.tried)
    tried = f"{count:,} variant{'' if count == 1 else 's'} tried"
    best, train = found.best, found.train
    if best is None:
        return [f"{tried}, and none of them has a Sharpe ratio: none traded, or nothing varies"]
    ratio, held = best.sharpe(0, train), best.sharpe(train, PARTS)
    until = f"(to {found.held_out:%Y-%m-%d %H:%M})"
    told = [
        f"{tried}; the best by the first {train} % of the time: {words(best.variant)}",
        f"  chosen by   Sharpe {_ratio(ratio)}, return {best.over(0, train):+.2%} {until}",
        f"  held out    Sharpe {_ratio(held)}, return {best.over(train, PARTS):+.2%}",
    ]
    if found.chance is not None:
        told.append(
            f"  by chance   the best of {count:,} without any edge has a Sharpe of about {_ratio(found.chance)}"
        )
    if found.probability is not None:
        told.append(
            f"  deflated    {found.probability:.0%} likely to be more than that chance"
            " (Bailey & López de Prado 2014)"
        )
    failed = [one for one in found.tried if one.why]
    if failed:
        told.append(
            f"  {len(failed):,} could not be run, the first: {words(failed[0].variant)}: {failed[0].why}"
        )
    told.append(f"  a Sharpe ratio here is of one of {PARTS} parts of the time, not of a year")
    return told


def _tables(found: Searched) -> list[Table]:
    tables = []
    axes = {name: sorted({json.dumps(one.variant[name]) for one in found.tried}, key=_order) for name in found.tried[0].variant}  # fmt: skip
    if len(axes) == 2:
        (down, rows), (across, columns) = axes.items()
        if len(rows) * len(columns) <= _MOST_CELLS:
            tables.append(_map(found, (down, rows), (across, columns)))
    names = list(axes)
    ranked = [
        [*(json.dumps(one.variant[name]) for name in names), _ratio(one.sharpe(0, found.train)),
         f"{one.over(0, found.train):+.2%}", f"{one.fills:,}"]
        for one in found.ranked[:_SHOWN]
    ]  # fmt: skip
    heads = [*(f"#{name}" for name in names), "#Sharpe", "#return", "#fills"]
    many = f"the best {_SHOWN} of {len(found.tried):,}" if len(found.tried) > _SHOWN else ""
    tables.append(Table("All variants", heads, ranked, many))
    if found.steps:
        rows_of = [
            [f"{s.start} to {s.stop} %", words(s.variant), f"{s.before:+.2%}", f"{s.after:+.2%}"]
            for s in found.steps
        ]
        tables.append(
            Table("Walk-forward", ["time", "best before", "#return before", "#return"], rows_of)
        )
    return tables


def _map(found: Searched, down: tuple[str, list[str]], across: tuple[str, list[str]]) -> Table:
    ratios: Mapping[tuple[str, str], float | None] = {
        (json.dumps(one.variant[down[0]]), json.dumps(one.variant[across[0]])): one.sharpe(
            0, found.train
        )
        if one.returns
        else None
        for one in found.tried
    }
    heat = [[ratios.get((row, column)) for column in across[1]] for row in down[1]]
    rows = [[row, *map(_ratio, values)] for row, values in zip(down[1], heat, strict=True)]
    heads = [f"{down[0]} \\ {across[0]}", *(f"#{column}" for column in across[1])]
    return Table("Sharpe ratio by variant", heads, rows, heat=[[None, *values] for values in heat])


def _ratio(value: float | None) -> str:
    return "\N{EN DASH}" if value is None else f"{value:.3f}"


def _order(text: str) -> tuple[float, str]:
    try:
        return float(text), text
    except ValueError:
        return 0.0, text


def _time(at: Any) -> str:
    return str(at.isoformat()).replace("+00:00", "Z")
