"""The kill switch: halt, and resume."""

from collections.abc import Iterable, Sequence
from typing import Any

import click

from orchestrator import app
from orchestrator.cli.completion import plugin_names
from orchestrator.cli.failure import say
from orchestrator.cli.options import deadline_option, located, project_options
from orchestrator.cli.output import output_option
from orchestrator.cli.progress import conclude, outcome_of

_names = click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=plugin_names)
_wait = click.option("--wait/--no-wait", default=True, help="Wait until the executors obey.")
_deadline = deadline_option(30.0, "How long to wait.")


@click.command()
@_names
@project_options
@click.option("--flatten", is_flag=True, help="Close what is held, too, at its next tick.")
@_wait
@_deadline
@output_option
def halt(names: tuple[str, ...], *, flatten: bool, wait: bool, **given: Any) -> None:
    """Open nothing any more: for all, or for the strategies and executors that are named.

    What waits to be opened is cancelled, what closes is still filled. It holds, over applies and
    restarts of anything, until `resume`. An executor that does not hear (the broker is away) obeys
    as soon as it does: it is named, and the exit code is 5.

    \b
    Examples:
      ntpctl halt
      ntpctl halt --flatten
      ntpctl halt momentum_strategy
    """
    _change("halt", names, wait=wait, flatten=flatten, **given)


@click.command()
@_names
@project_options
@_wait
@_deadline
@output_option
def resume(names: tuple[str, ...], *, wait: bool, **given: Any) -> None:
    """Let be opened again what `halt` halted: all, or what is named.

    \b
    Example:
      ntpctl resume
    """
    _change("resume", names, wait=wait, **given)


def _change(
    call: str,
    names: Sequence[str],
    *,
    files: tuple[str, ...],
    project: str | None,
    wait: bool,
    deadline: float,
    output: str,
    **more: Any,
) -> None:
    where = located(files, project)
    chosen = list(dict.fromkeys(names))
    done = {"halt": "halted", "resume": "resumed"}[call]
    outcome = outcome_of(
        app.call(where, call, names=chosen, wait=wait, deadline=deadline, **more), done=done
    )
    conclude(outcome, output=output, done=done, wait=wait)
    if output == "table":
        say(f"{done}: {', '.join(chosen) or 'all'}; {_obeyed(outcome['plugins'])}")


def _obeyed(executors: Iterable[dict[str, Any]]) -> str:
    obey = [each["name"] for each in executors if each["started"] and not each["halt_pending"]]
    later = [each["name"] for each in executors if not each["started"]]
    late = [each["name"] for each in executors if each["started"] and each["halt_pending"]]
    told = (
        [f"{', '.join(obey)} obeys" if len(obey) == 1 else f"{', '.join(obey)} obey"]
        if obey
        else []
    )
    told += [f"{', '.join(later)}: not running, with the next start"] if later else []
    told += [f"{', '.join(late)}: when it hears"] if late else []
    return "; ".join(told) or "there is no executor"
