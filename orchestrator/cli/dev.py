"""An author's loop: save a plugin's file, and only that plugin is reloaded, warm."""

import time
from pathlib import Path

import click

from orchestrator import app
from orchestrator.cli.dev_lines import Lines
from orchestrator.cli.failure import ended_like_ctrl_c, say
from orchestrator.cli.options import project_options
from orchestrator.cli.output import output_option
from orchestrator.cli.temporary import clean, own_name, take_down
from orchestrator.errors import NtpError
from orchestrator.settings import Settings

MOST = 10_000


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@project_options
@click.option(
    "--replay",
    type=click.IntRange(0, MOST),
    default=500,
    show_default=True,
    metavar="N",
    help="How many last ticks of each symbol a reloaded plugin is shown again; 0: it starts cold.",
)
@output_option
def dev(path: Path, files: tuple[str, ...], project: str | None, replay: int, output: str) -> None:
    """Watch a plugin's files: a save reloads that plugin alone, with its last ticks replayed.

    PATH is a plugin's .py file or its folder, or a project (its folder or plugins.yaml): then all
    plugins that are not ntpctl's own are watched, and the project's files too. The project is
    started where it does not run, and taken down again at the end. A plugin that no entry of it
    runs gets a project of its own, on recorded ticks.

    A save with a mistake changes nothing: it is told by its line, and what ran runs on. What a
    plugin makes of replayed ticks is shown and not sent, so that no executor acts on it.

    \b
    Examples:
      ntpctl dev plugins/breakout.py
      ntpctl dev plugins/breakout.py --replay 2000
      ntpctl dev my-strategy -f config/plugins.yaml
      ntpctl dev . -o json
    """
    from orchestrator.app.dev_target import target
    from orchestrator.app.developing import Session

    chosen = target(path, files, project)
    settings = chosen.settings
    app.check_folder(settings)
    with ended_like_ctrl_c():
        session: Session | None = None
        try:
            with Lines(output) as lines:
                session = Session(chosen, replay, lines.tell)
                session.open()
                while True:
                    time.sleep(session.turn())
        finally:
            if chosen.made is not None:
                clean(settings, chosen.made)
            elif session is not None and session.started:
                _take_down(settings)
            elif session is not None and session.applied:
                back = f"{own_name()} rollback {session.before}"
                say(f"the project runs on with what was saved; back to what ran before:  {back}")


def _take_down(settings: Settings) -> None:
    """It did not run before. What plugins have stored stays, as after every `down`."""
    try:
        take_down(settings, delete_data=False)
    except NtpError as error:
        say(
            f"taking the project down: {error}\n  fix: {own_name()} down --project {settings.project}"
        )
        return
    kept = app.stored(settings)
    say("the project is down again" + (f"; storage kept: {', '.join(kept)}" if kept else ""))
