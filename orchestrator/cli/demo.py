"""The main job at once, on recorded market data: ticks to signals, orders and a ledger."""

import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from ntp.contract.beat import Beat
from orchestrator import app
from orchestrator.cli.demo_report import Summary, document, exhausted, summarise
from orchestrator.cli.failure import ended_like_ctrl_c, say
from orchestrator.cli.options import deadline_option
from orchestrator.cli.output import Column, console, emit, output_option, table
from orchestrator.cli.progress import settle
from orchestrator.errors import ActionError, NtpError, UnreachableError
from orchestrator.settings import DEFAULT_FILES

LOOK_S = 0.5
SAY_S = 2.0
SETTLE_S = 10.0
"""Fills are on their way back to the strategies when all else is worked off."""


@click.command()
@deadline_option(90.0, "For the whole run.")
@click.option("--keep", is_flag=True, help="Leave the project running, to look around.")
@output_option
def demo(deadline: float, output: str, *, keep: bool) -> None:
    """Run the main job on recorded market data, each plugin in its own container; then clean up.

    Exit 0 only if every plugin became ready, no tick was lost, signals were made, orders filled, and
    nothing was left behind.

    \b
    Examples:
      ntpctl demo
      ntpctl demo -o json
    """
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="ntp-demo-"))
    declared = app.declare_demo(folder)
    summary: Summary | None = None
    with ended_like_ctrl_c():
        try:
            say(f"a project of its own in {folder}")
            app.ensure_controller(declared.settings)
            settle(app.apply(declared, wait=True, deadline=deadline), output="table")
            beats = _watch(declared, began + deadline)
            summary = summarise(beats)
        finally:
            if not keep:
                _clean(declared, folder)
    left = [] if keep else app.left_behind(declared.settings)
    failures = [*summary.failures, *(f"left behind: {what}" for what in left)]
    if output == "table":
        _show(summary, time.monotonic() - began)
    else:
        emit(document(summary, failures), output)
    if failures:
        raise ActionError("the demo failed:\n  " + "\n  ".join(failures))
    if keep:
        say(f"it still runs:  NTP_STATE={folder}/state {own_name()} status --project demo")
    say(f"now your own:  {next_command(Path.cwd(), declared.settings.files[0])}")


def _watch(declared: Any, ends: float) -> Mapping[str, Beat]:
    """Follow the beats until everything is worked off; a controller that died is started again."""
    said = 0.0
    settled_by: float | None = None
    while True:
        try:
            answer = app.ask(declared.settings, "beats")
            stalled = _stalled(app.ask(declared.settings, "status"))
        except UnreachableError:
            if app.ensure_controller(declared.settings):
                say("the controller was gone; started again, it adopts what runs")
            continue
        beats = {
            name: msgspec.convert(entry["beat"], Beat, strict=False)
            for name, entry in answer["beats"].items()
        }
        now = time.monotonic()
        if now - said >= SAY_S:
            said = now
            say(_line(beats))
        if exhausted(beats, declared.names):
            settled_by = settled_by or min(ends, now + SETTLE_S)
            if now >= settled_by or not summarise(beats).failures:
                say(_line(beats))
                return beats
        if stalled:
            raise ActionError("the demo failed:\n  " + "\n  ".join(stalled))
        if now > ends:
            waiting = [name for name in declared.names if not exhausted(beats, [name])]
            raise ActionError(f"the demo was not through in time; waited for {', '.join(waiting)}")
        time.sleep(LOOK_S)


def _stalled(answer: Mapping[str, Any]) -> list[str]:
    return [
        f"{plugin['name']}: {plugin['state']}: {plugin['message']}"
        for plugin in answer["plugins"]
        if any(each["type"] == "Stalled" and each["status"] for each in plugin["conditions"])
    ]


def _line(beats: Mapping[str, Beat]) -> str:
    def total(direction: str, channel: str) -> int:
        return sum(
            flow.count
            for beat in beats.values()
            for flow in getattr(beat, direction)
            if flow.channel == channel
        )

    books = summarise(beats).books
    equity = f"  equity {sum(book.equity for book in books):,.2f}" if books else ""
    return (
        f"ticks sent {total('sent', 'data'):,}  received {total('received', 'data'):,}  "
        f"signals {total('sent', 'signal'):,}  fills {total('sent', 'fill'):,}{equity}"
    )


def _show(summary: Summary, took_s: float) -> None:
    edges = [
        {"edge": f"{edge.producer} -> {edge.consumer}", "channel": edge.channel, "symbol": edge.symbol,
         "sent": edge.sent, "received": edge.received, "lost": edge.lost, "late": edge.late}
        for edge in summary.edges
    ]  # fmt: skip
    table(
        edges,
        [
            Column("EDGE", lambda row: row["edge"]),
            Column("CHANNEL", lambda row: row["channel"]),
            Column("SYMBOL", lambda row: row["symbol"]),
            *(_count(name) for name in ("sent", "received", "lost", "late")),
        ],
    )
    console().print()
    books = [
        {"strategy": book.strategy, "signals": book.signals, "orders": book.orders,
         "fills": book.fills, "realised": book.realised, "unrealised": book.unrealised,
         "fees": book.fees, "equity": book.equity}
        for book in summary.books
    ]  # fmt: skip
    table(
        books,
        [
            Column("STRATEGY", lambda row: row["strategy"]),
            *(_count(name) for name in ("signals", "orders", "fills")),
            *(_amount(name) for name in ("realised", "unrealised", "fees", "equity")),
        ],
    )
    console().print(
        "equity = capital + realised + unrealised - fees; the recording's own prices, on paper\n"
        f"done in {took_s:.1f} s"
    )


def _count(name: str) -> Column:
    return Column(name.upper(), lambda row: f"{row[name]:,}", right=True)


def _amount(name: str) -> Column:
    return Column(name.upper(), lambda row: f"{row[name]:,.2f}", right=True)


def own_name() -> str:
    """Return what to type for this program here: in a checkout it is not on the PATH."""
    ours = Path(sys.argv[0]).absolute()
    found = shutil.which("ntpctl")
    if found and Path(found).absolute() == ours:
        return "ntpctl"
    if ours.name != "ntpctl":
        return "python -m orchestrator"
    return str(ours.relative_to(Path.cwd())) if ours.is_relative_to(Path.cwd()) else str(ours)


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


def _clean(declared: Any, folder: Path) -> None:
    by_hand = f"NTP_STATE={folder}/state {own_name()} down --project demo --delete-data --yes"
    try:
        app.ensure_controller(declared.settings)
        for _ in app.call(declared.settings, "down", delete_data=True, deadline=60):
            pass
        app.forget(declared.settings, delete_data=True)
    except NtpError as error:
        say(f"cleaning up: {error}\n  fix: {by_hand}")
        return
    except KeyboardInterrupt:
        say(f"\ninterrupted while cleaning up; what is left goes by:  {by_hand}")
        raise
    shutil.rmtree(folder, ignore_errors=True)
