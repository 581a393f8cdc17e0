"""Images of plugins: what is packed, and what lies ready."""

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Self

import click

from orchestrator.app import listed_images
from orchestrator.cli.failure import agreed, say
from orchestrator.cli.options import located, project_options
from orchestrator.cli.output import Column, console, emit, output_option, table
from orchestrator.cli.preview import SHORT
from orchestrator.cli.words import age, bytes_of


@click.group()
def images() -> None:
    """Build the images of plugins, each once; list and prune those that are here.

    \b
    Examples:
      ntpctl images build --base dist/base
      ntpctl images list
      ntpctl images prune --dry-run
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
        rows = listed_images.build(located(files, project), names, base, progress.tell)
    if output == "table":
        _table(rows, last="built")
    else:
        emit({"images": list(rows)}, output)


@images.command(name="list")
@project_options
@output_option
def list_(files: tuple[str, ...], project: str | None, output: str) -> None:
    """Show the images that are here: name, digest, size, age, and which entries run from each.

    Those are the entries of all projects that use this cache (NTP_CACHE), as project/entry.

    \b
    Examples:
      ntpctl images list
      ntpctl images list -o json
    """
    told = listed_images.told(located(files, project))
    if output != "table":
        emit(told, output)
        return
    if told["images"]:
        _table(told["images"], last="newest")
    elif not told["unreadable"]:
        say("no image is here yet; `ntpctl images build` makes them")
    if count := len(told["unreadable"]):
        say(
            f"{count} more cannot be read; `ntpctl images prune --dry-run` says why, or what would go"
        )


@images.command()
@project_options
@click.option("--dry-run", is_flag=True, help="Say what would be removed; remove nothing.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@output_option
def prune(
    files: tuple[str, ...], project: str | None, output: str, *, dry_run: bool, yes: bool
) -> None:
    """Remove the images that nothing applied uses, and no revision or generation that is kept.

    From the cache (NTP_CACHE), and from the engine where one answers: there only images of plugins with
    names that ntpctl gave, and none that a container is made of. The base stays.

    \b
    Examples:
      ntpctl images prune --dry-run
      ntpctl images prune --yes -o json
    """
    where = located(files, project)
    if not dry_run and not yes and sys.stdin.isatty() and sys.stdout.isatty():
        told = listed_images.prune(where, dry_run=True)
        _show_pruned(told)
        if not (
            told["images"]
            or told["unreadable"]
            or told["freed"]
            or (told["engine"] or {}).get("images")
        ):
            return
        agreed("Remove them?")
    told = listed_images.prune(where, dry_run=dry_run)
    if output == "table":
        _show_pruned(told)
    else:
        emit(told, output)


def _show_pruned(told: Mapping[str, Any]) -> None:
    engine = told["engine"]
    rows = [{**each, "where": "cache"} for each in told["images"]]
    for each in engine["images"] if engine else ():
        where = "engine, in use: kept" if each["in_use"] else "engine"
        rows.append({**each, "digest": each["id"], "where": where})
    if rows:
        table(
            rows,
            [
                Column("NAME", lambda row: str(row["name"]) or "-"),
                Column("DIGEST OR ID", lambda row: str(row["digest"])[:SHORT]),
                Column("SIZE", lambda row: bytes_of(int(row["size"])), right=True, rank=1),
                Column("WHERE", lambda row: str(row["where"])),
            ],
        )
    if lost := len(told["unreadable"]):
        say(f"{lost} more that nothing uses: gone or altered")
    in_use = len(told["unreadable_in_use"])
    if in_use:
        are, they = ("is", "it is") if in_use == 1 else ("are", "they are")
        say(
            f"{in_use} in use {are} gone or altered; until {they} fetched or built again, all that processes "
            "and the engine have of any image stays"
        )
    word = "would be freed" if told["dry_run"] else "freed"
    sums = [f"{bytes_of(told['freed'])} {word} in the cache"]
    if in_use:
        sums.append("what the engine has stays")
    elif engine is None:
        sums.append("no engine answers: what it has stays")
    elif engine["freed"] is not None:
        sums.append(f"{bytes_of(engine['freed'])} in the engine")
    say("; ".join(sums))


def _table(rows: Sequence[Mapping[str, Any]], *, last: str) -> None:
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
            *([Column("USED BY", _users)] if last == "newest" else []),
        ],
    )


def _users(row: Mapping[str, Any]) -> str:
    return ", ".join(row["used_by"]) or "-"


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
