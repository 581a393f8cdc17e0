"""All plugins at a glance: `ntpctl status`."""

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.cli.output import Column, console, table, warn, warn_of_detours
from orchestrator.cli.words import age, bytes_of, state_style


def overview(answer: Mapping[str, Any]) -> None:
    """Print a line for each plugin, below what is wrong with the project itself."""
    for condition in answer["conditions"]:
        if not condition["status"]:
            console(stderr=True).print(
                f"{condition['type']}: {condition['reason']}: {condition['message']}",
                style="yellow",
                markup=False,
            )
    warn_of_bare(answer["plugins"])
    warn_of_detours(answer["plugins"])
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


def warn_of_bare(rows: Sequence[Mapping[str, Any]]) -> None:
    """Say loudly who runs without any isolation."""
    if found := bare(rows):
        warn(
            f"WITHOUT A SANDBOX, with your own rights: {', '.join(found)}\n"
            "  fix: take PLUGIN_SANDBOX=false out, then `ntpctl apply`"
        )


def bare(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of those that run without any isolation."""
    return [
        row["name"]
        for row in rows
        if row["started"] and row["isolation"] and not row["isolation"]["tier"]
    ]


def _message(row: Mapping[str, Any]) -> str:
    """What it says now; where that is nothing worrying, why its last life ended, what was refused."""
    told = [str(row["message"])]
    end = row["last_exit"]
    if end is not None and end["reason"] and row["ready"]:
        told.append(f"was restarted after {end['reason']}")
    if row["flow"] and row["flow"]["refused"]:
        count = row["flow"]["refused"]
        why = row["flow"]["last_refusal"]
        told.append(f"{count} result{'' if count == 1 else 's'} refused, the last: {why}")
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
