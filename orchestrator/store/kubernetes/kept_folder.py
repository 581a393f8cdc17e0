"""A folder of private files that the next controller finds again: the keys and tokens of the bus.

Its owner knows files and nothing of a cluster; here they are looked at, and what changed is kept.
"""

import asyncio
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from orchestrator.errors import ActionError, UnreachableError
from orchestrator.store.kubernetes.documents import FILES
from orchestrator.store.kubernetes.store import ClusterStore

EVERY_S: Final = 0.2
LOOKS: Final = 20
REST: Final = 10
"""So many times what a look took lies between two: a thousand starts ask for one each."""


class KeptFolder:
    """`vital`: the file without which no controller may go on once something was applied."""

    def __init__(self, folder: Path, store: ClusterStore, *, vital: str) -> None:
        self._folder = folder
        self._store = store
        self._vital = vital
        self._known: Mapping[str, tuple[int, int, int]] = {}
        self._looks = 0
        self._whole = False
        """What the last look found: see `keep`."""
        self._rested = 0.0
        """When the next may be."""

    def restore(self) -> None:
        """Write the files that were kept, and no others: before anybody uses the folder.

        Raises:
            ActionError: some of them were lost (BrokerKeysLost). Others in their place would leave
                what is on the bus to nobody.
        """
        kept = self._store.files()
        self._refuse_loss(kept)
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
                self._look()
                await asyncio.sleep(max(EVERY_S, self._rested - time.monotonic()))
        finally:
            self.keep()

    async def kept(self) -> None:
        """Return when the files as they are now are kept. UnreachableError: they cannot be."""
        for _ in range(LOOKS):
            if await self._looked():
                await self._store.files_kept()
                return
            await asyncio.sleep(EVERY_S)
        raise UnreachableError("the keys of the bus changed at each look")

    async def _looked(self) -> bool:
        """Return what a look found that began after this call; all who wait for it share it."""
        asked = self._looks
        while self._looks == asked:
            rest = self._rested - time.monotonic()
            if rest > 0:
                await asyncio.sleep(rest)
            else:
                self._look()
        return self._whole

    def _look(self) -> None:
        began = time.monotonic()
        self._looks += 1
        self._whole = self.keep()
        now = time.monotonic()
        self._rested = now + REST * (now - began)

    def keep(self) -> bool:
        """Keep what changed since the last look. False: they change at this moment."""
        states = self._states()
        if states == self._known:
            return True
        known = self._store.files()
        contents = {}
        for name, state in states.items():
            if self._known.get(name) == state and name in known:
                contents[name] = known[name]
                continue
            try:
                contents[name] = (self._folder / name).read_bytes()
            except FileNotFoundError:
                return False
        self._store.keep_files(contents)
        self._known = states
        return True

    def _refuse_loss(self, kept: Mapping[str, bytes]) -> None:
        lost = [each for each in self._store.damaged if each.startswith(FILES)]
        if lost:
            raise ActionError(
                f"keys of the bus are damaged: {', '.join(lost)}\n  fix: restore the Secrets whose"
                " annotation ntp.dev/document says so; or delete them: then their plugins start again"
                " with new keys",
                reason="BrokerKeysLost",
                permanent=True,
            )
        if self._store.current() is not None and self._vital not in kept:
            raise ActionError(
                f"a revision was applied, but the key of the bus that all signals belong to"
                f" ({self._vital}) is gone\n  fix: restore the Secrets labelled"
                " ntp.dev/part=state; or delete them and the ConfigMaps labelled so: then all begins"
                " anew, with an empty bus",
                reason="BrokerKeysLost",
                permanent=True,
            )

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
