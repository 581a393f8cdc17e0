"""What this machine can isolate, and what is missing, in plain words."""

from collections.abc import Mapping
from typing import Any

import click

from orchestrator import app
from orchestrator.cli.options import located, project_options
from orchestrator.cli.output import console, emit, output_option

NOT_ARRIVED = 5
TIERS = {
    3: "full: own user, limits by cgroup, namespaces, seccomp",
    2: "namespaces and seccomp as an ordinary user; limits only where a cgroup was delegated",
    1: "Landlock, seccomp and rlimits: files and system calls, no memory limit for all together",
    0: "none: plugins are refused unless PLUGIN_SANDBOX=false is confirmed",
}


@click.command()
@project_options
@click.option("--webhook", is_flag=True, help="Send NTP_WEBHOOK a test message, too.")
@output_option
def doctor(files: tuple[str, ...], project: str | None, output: str, *, webhook: bool) -> None:
    """Try each layer of isolation on this machine, check broker and state, say what is missing.

    \b
    Examples:
      ntpctl doctor
      ntpctl doctor --webhook
      ntpctl doctor -o json
    """
    found = app.examine(located(files, project), try_webhook=webhook)
    if output == "table":
        _show(found)
    else:
        emit(found, output)
    if found["webhook_arrived"] is False:
        raise click.exceptions.Exit(NOT_ARRIVED)


def _show(found: Mapping[str, Any]) -> None:
    out = console()
    isolation = found["isolation"]
    out.print(f"isolation   tier {isolation['tier']}: {TIERS[isolation['tier']]}", markup=False)
    for line in isolation["active"]:
        out.print(f"  + {line}", markup=False)
    for line in isolation["missing"]:
        out.print(f"  - missing: {line}", markup=False, style="yellow")
    for title in ("broker", "controller", "python", "state", "webhook"):
        out.print(f"{title:<11} {found[title]}", markup=False)
    if found["webhook_arrived"]:
        out.print("            the test message arrived", style="green")
    for line in found["notes"]:
        out.print(f"  ! {line}", markup=False, style="yellow")
