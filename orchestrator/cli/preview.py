"""What an apply would do, as lines: the text of `ntpctl plan`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestrator.cli.output import put

SHORT = 19
"""`sha256:` and twelve digits: enough to tell images apart, as docker shows them."""
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
    kept = [each for each in preview["changes"] if each["do"] == "keep"]
    left = [each for each in kept if each["cause"]]
    same = len(kept) - len(left)
    width = max((len(each["name"]) for each in preview["changes"]), default=0)
    for change in preview["changes"]:
        if change["do"] == "keep" and not change["cause"]:
            continue
        sign, style = SIGNS.get(change["do"], ("?", ""))
        put(f"{sign} {change['do']:<9} {change['name']:<{width}}  {change['cause']}", style)
    for name, images in _images(preview["changes"]):
        put(f"  {'image':<9} {name:<{width}}  {images}", "dim")
    for change in preview["changes"]:
        if change["egress"] and (whole or change["do"] != "keep"):
            hosts = ", ".join(reached(change))
            put(f"  {'may reach':<9} {change['name']:<{width}}  {hosts}", "dim")
    if not preview["differs"]:
        they = "it is" if len(left) == 1 else "they are"
        told = [f"{same} run as declared"] * (bool(same) or not left)
        told += [f"{len(left)} left as {they}"] * bool(left)
        put(f"nothing to do: {', '.join(told)}")
    elif same:
        put(f"  {same} not touched", "dim")


def _images(changes: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield (plugin, how its image changes); those that are new and not yet built together."""
    fresh = []
    for change in changes:
        new, old = change.get("image"), change.get("image_before", "")
        if new == "" and not old:
            fresh.append(change["name"])
        elif new is not None and new != old:
            to = new[:SHORT] or "to be built"
            told = f"{old[:SHORT]} -> {to}" if old else to
            if told not in change["cause"]:
                yield change["name"], told
    if fresh:
        yield "to be built", ", ".join(fresh)


def reached(row: Mapping[str, Any]) -> list[str]:
    """Return what a row of a plan or a status may reach, with where it is led instead."""
    led = row.get("egress_mapped", {})
    return [f"{host} -> {led[host]}" if host in led else host for host in row["egress"]]
