"""One renderer for every read: table for people, JSON and YAML for programs."""

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from rich.console import Console

FORMATS = ("table", "json", "yaml")
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
    """`title` of a table column and the cell of a row; `style` may colour it."""

    title: str
    cell: Callable[[Mapping[str, Any]], str]
    right: bool = False
    style: Callable[[Mapping[str, Any]], str] | None = None


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
        width=None if terminal else 240,
    )


def emit(value: Any, output: str) -> None:
    """Print a JSON-ready value as JSON or YAML."""
    if output == "yaml":
        import yaml

        click.echo(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), nl=False)
    else:
        click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> None:
    """Print rows as a table without lines, as kubectl and docker do."""
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    for column in columns:
        drawn.add_column(column.title, justify="right" if column.right else "left", no_wrap=True)
    for row in rows:
        drawn.add_row(
            *(
                Text(column.cell(row), style=column.style(row) if column.style else "")
                for column in columns
            )
        )
    console().print(drawn)
