"""A plugin's files as they lie there now, whether they are any good or not."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ntp.package.tree import TreeError, read_file
from orchestrator.catalog.fault import FaultError
from orchestrator.catalog.find import Places, find
from orchestrator.errors import Problem
from orchestrator.spec.model import Wanted


@dataclass(frozen=True, slots=True)
class Lying:
    """Two are equal when all contents are.

    Attributes:
        path: the file or the folder.
        shown: what a person calls it.
        files: path inside it, or the name of a lone file -> content.
        lock: of its requirements.
        ours: it comes with ntpctl.
        lone: a file, not a folder.
        problems: why it cannot be read, or is no plugin; then there are no files.
    """

    path: Path
    shown: str
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    lock: bytes = field(default=b"", repr=False)
    ours: bool = False
    problems: tuple[Problem, ...] = ()
    lone: bool = False

    def called(self, file: str) -> str:
        """Return what a person calls one of its files."""
        return self.shown if self.lone else f"{self.shown}/{file}"


def look(wanted: Wanted, places: Places) -> Lying:
    """Return what lies where an entry's plugin is looked for; blocks for as long as it takes to read."""
    try:
        found = find(wanted, places)
    except FaultError as error:
        problems = tuple(error.at(wanted))
        return Lying(Path(), wanted.source or wanted.plugin, problems=problems)
    try:
        lock = read_file(found.lock)
    except TreeError:
        lock = b""
    files = found.tree.files
    if found.module is not None:  # as its author calls it
        files = {found.path.name: next(iter(files.values()))}
    ours = found.path.is_relative_to(places.bundled)
    return Lying(found.path, found.shown, files, lock, ours, lone=found.module is not None)
