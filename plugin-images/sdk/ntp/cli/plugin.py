"""`ntp plugin`: what an author does with a plugin; each command is a module of its own."""

import click

from ntp.cli.create import create
from ntp.cli.package import package
from ntp.cli.publish import publish
from ntp.cli.test import test
from ntp.cli.validate import validate


@click.group()
def plugin() -> None:
    """Make plugins, and images of them."""


plugin.add_command(create)
plugin.add_command(package)
plugin.add_command(test)
plugin.add_command(validate)
plugin.add_command(publish)
