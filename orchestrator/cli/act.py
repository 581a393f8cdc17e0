"""Commands on single plugins, by hand: restart, stop, start."""

import click

from orchestrator import app
from orchestrator.cli.options import deadline_option, located, project_options
from orchestrator.cli.output import output_option
from orchestrator.cli.progress import settle

names = click.argument("names", nargs=-1, required=True, metavar="NAME...")
wait_option = click.option("--wait/--no-wait", default=True, help="Wait until it is done.")
waiting_option = deadline_option(60.0)


def _act(
    call: str,
    chosen: tuple[str, ...],
    files: tuple[str, ...],
    project: str | None,
    *,
    wait: bool,
    deadline: float,
    output: str,
) -> None:
    where = located(files, project)
    for name in chosen:
        settle(app.call(where, call, name=name, wait=wait, deadline=deadline), output=output)


@click.command()
@names
@project_options
@wait_option
@waiting_option
@output_option
def restart(
    names: tuple[str, ...],
    files: tuple[str, ...],
    project: str | None,
    deadline: float,
    output: str,
    *,
    wait: bool,
) -> None:
    """Restart plugins by hand; nothing else is touched.

    \b
    Example:
      ntpctl restart momentum_strategy
    """
    _act("restart", names, files, project, wait=wait, deadline=deadline, output=output)


@click.command()
@names
@project_options
@wait_option
@waiting_option
@output_option
def stop(
    names: tuple[str, ...],
    files: tuple[str, ...],
    project: str | None,
    deadline: float,
    output: str,
    *,
    wait: bool,
) -> None:
    """Stop plugins by hand. They stay stopped, over applies and reboots, until `start`.

    \b
    Example:
      ntpctl stop paper_executor
    """
    _act("stop", names, files, project, wait=wait, deadline=deadline, output=output)


@click.command()
@names
@project_options
@wait_option
@waiting_option
@output_option
def start(
    names: tuple[str, ...],
    files: tuple[str, ...],
    project: str | None,
    deadline: float,
    output: str,
    *,
    wait: bool,
) -> None:
    """Start what was stopped by hand, or what gave up after too many failures.

    \b
    Example:
      ntpctl start paper_executor
    """
    _act("start", names, files, project, wait=wait, deadline=deadline, output=output)
