"""`ntp`: for who writes plugins."""

import click


@click.group(name="ntp")
@click.version_option(package_name="ntp-sdk")
def main() -> None:
    """Write trading plugins: data sources, indicators, strategies, executors."""
