"""What the command line can do, each as one call. `app.house` alone names adapters."""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ntp.contract.problem import Problem
from orchestrator.control import client
from orchestrator.control.protocol import SOCKET
from orchestrator.errors import ConfigError, UnreachableError
from orchestrator.settings import STDIN, Settings, find

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\benv:\s*[\"']?([A-Za-z_][A-Za-z0-9_]*)")


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a person handed over: files as text, and where they belong."""

    settings: Settings
    sources: tuple[tuple[str, str], ...]
    confirmed_settings: Mapping[str, str] = field(default_factory=dict)
    names: Sequence[str] = ()
    """For the demo: the instances that it declares."""

    @property
    def decisive(self) -> dict[str, str]:
        """What else decides the result, as the controller takes it."""
        return {
            **self.settings.plugin_settings,
            **({"PLUGIN_DIR": str(self.settings.plugin_dir)} if self.settings.plugin_dir else {}),
            **self.confirmed_settings,
            "folder": str(self.settings.folder),
            "project": self.settings.project,
        }

    @property
    def secrets(self) -> dict[str, str]:
        """Values of the variables that the files refer to; kept in the controller's memory only."""
        named = {
            one or other for _, text in self.sources for one, other in _REFERENCE.findall(text)
        }
        known = self.settings.environment
        return {name: known[name] for name in sorted(named) if name in known}


def locate(files: Sequence[str] = (), project: str | None = None) -> Settings:
    """Return the settings of the project that options, environment and folder name."""
    return find(files, project=project)


def declare(files: Sequence[str] = (), project: str | None = None) -> Declaration:
    """Read the files.

    Raises:
        ConfigError: .env or a setting cannot be read, a file is missing or no text; with every
            problem of what could be read.
    """
    stdin = sys.stdin.buffer.read() if STDIN in files else None
    mistakes: list[Problem] = []
    settings = find(files, project=project, stdin=stdin, tolerated=mistakes)
    unsettled = len(mistakes)
    sources = []
    for name, content in settings.sources(stdin, tolerated=mistakes):
        try:
            sources.append((name, content.decode("utf-8-sig")))
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            column = error.start - content.rfind(b"\n", 0, error.start)
            message = f"the file is not UTF-8: byte 0x{content[error.start]:02X}"
            mistakes.append(Problem(name, line, column, message, "save it as UTF-8"))
    declared = Declaration(settings, tuple(sources))
    if mistakes:
        if sources:
            # The line that cannot be read may be the one that says PLUGIN_DIR.
            findable = settings.plugin_dir is not None or unsettled == 0
            complete = len(mistakes) == unsettled
            mistakes += problems(declared, complete=complete, findable=findable)
        raise ConfigError(mistakes)
    return declared


def confirm_sandbox(declared: Declaration, *, confirmed: bool) -> None:
    """Refuse PLUGIN_SANDBOX=false that nobody confirmed."""
    if not declared.settings.sandbox and not confirmed:
        raise ConfigError(
            [
                Problem(
                    "environment",
                    0,
                    0,
                    "PLUGIN_SANDBOX was false: plugins would run with your own rights",
                    "remove it, or confirm it with 'ntpctl apply --no-sandbox'",
                )
            ]
        )


def call(settings: Settings, what: str, /, **arguments: Any) -> Iterator[dict[str, Any]]:
    """Ask the project's controller; yield events, then the result."""
    _must_answer(settings)
    return client.call(settings.state / SOCKET, what, **arguments)


def ask(settings: Settings, what: str, /, **arguments: Any) -> dict[str, Any]:
    """Ask the project's controller; return the result."""
    _must_answer(settings)
    return client.ask(settings.state / SOCKET, what, **arguments)


def _must_answer(settings: Settings) -> None:
    """Where nobody answers, say what that means for what runs, and what to do."""
    if client.answers(settings.state / SOCKET):
        return
    if was_applied(settings):
        raise UnreachableError(
            f"no controller answers for project '{settings.project}'; what ran goes on without one\n"
            "  fix: `ntpctl apply` or `ntpctl serve` starts one, and it adopts what runs"
        )
    raise UnreachableError(
        f"nothing of project '{settings.project}' was applied here ({settings.state})\n"
        "  fix: `ntpctl apply`, or name another project with --project or a file"
    )


def was_applied(settings: Settings) -> bool:
    """Tell whether something was applied on this machine, running or not."""
    return (settings.state / "state.db").exists()


def ensure_controller(settings: Settings) -> bool:
    """Start a controller in the background where none answers; tell whether one was started."""
    from orchestrator.app import background

    return background.ensure(settings)


def preview(declared: Declaration) -> dict[str, Any]:
    """Return problems, or what apply would do; where no controller answers, by looking ourselves."""
    sources = [list(source) for source in declared.sources]
    if client.answers(declared.settings.state / SOCKET):
        return ask(
            declared.settings,
            "preview",
            within_s=120.0,
            sources=sources,
            settings=declared.decisive,
            secrets=declared.secrets,
        )
    from orchestrator.app import house

    return house.preview(declared.settings, sources=sources, said=declared.decisive)


def apply(
    declared: Declaration, *, expect: int | None = None, allow_deletes: bool = False, wait: bool = True, deadline: float = 120.0
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """Hand the files to the controller; yield its plan, progress, and the outcome."""
    return call(
        declared.settings,
        "apply",
        sources=[list(source) for source in declared.sources],
        settings=declared.decisive,
        secrets=declared.secrets,
        expect=expect,
        allow_deletes=allow_deletes,
        wait=wait,
        deadline=deadline,
    )


def problems(
    declared: Declaration, *, complete: bool = True, findable: bool = True
) -> list[Problem]:
    """Return every problem of the files, plugins' own config schemas included; start nothing.

    Not `complete`: there are files that could not be read. Not `findable`: nor is it known where
    plugins are, so none is looked for.
    """
    from orchestrator.app import checking

    return checking.problems(declared, complete=complete, findable=findable)


def problem_json(problem: Problem) -> dict[str, Any]:
    """Return a problem as the controller's protocol writes it."""
    return {
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "message": problem.message,
        "fix": problem.fix,
        "entry": problem.entry,
    }


def schemas() -> Mapping[str, bytes]:
    """Return the JSON Schemas by file name, rendered from the models."""
    from orchestrator.app import checking

    return checking.schemas()


def declare_demo(folder: Path) -> Declaration:
    """Return the demo's declaration, with state of its own in `folder`."""
    from orchestrator.app import demonstration

    return demonstration.declare(folder)


def serve(settings: Settings, *, background: bool) -> None:
    """Run the controller until SIGTERM or Ctrl-C."""
    from orchestrator.app import house

    house.serve(settings, background=background)


def examine(settings: Settings) -> dict[str, Any]:
    """Try what this machine can isolate, and say what is missing, in words."""
    from orchestrator.app import examination

    return examination.examine(settings)


def forget(settings: Settings, *, delete_data: bool) -> None:
    """After `down`: wait for the controller to end; remove all that is left but plugins' storage."""
    from orchestrator.app import background

    background.forget(settings, delete_data=delete_data)


def left_behind(settings: Settings) -> list[str]:
    """Return what still exists of a project that is down: processes, mounts, control groups."""
    from orchestrator.app import house

    return house.left_behind(settings)
