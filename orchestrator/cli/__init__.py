"""The command line: a command parses, calls one function, prints. Exit codes: `failure`."""

import gc
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from orchestrator.cli.options import cluster_options
from orchestrator.settings import CONTEXT

# Name -> (module, first line of help). Modules load when their command runs: `ntpctl --help` is quick.
COMMANDS = {
    "validate": ("check", "Check plugins.yaml: every problem at once, with its place and a fix."),
    "plan": ("change", "Show what apply would do, and why; change nothing."),
    "apply": (
        "change",
        "Make what runs equal to what plugins.yaml declares: only what differs is touched.",
    ),
    "down": (
        "change",
        "Stop and remove everything of this project, and end its controller; storage stays.",
    ),
    "status": ("look", "Show what runs, why, since when, and how isolated it is."),
    "top": (
        "top",
        "Show what each plugin uses and does, live: CPU, memory, messages, lag, latest signal.",
    ),
    "tap": ("tap", "Print what a plugin says on the bus, as it says it, until Ctrl-C."),
    "dlq": (
        "dlq",
        "Show the dead letters: what a receiver could not take; retry or drop them.",
    ),
    "logs": ("look", "Print a plugin's output: its own lines, and the runtime's (marked ntp)."),
    "events": ("look", "Show what was decided and observed, each with its cause."),
    "history": ("history", "Show the revisions: what was applied when, and what each changed."),
    "diff": ("diff", "Show how revision A differs from revision B, or from the files as they are."),
    "rollback": (
        "rollback",
        "Apply an older revision again: its files and the code that it ran.",
    ),
    "graph": ("graph", "Draw the wiring: who hears whom, with states, symbols and bars."),
    "restart": ("act", "Restart plugins by hand; nothing else is touched."),
    "rotate": (
        "act",
        "Give plugins another credential for the bus, and have those before refused.",
    ),
    "stop": ("act", "Stop plugins by hand."),
    "start": ("act", "Start what was stopped by hand, or what gave up after too many failures."),
    "halt": (
        "halt",
        "Open nothing any more: for all, or for the strategies and executors that are named.",
    ),
    "resume": ("halt", "Let be opened again what `halt` halted: all, or what is named."),
    "replay": (
        "replay",
        "Play what the bus has recorded once more through the engine that ran it.",
    ),
    "serve": (
        "serve",
        "Run the controller of a project in the foreground, until Ctrl-C or SIGTERM.",
    ),
    "demo": (
        "demo",
        "Run the main job at a local exchange, each plugin in its own container; then clean up.",
    ),
    "dev": (
        "dev",
        "Watch a plugin's files: a save reloads that plugin alone, with its last ticks replayed.",
    ),
    "doctor": (
        "doctor",
        "Try each layer of isolation on this machine, check broker and state, say what is missing.",
    ),
    "images": (
        "images",
        "Build the images of plugins, each once; list and prune those that are here.",
    ),
    "release": (
        "release",
        "Make the keys of a release of the chart, see whether it works, remove what it left.",
    ),
    "nats": ("nats", "Make the keys of a NATS that others run for a project."),
    "plugin": (
        "plugin",
        "Find plugins in marketplaces, look at what they ask for, and install them.",
    ),
    "schema": (
        "check",
        "Print a JSON Schema (draft 2020-12), or compare or write the committed ones.",
    ),
    "completion": (
        "completion",
        "Print the script that completes commands, options and plugin names in a shell.",
    ),
}


class Commands(click.Group):
    """A group whose commands are imported one at a time, when asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"orchestrator.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        from orchestrator.cli.failure import reader

        with reader():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        from orchestrator.cli.failure import reader

        with reader():
            return super().invoke(ctx)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f"did you mean '{near[0]}'?" if near else "see 'ntpctl --help'"
            raise click.UsageError(f"unknown command '{args[0]}'\n  fix: {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items()])


ON_CLUSTER = frozenset(
    {"validate", "plan", "apply", "down", "status", "top", "dlq", "logs", "events", "history", "diff",
     "rollback", "restart", "rotate", "stop", "start", "halt", "resume", "serve", "schema", "completion"}
)  # fmt: skip
"""Commands that `--context` means something to, or that need no controller."""


@click.group(
    name="ntpctl",
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="ntp-orchestrator")
@cluster_options
@click.pass_context
def group(context: click.Context, /, **_: Any) -> None:
    """Run trading plugins, each in its own container, from one plugins.yaml.

    \b
    Examples:
      ntpctl demo                        a local exchange, signals, paper orders, a ledger
      ntpctl plan                        what would change, and why
      ntpctl apply                       change it, wait until all are ready
      ntpctl status                      what runs, and what went wrong
      ntpctl logs -f bollinger_strategy  follow a plugin's output
      ntpctl --context desk status       the same on a cluster: also apply, logs, rollback, …
    """
    asked = context.invoked_subcommand
    if os.environ.get(CONTEXT) and asked not in ON_CLUSTER:
        raise click.UsageError(
            f"'{asked}' is for this machine, and --context (NTP_CONTEXT) names a cluster\n  fix: leave it out"
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command; every failure becomes words on stderr and an exit code, never a traceback.

    `arguments`: those of the process, unless given.
    """
    from orchestrator.cli.failure import guard

    with guard():
        # Without standalone mode click hands the code of an Exit back instead of raising it.
        code = group(arguments, prog_name="ntpctl", standalone_mode=False)
        # All that is there goes with the process: an interpreter that ends need not look through it.
        gc.freeze()
        sys.exit(code if isinstance(code, int) else 0)
