"""Commands that look and change nothing: status, logs, events."""

from collections.abc import Mapping
from typing import Any

import click

from orchestrator import app
from orchestrator.cli.detail import show
from orchestrator.cli.failure import say
from orchestrator.cli.options import followable_options, located, project_options
from orchestrator.cli.output import Column, console, emit, output_option, table
from orchestrator.cli.words import age, bytes_of, state_style


@click.command()
@click.argument("name", required=False)
@project_options
@output_option
def status(name: str | None, files: tuple[str, ...], project: str | None, output: str) -> None:
    """Show what runs, why, since when, and how isolated it is.

    \b
    Examples:
      ntpctl status
      ntpctl status bollinger_strategy
      ntpctl status -o json | jq '.plugins[] | select(.ready | not)'
    """
    answer = app.ask(located(files, project), "status", name=name)
    if output != "table":
        emit(answer, output)
    elif name:
        show(answer["plugins"][0])
    else:
        _overview(answer)


def _overview(answer: Mapping[str, Any]) -> None:
    for condition in answer["conditions"]:
        if not condition["status"]:
            console(stderr=True).print(
                f"{condition['type']}: {condition['reason']}: {condition['message']}",
                style="yellow",
                markup=False,
            )
    bare = [
        row["name"]
        for row in answer["plugins"]
        if row["started"] and row["isolation"] and not row["isolation"]["tier"]
    ]
    if bare:
        console(stderr=True).print(
            f"WITHOUT A SANDBOX, with your own rights: {', '.join(bare)}\n"
            "  fix: take PLUGIN_SANDBOX=false out, then `ntpctl apply`",
            style="bold red",
            markup=False,
        )
    table(
        answer["plugins"],
        [
            Column("NAME", lambda row: row["name"]),
            Column("KIND", lambda row: row["kind"], rank=9),
            Column("STATE", lambda row: row["state"], style=state_style),
            Column("READY", lambda row: "yes" if row["ready"] else "no", rank=1),
            Column("RESTARTS", lambda row: str(row["restarts"]), right=True, rank=2),
            Column("SINCE", lambda row: age(row["since"], answer["at"]), right=True, rank=3),
            Column("MEMORY", _memory, right=True, rank=5),
            Column("CPU", _cpu, right=True, rank=8),
            Column("IN/S", lambda row: _rate(row, "received_per_s"), right=True, rank=6),
            Column("OUT/S", lambda row: _rate(row, "sent_per_s"), right=True, rank=7),
            Column(
                "LOST", lambda row: str((row["flow"] or {}).get("lost", "")), right=True, rank=4
            ),
            Column("TIER", _tier, right=True, rank=8),
            Column("MESSAGE", _message),
        ],
    )


def _message(row: Mapping[str, Any]) -> str:
    """What it says now; where that is nothing worrying, why its last life ended, what it was refused."""
    told = [str(row["message"])]
    end = row["last_exit"]
    if end is not None and end["reason"] and row["ready"]:
        told.append(f"was restarted after {end['reason']}")
    if row["egress_refused"]:
        hosts = ", ".join(row["egress_refused"])
        told.append(f"may not reach {hosts}: see `ntpctl status {row['name']}`")
    return "; ".join(filter(None, told))


def _memory(row: Mapping[str, Any]) -> str:
    usage = row["usage"]
    if not usage["memory"]:
        return ""
    limit = f"/{bytes_of(usage['memory_limit'])}" if usage["memory_limit"] else ""
    return f"{bytes_of(usage['memory'])}{limit}"


def _cpu(row: Mapping[str, Any]) -> str:
    return "" if row["cpu_share"] is None else f"{row['cpu_share']:.0%}"


def _rate(row: Mapping[str, Any], key: str) -> str:
    return f"{row['flow'][key]:.0f}" if row["flow"] else ""


def _tier(row: Mapping[str, Any]) -> str:
    return "" if row["isolation"] is None else str(row["isolation"]["tier"])


@click.command()
@click.argument("name")
@followable_options
@click.option(
    "-n",
    "--tail",
    type=click.IntRange(0),
    default=200,
    show_default=True,
    help="How many last lines.",
)
@click.option("-f", "--follow", is_flag=True, help="Go on as lines come, until Ctrl-C.")
@output_option
def logs(
    name: str, files: tuple[str, ...], project: str | None, tail: int, output: str, *, follow: bool
) -> None:
    """Print a plugin's output: its own lines, and the runtime's (marked ntp).

    \b
    Examples:
      ntpctl logs momentum_strategy
      ntpctl logs -f momentum_strategy
    """
    where = located(files, project)
    found = False
    for line in app.call(where, "logs", name=name, follow=follow, tail=tail):
        if line.get("event") != "log":
            continue
        found = True
        if output == "table":
            mark = "" if line["stream"] == "stdout" else f"[{line['stream']}] "
            click.echo(f"{line['at'][:23]} {mark}{line['text']}")
        else:
            emit_line(line)
    if not found:
        say(f"{name} has printed nothing")


@click.command()
@click.argument("name", required=False)
@followable_options
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(0),
    default=200,
    show_default=True,
    help="How many last events.",
)
@click.option("-f", "--follow", is_flag=True, help="Go on as events come, until Ctrl-C.")
@output_option
def events(
    name: str | None,
    files: tuple[str, ...],
    project: str | None,
    limit: int,
    output: str,
    *,
    follow: bool,
) -> None:
    """Show what was decided and observed, each with its cause.

    \b
    Examples:
      ntpctl events
      ntpctl events -f paper_executor
    """
    where = located(files, project)
    for message in app.call(where, "events", name=name, limit=limit, follow=follow):
        if message.get("event") == "event":
            _event(message, output)
        elif "result" in message and not follow:
            if not message["result"]["events"]:
                say(f"no events{f' of {name!r}' if name else ''}")
            if output == "table":
                for event in message["result"]["events"]:
                    _event(event, output)
            else:
                emit(message["result"], output)


def _event(event: Mapping[str, Any], output: str) -> None:
    if output != "table":
        emit_line(event)
        return
    times = f" (x{event['count']})" if event["count"] > 1 else ""
    who = event["name"] or "project"
    click.echo(f"{event['at'][:19]}  {who:<22} {event['reason']:<20} {event['message']}{times}")


def emit_line(value: Mapping[str, Any]) -> None:
    """Print one JSON object a line: what a follower can read as it comes."""
    import json

    click.echo(json.dumps(value, ensure_ascii=False))
