"""`ntp`: for who writes plugins."""

import gc
import os

import click

from ntp.cli.late import Late
from ntp.cli.reader import Commands

# Else pydantic looks into whatever is installed for plugins of its own, which takes a tenth of a start.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "true")


@click.group(
    name="ntp", cls=Commands, commands=Late("data", "exchange", "keys", "marketplace", "plugin")
)
@click.version_option(package_name="ntp-sdk")
def main() -> None:
    """Write trading plugins: data sources, indicators, strategies, executors."""
    # What a command imports and makes is no garbage: to look for some took a sixth of its start.
    gc.set_threshold(100_000, 50, 1000)
