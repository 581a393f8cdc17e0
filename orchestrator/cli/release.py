"""A release of the chart, from outside of Helm."""

import signal
import sys

import click

from orchestrator.cli.failure import say


@click.group()
def release() -> None:
    """Make the keys of a release of the chart, see whether it works, remove what it left.

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
    from orchestrator.app import leaving

    leaving.remove(project, keep_data=keep_data, progress=say)


@release.command()
@click.option("--project", metavar="NAME", required=True, help="The release's name.")
def test(project: str) -> None:
    """Replay ticks to a strategy until it signals; then remove both. `helm test` runs it.

    In a namespace that has plugins it adds none, for those would hear it: there all have to be ready.

    \b
    Examples:
      ntpctl release test --project ntp
    """
    from orchestrator.app import trying

    # A job that takes too long is ended so: what it added goes first.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    trying.try_release(project, progress=say)


@release.command()
@click.option("--project", metavar="NAME", required=True, help="The release's name.")
@click.option("--nats", metavar="SECRET", help="What to call the Secret with the keys of NATS.")
@click.option("--egress", metavar="SECRET", help="What to call that with the egress proxy's key.")
def keys(project: str, nats: str | None, egress: str | None) -> None:
    """Make the keys of a release, each Secret once: one that is there stays. `helm install` runs it.

    \b
    Examples:
      ntpctl release keys --project ntp --nats ntp-nats-keys --egress ntp-egress-proxy-seed
    """
    from orchestrator.app import founding

    for name, made in founding.of_release(project, nats=nats, egress=egress).items():
        say(f"Secret {name}: {'made' if made else 'is there already, and stays'}")
