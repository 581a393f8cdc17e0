"""`ntp`: for who writes plugins."""

import gc
import os

import click

from ntp.cli.data import data
from ntp.cli.exchange import exchange
from ntp.cli.keys import keys
from ntp.cli.marketplace import marketplace
from ntp.cli.plugin import plugin
from ntp.cli.reader import Commands

# Else pydantic looks into whatever is installed for plugins of its own, which takes a tenth of a start.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "true")


@click.group(name="ntp", cls=Commands)
@click.version_option(package_name="ntp-sdk")
def main() -> None:
    """Write trading plugins: data sources, indicators, strategies, executors."""
    # What a command imports and makes is no garbage: to look for some took a sixth of its start.
    gc.set_threshold(100_000, 50, 1000)


main.add_command(data)
main.add_command(exchange)
main.add_command(keys)
main.add_command(marketplace)
main.add_command(plugin)
