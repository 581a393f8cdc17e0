"""`ntp plugin create`: a new plugin's folder."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from ntp.cli.outcome import INTERRUPTED, REFUSED, USAGE
from ntp.cli.output import output_option

_NAMES = ("bollinger", "momentum", "blank", "websocket", "rest", "csv", "indicator", "executor")
GIT_S = 5.0


@click.command()
@click.argument("folder", metavar="NAME", type=click.Path(path_type=Path))
@click.option("--template", "-t", type=click.Choice(_NAMES), help="What it begins as; asked for on a terminal.")  # fmt: skip
@click.option("--symbol", metavar="TEXT", help="Of sample_data.csv and the tests; default: BTCUSDT.")  # fmt: skip
@click.option("--author", metavar="TEXT", help="For plugin.yaml; default: git's user.name.")
@output_option("what was made")
def create(
    folder: Path, *, template: str | None, symbol: str | None, author: str | None, output: str
) -> None:
    """Make the folder NAME with a plugin that works: code, plugin.yaml, tests, sample data, README, CI workflow.

    bollinger, momentum and blank are strategies; websocket, rest and csv are data sources. NAME may lie in
    another folder: plugins/my_strategy. The sample data is made up, and the README says so.

    \b
    Examples:
      ntp plugin create my_strategy --template bollinger
      ntp plugin create plugins/my_feed --template websocket --symbol ETHUSDT
      ntp plugin create my_strategy -t blank --output json
    """
    from ntp.create.folder import CreateError
    from ntp.create.folder import create as make
    from ntp.create.template import DEFAULT_SYMBOL, TEMPLATES

    try:
        if template is None or symbol is None:
            template, symbol = _ask(template, symbol, TEMPLATES, DEFAULT_SYMBOL)
        if author is None:
            author = _git_user()
        made = make(folder, template, symbol=symbol, author=author)
    except CreateError as error:
        _say(str(error))
        _say("nothing was made")
        sys.exit(USAGE)
    except OSError as error:
        _say(f"error: {folder}: {(error.strerror or str(error)).lower()}; nothing was made")
        sys.exit(REFUSED)
    except (KeyboardInterrupt, click.Abort):
        _say("interrupted; nothing was made")
        sys.exit(INTERRUPTED)
    if output == "json":
        document = {
            "name": folder.name,
            "folder": str(folder),
            "template": template,
            "symbol": symbol,
            "author": author,
            "files": list(made.files),
            "test": made.test,
        }
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    click.echo(f"{folder}: {TEMPLATES[template]}, {len(made.files)} files")
    for file in made.files:
        click.echo(f"  {file}")
    click.echo("try it:")
    for line in (f"cd {folder}", "ntp plugin validate .", "pytest", made.test):
        click.echo(f"  {line}")


def _ask(
    template: str | None, symbol: str | None, templates: Mapping[str, str], default: str
) -> tuple[str, str]:
    """Ask for what was not said, where somebody is there who can answer."""
    there = sys.stdin.isatty() and sys.stderr.isatty()
    if template is None and not there:
        width = max(map(len, templates))
        listed = "\n".join(f"    {name:{width}}  {what}" for name, what in templates.items())
        raise click.UsageError(
            f"no template was named, and there is no terminal to ask on\n  fix: --template with one of\n{listed}"
        )
    if template is None:
        for name, what in templates.items():
            _say(f"  {name:12} {what}")
        template = str(
            click.prompt(
                "template", type=click.Choice(list(templates)), show_choices=False, err=True
            )
        )
        if symbol is None:
            symbol = str(click.prompt("symbol", default=default, err=True))
    return template, symbol or default


def _git_user() -> str:
    """Return who git says that the author is, or nothing."""
    try:
        done = subprocess.run(
            ["git", "config", "user.name"],
            check=False,
            capture_output=True,
            text=True,
            timeout=GIT_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()[:200]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
