"""The controller in the foreground: what systemd, Docker and Helm run."""

import click

from orchestrator import app
from orchestrator.cli.failure import say
from orchestrator.cli.options import located, project_options
from orchestrator.settings import STDIN, Settings


@click.command()
@project_options
@click.option("--watch", is_flag=True, help="Follow the files: apply each edit that is valid.")
@click.option(
    "--install", is_flag=True, help="Write a systemd unit that runs it, also after a reboot."
)
@click.option("--dry-run", is_flag=True, help="With --install: print the unit, write nothing.")
@click.option(
    "--force", is_flag=True, help="With --install: overwrite a unit that says something else."
)
@click.option("--background", is_flag=True, hidden=True, help="Started by apply: log to a file.")
def serve(
    files: tuple[str, ...],
    project: str | None,
    *,
    watch: bool,
    install: bool,
    dry_run: bool,
    force: bool,
    background: bool,
) -> None:
    """Run the controller of a project in the foreground, until Ctrl-C or SIGTERM.

    It makes what runs equal to the last applied revision. Ending it ends no plugin: start it again
    and it adopts them.

    With --watch it follows the files and the .env beside them: an edit that is whole and valid is
    applied, as `ntpctl apply` would. One that is broken, or removes most of what runs, changes
    nothing; `ntpctl status` says why.

    With --install it runs nothing itself: it writes a systemd unit that does, with the same files and
    --watch or not. Of the system for root, else of the user.

    With NTP_RUNTIME=kubernetes it follows the PluginSets of its namespace; of several that run, one leads.

    \b
    Examples:
      ntpctl serve
      ntpctl serve --watch
      ntpctl serve --watch -f config/plugins.yaml
      ntpctl serve --install --dry-run
    """
    if (dry_run or force) and not install:
        raise click.UsageError("--dry-run and --force belong to --install")
    if (watch or install) and STDIN in files:
        word = "--watch follows files" if watch else "--install is for files"
        raise click.UsageError(f"{word}, and '-' is none\n  fix: name the file with -f")
    where = located(files, project)
    if where.runtime == "kubernetes" and (watch or install):
        raise click.UsageError(
            "--watch and --install are for one machine; on a cluster PluginSets are followed, and Helm installs"
        )
    if install:
        _install(where, watch=watch, dry_run=dry_run, force=force)
        return
    app.serve(
        where,
        background=background,
        follow=files if watch else None,
        named=project is not None,
    )


def _install(where: Settings, *, watch: bool, dry_run: bool, force: bool) -> None:
    made = app.install(where, watch=watch, force=force, write=not dry_run)
    click.echo(made.text, nl=False)
    say(f"{'would write' if dry_run else 'wrote'} {made.path}")
    for name in made.unseen:
        say(f"{name} is set in this shell only: write it into .env, systemd does not see it")
    if app.is_served(where):
        say("a controller runs already: end it before, the unit's adopts what runs")
    say("to run it now and after each boot:")
    for command in made.commands:
        say(f"  {command}")
