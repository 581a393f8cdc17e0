"""`ntp plugin`: what an author does with a plugin; each command is a module of its own."""

import click

from ntp.cli.late import Late


@click.group(commands=Late("create", "package", "publish", "test", "validate"))
def plugin() -> None:
    """Make plugins, and images of them."""
