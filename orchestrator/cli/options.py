"""Options that many commands share, and how a command finds its project."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def _file_option(*names: str) -> Callable[[Command], Command]:
    return click.option(
        *names,
        "files",
        multiple=True,
        metavar="FILE",
        help="plugins.yaml, a folder of such files, or - for standard input; may be repeated. "
        "Default: $PLUGIN_CONFIG, config/plugins.yaml, plugins.yaml.",
    )


project_option = click.option(
    "--project", metavar="NAME", help="The project; default: `name:` in the file, or its folder."
)


def project_options(command: Command) -> Command:
    """Give a command `-f` and `--project`."""
    return _file_option("-f", "--file")(project_option(command))


def followable_options(command: Command) -> Command:
    """Give a command `--file` and `--project`; its `-f` means follow, as everywhere else."""
    return _file_option("--file")(project_option(command))


def deadline_option(
    default: float, about: str = "How long to wait."
) -> Callable[[Command], Command]:
    """Give a command `--deadline`: seconds, at most a day."""
    return click.option(
        "--deadline",
        type=click.FloatRange(0, 86400),
        default=default,
        show_default=True,
        metavar="SECONDS",
        help=about,
    )
