"""The files that `serve --watch` follows, as they are at each look."""

from collections.abc import Iterator, Sequence

from orchestrator.app.declaration import (
    Declaration,
    Gathered,
    confirm_sandbox,
    gather,
    settle,
)
from orchestrator.controller.outside import Edit
from orchestrator.errors import ConfigError, Problem
from orchestrator.settings import Settings
from orchestrator.spec import project_name


class Edits:
    """Call it to look. Settings are found anew each time: `.env` may be what was edited.

    The project stays what it was at the start, whatever the files say later.
    """

    def __init__(self, settings: Settings, files: Sequence[str], *, named: bool) -> None:
        self._project = settings.project
        self._files = files
        self._named = named
        """By an option, which counts more than `name:` in a file."""
        self._last: tuple[Gathered, Edit] | None = None

    def __call__(self) -> Edit:
        """Return what the files say, or why they cannot be read. Raises OSError."""
        gathered = gather(self._files, self._project)
        # To decode and to search sixteen MiB four times a second would be too much.
        if self._last is None or self._last[0] != gathered:
            self._last = (gathered, self._edit(gathered))
        return self._last[1]

    def _edit(self, gathered: Gathered) -> Edit:
        try:
            declared = settle(gathered)
        except ConfigError as error:
            return Edit(problems=error.problems)
        problems = [] if self._named else list(self._renamed(declared))
        try:
            confirm_sandbox(declared, confirmed=False)
        except ConfigError as error:
            problems += error.problems
        return Edit(declared.sources, declared.decisive, declared.secrets, tuple(problems))

    def _renamed(self, declared: Declaration) -> Iterator[Problem]:
        for file, text in declared.sources:
            name = project_name.in_file(text.encode())
            if name is not None and name != self._project:
                message = f"the file names the project '{name}', '{self._project}' is followed"
                fix = f"write `name: {self._project}`, or `ntpctl apply` it as a project of its own"
                yield Problem(file, 0, 0, message, fix)
