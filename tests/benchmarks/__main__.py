"""Run benchmarks by name, or all of them; print the table, and with --write keep it in docs/."""

import argparse
import importlib
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from tests.benchmarks.figure import Figure, machine

ROOMS = (
    "commands",
    "planning",
    "reading",
    "isolation",
    "accounts",
    "controller",
    "adoption",
    "tick_rate",
    "images",
    "marketplace",
    "compose",
    "author_test",
    "scale",
    "cluster_apply",
    "failover",
)
PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
INTRO = """# Benchmarks

The latest table of `make bench`. Absolute figures move by 2x from hour to hour on shared machines; a ratio to a peer that was
measured in the same run holds. Tests never assert a time.
"""


def table(figures: list[Figure]) -> str:
    rows = ["| measure | figure | against | ratio | target |", "|---|---|---|---|---|"]
    rows += [
        f"| {figure.what} | {figure.value} | {figure.peer} | "
        f"{'' if figure.ratio is None else f'{figure.ratio:.2f}x'} | {figure.target} |"
        for figure in figures
    ]
    notes = [f"- **{figure.what}**: {figure.note}" for figure in figures if figure.note]
    return "\n".join([*rows, "", *notes] if notes else rows)


def main() -> None:
    asked = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    asked.add_argument(
        "names", nargs="*", metavar="NAME", default=list(ROOMS), help=", ".join(ROOMS)
    )
    asked.add_argument("--write", action="store_true", help=f"keep the table in docs/{PAGE.name}")
    wanted = asked.parse_args()
    # As Ctrl-C: what a room has started, it ends and removes on its way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    # A user's are compiled, by pip; ours shall not be compiled anew by each command that is measured.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    figures: list[Figure] = []
    for name in wanted.names:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        figures += importlib.import_module(f"tests.benchmarks.{name}").measure()
    head = f"{datetime.now(UTC):%Y-%m-%d}, {machine()}"
    print(f"{head}\n\n{table(figures)}")
    if wanted.write:
        PAGE.write_text(f"{INTRO}\n{head}\n\n{table(figures)}\n")


if __name__ == "__main__":
    main()
