"""The demo as a whole terminal: wiring with states, messages a second along each edge, signals, money."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import zip_longest
from time import monotonic
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from ntp.contract.messages import SignalMessage
from orchestrator.app.demonstration import SECONDS, Demonstration
from orchestrator.app.overheard import Transcript
from orchestrator.cli import demo_rates
from orchestrator.cli.demo_follow import Glance
from orchestrator.cli.demo_rates import Rates
from orchestrator.cli.demo_report import Book
from orchestrator.cli.output import printable
from orchestrator.cli.wiring_layout import lay_out
from orchestrator.cli.wiring_text import draw

SIGNALS = 10
"""Newest ones that are shown."""
NOTICE_S = 5.0
BAR = 30
BESIDE = 98
"""Columns from which on signals stand beside the books."""
GAP = 3
SIGNAL = 37
"""Columns of a signal, up to who made it."""
NAME = 12
"""Columns that the name of who made it has at least."""


class View:
    """What was seen so far, for pictures of what is seen now."""

    def __init__(
        self, demo: Demonstration, graph: Mapping[str, Any], heard: Transcript, speed: float
    ) -> None:
        self._demo = demo
        self._graph = graph
        self._speed = speed
        self._rates = Rates()
        self._heard = heard
        self._began: float | None = None
        self._notice = ("", 0.0)

    def notice(self, words: str) -> None:
        """Show a sentence for a while."""
        self._notice = words, monotonic() + NOTICE_S

    def picture(self, glance: Glance, now: float) -> "Picture":
        """Return a glance as a picture; `now`: monotonic seconds."""
        self._rates.note(glance.beats)
        if glance.playing and self._began is None:
            self._began = now
        words, until = self._notice
        return Picture(
            graph=self._graph,
            glance=glance,
            books=glance.summary(self._demo).books,
            rates=self._rates,
            signals=self._heard.signals[: -SIGNALS - 1 : -1],
            synthetic=self._demo.synthetic,
            played=None if self._began is None else (now - self._began) * self._speed,
            notice=words if now < until else "",
        )


@dataclass(frozen=True, slots=True)
class Picture:
    """One glance. `graph`: as `graph -o json` has it; `played`: recorded seconds, None: not begun.

    Where the terminal is too low, the wiring goes first: it changes least.
    """

    graph: Mapping[str, Any]
    glance: Glance
    books: Sequence[Book]
    rates: Rates
    signals: Sequence[SignalMessage]
    """The newest first."""
    synthetic: frozenset[str]
    played: float | None
    notice: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        del console
        width, height = options.max_width, options.height or options.max_height
        blocks = [
            list(self._head()),
            self._wiring(width),
            demo_rates.lines(self.graph, self.rates, width),
            self._money(width),
        ]
        if sum(len(block) + 1 for block in blocks) > height + 1:
            del blocks[1]
        lines = [line for block in blocks for line in (*block, Text(""))]
        for line in lines[: min(height, len(lines) - 1)]:
            line.truncate(width, overflow="ellipsis")
            yield line

    def _head(self) -> Iterator[Text]:
        plugins = self.glance.plugins
        ready = sum(plugin["ready"] for plugin in plugins)
        yield Text.assemble(
            ("demo  ", "bold"),
            (f"{ready}/{len(plugins)} ready", "green" if ready == len(plugins) else "yellow"),
            "  a local exchange: Binance recorded, Polygon ",
            ("synthetic", "yellow"),
            ", paper money",
        )
        if self.notice:
            yield Text(printable(self.notice), style="bold red")
            return
        done = round(min((self.played or 0.0) / SECONDS, 1.0) * BAR)
        yield Text.assemble(
            ("━" * done, "green"), ("━" * (BAR - done), "bright_black"), f"  {self._stage()}"
        )

    def _stage(self) -> str:
        if self.played is None:
            return "plays as soon as all are there"
        if all(market.ended for market in self.glance.markets.values()):
            return f"all {SECONDS} s played; what came of it arrives"
        return f"{min(self.played, SECONDS):.0f} of {SECONDS} s played"

    def _wiring(self, width: int) -> list[Text]:
        states = {plugin["name"]: plugin for plugin in self.glance.plugins}
        plugins = [
            {**each, **{key: states[each["name"]][key] for key in ("state", "ready")}}
            if each["name"] in states
            else each
            for each in self.graph["plugins"]
        ]
        drawing = lay_out({**self.graph, "plugins": plugins}, width=width)
        return [Text.assemble(*row) for row in draw(drawing)]

    def _money(self, width: int) -> list[Text]:
        books, signals = list(self._books()), list(self._signals())
        if width < BESIDE:
            return [*books, Text(""), *signals]
        room = width - GAP - max(map(len, books))
        if room < SIGNAL + NAME:
            # A few letters of a name tell nobody who it is.
            signals = [line[:SIGNAL] for line in signals]
        found = []
        for left, right in zip_longest(signals, books, fillvalue=Text("")):
            line = left.copy()
            line.truncate(room, overflow="ellipsis", pad=True)
            found.append(Text.assemble(line, " " * GAP, right))
        return found

    def _books(self) -> Iterator[Text]:
        yield Text(f"{'strategy':<20}{'fills':>6}{'P&L':>9}{'fees':>9}{'equity':>12}", style="dim")
        for book in self.books:
            gained = book.realised + book.unrealised
            yield Text.assemble(
                f"{book.strategy:<20.20}{book.fills:>6,}",
                _gain(gained, 9),
                f"{book.fees:>9,.2f}{book.equity:>12,.2f}",
            )
            for symbol, held in self._held(book):
                quantity, average = Decimal(held["quantity"]), Decimal(held["average"])
                told = Text.assemble("  ", self._named(symbol))
                told.truncate(20, pad=True)
                yield Text.assemble(
                    told,
                    f"{quantity:>11.6g} at {average:>10,.2f}",
                    _gain(Decimal(held["unrealised"]), 11),
                )

    def _held(self, book: Book) -> Iterator[tuple[str, Mapping[str, str]]]:
        """Yield symbol and position of what a strategy holds; only executors that tell it have it."""
        beat = self.glance.beats.get(book.executor)
        told = beat.report.get(book.strategy) if beat else None
        positions = told.get("positions") if isinstance(told, Mapping) else None
        yield from (positions or {}).items()

    def _signals(self) -> Iterator[Text]:
        yield Text("latest signals", style="dim")
        for message in self.signals:
            signal = message.signal
            style = {"BUY": "green", "SELL": "red"}.get(signal.signal_type, "")
            what = Text.assemble(self._named(signal.symbol), f" {signal.price:.10g}")
            what.truncate(SIGNAL - 14, pad=True)
            yield Text.assemble(
                f"{message.tick.time:%H:%M:%S} ",
                (f"{signal.signal_type:<5}", style),
                what,
                (f" {printable(message.strategy)}", "dim"),
            )

    def _named(self, symbol: str) -> Text:
        note = " synthetic" if symbol in self.synthetic else ""
        return Text.assemble(printable(symbol), (note, "yellow"))


def _gain(amount: Decimal, width: int) -> Text:
    cents = round(amount, 2)
    shown = f"{cents:+,.2f}" if cents else "0.00"
    return Text(shown.rjust(width), style="green" if cents > 0 else "red" if cents < 0 else "")
