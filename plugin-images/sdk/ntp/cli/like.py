"""`ntp plugin test --like`: once more with what a report says that it was made with."""

from pathlib import Path
from typing import Any

import click

from ntp.cli.wish import COSTS
from ntp.contract.tested import Tested, read


def like(context: click.Context, file: Path) -> Tested:
    """Read the report, and make of its settings the defaults of the command's other options.

    So they are checked as what is typed is, and what is typed goes before them.
    """
    try:
        found = read(file.read_bytes())
    except ValueError as error:
        words = f"--like {file}: {error}\n  fix: name a file that --json wrote"
        raise click.UsageError(words) from error
    context.default_map = {**(context.default_map or {}), **_defaults(found)}
    return found


def _defaults(found: Tested) -> dict[str, Any]:
    said = found.settings
    every = {
        "bars": said.bars,
        "history": said.history,
        "capital": said.capital,
        "short": said.short,
        "pyramid": said.pyramid,
        **{option: said.costs.get(name) for option, name in COSTS.items()},
    }
    return {option: value for option, value in every.items() if value is not None}
