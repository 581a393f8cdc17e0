"""The controller in the foreground: what systemd, Docker and Helm run."""

import click

from orchestrator import app
from orchestrator.cli.options import project_options
from orchestrator.settings import STDIN


@click.command()
@project_options
@click.option("--watch", is_flag=True, help="Follow the files: apply each edit that is valid.")
@click.option("--background", is_flag=True, hidden=True, help="Started by apply: log to a file.")
def serve(files: tuple[str, ...], project: str | None, *, watch: bool, background: bool) -> None:
    """Run the controller of a project in the foreground, until Ctrl-C or SIGTERM.

    It makes what runs equal to the last applied revision. Ending it ends no plugin: start it again
    and it adopts them.

    With --watch it follows the files and the .env beside them: an edit that is whole and valid is
    applied, as `ntpctl apply` would. One that is broken, or removes most of what runs, changes
    nothing; `ntpctl status` says why.

    \b
    Examples:
      ntpctl serve
      ntpctl serve --watch
      ntpctl serve --watch -f config/plugins.yaml
    """
    if watch and STDIN in files:
        raise click.UsageError(
            "--watch follows files, and '-' is none\n  fix: name the file with -f"
        )
    app.serve(
        app.locate(files, project),
        background=background,
        follow=files if watch else None,
        named=project is not None,
    )
