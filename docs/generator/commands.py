"""The generated parts of docs/reference/cli.md: what each command says of itself with --help."""

import inspect
import re
from collections.abc import Iterator

import click

from docs.generator.markdown import block, code, table
from ntp.cli import main as ntp
from orchestrator.cli import group as ntpctl
from orchestrator.cli.failure import EXIT_CODES

_VERBATIM = re.compile(r"^\x08\n", re.MULTILINE)
_ASKED_FOR_HELP = {"--help", "--version"}


def parts() -> dict[str, str]:
    """Return the generated parts of the page by name."""
    return {
        "exit-codes": table(
            ("code", "means"), ((code(str(each)), words) for each, words in EXIT_CODES.items())
        ),
        "ntpctl": "\n".join(_sections(ntpctl, "ntpctl")),
        "ntp": "\n".join(_sections(ntp, "ntp")),
    }


def _sections(command: click.Command, path: str) -> Iterator[str]:
    """Yield a section for each command below a group, in the order of its help."""
    if not isinstance(command, click.Group):
        yield _section(command, path)
        return
    with click.Context(command, info_name=path) as context:
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None and not below.hidden:
                yield from _sections(below, f"{path} {name}")


def _section(command: click.Command, path: str) -> str:
    context = click.Context(command, info_name=path)
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    told = [f"### {path}\n", block(usage, "text"), *_help(command)]
    options = [
        (code(record[0]), _sentence(record[1]))
        for parameter in command.get_params(context)
        if not _ASKED_FOR_HELP.intersection(parameter.opts)
        and (record := parameter.get_help_record(context)) is not None
    ]
    if options:
        told.append(table(("option", "meaning"), options))
    return "\n".join(told)


def _help(command: click.Command) -> Iterator[str]:
    """Yield the paragraphs of a docstring; what click prints as it stands becomes a code block."""
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        if not _VERBATIM.match(paragraph):
            yield f"{' '.join(paragraph.split())}\n"
            continue
        head, _, lines = _VERBATIM.sub("", paragraph).partition("\n")
        yield f"{head}\n"
        yield block("\n".join(line.removeprefix("  ") for line in lines.splitlines()), "sh")


def _sentence(text: str) -> str:
    """Put what click appends in brackets as a sentence of its own: `[default: 60.0; 0<=x<=3600]`."""
    words, bracket, rest = text.partition("  [")
    return f"{words} ({rest.removesuffix(']')})" if bracket else words
