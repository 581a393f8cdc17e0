"""`ntp`: for who writes plugins."""

import click

from ntp.cli.data import data
from ntp.cli.exchange import exchange


@click.group(name="ntp")
@click.version_option(package_name="ntp-sdk")
def main() -> None:
    """Write trading plugins: data sources, indicators, strategies, executors."""


main.add_command(data)
main.add_command(exchange)
