"""The command that draws who hears whom: graph."""

from collections.abc import Mapping
from typing import Any

import click

from orchestrator import app
from orchestrator.app import past
from orchestrator.cli.failure import say
from orchestrator.cli.options import located, project_options
from orchestrator.cli.output import console, emit


@click.command()
@project_options
@click.option(
    "--format",
    "-F",
    "form",
    type=click.Choice(["terminal", "svg", "dot", "json"]),
    default="terminal",
    show_default=True,
    help="A drawing in the terminal, a picture for a document, Graphviz text, or data.",
)
def graph(files: tuple[str, ...], project: str | None, form: str) -> None:
    """Draw the wiring: who hears whom, with states, symbols and bars.

    Of the revision that is applied; where nothing is, of the files. Thin lines come out of a plugin
    and end in thick ones, which lead to plugins; a dot joins the two, a plain cross does not. From a
    strategy to an executor go signals, and fills come back.

    \b
    Examples:
      ntpctl graph
      ntpctl graph -f plugins.yaml           before anything was applied
      ntpctl graph --format svg > wiring.svg
      ntpctl graph --format dot | dot -Tpdf > wiring.pdf
    """
    found = _found(files, project)
    if form == "json":
        emit(found, "json")
    elif form == "dot":
        from orchestrator.cli.wiring_dot import dot

        click.echo(dot(found), nl=False)
    elif form == "svg":
        from orchestrator.cli.wiring_svg import svg

        click.echo(svg(found), nl=False)
    else:
        _draw(found)


def _found(files: tuple[str, ...], project: str | None) -> dict[str, Any]:
    where = located(files, project)
    if app.was_applied(where):
        status = app.ask(where, "status")
        if status["revision"]:
            revision = int(status["revision"])
            declared = past.recall(where, revision)
            return past.graph(declared, revision=revision, plugins=status["plugins"])
    return past.graph(app.declare(files, project))


def _draw(found: Mapping[str, Any]) -> None:
    from rich.text import Text

    from orchestrator.cli.wiring_layout import lay_out, notes
    from orchestrator.cli.wiring_text import draw

    out = console()
    rows = [[*row] for row in draw(lay_out(found, width=out.width))]
    told = list(notes(found))
    wide = max((len(name) for name, _ in told), default=0)
    rows += (
        [[("", "")], *([(f"{name:<{wide}}  ", ""), (words, "dim")] for name, words in told)]
        if told
        else []
    )
    for row in rows:
        if out.is_terminal:
            out.print(Text.assemble(*row))
        else:
            click.echo("".join(text for text, _ in row).rstrip())
    if not found["revision"]:
        say("nothing is applied: this is what the files declare")
