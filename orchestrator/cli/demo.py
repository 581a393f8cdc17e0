"""The main job at once: a local exchange, the plugins of the example, paper money; then clean up."""

import tempfile
import time
from pathlib import Path

import click

from orchestrator import app
from orchestrator.app import demonstration
from orchestrator.app.places import packaged
from orchestrator.cli import demo_page, demo_summary, demo_watch
from orchestrator.cli.demo_report import document
from orchestrator.cli.demo_watch import Terms
from orchestrator.cli.failure import ended_like_ctrl_c, say
from orchestrator.cli.options import deadline_option
from orchestrator.cli.output import console, emit, output_option
from orchestrator.cli.temporary import clean, own_name
from orchestrator.errors import ActionError
from orchestrator.settings import DEFAULT_FILES

SPEED = 5.0
PAGE = "demo.html"
"""In the cache folder: it is made again by each run."""


@click.command()
@deadline_option(90.0, "For all but the playing.")
@click.option(
    "--speed",
    default=SPEED,
    show_default=True,
    type=click.FloatRange(0.5, 20),
    help="How many times as fast as it was recorded the exchange plays.",
)
@click.option(
    "--page",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where the page of the run is written; default: demo.html in the cache folder.",
)
@click.option("--keep", is_flag=True, help="Leave the project running, to look around.")
@output_option
def demo(deadline: float, speed: float, page: Path | None, output: str, *, keep: bool) -> None:
    """Run the main job at a local exchange, each plugin in its own container; then clean up.

    Binance's trades are recorded, Polygon's prices are synthetic, the money is paper. At the end is a
    page for the browser: prices with signals and fills, equity, drawdown. Exit 0 only if every plugin
    became ready, no tick was lost, signals were made, orders filled, and nothing was left behind.

    \b
    Examples:
      ntpctl demo
      ntpctl demo --speed 1     as fast as it was
      ntpctl demo --page run.html
      ntpctl demo -o json
    """
    began = time.monotonic()
    ends = began + deadline + demonstration.SECONDS / speed
    if page is not None and not page.parent.is_dir():
        raise click.UsageError(f"--page {page}: there is no folder {page.parent}")
    with ended_like_ctrl_c(), demonstration.market(speed) as exchange:
        folder = Path(tempfile.mkdtemp(prefix="ntp-demo-"))
        folder.chmod(
            0o711
        )  # where no sandbox hands it to them, plugins of other uids walk through it
        try:
            say(f"a project of its own in {folder}")
            run = demonstration.prepare(folder, exchange)
            app.ensure_controller(run.declared.settings)
            watch = (
                demo_watch.live if output == "table" and demo_watch.drawable() else demo_watch.lines
            )
            glance, heard = watch(run, exchange, Terms(deadline, ends, speed))
        finally:
            if not keep:
                clean(demonstration.settings(folder), folder)
    summary = glance.summary(run)
    left = [] if keep else app.left_behind(run.declared.settings)
    failures = [*summary.failures, *(f"left behind: {what}" for what in left)]
    file = (page or run.declared.settings.cache / PAGE).absolute()
    demo_page.write(demo_page.page(run, heard, summary, failures, speed), file)
    if output == "table":
        demo_summary.show(summary)
        console().print(
            f"page: {file.as_uri()}\ndone in {time.monotonic() - began:.1f} s", soft_wrap=True
        )
    else:
        emit(document(summary, failures, page=str(file)), output)
    if failures:
        raise ActionError("the demo failed:\n  " + "\n  ".join(failures))
    if keep:
        say(
            f"it still runs, without its exchange:  NTP_STATE={folder}/state {own_name()} status --project demo"
        )
    say(f"now your own:  {next_command(Path.cwd(), packaged('config') / 'plugins.yaml')}")


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
