"""The files that `dev` watches: a save counts once it has stayed as it is for an instant."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.app import Declaration
from orchestrator.app.dev_mistakes import near, syntax
from orchestrator.app.dev_target import Target, looker
from orchestrator.app.edits import Edits
from orchestrator.catalog.lying import Lying
from orchestrator.controller.outside import Edit
from orchestrator.controller.settling import Settling
from orchestrator.errors import ConfigError, Problem

SETTLED_S = 0.075
"""A half-written file is no Python, most likely, and is told so until the rest is there."""
RECENT_S = 30.0
"""Older times of files say nothing of a save: a checkout may set them."""


@dataclass(frozen=True, slots=True)
class Save:
    """A state of the files that is new.

    Attributes:
        number: from 1, which is how they were at first.
        files: those that differ from the last one, as a person calls them.
        at: when they were written, Unix time.
        problems: why it is not to be applied, as far as that can be seen without a run.
    """

    number: int
    files: Sequence[str]
    at: float
    problems: Sequence[Problem]


class Watch:
    def __init__(self, target: Target) -> None:
        self._target = target
        settings = target.settings
        files = [str(path) for path in settings.files]
        # A project's own files, as `serve --watch` follows them.
        self._edits = Edits(settings, files, named=True) if target.whole else None
        self._edit = Edit(target.declared.sources)
        self._look = looker(target.declared, target.names)
        self._settling = Settling()
        self._decided: object = None
        self._number = 0
        self._files: Mapping[str, bytes] = {}

    def look(self, now: float) -> Save | None:
        """Read everything; return what was saved, once. `now`: monotonic seconds."""
        if self._edits is not None:
            self._follow(self._edits)
        there = self._look()
        seen = (self._edit, there)
        if self._settling.stayed(seen, now) < SETTLED_S or seen == self._decided:
            return None
        self._decided = seen
        return self._save(there)

    def _follow(self, edits: Edits) -> None:
        try:
            edit = edits()
        except ConfigError as error:
            edit = Edit(problems=error.problems)
        except OSError:
            return  # a folder that goes while it is listed: what comes after it counts
        if edit != self._edit:
            self._edit = edit
            if edit.sources:
                declared = Declaration(self._target.settings, edit.sources)
                self._look = looker(declared, self._target.names)

    def again(self) -> None:
        """Take the same files for new ones: the last time nothing could be done with them."""
        self._decided = None

    def _save(self, there: Mapping[str, Lying]) -> Save:
        before, contents, paths = self._files, {}, {}
        for lies in there.values():
            for file, content in lies.files.items():
                called = near(lies.called(file))
                contents[called] = content
                paths[called] = lies.path if lies.lone else lies.path / file
        if self._edits is not None:
            for file, text in self._edit.sources:
                contents[file] = text.encode()
                paths[file] = self._target.settings.folder / file
        every = {**before, **contents}
        changed = [file for file in every if contents.get(file) != before.get(file)]
        self._files = contents
        self._number += 1
        unreadable = [problem for each in there.values() for problem in each.problems]
        return Save(
            self._number,
            changed,
            _written([paths[file] for file in changed if file in paths]),
            [*self._edit.problems, *syntax(there), *unreadable],
        )


def _written(paths: Sequence[Path]) -> float:
    """Return when the newest of these was written, or else when that could be seen."""
    now = time.time()
    newest = 0.0
    for path in paths:
        try:
            newest = max(newest, path.stat().st_mtime)
        except OSError:
            continue
    return newest if now - RECENT_S < newest <= now else now - SETTLED_S
