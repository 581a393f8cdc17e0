"""Images of plugins: what is packed, and what lies ready."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Self

import click

from orchestrator import app
from orchestrator.cli.failure import say
from orchestrator.cli.options import located, project_options
from orchestrator.cli.output import Column, console, emit, output_option, table
from orchestrator.cli.preview import SHORT
from orchestrator.cli.words import age, bytes_of


@click.group()
def images() -> None:
    """Build the images of plugins, each once; list those that are here.

    \b
    Examples:
      ntpctl images build --base dist/base
      ntpctl images list
    """


@images.command()
@click.argument("names", nargs=-1, metavar="[PLUGIN]...")
@project_options
@click.option(
    "--base",
    metavar="IMAGE",
    help="What to build on: a layout, an archive, or host/repository@sha256:…; default NTP_BASE, else as before.",
)
@output_option
def build(
    names: tuple[str, ...],
    files: tuple[str, ...],
    project: str | None,
    base: str | None,
    output: str,
) -> None:
    """Build the images of plugins, all of them without a name; where nothing changed, nothing is done.

    Those are the bundled plugins, and those in PLUGIN_DIR. Images lie in the cache (NTP_CACHE), and are
    what `ntp plugin package` makes.

    \b
    Examples:
      ntpctl images build --base dist/base
      ntpctl images build bollinger_strategy
      ntpctl images build -o json
    """
    with _Progress() as progress:
        rows = app.build_images(located(files, project), names, base, progress.tell)
    _show(rows, output, last="built")


@images.command(name="list")
@project_options
@output_option
def list_(files: tuple[str, ...], project: str | None, output: str) -> None:
    """Show the images that are here: name, digest, size, age, which plugin each is of.

    \b
    Examples:
      ntpctl images list
      ntpctl images list -o json
    """
    rows = app.listed_images(located(files, project))
    if not rows and output == "table":
        say("no image is here yet; `ntpctl images build` makes them")
        return
    _show(rows, output, last="newest")


def _show(rows: Sequence[Mapping[str, Any]], output: str, *, last: str) -> None:
    if output != "table":
        emit({"images": list(rows)}, output)
        return
    now = datetime.now(UTC).isoformat()
    table(
        rows,
        [
            Column("NAME", lambda row: str(row["name"])),
            Column("DIGEST", lambda row: str(row["digest"])[:SHORT]),
            Column("SIZE", lambda row: bytes_of(int(row["size"])), right=True, rank=2),
            Column("AGE", lambda row: age(str(row["at"]), now), right=True, rank=1),
            Column("PLUGIN", lambda row: str(row["plugin"])),
            Column(last.upper(), lambda row: "yes" if row[last] else "no"),
        ],
    )


class _Progress:
    """On a terminal one line that changes; elsewhere a line for each image that is done."""

    def __init__(self) -> None:
        self._status: Any = None
        self._done = 0

    def __enter__(self) -> Self:
        out = console(stderr=True)
        if out.is_terminal:
            from rich.status import Status

            self._status = Status("…", console=out)
            self._status.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._status is not None:
            self._status.stop()

    def tell(self, name: str, what: str) -> None:
        done = what in ("built", "nothing changed")
        self._done += done
        if self._status is not None:
            from rich.text import Text

            self._status.update(Text(f"{self._done} done  {name}: {what}"))
        elif done or what.startswith("failed"):
            say(f"{name}: {what}")
