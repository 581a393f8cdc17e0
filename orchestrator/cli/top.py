"""The command that shows all plugins as they are now: top."""

import time
from collections.abc import Mapping
from typing import Any

import click

from orchestrator import app
from orchestrator.cli.options import located, project_options
from orchestrator.cli.output import emit, emit_one, output_option, table
from orchestrator.cli.overview import warn_of_bare
from orchestrator.cli.top_view import SORTS, Picture, columns, ordered
from orchestrator.errors import UnreachableError
from orchestrator.settings import Settings

WITHIN_S = 10.0
"""A view that hangs is none: the controller counts as away."""


@click.command()
@project_options
@click.option(
    "--sort",
    type=click.Choice(list(SORTS)),
    default="name",
    show_default=True,
    help="The largest first, for state those that are not ready; equal ones by name.",
)
@click.option(
    "--interval",
    type=click.FloatRange(0.2, 3600),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="How often to look.",
)
@click.option("--once", is_flag=True, help="Look once and end.")
@output_option
def top(
    files: tuple[str, ...],
    project: str | None,
    sort: str,
    interval: float,
    output: str,
    *,
    once: bool,
) -> None:
    """Show what each plugin uses and does, live: CPU, memory, messages, lag, latest signal.

    On a terminal until q or Ctrl-C; elsewhere a table, or with -o a document, at each look.

    \b
    Examples:
      ntpctl top
      ntpctl top --sort cpu --interval 5
      ntpctl top --once
      ntpctl top -o json | jq -c '.plugins[] | [.name, .cpu_share]'
    """
    where = located(files, project)
    if output == "table" and not once:
        from orchestrator.cli import screen

        if screen.possible():
            _live(where, sort, interval)
            return
    _lines(where, sort, interval, output, once=once)


def _live(where: Settings, sort: str, interval: float) -> None:
    from orchestrator.cli.screen import Screen

    picture = Picture(_asked(where), sort)  # a failure now is told where it can be read
    with Screen() as screen:
        while True:
            screen.show(picture)
            if not screen.pause(interval):
                return
            try:
                picture = Picture(_asked(where), sort)
            except UnreachableError as error:
                picture = Picture(picture.answer, sort, notice=str(error))


def _lines(where: Settings, sort: str, interval: float, output: str, *, once: bool) -> None:
    due = time.monotonic()
    first = True
    while True:
        answer = _asked(where)
        answer["plugins"] = ordered(answer["plugins"], sort)
        if output == "table":
            if first:
                warn_of_bare(answer["plugins"])
            else:
                click.echo()
            table(answer["plugins"], columns(answer["at"]))
        elif once:
            emit(answer, output)
        else:
            emit_one(answer, output)
        if once:
            return
        first = False
        # By the clock, however long an answer took; one that took longer than that delays the next.
        now = time.monotonic()
        due = max(due + interval, now)
        time.sleep(due - now)


def _asked(where: Settings) -> dict[str, Any]:
    answer: Mapping[str, Any] = app.ask(where, "status", within_s=WITHIN_S)
    return dict(answer)
