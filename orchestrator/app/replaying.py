"""A recorded period once more: what was captured, the ledger as it is, and a sandbox that plays both."""

import asyncio
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from ntp.contract.replay import ReplayAnswer
from orchestrator.app import call
from orchestrator.app.comparing import understood_whole
from orchestrator.app.replay_order import Asked, House, Pair
from orchestrator.catalog.replaying import PROGRESS, replay
from orchestrator.settings import Settings

Told = Callable[[str], None]
"""Told in words what goes on."""
_LOOK_S = 0.5


def replays(asked: Asked, told: Told) -> Iterator[tuple[Pair, ReplayAnswer]]:
    """Replay each strategy that is asked for; yield how it went.

    Raises:
        ConfigError: the files have problems.
        ActionError: NoSuchPlugin, ReplayRefused, ReplayFailed, SandboxUnavailable, NothingCaptured.
        UnreachableError: nobody can say what was captured.
    """
    found = understood_whole(asked.declared)
    house = House(asked, found)
    pairs = house.pairs()
    with tempfile.TemporaryDirectory(prefix="ntp-replay-") as name:
        folder = Path(name)
        # Before the captures: what a ledger tells of is captured then.
        ledgers = {pair: house.ledger(pair, folder) for pair in pairs} if asked.compare else {}
        recorded = _Recorded(asked, folder, told)
        for number, pair in enumerate(pairs):
            room = folder / f"room-{number}"
            room.mkdir()
            told(f"replaying {pair.strategy} at {pair.executor}")
            scene = house.scene(pair, room, ledger=ledgers.get(pair), captured=recorded.of)
            with _progress(room / PROGRESS, told):
                answer = asyncio.run(
                    replay(
                        scene.order,
                        scene.codes,
                        scene.environments,
                        room,
                        filters=asked.declared.settings.cache / "seccomp",
                        deadline_s=asked.deadline_s,
                    )
                )
            yield pair, answer


class _Recorded:
    """What is fed, read once for all strategies."""

    def __init__(self, asked: Asked, folder: Path, told: Told) -> None:
        self._settings: Settings = asked.declared.settings
        self._folder = folder
        self._told = told
        self._files: dict[str, Path] = {}

    def of(self, source: str) -> Path:
        """Return the file of what is captured of a source, a batch a line."""
        if source not in self._files:
            file = self._folder / f"captured-{len(self._files)}.jsonl"
            self._told(f"reading what is captured of {source}")
            with file.open("w", encoding="utf-8") as out:
                for message in call(self._settings, "captured", name=source):
                    out.writelines(f"{text}\n" for text in message.get("messages", ()))
            self._files[source] = file
        return self._files[source]


@contextmanager
def _progress(file: Path, told: Told) -> Iterator[None]:
    """Tell what the file says, while the block lasts."""
    done = threading.Event()

    def look() -> None:
        said = ""
        while not done.wait(_LOOK_S):
            try:
                words = file.read_text(encoding="utf-8", errors="replace")[:40]
            except OSError:
                continue
            if words and words != said:
                said = words
                told(f"replayed {words}")

    watching = threading.Thread(target=look, name="progress", daemon=True)
    watching.start()
    try:
        yield
    finally:
        done.set()
        watching.join()


def answer_of(pair: Pair, answer: ReplayAnswer) -> dict[str, Any]:
    """Return it as JSON values."""
    told: dict[str, Any] = msgspec.to_builtins(answer)
    return {"strategy": pair.strategy, "executor": pair.executor, **told}
