"""Commands that change what runs: plan, apply, down."""

import sys
from typing import Any

import click

from orchestrator import app
from orchestrator.cli.failure import agreed, say
from orchestrator.cli.options import deadline_option, located, project_options
from orchestrator.cli.output import emit, output_option
from orchestrator.cli.preview import show
from orchestrator.cli.progress import Progress, settle
from orchestrator.errors import ConfigError, Problem
from orchestrator.settings import Settings

DIFFERS = 6


def _say_entry_problems(preview: dict[str, Any]) -> None:
    """Say why single entries cannot be started; the others can, so this refuses nothing."""
    for problem in preview["entry_problems"]:
        say(str(Problem(**problem)))


def _problems(preview: dict[str, Any]) -> None:
    if preview["problems"]:
        raise ConfigError([Problem(**problem) for problem in preview["problems"]])


def _ensure(settings: Settings) -> None:
    if app.ensure_controller(settings):
        say(
            "started a controller in the background; it does not survive a reboot\n"
            "  one that does: `ntpctl serve --install`"
        )


@click.command()
@project_options
@output_option
def plan(files: tuple[str, ...], project: str | None, output: str) -> None:
    """Show what apply would do, and why; change nothing. Exit 0: nothing to do, 6: something.

    \b
    Examples:
      ntpctl plan
      ntpctl plan -f config/plugins.yaml -o json
    """
    declared = app.declare(files, project)
    app.check_folder(declared.settings)
    preview = app.preview(declared)
    if output != "table":
        emit(preview, output)
    _problems(preview)
    if output == "table":
        show(preview, whole=True)
        if preview["guard"]:
            say(f"apply will refuse: {preview['guard']}")
    _say_entry_problems(preview)
    if preview["differs"]:
        raise click.exceptions.Exit(DIFFERS)


@click.command()
@project_options
@click.option("--yes", "-y", is_flag=True, help="Do not ask before something is stopped.")
@click.option("--allow-deletes", is_flag=True, help="Allow a file that removes most of what runs.")
@click.option("--no-sandbox", is_flag=True, help="Confirm PLUGIN_SANDBOX=false.")
@click.option("--wait/--no-wait", default=True, help="Wait until all are ready.")
@deadline_option(120.0)
@click.option("--dry-run", is_flag=True, help="The same as `ntpctl plan`.")
@output_option
def apply(
    files: tuple[str, ...],
    project: str | None,
    deadline: float,
    output: str,
    *,
    yes: bool,
    allow_deletes: bool,
    no_sandbox: bool,
    wait: bool,
    dry_run: bool,
) -> None:
    """Make what runs equal to what plugins.yaml declares: only what differs is touched.

    \b
    Examples:
      ntpctl apply
      ntpctl apply -f config/plugins.yaml --yes
      ntpctl apply --no-wait -o json
    """
    declared = app.declare(files, project)
    app.check_folder(declared.settings)
    app.confirm_sandbox(declared, confirmed=no_sandbox)
    if app.was_applied(declared.settings) and not dry_run:
        _ensure(declared.settings)
    preview = app.preview(declared)
    _problems(preview)
    if output == "table":
        show(preview, whole=dry_run)
    if dry_run or not wait:
        # Who waits hears it at the end, beside the other reasons why not all are ready.
        _say_entry_problems(preview)
    if dry_run:
        raise click.exceptions.Exit(DIFFERS if preview["differs"] else 0)
    stops = [change["name"] for change in preview["changes"] if change["stops"]]
    if stops and not yes and sys.stdin.isatty() and sys.stdout.isatty():
        agreed(f"this stops {', '.join(stops)}. Go on?")
    _ensure(declared.settings)
    try:
        outcome = settle(
            app.apply(
                declared,
                expect=preview["revision"],
                allow_deletes=allow_deletes,
                wait=wait,
                deadline=deadline,
            ),
            output=output,
        )
    except KeyboardInterrupt:
        say("\nthe controller goes on with this revision; `ntpctl status` shows it")
        raise
    if output == "table":
        told = _counted(outcome["plugins"]) if wait else "accepted; see `ntpctl status`"
        say(f"revision {outcome['revision']}: {told}")


def _counted(plugins: list[dict[str, Any]]) -> str:
    ready = sum(plugin["ready"] for plugin in plugins)
    stopped = sum(plugin["state"] == "Stopped" for plugin in plugins)
    return f"{ready}/{len(plugins)} ready" + (f", {stopped} stopped by hand" if stopped else "")


@click.command()
@project_options
@click.option("--delete-data", is_flag=True, help="Remove storage (ledgers) and history too.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@deadline_option(120.0)
@output_option
def down(
    files: tuple[str, ...],
    project: str | None,
    deadline: float,
    output: str,
    *,
    delete_data: bool,
    yes: bool,
) -> None:
    """Stop and remove everything of this project, and end its controller; storage stays.

    \b
    Examples:
      ntpctl down
      ntpctl down --delete-data --yes
    """
    where = located(files, project)
    app.check_folder(where)
    if delete_data and not yes:
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise click.UsageError(
                "--delete-data removes ledgers for good\n  fix: confirm it with --yes"
            )
        agreed("This removes ledgers and history for good. Go on?")
    if not app.was_applied(where):
        if delete_data:
            app.forget(where, delete_data=True)
        say(f"nothing of project '{where.project}' runs here ({where.state})")
        return
    app.ensure_controller(where)
    result: dict[str, Any] = {}
    with Progress("removed") as progress:
        for message in app.call(where, "down", delete_data=delete_data, deadline=deadline):
            if message.get("event") == "progress":
                progress.tell(message)
            elif "result" in message:
                result = message["result"]
    app.forget(where, delete_data=delete_data)
    if output != "table":
        emit(result, output)
        return
    say(f"removed {len(result['removed'])}: {', '.join(result['removed']) or 'nothing ran'}")
    if result["kept"]:
        say(f"storage kept: {', '.join(result['kept'])}; `down --delete-data` removes it")
