"""What an apply would do, as lines: the text of `ntpctl plan`."""

from collections.abc import Mapping
from typing import Any

from orchestrator.cli.output import console

SIGNS = {
    "start": ("+", "green"),
    "recreate": ("~", "yellow"),
    "update": ("~", "cyan"),
    "push": ("~", "cyan"),
    "remove": ("-", "red"),
    "keep": (" ", "dim"),
    "refuse": ("!", "red"),
}


def show(preview: Mapping[str, Any], *, whole: bool) -> None:
    """Print each change with its cause. `whole`: say of those that stay, too, what they may reach."""
    out = console()
    kept = [each for each in preview["changes"] if each["do"] == "keep"]
    left = [each for each in kept if each["cause"]]
    same = len(kept) - len(left)
    width = max((len(each["name"]) for each in preview["changes"]), default=0)
    for change in preview["changes"]:
        if change["do"] == "keep" and not change["cause"]:
            continue
        sign, style = SIGNS.get(change["do"], ("?", ""))
        out.print(
            f"{sign} {change['do']:<9} {change['name']:<{width}}  {change['cause']}",
            style=style,
            markup=False,
        )
    for change in preview["changes"]:
        if change["egress"] and (whole or change["do"] != "keep"):
            hosts = ", ".join(reached(change))
            out.print(
                f"  {'may reach':<9} {change['name']:<{width}}  {hosts}", style="dim", markup=False
            )
    if not preview["differs"]:
        they = "it is" if len(left) == 1 else "they are"
        told = [f"{same} run as declared"] * (bool(same) or not left)
        told += [f"{len(left)} left as {they}"] * bool(left)
        out.print(f"nothing to do: {', '.join(told)}")
    elif same:
        out.print(f"  {same} not touched", style="dim")


def reached(row: Mapping[str, Any]) -> list[str]:
    """Return what a row of a plan or a status may reach, with where it is led instead."""
    led = row.get("egress_mapped", {})
    return [f"{host} -> {led[host]}" if host in led else host for host in row["egress"]]
