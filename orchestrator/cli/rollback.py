"""The command that goes back: rollback, which is an apply of what was applied before."""

import click

from orchestrator import app
from orchestrator.app import past
from orchestrator.cli.change import (
    carry_out,
    counted,
    ensure_controller,
    previewed,
    problems_printed,
)
from orchestrator.cli.failure import say
from orchestrator.cli.options import Terms, located, project_options, terms_options
from orchestrator.cli.output import emit, output_option
from orchestrator.cli.progress import settle
from orchestrator.settings import Settings


@click.command()
@click.argument("number", type=click.IntRange(1), required=False)
@project_options
@terms_options
@output_option
def rollback(
    number: int | None,
    files: tuple[str, ...],
    project: str | None,
    output: str,
    terms: Terms,
) -> None:
    """Apply an older revision again: its files and the code that it ran.

    It becomes a new revision, with the settings of that one, guarded and waited for as by `apply`.
    Default: the one before the applied one. The files on disk are not changed;
    `ntpctl history N --show` prints those of a revision. On a cluster its PluginSets are written again.

    \b
    Examples:
      ntpctl rollback                    to the revision before
      ntpctl rollback 3 --yes
      ntpctl diff 5 3                    see first what going from 5 to 3 changes
    """
    where = located(files, project)
    if where.context is not None:
        _on_cluster(where, number, terms, output)
        return
    app.check_folder(where)
    if app.was_applied(where):
        ensure_controller(where)
    now = past.applied(where)
    chosen = number or past.before(where, now)
    again = past.recall(where, chosen)
    if now and past.same(again, past.recall(where, now)):
        what = "runs now" if chosen == now else f"is the same as {now}, which runs now"
        say(f"revision {chosen} {what}; nothing was changed")
        if output != "table":
            emit(past.outcome(where), output)
        return
    with problems_printed(output):
        app.confirm_sandbox(again, confirmed=terms.no_sandbox)
    preview = previewed(again, output)
    say(
        f"the files on disk stay as they are, and the next apply brings theirs back\n"
        f"  `ntpctl history {chosen} --show` prints what revision {chosen} was made of"
    )
    carry_out(again, preview, terms, output)


def _on_cluster(where: Settings, number: int | None, terms: Terms, output: str) -> None:
    from orchestrator.app import cluster_rollback

    chosen = number or past.before(where, past.applied(where))
    revision = app.ask(where, "revision", number=chosen)
    for name in cluster_rollback.made_since(where, revision):
        say(f"PluginSet {name} was made after revision {chosen}: it stays as it is")
    rolled = cluster_rollback.rolled_back(
        where,
        revision,
        allow_deletes=terms.allow_deletes,
        take_over=terms.take_over,
        wait=terms.wait,
        deadline=terms.deadline,
    )
    with problems_printed(output):
        outcome = settle(rolled, output=output)
    if output == "table":
        say(f"as in revision {chosen}: {counted(outcome['plugins'])}")
