"""Dead letters: what a receiver could not take, looked at, sent once more, dropped."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from orchestrator import app
from orchestrator.cli.completion import plugin_names
from orchestrator.cli.failure import agreed, say
from orchestrator.cli.options import located, project_options
from orchestrator.cli.output import Column, console, emit, output_option, table
from orchestrator.errors import ActionError
from orchestrator.settings import Settings


@click.group()
def dlq() -> None:
    """Show the dead letters: what a receiver could not take; retry or drop them.

    \b
    Examples:
      ntpctl dlq list
      ntpctl dlq show paper_executor/3
      ntpctl dlq retry paper_executor/3
      ntpctl dlq drop --all
    """


@dlq.command(name="list")
@click.argument("name", required=False, shell_complete=plugin_names)
@project_options
@output_option
def list_(name: str | None, files: tuple[str, ...], project: str | None, output: str) -> None:
    """Show the dead letters of receiver NAME, or of all: oldest first, each with its reason.

    \b
    Examples:
      ntpctl dlq list
      ntpctl dlq list paper_executor -o json
    """
    letters = app.ask(located(files, project), "letters", name=name)["letters"]
    if output != "table":
        emit({"letters": letters}, output)
    elif not letters:
        say("there are no dead letters")
    else:
        _list(letters)


@dlq.command()
@click.argument("letter", metavar="ID")
@project_options
@output_option
def show(letter: str, files: tuple[str, ...], project: str | None, output: str) -> None:
    """Show one dead letter in full: what came, why it could not be taken, what retry would do.

    \b
    Examples:
      ntpctl dlq show paper_executor/3
      ntpctl dlq show paper_executor/3 -o json | jq -r .text
    """
    told = app.ask(located(files, project), "letter", id=letter)
    if output != "table":
        emit(told, output)
    else:
        _show(told)


def _those_meant(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command its letters: by their ids, or all."""
    command = click.option("--all", "every", is_flag=True, help="All there are as of now.")(command)
    return click.argument("letters", nargs=-1, metavar="[ID]...")(project_options(command))


@dlq.command()
@_those_meant
@output_option
def retry(
    letters: tuple[str, ...],
    files: tuple[str, ...],
    project: str | None,
    output: str,
    *,
    every: bool,
) -> None:
    """Send dead letters to their receivers once more, under the ids that they have.

    Each goes to its own receiver alone, behind what waits there. A receiver that has acted on it
    before knows its id. One that it still cannot take comes back here.

    \b
    Examples:
      ntpctl dlq retry paper_executor/3
      ntpctl dlq retry --all
    """
    where = located(files, project)
    _done(where, "retry_letters", _ids(where, letters, every=every), output, "sent once more")


@dlq.command()
@_those_meant
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@output_option
def drop(
    letters: tuple[str, ...],
    files: tuple[str, ...],
    project: str | None,
    output: str,
    *,
    every: bool,
    yes: bool,
) -> None:
    """Remove dead letters for good; asks before it does.

    \b
    Examples:
      ntpctl dlq drop paper_executor/3 paper_executor/4
      ntpctl dlq drop --all --yes
    """
    where = located(files, project)
    ids = _ids(where, letters, every=every)
    if ids and not yes:
        many = ids[0] if len(ids) == 1 else f"{len(ids)} dead letters"
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise click.UsageError("what is dropped is gone\n  fix: confirm it with --yes")
        agreed(f"Drop {many}? What they say is gone then.")
    _done(where, "drop_letters", ids, output, "dropped")


def _ids(where: Settings, letters: Sequence[str], *, every: bool) -> list[str]:
    if every == bool(letters):
        raise click.UsageError("which ones?\n  fix: name them (`ntpctl dlq list`), or say --all")
    if not every:
        return list(letters)
    return [each["id"] for each in app.ask(where, "letters")["letters"]]


def _done(where: Settings, what: str, ids: Sequence[str], output: str, words: str) -> None:
    told = app.ask(where, what, ids=list(ids)) if ids else {"done": [], "failed": {}}
    if output != "table":
        emit(told, output)
    else:
        for each in told["done"]:
            click.echo(f"{each} {words}")
        if not ids:
            say("there are no dead letters")
    for why in told["failed"].values():
        say(why)
    if told["failed"]:
        raise click.exceptions.Exit(ActionError.exit_code)


def _list(letters: Sequence[Mapping[str, Any]]) -> None:
    table(
        letters,
        [
            Column("ID", lambda row: str(row["id"])),
            Column("SENDER", lambda row: str(row["sender"])),
            Column("SYMBOL", lambda row: str(row["symbol"]) or "-"),
            Column("REASON", lambda row: str(row["reason"]) or "-"),
            Column("WHEN", lambda row: _when(row["kept"]), rank=1),
            Column("TRIES", lambda row: str(row["tries"]), right=True, rank=2),
            Column("MESSAGE", lambda row: str(row["message"])),
        ],
    )


def _when(at: str) -> str:
    return f"{at[:19].replace('T', ' ')}Z"


def _show(told: Mapping[str, Any]) -> None:
    letter = told["letter"]
    many = "once" if letter["tries"] == 1 else f"{letter['tries']} times"
    cut = ", of which the end is missing" if letter["cut"] else ""
    lines = [
        ("letter", letter["id"]),
        ("from", f"{letter['sender']} to {letter['receiver']}"),
        ("id", letter["signal"] or "cannot be told"),
        ("symbol", letter["symbol"] or "-"),
        ("reason", f"{letter['reason'] or '-'}: {letter['message']}"),
        ("begun", many),
        ("sent", f"{_when(letter['sent'])}, {letter['stream']} {letter['place']}"
         if letter["sent"] else "-"),
        ("kept since", _when(letter["kept"])),
        ("retry", told["refusal"] or _would(letter)),
        ("message", f"{letter['size']} bytes{cut}"),
    ]  # fmt: skip
    out = console()
    for title, text in lines:
        out.print(f"{title:<12} {text}", markup=False, soft_wrap=True)
    out.print(_pretty(told["text"]), markup=False, soft_wrap=True, highlight=False)


def _would(letter: Mapping[str, Any]) -> str:
    known = "where its id is known, nothing happens twice" if letter["signal"] else "it has no id"
    return f"goes to {letter['receiver']} alone, behind what waits there; {known}"


def _pretty(text: str) -> str:
    """Return JSON on many lines; anything else as it is."""
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text
