"""Commands on single plugins, by hand: restart, rotate, stop, start."""

from collections.abc import Callable, Sequence
from typing import Any

import click

from orchestrator import app
from orchestrator.cli.completion import plugin_names
from orchestrator.cli.options import deadline_option, located, project_options
from orchestrator.cli.output import output_option
from orchestrator.cli.progress import conclude, outcome_of
from orchestrator.errors import ActionError
from orchestrator.settings import Settings


def _by_hand(command: Callable[..., None]) -> click.Command:
    """Make a command of NAME… with the options that all of this module have."""
    for option in (
        output_option,
        deadline_option(60.0, "How long to wait, for each."),
        click.option("--wait/--no-wait", default=True, help="Wait until it is done."),
        project_options,
        click.argument(
            "names", nargs=-1, required=True, metavar="NAME...", shell_complete=plugin_names
        ),
    ):
        command = option(command)
    return click.command()(command)


@_by_hand
def restart(**given: Any) -> None:
    """Restart plugins by hand; nothing else is touched.

    One name that is not known, and none of them is touched.

    \b
    Example:
      ntpctl restart momentum_strategy
    """
    _act("restart", **given, besides=("broker",))


@_by_hand
def rotate(**given: Any) -> None:
    """Give plugins another credential for the bus, and have those before refused.

    For when one has leaked. A plugin that runs is stopped, sends what it has to, and starts again with the new one; the old
    one serves nobody from then on. Nothing else is touched, and no signal or fill is lost or sent
    twice. What is stopped stays so.

    \b
    Example:
      ntpctl rotate momentum_strategy
    """
    _act("rotate", **given, done="rotated")


@_by_hand
def stop(**given: Any) -> None:
    """Stop plugins by hand. They stay stopped, over applies and reboots, until `start`.

    One name that is not known, and none of them is touched.

    \b
    Example:
      ntpctl stop paper_executor
    """
    _act("stop", **given, done="stopped")


@_by_hand
def start(**given: Any) -> None:
    """Start what was stopped by hand, or what gave up after too many failures.

    One name that is not known, and none of them is touched.

    \b
    Example:
      ntpctl start paper_executor
    """
    _act("start", **given)


def _act(
    call: str,
    *,
    names: tuple[str, ...],
    files: tuple[str, ...],
    project: str | None,
    wait: bool,
    deadline: float,
    output: str,
    done: str = "ready",
    besides: Sequence[str] = (),
) -> None:
    where = located(files, project)
    chosen = list(dict.fromkeys(names))
    _check(where, chosen, besides)
    outcomes = [
        outcome_of(app.call(where, call, name=name, wait=wait, deadline=deadline), done=done)
        for name in chosen
    ]
    conclude(
        {
            "revision": outcomes[-1]["revision"],
            "ready": all(each["ready"] for each in outcomes),
            "plugins": [plugin for each in outcomes for plugin in each["plugins"]],
            "waiting": [who for each in outcomes for who in each["waiting"]],
        },
        output=output,
        done=done,
        wait=wait,
    )


def _check(where: Settings, chosen: Sequence[str], besides: Sequence[str]) -> None:
    """Refuse all where one is not known: half a command is worse than none."""
    there = [plugin["name"] for plugin in app.ask(where, "status")["plugins"]]
    unknown = [f"'{name}'" for name in chosen if name not in {*there, *besides}]
    if unknown:
        raise ActionError(
            f"no plugin is named {', '.join(unknown)}; there are: {', '.join(there) or 'none'}; "
            "nothing was changed",
            reason="NoSuchPlugin",
            permanent=True,
        )
