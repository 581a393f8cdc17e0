"""How long a person waits for the first word of a command, against an interpreter that does nothing."""

import sys
from pathlib import Path

from tests.benchmarks.figure import Figure, command_s

EXAMPLE = Path(__file__).parents[2] / "config" / "plugins.yaml"


def measure() -> list[Figure]:
    floor = command_s(sys.executable, "-c", "pass")
    ntpctl = (sys.executable, "-m", "orchestrator")
    figures = []
    for title, arguments, target in (
        ("`ntpctl --help`", ("--help",), "at most 100 ms more"),
        ("`ntpctl validate` of the example", ("validate", "-f", str(EXAMPLE)), ""),
    ):
        took = command_s(*ntpctl, *arguments)
        figures.append(
            Figure(
                what=title,
                value=f"{took * 1e3:.0f} ms",
                peer=f"`python -c pass` {floor * 1e3:.0f} ms (+{(took - floor) * 1e3:.0f} ms)",
                ratio=took / floor,
                target=target,
            )
        )
    return figures
