"""What a person handed over: the files, read, with the settings that belong to them."""

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.errors import ConfigError, Problem
from orchestrator.settings import STDIN, Settings, find
from orchestrator.spec.environment import switch

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\benv:\s*[\"']?([A-Za-z_][A-Za-z0-9_]*)")


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a person handed over: files as text, and where they belong."""

    settings: Settings
    sources: tuple[tuple[str, str], ...]
    confirmed_settings: Mapping[str, str] = field(default_factory=dict)
    names: Sequence[str] = ()
    """For the demo: the instances that it declares."""
    said: Mapping[str, str] | None = None
    """Of a revision: what decided the result when it was applied; None: what holds now decides."""
    pins: Mapping[str, str] = field(default_factory=dict)
    """Of a revision: entry -> digest of the code that it has to be again."""

    @property
    def sandbox(self) -> bool:
        if self.said is None:
            return self.settings.sandbox
        return switch(self.said, "PLUGIN_SANDBOX", default=True, problems=[])

    @property
    def decisive(self) -> dict[str, str]:
        """What else decides the result, as the controller takes it."""
        if self.said is not None:
            return dict(self.said)
        return {
            **self.settings.plugin_settings,
            **self.settings.egress,
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


@dataclass(frozen=True, slots=True)
class Gathered:
    """What lies there, not yet looked into. `unsettled`: how many of `mistakes` are the settings'."""

    settings: Settings
    contents: tuple[tuple[str, bytes], ...]
    mistakes: tuple[Problem, ...]
    unsettled: int


def gather(
    files: Sequence[str] = (),
    project: str | None = None,
    stdin: bytes | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Gathered:
    """Read what lies there. Arguments: as of `settings.find`."""
    mistakes: list[Problem] = []
    settings = find(
        files, project=project, environment=environment, cwd=cwd, stdin=stdin, tolerated=mistakes
    )
    if settings.nats is not None:
        from orchestrator.app.everywhere import external

        try:
            external(settings)
        except ConfigError as error:
            # Those of the setting itself are among them.
            mistakes += [each for each in error.problems if each not in mistakes]
    if settings.runtime == "kubernetes" and settings.context is None:
        fix = (
            "name the cluster: `ntpctl --context NAME …`; or take NTP_RUNTIME away for this machine"
        )
        what = "NTP_RUNTIME was 'kubernetes', where `ntpctl serve` follows PluginSets and no files"
        mistakes.append(Problem("environment", 0, 0, what, fix))
    if settings.runtime != "process":
        from orchestrator.app import unfit

        if refused := unfit.refusal(settings):
            mistakes.append(refused)
    unsettled = len(mistakes)
    contents = settings.sources(stdin, tolerated=mistakes)
    return Gathered(settings, contents, tuple(mistakes), unsettled)


def declare(files: Sequence[str] = (), project: str | None = None) -> Declaration:
    """Read the files. Raises as `settle`."""
    stdin = sys.stdin.buffer.read() if STDIN in files else None
    return settle(gather(files, project, stdin))


def settle(gathered: Gathered) -> Declaration:
    """Return what was gathered as a declaration.

    Raises:
        ConfigError: .env or a setting cannot be read, a file is missing or no text; with every
            problem of what could be read.
    """
    mistakes = list(gathered.mistakes)
    sources = []
    for name, content in gathered.contents:
        try:
            sources.append((name, content.decode("utf-8-sig")))
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            column = error.start - content.rfind(b"\n", 0, error.start)
            message = f"the file is not UTF-8: byte 0x{content[error.start]:02X}"
            mistakes.append(Problem(name, line, column, message, "save it as UTF-8"))
    declared = Declaration(gathered.settings, tuple(sources))
    if mistakes:
        if sources:
            from orchestrator.app.checking import problems

            # The line that cannot be read may be the one that says PLUGIN_DIR.
            findable = gathered.settings.plugin_dir is not None or gathered.unsettled == 0
            complete = len(mistakes) == gathered.unsettled
            mistakes += problems(declared, complete=complete, findable=findable)
        # What the settings got wrong is found again by whoever reads the files with them.
        raise ConfigError(sorted(set(mistakes)))
    return declared


def confirm_sandbox(declared: Declaration, *, confirmed: bool) -> None:
    """Refuse PLUGIN_SANDBOX=false that nobody confirmed."""
    if not declared.sandbox and not confirmed:
        raise ConfigError(
            [
                Problem(
                    "environment",
                    0,
                    0,
                    "PLUGIN_SANDBOX was false: plugins would run with your own rights",
                    "remove it, or confirm it with 'ntpctl apply --no-sandbox'"
                    if declared.said is None
                    else "confirm it with 'ntpctl rollback --no-sandbox'",
                )
            ]
        )


def prevented(problems: Sequence[Problem]) -> dict[str, Any]:
    """Return the preview of files that have problems, as the controller's protocol writes it."""
    from msgspec import to_builtins

    from orchestrator.decide.report import Preview

    return to_builtins(Preview(problems=problems))  # type: ignore[no-any-return] # builtins of a dataclass
