"""All plugins as `ntpctl top` shows them: the order of the rows, their columns, the picture."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from orchestrator.cli.output import Column, draw, fitting, printable
from orchestrator.cli.overview import bare
from orchestrator.cli.words import signal_of, state_style

Row = Mapping[str, Any]

NARROW = 100
"""Columns of a terminal on which the newest signal gives way to figures."""
RECORDED_S = 86400.0
"""A tick older than this is of a recording, and no lag."""

SORTS: Mapping[str, Callable[[Row], float]] = {
    "name": lambda _: 0.0,
    "state": lambda row: float(not row["ready"]),
    "cpu": lambda row: row["cpu_share"] or 0.0,
    "memory": lambda row: row["usage"]["memory"],
    "in": lambda row: _flow(row, "received_per_s"),
    "out": lambda row: _flow(row, "sent_per_s"),
    "lag": lambda row: _lag(row) or 0.0,
    "lost": lambda row: _flow(row, "lost"),
    "restarts": lambda row: row["restarts"],
}
"""What the rows may be sorted by: the largest first, equal ones by name."""


def ordered(plugins: Sequence[Row], sort: str) -> list[Row]:
    return sorted(plugins, key=lambda row: (-SORTS[sort](row), row["name"]))


def columns(now: str) -> list[Column]:
    """Return all there are; `now`: when the rows were told, ISO 8601."""
    return [
        Column("NAME", lambda row: row["name"]),
        Column("KIND", lambda row: row["kind"], rank=12),
        Column("STATE", lambda row: row["state"], style=state_style),
        Column("CPU%", _cpu, right=True, rank=1),
        Column("MEMORY", _memory, right=True, rank=2),
        Column("PEAK", lambda row: _size(row["usage"]["memory_peak"]), right=True, rank=8),
        Column("PIDS", lambda row: str(row["usage"]["pids"] or ""), right=True, rank=9),
        Column("IN/S", lambda row: _rate(row, "received_per_s"), right=True, rank=3),
        Column("OUT/S", lambda row: _rate(row, "sent_per_s"), right=True, rank=4),
        Column("LAG", _lag_cell, right=True, rank=7),
        Column("LOST", lambda row: _count(row, "lost"), right=True, rank=5),
        Column("LATE", lambda row: _count(row, "late"), right=True, rank=11),
        Column("RESTARTS", lambda row: str(row["restarts"]), right=True, rank=6),
        Column("LATEST", lambda row: latest(row, now)),
    ]


def latest(row: Row, now: str) -> str:
    """Return what matters most of it: why it is not ready, else its newest signal, else a warning."""
    made = signal_of(row.get("signal"), now)  # not of an older controller that still runs
    told = _line(row["message"])
    return made if made and row["ready"] else told or made


@dataclass(frozen=True, slots=True)
class Picture:
    """One answer of `status` as a whole terminal. `notice`: why it is not a newer one, or empty."""

    answer: Mapping[str, Any]
    sort: str = "name"
    notice: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        del console
        width, height = options.max_width, options.height or options.max_height
        told = [*self._head(), *self._warnings()]
        rows = ordered(self.answer["plugins"], self.sort)
        room = max(1, height - len(told) - 3)  # the titles, and two lines below
        shown = rows if len(rows) <= room else rows[:room]
        for line in told:
            line.truncate(width, overflow="ellipsis")
            yield line
        found = columns(self.answer["at"])
        least = 12 if width < NARROW else 24
        yield draw(shown, fitting(shown, found, width, least=least), wraps=False)
        more = f"{len(rows) - len(shown)} more below  " if len(shown) < len(rows) else ""
        foot = Text(f"\n{more}sorted by {self.sort}, q leaves", style="dim")
        yield foot

    def _head(self) -> Iterator[Text]:
        rows = self.answer["plugins"]
        ready = sum(row["ready"] for row in rows)
        at = datetime.fromisoformat(self.answer["at"]).strftime("%H:%M:%S")
        yield Text.assemble(
            (f"{self.answer['project']}  ", "bold"),
            f"revision {self.answer['revision']}  ",
            (f"{ready}/{len(rows)} ready", "green" if ready == len(rows) else "yellow"),
            f"  {at} UTC",
        )
        if self.notice:
            yield Text(_line(self.notice), style="bold red")
            return
        cpu = sum(row["cpu_share"] or 0.0 for row in rows)
        memory = sum(row["usage"]["memory"] for row in rows)
        came, went = (
            sum(_flow(row, key) for row in rows) for key in ("received_per_s", "sent_per_s")
        )
        yield Text(
            f"CPU {cpu:.0%}  memory {_size(memory) or 0}  in {_short(came)}/s  out {_short(went)}/s",
            style="dim",
        )

    def _warnings(self) -> Iterator[Text]:
        for each in self.answer["conditions"]:
            if not each["status"]:
                words = f"{each['type']}: {each['reason']}: {each['message']}"
                yield Text(_line(words), style="yellow")
        if found := bare(self.answer["plugins"]):
            yield Text(f"WITHOUT A SANDBOX: {', '.join(found)}", style="bold red")
        yield Text("")


def _line(text: str) -> str:
    return printable(" ".join(text.split()))


def _flow(row: Row, key: str) -> float:
    return float(row["flow"][key]) if row["flow"] else 0.0


def _lag(row: Row) -> float | None:
    """Return seconds; None where nothing came, or what came is of a recording."""
    age = row["flow"]["skew_s"] if row["flow"] else None
    return None if age is None or age >= RECORDED_S else max(0.0, float(age))


def _lag_cell(row: Row) -> str:
    lag = _lag(row)
    if lag is None:
        return "rec" if row["flow"] and row["flow"]["skew_s"] is not None else ""
    if lag < 1:
        return f"{lag * 1000:.0f}ms"
    if lag < 100:
        return f"{lag:.1f}s"
    return f"{lag / 60:.0f}m" if lag < 6000 else f"{lag / 3600:.0f}h"


def _cpu(row: Row) -> str:
    return "" if row["cpu_share"] is None else f"{100 * row['cpu_share']:.1f}"


def _memory(row: Row) -> str:
    """Used, and of how much; a peak has a column of its own."""
    usage = row["usage"]
    used = _size(usage["memory"])
    return f"{used}/{_size(usage['memory_limit'])}" if used and usage["memory_limit"] else used


def _size(count: int) -> str:
    """Print bytes in four or five columns; nothing for none.

    >>> _size(18 << 20), _size(3 << 29), _size(900 << 10)
    ('18M', '1.5G', '900K')
    """
    for unit, letter in ((1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")):
        if count >= unit:
            return f"{count / unit:.1f}G" if letter == "G" else f"{count / unit:.0f}{letter}"
    return str(count) if count else ""


def _rate(row: Row, key: str) -> str:
    return _short(row["flow"][key]) if row["flow"] else ""


def _short(rate: float) -> str:
    """Print a rate in at most five columns; what is rare is not nothing.

    >>> [_short(each) for each in (0, 0.04, 3.2, 2115.4, 48_300, 2_500_000)]
    ['0', '0.04', '3.2', '2115', '48k', '2500k']
    """
    if rate >= 10_000:
        return f"{rate / 1000:.0f}k"
    if rate >= 10 or not rate:
        return f"{rate:.0f}"
    return f"{rate:.1f}" if rate >= 1 else f"{rate:.2f}"


def _count(row: Row, key: str) -> str:
    return str(row["flow"][key]) if row["flow"] else ""
