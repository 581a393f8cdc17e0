"""A run of the demo, from its exchange to its page. `demo` is the command."""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from orchestrator import app
from orchestrator.app import demonstration
from orchestrator.app.places import packaged
from orchestrator.cli import demo_page, demo_summary, demo_watch
from orchestrator.cli.demo_report import document
from orchestrator.cli.demo_watch import Terms
from orchestrator.cli.failure import say
from orchestrator.cli.output import console, emit
from orchestrator.cli.temporary import clean, own_name
from orchestrator.errors import ActionError
from orchestrator.settings import DEFAULT_FILES

PAGE = "demo.html"
"""In the cache folder: it is made again by each run."""


@dataclass(frozen=True, slots=True)
class Order:
    """What the command was told. `began`: when, by `time.monotonic`; `deadline`: seconds but for the playing."""

    began: float
    deadline: float
    speed: float
    page: Path | None
    output: str
    keep: bool


def run(order: Order) -> None:
    """Run the demo, say how it went, write its page.

    Raises:
        ActionError: not everything was as it is promised.
    """
    speed = order.speed
    ends = order.began + order.deadline + demonstration.SECONDS / speed
    live = order.output == "table" and demo_watch.drawable()
    watch = demo_watch.live if live else demo_watch.lines
    with demonstration.market(speed) as exchange:
        folder = Path(tempfile.mkdtemp(prefix="ntp-demo-"))
        try:
            # Where no sandbox hands it to them, plugins of other uids walk through it.
            folder.chmod(0o711)
            say(f"a project of its own in {folder}")
            made = demonstration.prepare(folder, exchange)
            app.ensure_controller(made.declared.settings)
            glance, heard = watch(made, exchange, Terms(order.deadline, ends, speed))
        finally:
            if not order.keep:
                clean(demonstration.settings(folder), folder)
    summary = glance.summary(made)
    left = [] if order.keep else app.left_behind(made.declared.settings)
    failures = [*summary.failures, *(f"left behind: {what}" for what in left)]
    file = (order.page or made.declared.settings.cache / PAGE).absolute()
    demo_page.write(demo_page.page(made, heard, summary, failures, speed), file)
    if order.output == "table":
        demo_summary.show(summary)
        took = time.monotonic() - order.began
        console().print(f"page: {file.as_uri()}\ndone in {took:.1f} s", soft_wrap=True)
    else:
        emit(document(summary, failures, page=str(file)), order.output)
    if failures:
        raise ActionError("the demo failed:\n  " + "\n  ".join(failures))
    if order.keep:
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
