"""The command that lists what was applied: history."""

from collections.abc import Mapping
from typing import Any

import click

from orchestrator.app import past
from orchestrator.cli.failure import say
from orchestrator.cli.options import located, project_options
from orchestrator.cli.output import Column, console, emit, output_option, table


@click.command()
@click.argument("number", type=click.IntRange(1), required=False)
@project_options
@click.option("--show", is_flag=True, help="Print the text of that revision's files, as applied.")
@output_option
def history(
    number: int | None, files: tuple[str, ...], project: str | None, output: str, *, show: bool
) -> None:
    """Show the revisions: what was applied when, and what each changed.

    \b
    Examples:
      ntpctl history
      ntpctl history 3                       its files and the code that each plugin ran
      ntpctl history 3 --show > plugins.yaml take that text back
    """
    if show and number is None:
        raise click.UsageError(
            "--show prints one revision\n  fix: name it: ntpctl history 3 --show"
        )
    where = located(files, project)
    if number is None:
        answer = past.revisions(where)
        if output != "table":
            emit(answer, output)
        else:
            _list(answer)
        return
    one = past.revision(where, number)
    if output != "table":
        emit(one, output)
    elif show:
        _sources(one)
    else:
        _detail(one)


def _list(answer: Mapping[str, Any]) -> None:
    if not answer["revisions"]:
        say("nothing was applied yet")
        return
    table(
        answer["revisions"][::-1],
        [
            Column("REVISION", lambda row: str(row["number"]), right=True),
            Column("APPLIED", lambda row: _when(row["applied"])),
            Column("RUNS", lambda row: "now" if row["runs"] else "", style=lambda _: "green"),
            Column("FILES", lambda row: ", ".join(row["files"]), rank=1),
            Column("CHANGE", _change),
        ],
    )


def _change(row: Mapping[str, Any]) -> str:
    # A controller of an older release, that still runs, tells neither.
    again = f"again {row['again']}" if row.get("again") else ""
    return "; ".join(filter(None, (again, row.get("change", ""))))


def _when(at: str) -> str:
    """Print UTC to the second, with its mark: revisions are compared with logs of exchanges."""
    return f"{at[:19].replace('T', ' ')}Z"


def _sources(one: Mapping[str, Any]) -> None:
    """One file comes out exactly as it was applied; of several, each has its name before it."""
    several = len(one["sources"]) > 1
    for file, text in one["sources"]:
        if several:
            click.echo(f"# {file}")
        click.echo(text, nl=several and not text.endswith("\n"))


def _detail(one: Mapping[str, Any]) -> None:
    out = console()
    out.print(f"revision {one['number']}, applied {_when(one['applied'])}", markup=False)
    if one.get("change"):
        out.print(f"change    {one['change']}", markup=False)
    for file, text in one["sources"]:
        out.print(f"file      {file}, {len(text.splitlines())} lines", markup=False)
    for name, digest in sorted(one["resolved"].items()):
        out.print(f"code      {name:<24} {digest.removeprefix('sha256:')[:12]}", markup=False)
    say(f"`ntpctl history {one['number']} --show` prints the files")
