"""Commands that look and change nothing: status, logs, events."""

from collections.abc import Mapping
from typing import Any

import click

from orchestrator import app
from orchestrator.cli.completion import plugin_names
from orchestrator.cli.detail import show
from orchestrator.cli.failure import say
from orchestrator.cli.options import followable_options, located, project_options
from orchestrator.cli.output import emit, emit_one, output_option, warn_of_detours
from orchestrator.cli.overview import overview, warn_of_bare


@click.command()
@click.argument("name", required=False, shell_complete=plugin_names)
@project_options
@output_option
def status(name: str | None, files: tuple[str, ...], project: str | None, output: str) -> None:
    """Show what runs, why, since when, and how isolated it is.

    With a NAME all that is known of that plugin: limits and usage, messages, its own figures, why
    it ended last; which hosts it may reach, which were refused, and the line that would allow them.

    \b
    Examples:
      ntpctl status
      ntpctl status bollinger_strategy
      ntpctl status -o json | jq '.plugins[] | select(.ready | not)'
    """
    answer = app.ask(located(files, project), "status", name=name)
    if output != "table":
        emit(answer, output)
    elif name:
        warn_of_bare(answer["plugins"])
        warn_of_detours(answer["plugins"])
        show(answer["plugins"][0])
    else:
        overview(answer)


@click.command()
@click.argument("name", shell_complete=plugin_names)
@followable_options
@click.option(
    "-n",
    "--tail",
    type=click.IntRange(0),
    default=200,
    show_default=True,
    help="How many last lines.",
)
@click.option("-f", "--follow", is_flag=True, help="Go on as lines come, until Ctrl-C.")
@output_option
def logs(
    name: str, files: tuple[str, ...], project: str | None, tail: int, output: str, *, follow: bool
) -> None:
    """Print a plugin's output: its own lines, and the runtime's (marked ntp).

    \b
    Examples:
      ntpctl logs momentum_strategy
      ntpctl logs -f momentum_strategy
    """
    where = located(files, project)
    lines = (
        line
        for line in app.call(where, "logs", name=name, follow=follow, tail=tail)
        if line.get("event") == "log"
    )
    if output != "table" and not follow:
        emit({"lines": [_told(line) for line in lines]}, output)
        return
    found = False
    for line in lines:
        found = True
        if output == "table":
            mark = "" if line["stream"] == "stdout" else f"[{line['stream']}] "
            click.echo(f"{line['at'][:23]} {mark}{line['text']}")
        else:
            emit_one(_told(line), output)
    if not found:
        say(f"{name} has printed nothing")


def _told(message: Mapping[str, Any]) -> dict[str, Any]:
    """Take off what says on the controller's socket which event it is."""
    return {key: value for key, value in message.items() if key != "event"}


@click.command()
@click.argument("name", required=False, shell_complete=plugin_names)
@followable_options
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(0),
    default=200,
    show_default=True,
    help="How many last events.",
)
@click.option("-f", "--follow", is_flag=True, help="Go on as events come, until Ctrl-C.")
@output_option
def events(
    name: str | None,
    files: tuple[str, ...],
    project: str | None,
    limit: int,
    output: str,
    *,
    follow: bool,
) -> None:
    """Show what was decided and observed, each with its cause.

    \b
    Examples:
      ntpctl events
      ntpctl events -f paper_executor
    """
    where = located(files, project)
    for message in app.call(where, "events", name=name, limit=limit, follow=follow):
        if message.get("event") == "event":
            _event(_told(message), output)
        elif "result" in message and not follow:
            if not message["result"]["events"]:
                say(f"no events{f' of {name!r}' if name else ''}")
            if output == "table":
                for event in message["result"]["events"]:
                    _event(event, output)
            else:
                emit(message["result"], output)


def _event(event: Mapping[str, Any], output: str) -> None:
    if output != "table":
        emit_one(event, output)
        return
    times = f" (x{event['count']})" if event["count"] > 1 else ""
    who = event["name"] or "project"
    head = f"{event['at'][:19]}  {who:<22} {event['reason']:<20} "
    # A problem has its fix on a line of its own: it stays in the column of the text.
    text = event["message"].replace("\n", "\n" + " " * len(head))
    click.echo(f"{head}{text}{times}")
