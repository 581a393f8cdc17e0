"""A folder of private files that the next controller finds again: the keys and tokens of the bus.

Its owner knows files and nothing of a cluster; here they are looked at, and what changed is kept.
"""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from orchestrator.store.kubernetes.store import ClusterStore

EVERY_S: Final = 0.2


class KeptFolder:
    def __init__(self, folder: Path, store: ClusterStore) -> None:
        self._folder = folder
        self._store = store
        self._known: Mapping[str, tuple[int, int, int]] = {}

    def restore(self) -> None:
        """Write the files that were kept, and no others: before anybody uses the folder."""
        kept = self._store.files()
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in self._states():
            (self._folder / name).unlink(missing_ok=True)
        for name, content in kept.items():
            if "/" in name or name.startswith("."):
                continue
            descriptor = os.open(
                self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600
            )
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
        self._known = self._states()

    async def run(self) -> None:
        """For ever; what changed last is kept at the end, too."""
        try:
            while True:
                self.keep()
                await asyncio.sleep(EVERY_S)
        finally:
            self.keep()

    def keep(self) -> None:
        """Keep what changed since the last look."""
        states = self._states()
        if states == self._known:
            return
        known = self._store.files()
        contents = {}
        for name, state in states.items():
            if self._known.get(name) == state and name in known:
                contents[name] = known[name]
                continue
            try:
                contents[name] = (self._folder / name).read_bytes()
            except FileNotFoundError:
                return  # it changes at this moment: the next look has it
        self._store.keep_files(contents)
        self._known = states

    def _states(self) -> dict[str, tuple[int, int, int]]:
        found = {}
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") or not entry.is_file():
                    continue
                try:
                    stat = entry.stat()
                except FileNotFoundError:
                    continue
                found[entry.name] = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        return found
