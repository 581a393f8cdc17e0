"""The commands that look into marketplaces: search, info, outdated, verify."""

from pathlib import Path

import click

from orchestrator.cli.failure import say
from orchestrator.cli.options import located, project_options
from orchestrator.cli.output import Column, emit, one_line, output_option, put, table
from orchestrator.cli.plugin_view import show
from orchestrator.errors import ConfigError, Problem

market_option = click.option(
    "--marketplace", "market", metavar="NAME", help="Which one; `ntp marketplace list` shows yours."
)
key_option = click.option(
    "--key",
    "key_files",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="A public key that may have signed a file: what `ntp keys export` wrote.",
)


@click.command()
@click.argument("words", nargs=-1, metavar="[WORD]...")
@market_option
@project_options
@output_option
def search(
    words: tuple[str, ...],
    market: str | None,
    files: tuple[str, ...],
    project: str | None,
    output: str,
) -> None:
    """Show the plugins in whose name, kind, description or author every word occurs.

    \b
    Examples:
      ntpctl plugin search
      ntpctl plugin search bollinger strategy
      ntpctl plugin search --marketplace desk -o json
    """
    from orchestrator.app import shelves

    rows = shelves.search(located(files, project), words, market)
    if output != "table":
        emit({"plugins": rows}, output)
    elif not rows:
        say("no plugin has all these words" if words else "there is no plugin yet")
    else:
        table(
            rows,
            [
                Column("PLUGIN", lambda row: str(row["plugin"])),
                Column("NEWEST", lambda row: str(row["version"])),
                Column("KIND", lambda row: one_line(str(row["kind"])), rank=2),
                Column("MARKETPLACE", lambda row: str(row["marketplace"]), rank=1),
                Column("DESCRIPTION", lambda row: one_line(str(row["description"]))),
            ],
        )


@click.command()
@click.argument("wanted", metavar="NAME[@VERSION]")
@market_option
@project_options
@output_option
def info(
    wanted: str, market: str | None, files: tuple[str, ...], project: str | None, output: str
) -> None:
    """Show what a plugin asks for, who signed it, the report of its test, and what it is made of.

    All of it is verified before it is shown; the plugin itself is not fetched.

    \b
    Examples:
      ntpctl plugin info my_strategy
      ntpctl plugin info my_strategy@1.2.0 -o json
    """
    from orchestrator.app import shelves

    name, version = parted(wanted)
    found = shelves.info(located(files, project), name, version, market)
    if output == "table":
        show(found)
    else:
        emit(found, output)


@click.command()
@market_option
@project_options
@output_option
def outdated(market: str | None, files: tuple[str, ...], project: str | None, output: str) -> None:
    """Show which installed plugins have a newer release; exit code 6 where one has.

    \b
    Examples:
      ntpctl plugin outdated
      ntpctl plugin outdated -o json
    """
    from orchestrator.app import shelves

    rows = shelves.outdated(located(files, project), market)
    if output != "table":
        emit({"plugins": rows}, output)
    elif not rows:
        say("nothing is installed; ntpctl plugin install NAME")
    else:
        table(
            rows,
            [
                Column("NAME", lambda row: str(row["name"])),
                Column("VERSION", lambda row: str(row["version"] or "-")),
                Column("NEWEST", lambda row: str(row["newest"] or "-")),
                Column("MARKETPLACE", lambda row: str(row["marketplace"] or "-")),
            ],
        )
    if any(row["outdated"] for row in rows):
        raise click.exceptions.Exit(6)


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--retest", is_flag=True, help="Run the report that its author signed once more, isolated, on data of yours.")  # fmt: skip
@click.option("--data", "-d", "data", multiple=True, type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="FILE", help="With --retest: CSV or Parquet; may be repeated.")  # fmt: skip
@click.option("--map", "mapping", multiple=True, metavar="ROLE=COLUMN", help="With --retest: which column is what, where that cannot be known: price=Last, timestamp=2:ms.")  # fmt: skip
@click.option("--zone", metavar="ZONE", help="With --retest: of times that name none; default: UTC.")  # fmt: skip
@click.option("--symbol", metavar="NAME", help="With --retest: of files that name none.")
@click.option("--sort", is_flag=True, help="With --retest: sort each file by time first, on the disk.")  # fmt: skip
@market_option
@key_option
@project_options
@output_option
def verify(
    names: tuple[str, ...],
    *,
    retest: bool,
    data: tuple[Path, ...],
    mapping: tuple[str, ...],
    zone: str | None,
    symbol: str | None,
    sort: bool,
    market: str | None,
    key_files: tuple[Path, ...],
    files: tuple[str, ...],
    project: str | None,
    output: str,
) -> None:
    """Verify what is installed once more: catalogue, tag, signature, revocation, every byte; 6 where one fails.

    With --retest the plugin is then run with the config, bars, history, capital and costs of its report, and
    the figures are shown beside the report's; 6 where a check fails.

    \b
    Examples:
      ntpctl plugin verify
      ntpctl plugin verify my_strategy --key author.pub -o json
      ntpctl plugin verify my_strategy --retest --data mine.csv
      ntpctl plugin verify my_strategy --retest -d mine.csv --map price=Last --zone Europe/Berlin --symbol BTCUSDT
    """
    from orchestrator.app import shelves
    from orchestrator.cli import plugin_retest

    reading = plugin_retest.reading(mapping, zone, symbol, sort=sort)
    plugin_retest.check_asked(names, data, reading, retest=retest)
    where = located(files, project)
    if retest:
        rows = [
            plugin_retest.run(
                where, names[0], data, reading=reading, market=market, key_files=key_files
            )
        ]
    else:
        rows = shelves.verify(where, names, market, key_files)
    if output != "table":
        emit({"plugins": rows}, output)
    for row in rows if output == "table" else ():
        put(f"{row['name']}: " + (f"good, {row['signed_by']}" if row["good"] else row["found"]))
        plugin_retest.show(row.get("retest"))
    if not rows:
        say("nothing is installed; ntpctl plugin install NAME")
    if not all(row["good"] and (row.get("retest") or {"passed": True})["passed"] for row in rows):
        raise click.exceptions.Exit(6)


def parted(wanted: str) -> tuple[str, str | None]:
    from ntp.contract import semver
    from ntp.contract.names import is_name

    name, at, version = wanted.partition("@")
    if not is_name(name):
        problem = Problem("NAME", 0, 0, f"{name[:80]!r} is no name of a plugin", "ntpctl plugin search")  # fmt: skip
        raise ConfigError([problem])
    if at and not semver.is_version(version):
        fix = "write three numbers: my_strategy@1.0.0"
        raise ConfigError([Problem("NAME", 0, 0, f"the version was {version[:80]!r}", fix)])
    return name, version if at else None
