"""The command that plays what was recorded once more: to compare it with what was done, or to try something."""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from orchestrator import app
from orchestrator.app import past
from orchestrator.cli.change import DIFFERS
from orchestrator.cli.completion import plugin_names
from orchestrator.cli.failure import ended_like_ctrl_c, say
from orchestrator.cli.options import deadline_option, located, project_options
from orchestrator.cli.output import emit, output_option, printable, put
from orchestrator.cli.replay_report import differs, show
from orchestrator.errors import ActionError


class Moment(click.ParamType[datetime]):
    """ISO-8601; in UTC where it names no zone."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"'{value}' is no time\n  fix: write it as 2026-01-31T14:30:00Z", param, ctx)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=plugin_names)
@click.option("--from", "begin", type=Moment(), help="Feed what happened from then on.")
@click.option("--to", "end", type=Moment(), help="Feed what happened before that.")
@click.option(
    "--data",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Feed this recording (CSV) instead of what was captured; may be repeated.",
)
@click.option(
    "--with",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    help="Another value in the strategy's config; may be repeated.",
)
@click.option("--edited", is_flag=True, help="The files as they are, not what is applied.")
@deadline_option(300.0, "For each strategy.")
@project_options
@output_option
def replay(
    *,
    names: tuple[str, ...],
    begin: datetime | None,
    end: datetime | None,
    data: tuple[Path, ...],
    changes: tuple[str, ...],
    deadline: float,
    files: tuple[str, ...],
    project: str | None,
    output: str,
    edited: bool,
) -> None:
    """Play what the bus has recorded once more through the engine that ran it.

    Without options: what strategies NAME did (or those of executor NAME; or all), compared with the
    paper ledger row by row. Exit 0: the same, 6: something differs. With --from, --to, --data, --with or
    --edited: what a strategy would do that begins with that period and an empty ledger; nothing is
    compared. The plugins run in a sandbox of their own; what runs is not touched.

    \b
    Examples:
      ntpctl replay                                   is what was done what the engine does?
      ntpctl replay bollinger_strategy -o json
      ntpctl replay bollinger_strategy --with period=30
      ntpctl replay my_strategy --edited --data ticks.csv
    """
    from orchestrator.app import replaying
    from orchestrator.app.replay_order import Asked

    compare = not (begin or end or data or changes or edited)
    where = located(files, project)
    declared = app.declare(files, project) if edited else past.recall(where, past.applied(where))
    asked = Asked(
        declared=declared,
        names=names,
        config=_config(changes),
        data=data,
        begin=begin,
        end=end,
        compare=compare,
        deadline_s=deadline,
    )
    with ended_like_ctrl_c():
        rows = [replaying.answer_of(*each) for each in replaying.replays(asked, _told)]
    if output != "table":
        emit({"compared": compare, "replays": rows}, output)
    else:
        for row in rows:
            show(row, compared=compare)
    refused = [row for row in rows if row["refused"]]
    for row in refused:
        say(printable(f"{row['strategy']}: {row['refused']}\n  fix: {row['fix']}"))
    if any(differs(row) for row in rows):
        raise click.exceptions.Exit(DIFFERS)
    if refused:
        raise click.exceptions.Exit(ActionError.exit_code)


def _told(words: str) -> None:
    if sys.stderr.isatty():
        put(words, "dim", stderr=True)
    elif not words.startswith("replayed "):
        say(words)


def _config(changes: Sequence[str]) -> dict[str, Any]:
    """Read KEY=VALUE; a value is JSON, or else text."""
    found: dict[str, Any] = {}
    for change in changes:
        key, sign, text = change.partition("=")
        if not sign or not key:
            raise click.UsageError(f"--with was '{change}'\n  fix: write KEY=VALUE, as period=30")
        try:
            found[key] = json.loads(text)
        except ValueError:
            found[key] = text
    return found
