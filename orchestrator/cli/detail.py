"""One plugin in full: `ntpctl status NAME`."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.cli.output import console
from orchestrator.cli.preview import reached
from orchestrator.cli.words import bytes_of, replay_of, signal_in_full

MARGIN = 13


def show(row: Mapping[str, Any]) -> None:
    """Print everything that is known of one plugin."""
    lines: list[tuple[str, str]] = [
        ("name", row["name"]),
        ("kind", f"{row['kind']}, plugin {row['plugin']} {row['version']}"),
        ("declared", row["place"]),
        ("state", f"{row['state']}{': ' + row['message'] if row['message'] else ''}"),
        ("since", row["since"] or ""),
        ("restarts", f"{row['restarts']}, generation {row['generation']}"),
    ]
    lines += _lives(row)
    usage = row["usage"]
    if usage["memory_limit"] or usage["memory"]:
        lines += [
            (
                "memory",
                f"{bytes_of(usage['memory'])} now, {bytes_of(usage['memory_peak'])} peak, "
                + (
                    f"{bytes_of(usage['memory_limit'])} limit"
                    if usage["memory_limit"]
                    else "not limited as a whole"
                ),
            ),
            ("cpu", f"{usage['cpu_s']:.1f} s used, {usage['throttled_s']:.1f} s held back"),
            ("processes", f"{usage['pids']}, {usage['pids_refused']} refused"),
        ]
    if row["isolation"]:
        lines.append(("isolation", f"tier {row['isolation']['tier']}"))
        lines += [("", f"+ {what}") for what in row["isolation"]["active"]]
        lines += [("", f"- missing: {what}") for what in row["isolation"]["missing"]]
    if flow := row["flow"]:
        lines.append(
            (
                "messages",
                f"{flow['received']} received, {flow['sent']} sent, {flow['lost']} lost, {flow['late']} late, {flow['refused']} refused",
            )
        )
        if flow["last_refusal"]:
            lines.append(("", f"last refusal: {flow['last_refusal']}"))
    if made := row.get("signal"):  # not of an older controller that still runs
        lines.append(("last signal", f"{signal_in_full(made)}, at {made['at']}"))
    shown = row.get("replayed")
    if shown and (shown["ticks"] or shown.get("missed") or shown["problem"]):
        lines.append(("replayed", replay_of(shown)))
    lines += _own(row)
    lines += _network(row)
    lines += [("condition", _condition(each, row)) for each in row["conditions"]]
    if row["last_output"]:
        lines.append(("last output", row["last_output"][0]))
        lines += [("", line) for line in row["last_output"][1:]]
    out = console()
    for title, text in lines:
        # On a terminal long lines go on below themselves, elsewhere they stay one.
        width = max(out.width - MARGIN, MARGIN)
        parts = [part for line in text.splitlines() for part in _folded(line, width)] or [""]
        for number, part in enumerate(parts):
            out.print(
                f"{'' if number else title:<12} {part}".rstrip(), markup=False, soft_wrap=True
            )


def _condition(condition: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    """What a condition adds to the line of the state, which says most of it already."""
    told = [f"{condition['type']}={condition['status']}"]
    if condition["reason"] != condition["type"]:
        told.append(condition["reason"])
    if condition["message"] != row["message"]:
        told.append(condition["message"])
    return " ".join(told).rstrip()


_KILLED_FOR = {
    "memory": "for more memory than its limit",
    "timeout": "for a callback that did not return",
    "unresponsive": "for its silence",
    "signal": "by a signal of somebody else",
}


def _lives(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """How its lives ended, and when the next begins."""
    if kills := row.get("kills"):
        yield "killed", _kills(kills)
    if row["next_try"]:
        yield "next try", row["next_try"]
    if end := row["last_exit"]:
        yield "last end", _end(end)


def _kills(kills: Mapping[str, int]) -> str:
    return ", ".join(
        f"{count} time{'' if count == 1 else 's'} {_KILLED_FOR.get(why, why)}"
        for why, count in sorted(kills.items())
    )


def _own(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What the plugin could not take; what it says of itself: its indicators by symbol, its report."""
    if dead := row.get("dead_letters"):  # not of an older controller that still runs
        yield "dead letters", f"{dead}; `ntpctl dlq list {row['name']}`"
    for title in ("indicators", "report"):
        for number, (name, told) in enumerate(row[title].items()):
            yield "" if number else title, f"{name}: {_figures(told)}"


def _figures(told: Any) -> str:
    if isinstance(told, Mapping):
        within = {
            name: f"({_figures(value)})"
            if isinstance(value, Mapping) and value
            else _figures(value)
            for name, value in told.items()
        }
        return ", ".join(f"{name} {value}" for name, value in within.items()) or "-"
    if isinstance(told, list | tuple):
        return ", ".join(_figures(each) for each in told) or "-"
    if told is None or told == "":
        return "-"
    # A price has at most so many figures that mean something; what is whole stays whole.
    return f"{told:.10g}" if isinstance(told, float) else str(told)


def _network(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What it may reach, what was refused, and the line that allows it: whole, for it replaces the default."""
    if row["egress"]:
        yield "may reach", ", ".join(reached(row))
    missing = []
    for place, count in row["egress_refused"].items():
        host, _, port = place.rpartition(":")
        # The door counts by what it was asked for, an IPv6 address without its brackets.
        written = f"[{host}]:{port}" if ":" in host and not host.startswith("[") else place
        times = f"{written}: {count} time{'' if count == 1 else 's'}"
        if written in row["egress"]:
            times += (
                ", for its name led to this machine or a private network; "
                "if that is meant, allow the address itself (on a cluster: egressProxy.private of its chart)"
            )
        elif host:
            missing.append(written)
        yield "refused", times
    if missing:
        hosts = ", ".join(
            f"'{each}'" if "[" in each else each for each in (*row["egress"], *missing)
        )
        which = "it" if len(missing) == 1 else "them"
        yield "", f"to allow {which}, the entry at {row['place']} needs this line:"
        yield "", f"network: {{egress: [{hosts}]}}"


def _folded(line: str, width: int) -> list[str]:
    return textwrap.wrap(line, width, drop_whitespace=False, break_on_hyphens=False) or [""]


def _end(end: Mapping[str, Any]) -> str:
    """Say how its last life ended: when, by what, at what peak."""
    how = (
        f"signal {end['signal']}" if end["signal"]
        else f"exit code {end['code']}" if end["code"] is not None
        else "cause unknown"
    )  # fmt: skip
    told = end["reason"] or "Ended"
    if end["message"]:
        told += f": {end['message']}"
    peak = f", peak {bytes_of(end['memory_peak'])}" if end["memory_peak"] else ""
    return f"{told} ({how}{peak}) at {end['at']}"
