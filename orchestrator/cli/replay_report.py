"""What a replay gave, for a person: equal, or the first rows that differ."""

from collections.abc import Mapping
from typing import Any

from orchestrator.cli.failure import say
from orchestrator.cli.output import printable, put

_SHOWN = 12
"""Columns of a row that differ, at most."""
_IDS = _ROWS = 3
_WORDS = {
    "missing": "ticks that it took live were not captured",
    "unmade": "signals that it took live were not made again",
    "extras": "signals were made that it did not take live",
}
"""By field of the answer."""


def differs(row: Mapping[str, Any]) -> bool:
    """Tell whether anything is not as it was live."""
    return bool(row["differing"] or row["unmade"] or row["extras"] or row["missing"])


def show(row: Mapping[str, Any], *, compared: bool) -> None:
    """Print what a strategy's replay gave; nothing where it was refused."""
    whose = f"{row['strategy']} at {row['executor']}"
    counts = f"{_many(row['signals'], 'signal')}, {_many(row['fills'], 'fill')}"
    if row["refused"]:
        return
    if not compared:
        put(f"{whose}: {_many(row['ticks'], 'tick')}, {counts}{_figures(row['report'])}")
        return
    if row["begins"]:
        why = printable(row["begins"])
        say(f"{row['strategy']}: not from the beginning of its ledger: {why}")
    if differs(row):
        put(f"{whose}: differs; {counts} were made again", "red")
        _show_differences(row)
    else:
        put(f"{whose}: equal, {counts}, {_many(row['rows'], 'row')}", "green")


def _show_differences(row: Mapping[str, Any]) -> None:
    for found, words in _WORDS.items():
        if row[found]:
            put(f"  {row[found]:,} {words}")
    for signal in row["extra"][:_IDS]:
        put(f"    {signal}")
    for table, count in row["differing"].items():
        put(f"  {table}: {_many(count, 'row')} differ{'s' if count == 1 else ''}")
        shown = [each for each in row["differences"] if each["table"] == table]
        for each in shown[:_ROWS]:
            put(f"    {each['row']}: {_columns(each)}")
    for why in row["caveats"]:
        put(f"  it may be so although nothing is wrong: {why}")


def _columns(each: Mapping[str, Any]) -> str:
    live, replayed = each["live"], each["replayed"]
    if live is None or replayed is None:
        row, only = (replayed, "replayed") if live is None else (live, "live")
        return f"only {only}: " + ", ".join(
            f"{key} {value}" for key, value in list(row.items())[:_SHOWN]
        )
    names = [name for name in live | replayed if live.get(name) != replayed.get(name)]
    return ", ".join(
        f"{name} live {live.get(name, '-')}, replayed {replayed.get(name, '-')}"
        for name in names[:_SHOWN]
    )


def _figures(report: Mapping[str, Any]) -> str:
    return "".join(
        f", {name.replace('_', ' ')} {report[name]}"
        for name in ("equity", "realised", "fees", "max_drawdown")
        if name in report
    )


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
