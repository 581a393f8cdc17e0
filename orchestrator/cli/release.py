"""A release of the chart, from outside of Helm."""

import click

from orchestrator import app
from orchestrator.cli.failure import say


@click.group()
def release() -> None:
    """Remove what a release of the chart left on a cluster.

    \b
    Examples:
      ntpctl release remove --project ntp
      ntpctl release remove --project ntp --keep-data
    """


@release.command()
@click.option("--project", metavar="NAME", required=True, help="The release's name.")
@click.option(
    "--keep-data", is_flag=True, help="Leave storage, keys, and what the controller remembers."
)
def remove(project: str, *, keep_data: bool) -> None:
    """End the controllers of a release, then its plugins in order, then remove all that they made.

    `helm uninstall` runs it before it takes away the rest. In a pod it works on the pod's namespace, else
    on the one of the kubeconfig's current context.

    \b
    Examples:
      ntpctl release remove --project ntp
      ntpctl release remove --project ntp --keep-data
    """
    app.remove_release(project, keep_data=keep_data, progress=say)
