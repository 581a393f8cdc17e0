"""The option by which every command prints for people, or for programs."""

from collections.abc import Callable
from typing import Any

import click


def output_option(what: str = "") -> Callable[[Any], Any]:
    """Add `--output`; `what`: is printed, in words."""
    return click.option(
        "--output",
        type=click.Choice(["table", "json"]),
        default="table",
        show_default=True,
        help=f"How to print {what}".rstrip() + ".",
    )
