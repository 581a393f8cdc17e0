"""A release of the chart, from outside of Helm."""

import click

from orchestrator import app
from orchestrator.cli.failure import say


@click.group()
def release() -> None:
    """See whether a release of the chart works, or remove what it left on a cluster.

    \b
    Examples:
      ntpctl release test --project ntp
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


@release.command()
@click.option("--project", metavar="NAME", required=True, help="The release's name.")
def test(project: str) -> None:
    """Replay ticks to a strategy until it signals; then remove both. `helm test` runs it.

    In a namespace that has plugins it adds none, for those would hear it: there all have to be ready.

    \b
    Examples:
      ntpctl release test --project ntp
    """
    app.try_release(project, progress=say)
