"""`ntp data`: recordings of what live sources send."""

import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ntp import duration
from ntp.cli.convert import convert
from ntp.cli.outcome import INTERRUPTED, REFUSED, USAGE
from ntp.cli.progress import ProgressLine

if TYPE_CHECKING:
    from ntp.recorder.recorder import Note
    from ntp.recorder.session import Outcome
    from ntp.recorder.sink import Sink


def _span(ctx: click.Context, param: click.Parameter, text: str | None) -> float | None:
    if text is None:
        return None
    try:
        found = duration.seconds(text)
    except ValueError as error:
        raise click.BadParameter(f"time was {text!r}; {error}", ctx, param) from None
    if found <= 0:
        raise click.BadParameter(f"time was {text!r}; give one above 0", ctx, param)
    return found


@click.group()
def data() -> None:
    """Record what live sources send, and convert files, for tests and to be played again."""


data.add_command(convert)


@data.command()
@click.argument("plugin")
@click.option(
    "--symbols", "-s", multiple=True, metavar="A,B", help="What to subscribe to; may be repeated."
)
@click.option("--url", help="Where the exchange is, for the plugin's one field of that kind.")
@click.option(
    "--set",
    "fields",
    multiple=True,
    metavar="NAME=VALUE",
    help="A field of the plugin's config: JSON, or text; ${VAR} is of the environment.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="A name that ends in .gz is compressed.")  # fmt: skip
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "frames"]),
    default="csv",
    show_default=True,
    help="csv: a row a tick, as replay_data plays it. frames: what the exchange sent, as `ntp exchange` plays it.",
)
@click.option(
    "--for", "for_s", callback=_span, metavar="TIME", help="End after so long: 30s, 10m, 1h."
)
@click.option("--count", type=click.IntRange(1), help="End after so many rows, or frames.")
@click.option("--force", is_flag=True, help="Overwrite FILE, and what a cut-off recording left of it.")  # fmt: skip
@click.option(
    "--output",
    "-o",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How to print how it went.",
)
def record(
    plugin: str,
    symbols: tuple[str, ...],
    url: str | None,
    fields: tuple[str, ...],
    *,
    out: Path,
    form: str,
    for_s: float | None,
    count: int | None,
    output: str,
    force: bool,
) -> None:
    """Record what a data source sends, until Ctrl-C, --for or --count.

    PLUGIN is a plugin's file or folder, or the name of one in PLUGIN_DIR or among ntpctl's own. It runs
    here, with your rights and your network: record with plugins that you trust.

    FILE is FILE.part until it is whole. However it ends, by Ctrl-C, an error of the source, a full
    disk, what came before it is kept.

    \b
    Examples:
      ntp data record binance_data --symbols BTCUSDT,ETHUSDT --for 10m --out btc.csv.gz
      ntp data record binance_data --symbols BTCUSDT --url ws://127.0.0.1:9443/ws --count 1000 --out btc.csv
      ntp data record binance_data --symbols BTCUSDT --format frames --for 1h --out frames.txt.gz
      ntp data record polygon_data -s AAPL --set 'api_key=${POLYGON_API_KEY}' --out aapl.csv
      ntp data record ./my_source.py --out mine.csv
    """
    from ntp.recorder.fault import RecordError
    from ntp.recorder.session import Order
    from ntp.recorder.session import record as run

    wanted = (each.strip() for text in symbols for each in text.split(","))
    order = Order(
        plugin=plugin,
        symbols=tuple(each for each in wanted if each),
        url=url,
        fields=fields,
        out=out,
        frames=form == "frames",
        count=count,
        for_s=for_s,
        force=force,
        environment=os.environ,
    )
    logging.basicConfig(level=logging.ERROR)

    def begun(name: str) -> None:
        symbols = f" ({', '.join(order.symbols)})" if order.symbols else ""
        _say(f"recording {name}{symbols} to {out}; Ctrl-C ends it")

    try:
        # What the source prints is talk, the result is ours.
        with ProgressLine() as line, contextlib.redirect_stdout(sys.stderr):
            outcome = run(order, begun, _Progress(line).tell)
    except RecordError as error:
        _say(f"error: {error}" + (f"\n  fix: {error.fix}" if error.fix else ""))
        sys.exit(USAGE if error.usage else REFUSED)
    except KeyboardInterrupt:
        _say(f"interrupted; what was recorded is in {out}.part")
        sys.exit(INTERRUPTED)
    if output == "json":
        click.echo(json.dumps(_document(out, form, outcome), indent=2, ensure_ascii=False))
    else:
        _tell(out, outcome)
    sys.exit(_code(outcome))


