"""Keys for a NATS that is not a project's own."""

from pathlib import Path

import click

from orchestrator.cli.failure import say
from orchestrator.spec import egress
from orchestrator.spec.quantity import QuantityError


@click.group()
def nats() -> None:
    """Make the keys of a NATS that others run for a project.

    \b
    Examples:
      ntpctl nats init nats-keys
      ntpctl nats init --secret ntp-nats-keys --project ntp
    """


@nats.command()
@click.argument("folder", required=False, metavar="[FOLDER]", type=click.Path(path_type=Path))
@click.option("--secret", metavar="NAME", help="Into a Secret of the cluster, instead of a folder.")
@click.option("--project", metavar="NAME", default="ntp", help="Whose operator it is; default ntp.")
@click.option("--route", multiple=True, metavar="HOST:PORT", help="Where the other servers of a cluster find one; once for each.")  # fmt: skip
def init(folder: Path | None, secret: str | None, project: str, route: tuple[str, ...]) -> None:
    """Make an operator, its signing key and a user of its system account, once.

    Into FOLDER, which NTP_NATS then names: operator.nk and system.creds, which the controller keeps;
    operator.conf, which a server's configuration includes; routes.conf, for the block `cluster` of several;
    operator-root.nk, which nothing that runs needs: keep it where no machine is.

    With --secret they (without the root's) go into a Secret: in a pod one of its namespace, else of the
    kubeconfig's current context. One that is there stays as it is.

    \b
    Examples:
      ntpctl nats init nats-keys
      ntpctl nats init nats-keys --route one:6222 --route two:6222 --route three:6222
      ntpctl nats init --secret ntp-nats-keys --project ntp
    """
    for each in route:
        try:
            egress.host_port(each)
        except QuantityError as error:
            raise click.BadParameter(f"{error}\n  fix: write HOST:PORT, as in nats-1.example:6222", param_hint="--route") from error  # fmt: skip
    if (folder is None) == (secret is None):
        raise click.UsageError("name a FOLDER, or --secret NAME")
    from orchestrator.app import founding

    if folder is not None:
        for file in founding.into_folder(folder, project, route):
            click.echo(str(file))
        return
    made = founding.into_secret(str(secret), project, route)
    say(f"Secret {secret}: {'made' if made else 'is there already, and stays'}")
