"""The main job at once: a local exchange, the plugins of the example, paper money; then clean up."""

import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import click

from orchestrator import app
from orchestrator.app import demonstration, past
from orchestrator.app.demonstration import Demonstration
from orchestrator.app.local_exchange import LocalExchange
from orchestrator.app.places import packaged
from orchestrator.cli import demo_summary
from orchestrator.cli.demo_follow import Glance, follow
from orchestrator.cli.demo_report import document
from orchestrator.cli.failure import ended_like_ctrl_c, say
from orchestrator.cli.options import deadline_option
from orchestrator.cli.output import console, emit, output_option
from orchestrator.cli.progress import settle
from orchestrator.errors import ActionError, NtpError
from orchestrator.settings import DEFAULT_FILES

LOOK_S = 0.25
SAY_S = 2.0
SPEED = 5.0


@dataclass(frozen=True, slots=True)
class Terms:
    """`deadline`: seconds until all are ready; `ends`: monotonic, for the whole; `speed` of playing."""

    deadline: float
    ends: float
    speed: float


@click.command()
@deadline_option(90.0, "For all but the playing.")
@click.option(
    "--speed",
    default=SPEED,
    show_default=True,
    type=click.FloatRange(0.5, 20),
    help="How many times as fast as it was recorded the exchange plays.",
)
@click.option("--keep", is_flag=True, help="Leave the project running, to look around.")
@output_option
def demo(deadline: float, speed: float, output: str, *, keep: bool) -> None:
    """Run the main job at a local exchange, each plugin in its own container; then clean up.

    Binance's trades are recorded, Polygon's prices are synthetic, the money is paper. Exit 0 only if
    every plugin became ready, no tick was lost, signals were made, orders filled, and nothing was
    left behind.

    \b
    Examples:
      ntpctl demo
      ntpctl demo --speed 1     as fast as it was
      ntpctl demo -o json
    """
    began = time.monotonic()
    ends = began + deadline + demonstration.SECONDS / speed
    with ended_like_ctrl_c(), demonstration.market(speed) as exchange:
        folder = Path(tempfile.mkdtemp(prefix="ntp-demo-"))
        folder.chmod(
            0o711
        )  # where no sandbox hands it to them, plugins of other uids walk through it
        try:
            say(f"a project of its own in {folder}")
            run = demonstration.prepare(folder, exchange)
            app.ensure_controller(run.declared.settings)
            watch = _live if output == "table" and _can_be_drawn() else _watch
            summary = watch(run, exchange, Terms(deadline, ends, speed)).summary(run)
        finally:
            if not keep:
                _clean(folder)
    left = [] if keep else app.left_behind(run.declared.settings)
    failures = [*summary.failures, *(f"left behind: {what}" for what in left)]
    if output == "table":
        demo_summary.show(summary)
        console().print(f"done in {time.monotonic() - began:.1f} s")
    else:
        emit(document(summary, failures), output)
    if failures:
        raise ActionError("the demo failed:\n  " + "\n  ".join(failures))
    if keep:
        say(
            f"it still runs, without its exchange:  NTP_STATE={folder}/state {own_name()} status --project demo"
        )
    say(f"now your own:  {next_command(Path.cwd(), packaged('config') / 'plugins.yaml')}")


def _can_be_drawn() -> bool:
    from orchestrator.cli import screen

    return screen.possible()


def _watch(run: Demonstration, exchange: LocalExchange, terms: Terms) -> Glance:
    """Apply and follow to the end, with a line now and then; return the last glance."""
    settle(app.apply(run.declared, wait=True, deadline=terms.deadline), output="table")
    said = 0.0
    played = False
    for glance in follow(run, exchange, terms.ends, say):
        now = time.monotonic()
        if not played and glance.playing:
            played = True
            say(
                f"the exchange plays {demonstration.SECONDS} s, {terms.speed:g} times as fast: "
                "Binance recorded, Polygon synthetic"
            )
        if now - said >= SAY_S or glance.over:
            said = now
            say(_line(glance, run))
        if glance.over:
            return glance
        time.sleep(LOOK_S)
    raise ActionError("the demo saw nothing")


def _live(run: Demonstration, exchange: LocalExchange, terms: Terms) -> Glance:
    """Do the same as a view of the whole terminal; `q` is Ctrl-C."""
    from orchestrator.cli.demo_view import View
    from orchestrator.cli.screen import Screen

    view = View(run, past.graph(run.declared), terms.speed)
    with Screen() as screen:
        for _ in app.apply(run.declared, wait=False):
            pass
        for glance in follow(run, exchange, terms.ends, view.notice):
            screen.show(view.picture(glance, time.monotonic()))
            if glance.over:
                return glance
            if not screen.pause(LOOK_S):
                raise KeyboardInterrupt
    raise ActionError("the demo saw nothing")


def _line(glance: Glance, run: Demonstration) -> str:
    def total(direction: str, channel: str) -> int:
        return sum(
            flow.count
            for beat in glance.beats.values()
            for flow in getattr(beat, direction)
            if flow.channel == channel
        )

    books = glance.summary(run).books
    equity = f"  equity {sum(book.equity for book in books):,.2f}" if books else ""
    return (
        f"ticks sent {total('sent', 'data'):,}  received {total('received', 'data'):,}  "
        f"signals {total('sent', 'signal'):,}  fills {total('sent', 'fill'):,}{equity}"
    )


def own_name() -> str:
    """Return what to type for this program here: in a checkout it is not on the PATH."""
    ours = Path(sys.argv[0]).absolute()
    found = shutil.which("ntpctl")
    if found and Path(found).absolute() == ours:
        return "ntpctl"
    if ours.name != "ntpctl":
        return "python -m orchestrator"
    return str(ours.relative_to(Path.cwd())) if ours.is_relative_to(Path.cwd()) else str(ours)


def next_command(here: Path, example: Path) -> str:
    """Return what to type next in the folder `here`; `example` is the demo's own plugins.yaml."""
    if here / "config" / "plugins.yaml" == example:
        return f"edit config/plugins.yaml, then  {own_name()} apply -f config/plugins.yaml"
    if any((here / file).exists() for file in DEFAULT_FILES):
        return f"{own_name()} apply"
    # Where its first line says that the schema is: beside the folder.
    return (
        f"mkdir -p config && cp {example} config/ && "
        f"{own_name()} schema --write && {own_name()} apply"
    )


def _clean(folder: Path) -> None:
    """Take everything down and away; what is left where that fails says how it goes by hand."""
    by_hand = f"NTP_STATE={folder}/state {own_name()} down --project demo --delete-data --yes"
    settings = demonstration.settings(folder)
    try:
        if app.was_applied(settings):
            app.ensure_controller(settings)
            for _ in app.call(settings, "down", delete_data=True, deadline=60):
                pass
            app.forget(settings, delete_data=True)
    except NtpError as error:
        say(f"cleaning up: {error}\n  fix: {by_hand}")
        return
    except KeyboardInterrupt:
        say(f"\ninterrupted while cleaning up; what is left goes by:  {by_hand}")
        raise
    shutil.rmtree(folder, ignore_errors=True)
