"""`ntp plugin test`: a plugin on recorded data, isolated, checked and measured."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from ntp.cli.outcome import FOUND, USAGE, guard, say
from ntp.cli.output import output_option

if TYPE_CHECKING:
    from ntp.cli.report import Report
    from ntp.contract.tested import Tested
    from ntp.examination.wish import Wish


def _like(context: click.Context, _: click.Parameter, file: Path | None) -> "Tested | None":
    from ntp.cli.like import like

    return like(context, file) if file is not None else None


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.argument("further", nargs=-1, metavar="[NAME=RANGE]...")
@click.option("--data", "-d", "data", multiple=True, metavar="FILE", help="CSV or Parquet, here or in the plugin's folder; may be repeated.")  # fmt: skip
@click.option("--config", "-c", "config", multiple=True, metavar="NAME=VALUE|FILE", help="A field of its config, or a YAML or JSON file of them; rsi.NAME=VALUE for the indicator 'rsi'; may be repeated.")  # fmt: skip
@click.option("--like", type=click.Path(path_type=Path, dir_okay=False, exists=True), metavar="FILE", is_eager=True, callback=_like, help="With the config, bars, history, capital and costs of this JSON report, but for what is given beside it.")  # fmt: skip
@click.option("--grid", metavar="NAME=RANGE", help="Try every combination of these values: 10:40:5 (first, last, step) or 1,2,5; rsi.NAME=RANGE for the indicator 'rsi'; more ranges follow it.")  # fmt: skip
@click.option("--indicator", "indicators", multiple=True, metavar="NAME=PATH", help="An indicator whose values the strategy finds under this name.")  # fmt: skip
@click.option("--bars", metavar="LENGTH", help="Show bars of this length, such as 5m, instead of each tick.")  # fmt: skip
@click.option("--history", type=click.IntRange(0, 1_000_000), default=1000, show_default=True, metavar="N", help="Ticks or bars that a strategy is given.")  # fmt: skip
@click.option("--capital", metavar="AMOUNT", help="Quote currency that it begins with.  [default: the manifest's, or 10000]")  # fmt: skip
@click.option("--short", is_flag=True, help="SELL goes short where nothing is held.")
@click.option("--pyramid", type=click.IntRange(1, 1000), default=1, metavar="N", help="BUYs in a row that add to a position.")  # fmt: skip
@click.option("--fee", metavar="SHARE", help="Of the traded worth.  [default: 0.001]")
@click.option("--slippage", metavar="SHARE", help="Of the price.  [default: 0.0001]")
@click.option("--half-spread", metavar="SHARE", help="Of the price, where a tick has no bid or ask.  [default: 0.0001]")  # fmt: skip
@click.option("--latency", metavar="SECONDS", help="From a signal's tick until its order can be filled.  [default: 0]")  # fmt: skip
@click.option("--volume-share", metavar="SHARE", help="Of a tick's volume that an order may take.  [default: no limit]")  # fmt: skip
@click.option("--symbol", default="", metavar="NAME", help="Of files that name none.")
@click.option("--zone", default="", metavar="ZONE", help="Of times that name none; default: UTC.")
@click.option("--map", "mapping", multiple=True, metavar="ROLE=COLUMN", help="Which column is what, where that cannot be known: price=Last, timestamp=2:ms.")  # fmt: skip
@click.option("--sort", is_flag=True, help="Sort each file by time first, on the disk.")
@click.option("--quick", is_flag=True, help="Leave the checks out.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write the report as a page that opens anywhere.")  # fmt: skip
@click.option("--json", "document", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write the report as JSON.")  # fmt: skip
@click.option("--against", type=click.Path(path_type=Path, dir_okay=False, exists=True), metavar="FILE", help="Say what moved since this JSON report.")  # fmt: skip
@click.option("--ticks", type=click.IntRange(1), default=1000, show_default=True, metavar="N", help="Of a data source: as many are enough.")  # fmt: skip
@click.option("--seconds", type=click.FloatRange(0.1), default=10.0, show_default=True, metavar="S", help="Of a data source: as long is enough.")  # fmt: skip
@click.option("--allow", multiple=True, metavar="HOST:PORT", help="What a data source may reach beside the hosts of its manifest, such as a local exchange.")  # fmt: skip
@click.option("--memory", default="1g", show_default=True, metavar="SIZE", help="That the plugin may use, such as 512m.")  # fmt: skip
@click.option("--wheels", type=click.Path(path_type=Path, file_okay=False, exists=True), metavar="FOLDER", help="What the plugin requires, installed already; default: it is installed now, by its lock.")  # fmt: skip
@click.option("--deadline", type=click.FloatRange(1.0), default=3600.0, show_default=True, metavar="SECONDS", help="After which it is ended.")  # fmt: skip
@output_option("the report")
def test(
    path: Path,
    *,
    further: Sequence[str],
    html: Path | None,
    document: Path | None,
    against: Path | None,
    output: str,
    grid: str | None,
    **options: object,
) -> None:
    """Test the plugin in PATH, a folder with a plugin.yaml or a .py file, on recorded market data.

    It runs isolated, as live; what is known of the columns, and the isolation that works here, is said. A
    strategy's signals are filled at costs by the engine that fills them on paper. Unless --quick, further
    runs look whether it sees the future, gives the same twice, stands bad data, and how long it has to warm
    up. A data source is connected and heard; an indicator's values and an executor's fills are looked at.

    Exits with 6 where the plugin raised or a check failed, with 2 where it could not be run.

    \b
    Examples:
      ntp plugin test my_strategy --data sample_data.csv
      ntp plugin test my_strategy -d btc.csv -d eth.csv --bars 5m --config period=30 --html report.html
      ntp plugin test my_strategy -d btc.csv --json now.json --against last.json
      ntp plugin test my_strategy -d eth.csv --like now.json
      ntp plugin test my_strategy -d btc.csv --indicator rsi=rsi_indicator --config rsi.period=14
      ntp plugin test my_strategy -d btc.csv --grid period=10:40:5 std_dev=1.5:3:0.5
      ntp plugin test my_source --config symbols='["BTCUSDT"]' --seconds 30 --allow 127.0.0.1:8765
    """
    from ntp.cli import report as reports
    from ntp.cli.wish import wish_of

    with guard("nothing is left behind"):
        wish = wish_of(path, options)
        if further and grid is None:
            raise click.UsageError(
                f"{further[0]!r} was not expected\n  fix: ranges follow --grid; a field is --config {further[0]}"
            )
        old = reports.earlier(against) if against is not None else None
        report = _grid(wish, (grid, *further)) if grid is not None else _one(wish)
        made = report.document()
        if document is not None:
            document.write_text(_json(made) + "\n", encoding="utf-8")
        if html is not None:
            html.write_text(report.page(), encoding="utf-8")
        if output == "json":
            click.echo(_json(made))
        else:
            report.show()
        if old is not None:
            reports.show_moved(old, made, err=output == "json")
    if report.found.answer.refused:
        sys.exit(USAGE)
    if not report.passed:
        sys.exit(FOUND)


def _json(made: Mapping[str, object]) -> str:
    return msgspec.json.format(msgspec.json.encode(made), indent=2).decode()


def _one(wish: "Wish") -> "Report":
    from ntp.cli.report import Report
    from ntp.examination.examine import examine

    return Report(examine(wish, _progress))


def _grid(wish: "Wish", ranges: Sequence[str]) -> "Report":
    from ntp.cli.grid import searched

    return searched(wish, ranges, _progress)


def _progress(words: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{words}", end="", file=sys.stderr, flush=True)
    else:
        say(words)
