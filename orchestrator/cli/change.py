"""Commands that change what runs: plan, apply, down."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from orchestrator import app
from orchestrator.cli.failure import agreed, say
from orchestrator.cli.options import Terms, deadline_option, located, project_options, terms_options
from orchestrator.cli.output import emit, output_option, warn_of_detours, warn_of_no_sandbox
from orchestrator.cli.preview import show
from orchestrator.cli.progress import Progress, settle
from orchestrator.errors import ConfigError, Problem
from orchestrator.settings import Settings

if TYPE_CHECKING:
    from orchestrator.app.standby import Standby

DIFFERS = 6
update_images_option = click.option(
    "--update-images",
    is_flag=True,
    help="Ask registries what the tags of `image:` mean now; else they mean what they did at the last apply.",
)


@contextmanager
def problems_printed(output: str) -> Iterator[None]:
    """A program finds the problems of its files on stdout, as the preview that they prevent."""
    try:
        yield
    except ConfigError as error:
        if output != "table":
            emit(app.prevented(error.problems), output)
        raise


def previewed(
    declared: app.Declaration, output: str, *, update_images: bool = False
) -> dict[str, Any]:
    """Return what would be done; raise ConfigError with the problems that prevent it."""
    if earlier := app.replaced(declared.settings):
        say(earlier)
    preview = app.preview(declared, update_images=update_images)
    if not declared.sandbox:
        warn_of_no_sandbox()
    warn_of_detours(preview["changes"])
    if preview["problems"]:
        if output != "table":
            emit(preview, output)
        raise ConfigError([Problem(**problem) for problem in preview["problems"]])
    return preview


def _say_entry_problems(preview: dict[str, Any]) -> None:
    """Say why single entries cannot be started; the others can, so this refuses nothing."""
    for problem in preview["entry_problems"]:
        say(str(Problem(**problem)))


def _show_plan(preview: dict[str, Any], output: str) -> None:
    """Print all that applying would do; exit 6 where something differs."""
    if output == "table":
        show(preview, whole=True)
        if preview["guard"]:
            say(f"apply will refuse: {preview['guard']}")
    else:
        emit(preview, output)
    _say_entry_problems(preview)
    if preview["differs"]:
        raise click.exceptions.Exit(DIFFERS)


def ensure_controller(settings: Settings, standby: "Standby | None" = None) -> None:
    if app.ensure_controller(settings, standby):
        say(
            "started a controller in the background; it does not survive a reboot\n"
            "  one that does: `ntpctl serve --install`"
        )


def carry_out(
    declared: app.Declaration,
    preview: dict[str, Any],
    terms: Terms,
    output: str,
    standby: "Standby | None" = None,
) -> None:
    """Apply what `preview` shows, and nothing else; on a terminal ask before something is stopped.

    `standby`: the controller to start, where one has to be.
    """
    if output == "table":
        show(preview, whole=False)
    if not terms.wait:
        # Who waits hears it at the end, beside the other reasons why not all are ready.
        _say_entry_problems(preview)
    stops = [change["name"] for change in preview["changes"] if change["stops"]]
    if stops and not terms.yes and sys.stdin.isatty() and sys.stdout.isatty():
        agreed(f"this stops {', '.join(stops)}. Go on?")
    ensure_controller(declared.settings, standby)
    # A tag may move while somebody reads the plan: what is applied is what it showed.
    shown = {name: image.rpartition("@")[2] for name, image in preview.get("images", {}).items()}
    accepted = app.apply(
        replace(declared, pins={**declared.pins, **shown}),
        expect=preview["revision"],
        allow_deletes=terms.allow_deletes,
        take_over=terms.take_over,
        wait=terms.wait,
        deadline=terms.deadline,
    )
    try:
        with problems_printed(output):
            outcome = settle(accepted, output=output)
    except KeyboardInterrupt:
        say("\nthe controller goes on with this revision; `ntpctl status` shows it")
        raise
    if output == "table":
        told = counted(outcome["plugins"]) if terms.wait else "accepted; see `ntpctl status`"
        say(f"revision {outcome['revision']}: {told}")


@click.command()
@project_options
@update_images_option
@output_option
def plan(files: tuple[str, ...], project: str | None, output: str, *, update_images: bool) -> None:
    """Show what apply would do, and why; change nothing. Exit 0: nothing to do, 6: something.

    It starts, removes, recreates (a stop and a start), updates (limits are changed in place) or
    pushes (a running data source is told its other symbols, an executor other limits). Below are
    the images that change, and the hosts that each plugin may reach.

    \b
    Examples:
      ntpctl plan
      ntpctl plan --update-images
      ntpctl plan -f config/plugins.yaml -o json
    """
    with problems_printed(output):
        declared = app.declare(files, project)
    app.check_folder(declared.settings)
    _show_plan(previewed(declared, output, update_images=update_images), output)


@click.command()
@project_options
@terms_options
@update_images_option
@click.option("--dry-run", is_flag=True, help="The same as `ntpctl plan`.")
@output_option
def apply(
    files: tuple[str, ...],
    project: str | None,
    output: str,
    terms: Terms,
    *,
    dry_run: bool,
    update_images: bool,
) -> None:
    """Make what runs equal to what plugins.yaml declares: only what differs is touched.

    \b
    Examples:
      ntpctl apply
      ntpctl apply -f config/plugins.yaml --yes
      ntpctl apply --update-images
      ntpctl apply --no-wait -o json
    """
    with problems_printed(output):
        declared = app.declare(files, project)
    app.check_folder(declared.settings)
    if not dry_run:
        with problems_printed(output):
            app.confirm_sandbox(declared, confirmed=terms.no_sandbox)
    if not dry_run and not app.is_served(declared.settings) and app.was_applied(declared.settings):
        ensure_controller(declared.settings)
    if dry_run:
        _show_plan(previewed(declared, output, update_images=update_images), output)
        return
    # What a first apply would do is worked out here; a controller takes as long to be loaded.
    with app.loaded_controller(declared.settings) as standby:
        preview = previewed(declared, output, update_images=update_images)
        carry_out(declared, preview, terms, output, standby)


def counted(plugins: list[dict[str, Any]]) -> str:
    ready = sum(plugin["ready"] for plugin in plugins)
    stopped = sum(plugin["state"] == "Stopped" for plugin in plugins)
    return f"{ready}/{len(plugins)} ready" + (f", {stopped} stopped by hand" if stopped else "")


@click.command()
@project_options
@click.option(
    "--delete-data", is_flag=True, help="Remove what plugins store (ledgers) too, for good."
)
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

    Its revisions and events are forgotten; what plugins store (ledgers) goes by --delete-data alone.
    What was removed and what is kept is printed.

    \b
    Examples:
      ntpctl down
      ntpctl down --delete-data --yes
    """
    where = located(files, project)
    if where.context is not None:
        raise click.UsageError(
            "on a cluster a project is its release\n"
            "  fix: `helm uninstall NAME` removes it; `kubectl delete pluginset NAME` what one declares"
        )
    app.check_folder(where)
    if delete_data and not yes:
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise click.UsageError(
                "--delete-data removes ledgers for good\n  fix: confirm it with --yes"
            )
        agreed("This removes ledgers for good. Go on?")
    stored = app.stored(where)
    removed: list[str] = []
    if applied := app.was_applied(where):
        app.ensure_controller(where)
        removed = _take_down(where, delete_data=delete_data, deadline=deadline)
    if applied or delete_data:
        app.forget(where, delete_data=delete_data)
    kept = app.stored(where)
    deleted = [name for name in stored if name not in kept]
    if output != "table":
        emit({"removed": removed, "kept": kept, "deleted": deleted}, output)
        return
    if applied:
        say(f"removed {len(removed)}: {', '.join(removed) or 'nothing ran'}")
    else:
        say(app.orphans(where) or f"nothing of project '{where.project}' runs here ({where.state})")
    if deleted:
        say(f"storage removed for good: {', '.join(deleted)}")
    if kept:
        say(f"storage kept: {', '.join(kept)}; `down --delete-data` removes it")


def _take_down(where: Settings, *, delete_data: bool, deadline: float) -> list[str]:
    """Return who was removed, the broker too."""
    removed: list[str] = []
    with Progress("removed") as progress:
        for message in app.call(where, "down", delete_data=delete_data, deadline=deadline):
            if message.get("event") == "progress":
                progress.tell(message)
            elif "result" in message:
                removed = message["result"]["removed"]
    return removed
