"""One renderer for every read: table for people, JSON and YAML for programs."""

import json
import os
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

FORMATS = ("table", "json", "yaml")
UNBOUNDED = 10_000
"""Columns where nobody looks: a program must not find a message cut off."""
GAP = 2
"""Blanks between two columns: a cell may hold single ones."""
MESSAGE = 32
"""Columns that the last column, which wraps, keeps at least."""
_COMMANDS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Control characters, but the tab and the end of a line."""
_UNSEEN = {"Cc", "Cf", "Cn", "Co", "Cs"}
"""Categories of Unicode: control, format (what turns the direction of text), and what is no character."""
_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
Command = TypeVar("Command", bound=Callable[..., Any])


def output_option(command: Command) -> Command:
    """Give a command `--output`; every read has it, and its JSON is an API."""
    return click.option(
        "--output",
        "-o",
        type=click.Choice(FORMATS),
        default="table",
        show_default=True,
        help="How to print the result.",
    )(command)


@dataclass(frozen=True, slots=True)
class Column:
    """`title` of a table column and the cell of a row; `style` may colour it.

    Where a terminal is too narrow, columns go, that of the highest `rank` first; those of rank 0 stay.
    """

    title: str
    cell: Callable[[Mapping[str, Any]], str]
    right: bool = False
    style: Callable[[Mapping[str, Any]], str] | None = None
    rank: int = 0


def colour_wanted(stream: Any) -> bool:
    """Colour only on a terminal, and never against NO_COLOR or TERM=dumb."""
    return bool(
        stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
    )


def console(*, stderr: bool = False) -> "Console":
    """Return a console that knows whether it may colour; without a terminal lines are not wrapped."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    terminal = stream.isatty()
    return Console(
        file=stream,
        no_color=not colour_wanted(stream),
        highlight=False,
        soft_wrap=not terminal,
        width=None if terminal else UNBOUNDED,
    )


def put(text: str, style: str = "", *, stderr: bool = False) -> None:
    """Print lines, `style` (words such as `bold red`) on a terminal that may show it.

    Without rich, whose import takes as long as all else that a quick command does.
    """
    stream = sys.stderr if stderr else sys.stdout
    shown = printable(text)
    if style and colour_wanted(stream):
        codes = ";".join(_STYLES[word] for word in style.split())
        shown = f"\x1b[{codes}m{shown}\x1b[0m"
    print(shown, file=stream, flush=stderr)


def warn(text: str) -> None:
    """Print loudly to stderr: what nobody may overlook."""
    put(text, "bold red", stderr=True)


def warn_of_no_sandbox() -> None:
    warn(
        "PLUGIN_SANDBOX is false: plugins run WITHOUT A SANDBOX, with your own rights\n"
        "  fix: take it out of the environment and of .env"
    )


def warn_of_detours(rows: Iterable[Mapping[str, Any]]) -> None:
    """Say loudly whose hosts are not the real ones. Rows of a status or of a plan."""
    told = [
        f"{row['name']} reaches {to} in place of {place}"
        for row in rows
        for place, to in row.get("egress_mapped", {}).items()
    ]
    if told:
        warn(
            f"NOT THE REAL HOST, by NTP_EGRESS_MAP: {', '.join(told)}\n"
            "  fix: for real data take it out of the environment and of .env, then `ntpctl apply`"
        )


def emit(value: Any, output: str) -> None:
    """Print a JSON-ready value as JSON or YAML."""
    if output == "yaml":
        import yaml

        click.echo(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), nl=False)
    else:
        click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def emit_one(value: Any, output: str) -> None:
    """Print one of many as it comes: JSON as one line, YAML as a document of its own."""
    if output == "yaml":
        click.echo("---")
        emit(value, output)
    else:
        click.echo(json.dumps(value, ensure_ascii=False))


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> None:
    """Print rows as a table without lines, as kubectl and docker do; the last column may wrap."""
    out = console()
    drawn = draw(rows, fitting(rows, columns, out.width))
    if out.is_terminal:
        out.print(drawn)
        return
    with out.capture() as held:
        out.print(drawn)
    for line in held.get().splitlines():
        click.echo(line.rstrip())


def draw(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], *, wraps: bool = True
) -> "Table":
    """Return the table that `table` prints. Not `wraps`: a row is a line, what is too long is cut."""
    from rich.table import Table
    from rich.text import Text

    drawn = Table(
        box=None,
        pad_edge=False,
        show_edge=False,
        header_style="bold",
        padding=(0, GAP, 0, 0),
    )
    for column in columns:
        drawn.add_column(
            column.title,
            justify="right" if column.right else "left",
            no_wrap=column is not columns[-1],  # so that the last one alone gives way
        )
    for row in rows:
        drawn.add_row(
            *(
                Text(
                    printable(column.cell(row)),
                    style=column.style(row) if column.style else "",
                    overflow="fold" if wraps else "ellipsis",
                    no_wrap=not wraps,
                )
                for column in columns
            )
        )
    return drawn


def printable(text: str) -> str:
    """Return text in which nothing commands the terminal: what a plugin says may hold anything."""
    return _COMMANDS.sub("\N{REPLACEMENT CHARACTER}", text)


def one_line(text: str) -> str:
    """Return what a stranger wrote as a part of one line: no break, no run of spaces, nothing unseen in it.

    >>> one_line("Bands.\\n  signed by   SHA256:\\u202eX")
    'Bands. signed by SHA256:X'
    """
    joined = " ".join(text.split())
    return "".join(each for each in joined if unicodedata.category(each) not in _UNSEEN)


def fitting(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[Column],
    width: int,
    *,
    least: int = MESSAGE,
) -> list[Column]:
    """Return the columns that a line of `width` holds; what a row means is the last to go.

    `least`: columns that the last one keeps at least.
    """
    wide = [
        max(len(column.title), *(_widest(column.cell(row)) for row in rows), 0)
        for column in columns
    ]
    wide[-1] = min(wide[-1], least)
    kept = list(range(len(columns)))
    while sum(wide[each] + GAP for each in kept) - GAP > width:
        last = max(kept, key=lambda each: columns[each].rank)
        if not columns[last].rank:
            break
        kept.remove(last)
    return [columns[each] for each in kept]


def _widest(cell: str) -> int:
    return max((len(line) for line in cell.splitlines()), default=0)
