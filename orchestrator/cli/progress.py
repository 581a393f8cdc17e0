"""Progress of a change on stderr, its outcome on stdout; exit 5 where something was not ready."""

from collections.abc import Iterable
from typing import Any

import click

from orchestrator.cli.failure import say
from orchestrator.cli.output import emit
from orchestrator.errors import ActionError


def settle(messages: Iterable[dict[str, Any]], *, output: str) -> dict[str, Any]:
    """Print what happens until the outcome; raise ActionError where it is not what was asked for."""
    outcome: dict[str, Any] = {}
    for message in messages:
        if message.get("event") == "progress":
            say(progress_line(message))
        elif "result" in message:
            outcome = message["result"]
    if output != "table":
        emit(outcome, output)
    waiting = outcome.get("waiting", [])
    if not outcome.get("ready", True):
        for each in waiting:
            say(f"{each['name']}: {each['state']}: {each['message']}")
        raise ActionError(outcome.get("message") or "not everything became ready")
    return outcome


def progress_line(message: dict[str, Any]) -> str:
    words = f"{message['ready']}/{message['total']} ready  {message['name']} {message['state']}"
    return click.unstyle(f"{words}: {message['message']}" if message["message"] else words)