class _Progress:
    """A line that changes, and for each note a line of its own."""

    def __init__(self, line: ProgressLine) -> None:
        self._line = line
        self._before, self._at = 0, 0.0

    def tell(self, what: "Note | Sink") -> None:
        from ntp.recorder.recorder import Note

        if isinstance(what, Note):
            self._line.say(f"{what.at:%H:%M:%S}Z {what.what}")
        else:
            self._line.show(lambda: self._words(what))

    def _words(self, sink: "Sink") -> str:
        now = self._line.seconds
        rate = (sink.taken - self._before) / max(now - self._at, 0.001)
        self._before, self._at = sink.taken, now
        return f"{sink.taken:,} {sink.what}  {rate:,.0f}/s  {now:.0f} s"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _tell(out: Path, outcome: "Outcome") -> None:
    story, sink = outcome.story, outcome.sink
    if not sink.written:
        _tell_of_nothing(outcome)
        return
    click.echo(f"{out}: {sink.written:,} {sink.what} in {story.seconds:.0f} s; {story.ended}")
    for line in _details(outcome):
        click.echo(f"  {line}")
    if story.failed:
        _say(f"error: {story.ended}; what came before it is in {out}")


def _details(outcome: "Outcome") -> Iterator[str]:
    story, sink = outcome.story, outcome.sink
    if story.symbols:
        of = sorted(story.symbols.items())
        yield f"ticks: {', '.join(f'{symbol} {count:,}' for symbol, count in of)}"
    if story.first and story.last:
        yield f"from {story.first.isoformat()} to {story.last.isoformat()}"
    if story.reconnects:
        yield f"reconnected {story.reconnects} time{'' if story.reconnects == 1 else 's'}"
    if story.notes:
        yield f"{len(story.notes)} notes, above"
    if sink.left_out:
        yield _left_out(sink)
    if story.refusals.count:
        yield f"refused {story.refusals.count:,}, the last: {story.refusals.last}"
    if sink.taken > sink.written:
        yield f"the last {sink.taken - sink.written:,} did not fit"


def _tell_of_nothing(outcome: "Outcome") -> None:
    story, sink = outcome.story, outcome.sink
    wrong = "; ".join(note.what for note in story.notes[-3:])
    _say(f"error: nothing was recorded, {story.ended}" + (f"; {wrong}" if wrong else ""))
    if sink.left_out:
        _say(f"  {_left_out(sink)}")
        _say("  fix: `ntp exchange` plays Binance's trades and tickers; record others as csv")


def _left_out(sink: "Sink") -> str:
    return "left out: " + ", ".join(f"{count:,} {why}" for why, count in sink.left_out.items())


def _document(out: Path, form: str, outcome: "Outcome") -> dict[str, Any]:
    story, sink = outcome.story, outcome.sink
    return {
        "file": str(out) if sink.written else None,
        "format": form,
        "source": outcome.source,
        "count": sink.written,
        "symbols": dict(sorted(story.symbols.items())),
        "first": story.first.isoformat() if story.first else None,
        "last": story.last.isoformat() if story.last else None,
        "began": story.began.isoformat(),
        "seconds": round(story.seconds, 3),
        "ended": story.ended,
        "complete": bool(sink.written) and not story.failed and outcome.signal is None,
        "reconnects": story.reconnects,
        "notes": [{"at": note.at.isoformat(), "what": note.what} for note in story.notes],
        "left_out": sink.left_out,
        "refused": story.refusals.count,
        "last_refusal": story.refusals.last,
        "report": json.loads(json.dumps(story.report, default=str)),
    }


def _code(outcome: "Outcome") -> int:
    if outcome.signal is signal.SIGINT:
        return INTERRUPTED
    return REFUSED if outcome.story.failed or not outcome.sink.written else 0
