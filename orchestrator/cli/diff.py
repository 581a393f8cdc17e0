"""The command that compares what was applied with what was, or with the files: diff."""

from typing import TYPE_CHECKING, Any

import click

from orchestrator import app
from orchestrator.app import past
from orchestrator.cli.change import DIFFERS
from orchestrator.cli.failure import say
from orchestrator.cli.options import located, project_options
from orchestrator.cli.output import console, emit, output_option

if TYPE_CHECKING:
    from rich.console import Console

FILES = "the files as they are"
_SIGNS = {"add": ("+", "green"), "remove": ("-", "red"), "change": ("~", "yellow")}
_LINES = (
    ("--- ", "bold"),
    ("+++ ", "bold"),
    ("@@ ", "cyan"),
    ("+", "green"),
    ("-", "red"),
    ("\\ ", "dim"),
)


@click.command()
@click.argument("old", metavar="[A]", type=click.IntRange(1), required=False)
@click.argument("new", metavar="[B]", type=click.IntRange(1), required=False)
@project_options
@output_option
def diff(
    old: int | None, new: int | None, files: tuple[str, ...], project: str | None, output: str
) -> None:
    """Show how revision A differs from revision B, or from the files as they are.

    A is by default the revision that is applied. First comes a unified diff of the texts, then what
    differs for each plugin. Exit 0: the same, 6: something differs.

    \b
    Examples:
      ntpctl diff                        what was edited since the last apply
      ntpctl diff 3                      revision 3 and the files as they are
      ntpctl diff 3 4                    two revisions
      ntpctl diff 3 4 -o json | jq .plugins
    """
    where = located(files, project)
    number = old or past.applied(where)
    one = past.recall(where, number)
    other = app.declare(files, project) if new is None else past.recall(where, new)
    found = past.difference(one, other, names=(f"revision {number}", _named(new)))
    if output == "table":
        _print(found)
    else:
        emit(found, output)
    if found["unknown"]:
        say(f"what differs for each plugin is not known:\n{found['unknown']}")
    if found["differs"]:
        raise click.exceptions.Exit(DIFFERS)


def _named(number: int | None) -> str:
    return FILES if number is None else f"revision {number}"


def _print(found: dict[str, Any]) -> None:
    out = console()
    for line in found["text"].removesuffix("\n").split("\n") if found["text"] else ():
        style = next((style for start, style in _LINES if line.startswith(start)), "")
        _line(out, line, style)
    if found["text"] and not found["unknown"]:
        _line(out, "", "")
    width = max((len(each["name"]) for each in found["plugins"]), default=0)
    for each in found["plugins"]:
        sign, style = _SIGNS[each["do"]]
        _line(
            out, f"{sign} {each['do']:<9} {each['name']:<{width}}  {each['what']}".rstrip(), style
        )
    if not found["differs"]:
        _line(out, f"nothing differs between {found['from']} and {found['to']}", "")
    elif not found["plugins"] and not found["unknown"]:
        _line(out, "no plugin differs: the text alone", "")


def _line(out: "Console", text: str, style: str) -> None:
    """Print a line of a file that anybody may have written: its escapes steer no terminal."""
    if not out.is_terminal:
        click.echo(text)
        return
    shown = (
        each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text.expandtabs()
    )
    out.print("".join(shown), style=style, markup=False)
