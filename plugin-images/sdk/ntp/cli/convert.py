"""`ntp data convert`: files of other layouts as one that every command reads."""

import contextlib
import json
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ntp.cli.outcome import INTERRUPTED, REFUSED, USAGE
from ntp.cli.output import output_option
from ntp.cli.progress import ProgressLine

if TYPE_CHECKING:
    from ntp.layouts import Dataset
    from ntp.layouts.conversion import Converted


def _mapping(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for each in given:
        role, sign, name = each.partition("=")
        if not sign or not role or not name:
            raise click.BadParameter(
                f"{each!r} is no ROLE=COLUMN\n  fix: such as --map price=Close"
            )
        found[role.strip()] = name.strip()
    return found


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE…")
@click.option("--out", "-o", required=True, type=click.Path(path_type=Path, dir_okay=False), metavar="OUT", help="A name that ends in .csv, .csv.gz or .parquet.")  # fmt: skip
@click.option("--symbol", help="Of files that have no column of symbols; default: what the file's name says.")  # fmt: skip
@click.option(
    "--map",
    "mapping",
    multiple=True,
    callback=_mapping,
    metavar="ROLE=COLUMN",
    help="Which column is what, by name or number from 1: price=Close, timestamp=Date:%d/%m/%Y, bars=5m, stamp=end.",
)
@click.option(
    "--zone", help="Of times that name none: America/New_York, EST, +02:00; default: UTC."
)
@click.option("--bars", metavar="LENGTH", help="Make bars of the ticks, or of shorter bars: 1m, 5m, 1h, 1d.")  # fmt: skip
@click.option("--strict", is_flag=True, help="Write nothing where a row is bad, instead of leaving it out.")  # fmt: skip
@click.option("--force", is_flag=True, help="Overwrite OUT.")
@output_option("what was written")
def convert(
    files: tuple[Path, ...],
    *,
    out: Path,
    symbol: str | None,
    mapping: Mapping[str, str],
    zone: str | None,
    bars: str | None,
    strict: bool,
    force: bool,
    output: str,
) -> None:
    """Write market data of other layouts as one file of ntp's own, in order of time.

    Known by their header or the shape of their rows: bars of Yahoo, TradingView, ccxt and freqtrade,
    HistData, Binance's and Polygon's exports, MetaTrader, Parquet; .gz and .zip. What was found is
    shown, a bad row is named and left out. OUT is there when it is whole, or not at all.

    \b
    Examples:
      ntp data convert SPY.csv -o spy.parquet
      ntp data convert BTCUSDT-aggTrades-2024-*.zip -o btc.csv.gz
      ntp data convert DAT_ASCII_EURUSD_T_201202.csv -o eurusd_5m.csv --bars 5m
      ntp data convert prices.csv -o out.csv --map price=Last --map 'timestamp=Day:%d.%m.%Y' --symbol DAX
      ntp data convert us_stock.csv -o out.csv --zone America/New_York --output json
    """
    from ntp.layouts import OrderError, open_files
    from ntp.layouts.conversion import convert as run
    from ntp.layouts.writing import ending

    if out.exists() and not force:
        raise click.UsageError(f"{out} is there already\n  fix: name another file, or say --force")
    if bars is not None:
        _length(bars)
    with ProgressLine() as line, _guard(line):
        ending(out)
        data = open_files(files, symbol=symbol, zone=zone, mapping=mapping)
        if output == "table":
            line.say(str(data))

        def told() -> None:
            line.show(lambda: _far(data, line.seconds))

        try:
            done = run(data, out, bars=bars, strict=strict, progress=told)
        except OrderError as error:
            line.say(f"{error.problems[0].found}; sorting on the disk")
            data = open_files(files, symbol=symbol, zone=zone, mapping=mapping, sort=True)
            done = run(data, out, bars=bars, strict=strict, progress=told)
        seconds = line.seconds
    if output == "json":
        click.echo(json.dumps(_document(out, data, done, seconds), indent=2, ensure_ascii=False))
        return
    for each in data.bad.lines():
        line.say(each)
    _tell(out, data, done, seconds)


def _length(bars: str) -> None:
    from ntp.bars import length

    try:
        length(bars)
    except ValueError as error:
        raise click.UsageError(f"--bars: {error}") from None


@contextlib.contextmanager
def _guard(line: ProgressLine) -> Iterator[None]:
    """Turn what went wrong into words and an exit code; SIGTERM, too, leaves nothing behind."""
    from ntp.layouts import LayoutError

    def ended(number: int, _: object) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, ended)
    try:
        yield
    except LayoutError as error:
        for problem in error.problems:
            line.say(f"error: {problem}")
        line.say("nothing was written")
        sys.exit(USAGE)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        line.say(f"error: {where}{(error.strerror or str(error)).lower()}; nothing was written")
        sys.exit(REFUSED)
    except KeyboardInterrupt:
        line.say("interrupted; nothing was written")
        sys.exit(INTERRUPTED)
    finally:
        signal.signal(signal.SIGTERM, before)


def _far(data: "Dataset", seconds: float) -> str:
    return f"{data.done:4.0%}  {data.count:,} rows  {data.count / max(seconds, 0.001):,.0f}/s"


def _tell(out: Path, data: "Dataset", done: "Converted", seconds: float) -> None:
    click.echo(f"{out}: {done.rows:,} rows of {data.count:,} read in {seconds:.1f} s")
    symbols = sorted(done.symbols.items())
    shown = ", ".join(f"{symbol} {count:,}" for symbol, count in symbols[:10])
    click.echo(f"  symbols: {shown}" + (f", … {len(symbols)} in all" if symbols[10:] else ""))
    if done.first and done.last:
        click.echo(f"  from {done.first.isoformat()} to {done.last.isoformat()}")
    if data.bad.count:
        click.echo(f"  left out: {data.bad.count:,} bad row{'s'[: data.bad.count > 1]}, above")


def _document(out: Path, data: "Dataset", done: "Converted", seconds: float) -> dict[str, Any]:
    return {
        "file": str(out),
        "rows": done.rows,
        "read": data.count,
        "symbols": dict(sorted(done.symbols.items())),
        "first": done.first.isoformat() if done.first else None,
        "last": done.last.isoformat() if done.last else None,
        "seconds": round(seconds, 3),
        "files": [file.mapping.document() for file in data.files],
        "bad": data.bad.count,
        "moved": data.bad.moved,
        "bad_rows": [
            {
                "file": row.file,
                "line": row.line,
                "column": row.column,
                "name": row.name,
                "value": row.value,
                "why": row.why,
                "done": row.done,
            }
            for row in data.bad.first
        ],
    }
