"""The controller in the foreground: what systemd, Docker and Helm run."""

import click

from orchestrator import app
from orchestrator.cli.options import project_options


@click.command()
@project_options
@click.option("--background", is_flag=True, hidden=True, help="Started by apply: log to a file.")
def serve(files: tuple[str, ...], project: str | None, *, background: bool) -> None:
    """Run the controller of a project in the foreground, until Ctrl-C or SIGTERM.

    It makes what runs equal to the last applied revision. Ending it ends no plugin: start it again
    and it adopts them.

    \b
    Examples:
      ntpctl serve
      ntpctl serve -f config/plugins.yaml
    """
    app.serve(app.locate(files, project), background=background)
