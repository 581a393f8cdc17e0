"""Options that many commands share, and how a command finds its project."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

import click

from orchestrator import app
from orchestrator.cli.failure import say
from orchestrator.settings import CONTEXT, NAMESPACE, ON_THIS_MACHINE, Settings

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


def _say_runtime(_context: click.Context, _option: click.Parameter, name: str | None) -> None:
    """An option is what its variable is: the controller that a command starts has it too."""
    if name is not None:
        os.environ["NTP_RUNTIME"] = name


runtime_option = click.option(
    "--runtime",
    type=click.Choice(ON_THIS_MACHINE),
    expose_value=False,
    callback=_say_runtime,
    help="What plugins run in; default: $NTP_RUNTIME, else what was applied last, else docker where "
    "an engine answers and a base image is known, else process.",
)


def _say_cluster(_context: click.Context, option: click.Parameter, name: str | None) -> None:
    """As `_say_runtime`; before the command and after it mean the same."""
    if name is not None:
        os.environ[CONTEXT if option.name == "context" else NAMESPACE] = name


def cluster_options(command: Command) -> Command:
    """Give a command `--context` and `--namespace`; `settings` finds what they say."""
    context = click.option(
        "--context",
        metavar="NAME",
        expose_value=False,
        callback=_say_cluster,
        help="A context of your kubeconfig: the command is for the controller on that cluster.",
    )
    namespace = click.option(
        "--namespace",
        metavar="NAME",
        expose_value=False,
        callback=_say_cluster,
        help="Where on that cluster; default: the context's own.",
    )
    return context(namespace(command))


def project_options(command: Command) -> Command:
    """Give a command `-f` and `--project`, and the cluster that it is for."""
    return _file_option("-f", "--file")(project_option(cluster_options(command)))


def followable_options(command: Command) -> Command:
    """Give a command `--file` and `--project`; its `-f` means follow, as everywhere else."""
    return _file_option("--file")(project_option(cluster_options(command)))


def located(files: Sequence[str], project: str | None) -> Settings:
    """Return the settings for a command that looks or stops: a typo in .env is a warning to it."""
    settings, problems = app.locate(files, project)
    if problems:
        first, more = problems[0], len(problems) - 1
        place = f"{first.file}:{first.line}" if first.line else first.file
        others = f" (and {more} more)" if more else ""
        say(f"warning: {place}: {first.message}{others}; `ntpctl validate` lists all")
    return settings


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


@dataclass(frozen=True, slots=True)
class Terms:
    """What a person agrees to before something is applied, and how long the command waits."""

    yes: bool
    """Not asked before something is stopped."""
    allow_deletes: bool
    no_sandbox: bool
    wait: bool
    deadline: float
    """In seconds."""
    take_over: bool = False
    """On a cluster: what others have written into the PluginSet is written over."""


def terms_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command that applies something the options of doing so; it takes them as `terms`."""

    @wraps(command)
    def with_terms(
        *,
        yes: bool,
        allow_deletes: bool,
        no_sandbox: bool,
        wait: bool,
        deadline: float,
        take_over: bool,
        **rest: Any,
    ) -> Any:
        terms = Terms(yes, allow_deletes, no_sandbox, wait, deadline, take_over)
        return command(terms=terms, **rest)

    options = (
        click.option("--yes", "-y", is_flag=True, help="Do not ask before something is stopped."),
        click.option("--allow-deletes", is_flag=True, help="Allow it to remove most of what runs."),
        click.option("--no-sandbox", is_flag=True, help="Confirm PLUGIN_SANDBOX=false."),
        click.option(
            "--take-over",
            is_flag=True,
            help="On a cluster: write over what others have changed in the PluginSet.",
        ),
        click.option("--wait/--no-wait", default=True, help="Wait until all are ready."),
        deadline_option(120.0),
    )
    for option in reversed(options):
        with_terms = option(with_terms)
    return with_terms
