"""The main job at once: a local exchange, the plugins of the example, paper money; then clean up."""

import time
from pathlib import Path

import click

from orchestrator.cli.failure import ended_like_ctrl_c
from orchestrator.cli.options import deadline_option, runtime_option
from orchestrator.cli.output import output_option

SPEED = 5.0


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
@runtime_option
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
      ntpctl demo --runtime docker
      ntpctl demo -o json
    """
    began = time.monotonic()
    if page is not None and not page.parent.is_dir():
        raise click.UsageError(f"--page {page}: there is no folder {page.parent}")
    with ended_like_ctrl_c():
        # Here: it takes a third of a second, and a signal meanwhile is to end us like any other.
        from orchestrator.cli.demo_run import Order, run

        run(Order(began, deadline, speed, page, output, keep=keep))
