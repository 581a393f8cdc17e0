"""Commands on files alone: validate, schema. They import neither an engine's client nor a bus."""

from collections.abc import Sequence
from pathlib import Path

import click

from orchestrator import app
from orchestrator.cli.failure import say
from orchestrator.cli.options import project_options
from orchestrator.cli.output import emit, output_option, warn_of_no_sandbox
from orchestrator.errors import ConfigError, Problem


@click.command()
@project_options
@output_option
def validate(files: tuple[str, ...], project: str | None, output: str) -> None:
    """Check plugins.yaml: every problem at once, with its place and a fix. Nothing is started.

    A secret that is not there is told, and no mistake of the file: exit 0.

    \b
    Examples:
      ntpctl validate
      ntpctl validate -f config/plugins.yaml
      cat plugins.yaml | ntpctl validate -f -
    """
    names, problems, missing = _read(files, project)
    if output != "table":
        told = {"problems": problems, "missing_secrets": missing}
        emit({key: app.prevented(each)["problems"] for key, each in told.items()}, output)
    if problems:
        raise ConfigError(problems)
    if output != "table":
        return
    for problem in missing:
        say(str(problem))
    waiting = sorted({problem.entry for problem in missing if problem.entry})
    but = f"; {', '.join(waiting)} cannot be started without it" if waiting else ""
    say(f"{', '.join(names)}: good{but}")


def _read(
    files: tuple[str, ...], project: str | None
) -> tuple[Sequence[str], Sequence[Problem], Sequence[Problem]]:
    """Return the names of the files, every problem, and the secrets that are missing."""
    try:
        declared = app.declare(files, project)
    except ConfigError as error:
        return (), error.problems, ()
    if not declared.settings.sandbox:
        warn_of_no_sandbox()
    return [name for name, _ in declared.sources], *app.check(declared)


@click.command()
@click.argument("which", required=False, type=click.Choice(["plugins", "plugin"]))
@click.option("--check", is_flag=True, help="Compare the committed files with the models; exit 6.")
@click.option("--write", is_flag=True, help="Write the files anew.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("schemas"),
    show_default=True,
    help="Where the files are.",
)
def schema(which: str | None, folder: Path, *, check: bool, write: bool) -> None:
    """Print a JSON Schema (draft 2020-12), or compare or write the committed ones.

    \b
    Examples:
      ntpctl schema plugins > plugins.schema.json
      ntpctl schema --check
    """
    rendered = app.schemas()
    if write:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in rendered.items():
            (folder / name).write_bytes(text)
            say(f"wrote {folder / name}")
    elif check:
        stale = [
            name
            for name, text in rendered.items()
            if not (folder / name).is_file() or (folder / name).read_bytes() != text
        ]
        for name in stale:
            what = "differs from the models" if (folder / name).exists() else "does not exist"
            say(f"{folder / name}: {what}\n  fix: ntpctl schema --write")
        if stale:
            raise click.exceptions.Exit(6)
        say(f"{len(rendered)} schemas equal the models")
    else:
        click.echo(rendered[f"{which or 'plugins'}.schema.json"], nl=False)
