"""The command line: a command parses, calls one function, prints."""

import click


@click.group(name="ntpctl")
@click.version_option(package_name="ntp-orchestrator")
def main() -> None:
    """Run trading plugins, each in its own container, from one plugins.yaml."""
