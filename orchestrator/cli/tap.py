"""The command that listens to a plugin: tap."""

import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from datetime import timedelta
from typing import Any

import click

from ntp.contract.names import Kind
from ntp.contract.subjects import BEAT, token
from orchestrator import app
from orchestrator.cli.completion import plugin_names
from orchestrator.cli.failure import say
from orchestrator.cli.options import deadline_option, followable_options, located
from orchestrator.cli.output import output_option
from orchestrator.errors import ActionError, UnreachableError
from orchestrator.settings import Settings
from orchestrator.spec import quantity

SAYS = {
    Kind.DATA_SOURCE: ("data", "data."),
    Kind.INDICATOR: ("indicator", "ind."),
    Kind.STRATEGY: ("signal", "sig."),
    Kind.EXECUTOR: ("fill", "fill.*."),
}
"""What each kind says beside its beat, and where: the symbol follows."""
SHORTEST = timedelta(milliseconds=1)
LOOK_S = 5.0
"""So long a plugin may say nothing before we look how it is."""


def _length(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> timedelta | None:
    """Read a length of time as plugins.yaml writes it."""
    try:
        return None if value is None else quantity.duration(value, least=SHORTEST)
    except quantity.QuantityError as error:
        raise click.BadParameter(f"{error}\n  fix: {error.fix}", context, parameter) from error


@click.command()
@click.argument("name", shell_complete=plugin_names)
@click.argument(
    "channels",
    nargs=-1,
    metavar="[CHANNEL...]",
    type=click.Choice([*(channel for channel, _ in SAYS.values()), BEAT]),
)
@followable_options
@click.option("--symbol", "symbols", multiple=True, help="Only this one; may be repeated.")
@click.option("-n", "--count", type=click.IntRange(1), help="End after so many messages.")
@click.option("--for", "length", callback=_length, metavar="10s", help="End after so long.")
@click.option("--raw", is_flag=True, help="Each message of the bus as it is, with its subject.")
@click.option("--wait", is_flag=True, help="Where it does not run, wait until it does.")
@deadline_option(120.0, "How long --wait waits.")
@output_option
def tap(
    *,
    name: str,
    channels: tuple[str, ...],
    files: tuple[str, ...],
    project: str | None,
    symbols: tuple[str, ...],
    count: int | None,
    length: timedelta | None,
    deadline: float,
    output: str,
    raw: bool,
    wait: bool,
) -> None:
    """Print what a plugin says on the bus, as it says it, until Ctrl-C.

    A data source says data (ticks, or bars), an indicator its values, a strategy signals, an executor
    fills; each also a beat with CHANNEL `beat`, once a second, every 3 s while it says the same. Nobody
    is slowed down by this: what a slow terminal has no time for is dropped and counted.

    \b
    Examples:
      ntpctl tap binance_data --symbol BTCUSDT
      ntpctl tap bollinger_strategy --count 1 --for 10m
      ntpctl tap paper_executor fill beat
      ntpctl tap rsi_indicator -o json | jq -c '[.symbol, .body.value]'
    """
    from orchestrator.app.tapping import listen
    from orchestrator.cli.tap_print import Printer

    where = located(files, project)
    row = app.ask(where, "status", name=name)["plugins"][0]
    subjects = _subjects(row, channels, symbols)
    if row["started"] is None and not wait:
        raise ActionError(
            f"{_state(row)}\n  fix: `ntpctl tap --wait {name}` waits until it runs",
            reason="NotRunning",
        )
    watch = _Watch(where, row, symbols, length=length, deadline=deadline)
    with (
        Printer(name, output, raw=raw, most=count) as printer,
        closing(
            listen(where, name, lambda _: subjects, within_s=watch.within_s, notice=say)
        ) as messages,
    ):
        for heard in messages:
            if heard is None:
                watch.look()
            else:
                printer.show(heard)
            if printer.full or watch.over:
                break
    if count is not None and not printer.full:
        raise ActionError(
            f"{printer.shown} of {count} messages came in {quantity.printed(length or timedelta())}"
        )
    if not printer.shown:
        say(f"{name} said nothing")


def _subjects(row: Mapping[str, Any], channels: Sequence[str], symbols: Sequence[str]) -> list[str]:
    """Return where the bus has what was asked for."""
    channel, where = SAYS[Kind(row["kind"])]
    asked = dict.fromkeys(channels or [channel])
    foreign = [each for each in asked if each not in (channel, BEAT)]
    if foreign:
        kind = row["kind"].replace("_", " ")
        raise click.UsageError(
            f"'{row['name']}' is of kind {kind}, and says no '{foreign[0]}'\n"
            f"  fix: its channels are '{channel}' and '{BEAT}'"
        )
    found: list[str] = []
    for each in asked:
        if each == BEAT:
            found.append(BEAT)
        elif symbols:
            found += [f"{where}{token(symbol)}" for symbol in dict.fromkeys(symbols)]
        else:
            found.append(f"{where.removesuffix('*.')}>")
    return found


def _state(row: Mapping[str, Any]) -> str:
    runs = "" if row["started"] else " does not run"
    message = f": {row['message']}" if row["message"] else ""
    return f"{row['name']}{runs}: {row['state']}{message}"


class _Watch:
    """Knows when it is time to end, and says how the plugin is while it says nothing."""

    def __init__(
        self,
        where: Settings,
        row: Mapping[str, Any],
        symbols: Sequence[str],
        *,
        length: timedelta | None,
        deadline: float,
    ) -> None:
        self._where = where
        self._name = row["name"]
        self._row = row
        self._symbols = symbols
        self._length = length
        self._ends: float | None = None
        self._runs_by = time.monotonic() + deadline
        self._ran = False
        self._looks = 0
        self._said = f"{row['name']}: Running"

    @property
    def over(self) -> bool:
        return self._ends is not None and time.monotonic() >= self._ends

    def within_s(self) -> float:
        """Return how long to listen before the next look."""
        now = time.monotonic()
        due = [LOOK_S]
        if self._ends is not None:
            due.append(self._ends - now)
        if not self._ran:
            due.append(self._runs_by - now)
        return max(0.0, min(due))

    def look(self) -> None:
        """Say how it is, where that is news; raise ActionError where it did not run in time."""
        if self._length is not None and self._ends is None:
            self._ends = time.monotonic() + self._length.total_seconds()
        row = self._row if not self._looks else self._asked()
        self._looks += 1
        if self._looks == 2:
            self._doubt_symbols()
        words = _state(row)
        if words != self._said:
            self._said = words
            say(words)
        self._ran = self._ran or bool(row["started"])
        if not self._ran and time.monotonic() >= self._runs_by:
            raise ActionError(f"{words}; it was waited for", reason="NotRunning")

    def _asked(self) -> Mapping[str, Any]:
        # Who listens needs no controller: it goes on where that one is slow, or away for a moment.
        with suppress(UnreachableError):
            found = app.ask(self._where, "status", name=self._name, within_s=LOOK_S)
            self._row = found["plugins"][0]
        return self._row

    def _doubt_symbols(self) -> None:
        """Nothing came so far: was it a symbol that the plugin does not have?"""
        with suppress(UnreachableError):
            heard = app.ask(self._where, "beats", within_s=LOOK_S)["beats"].get(self._name)
            said = {flow["symbol"] for flow in heard["beat"]["sent"]} if heard else set()
            for symbol in self._symbols:
                if said and symbol not in said and "*" not in said:
                    known = ", ".join(sorted(said)[:12])
                    say(f"{self._name} has said nothing of '{symbol}' so far, only of {known}")
