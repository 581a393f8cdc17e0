"""What was said on the bus while somebody listened: ticks, signals and fills of some plugins."""

import asyncio
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ntp.contract.messages import DataBatch, Fill, MarketData, ProgressMessage, SignalMessage
from orchestrator import app
from orchestrator.bus.tap import hear
from orchestrator.errors import NtpError
from orchestrator.settings import Settings

AGAIN_S = 0.2
"""Between two tries to listen, after controller or broker went away."""
END_S = 5.0
BEAT = "beat"
"""The controller hears beats already."""

_batch = msgspec.json.Decoder(DataBatch).decode
_signal = msgspec.json.Decoder(SignalMessage | ProgressMessage).decode
_fill = msgspec.json.Decoder(Fill).decode


@dataclass(slots=True)
class Heard:
    """Each message once, in the order in which it came. `ticks`: by (source, symbol)."""

    ticks: dict[tuple[str, str], list[MarketData]] = field(default_factory=dict)
    signals: list[SignalMessage] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    unreadable: int = 0
    _known: set[str] = field(default_factory=set)
    _next: dict[tuple[str, str, str], int] = field(default_factory=dict)

    def take(self, name: str, subject: str, payload: bytes) -> None:
        """Take what `name` said; nobody but a plugin itself can say it on its subjects."""
        try:
            match subject.partition(".")[0]:
                case "data":
                    self._ticks(name, _batch(payload))
                case "sig":
                    said = _signal(payload)
                    if isinstance(said, SignalMessage) and self._is_new(said.id):
                        self.signals.append(said)
                case "fill":
                    fill = _fill(payload)
                    if self._is_new(fill.id):
                        self.fills.append(fill)
                case _:
                    pass  # a beat
        except msgspec.MsgspecError:
            self.unreadable += 1

    def _ticks(self, source: str, batch: DataBatch) -> None:
        key = (source, batch.incarnation, batch.symbol)
        known = max(self._next.get(key, 1) - batch.seq, 0)
        self._next[key] = max(self._next.get(key, 1), batch.seq + len(batch.ticks))
        if batch.ticks[known:]:
            self.ticks.setdefault((source, batch.symbol), []).extend(batch.ticks[known:])

    def _is_new(self, what: str) -> bool:
        """Signals and fills come again after a crash, under the same ids."""
        new = what not in self._known
        self._known.add(what)
        return new


class Ears:
    """Listen to plugins, each in a thread of its own, and begin again whenever that ends.

    What is said while controller or broker are away is not heard: who listens beside has no right to
    have it kept. Made by `listening`.
    """

    def __init__(self, settings: Settings, names: Sequence[str]) -> None:
        self.heard = Heard()
        self._settings = settings
        self._open: set[str] = set()
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._tasks: dict[str, tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = {}
        self._threads = [
            # Daemons: a controller that hangs must not keep us from ending.
            threading.Thread(target=self._listen, args=(name,), daemon=True)
            for name in names
        ]
        self._names = frozenset(names)

    @property
    def deaf_to(self) -> Sequence[str]:
        """Those who are not heard at this moment."""
        return sorted(self._names - self._open)

    def begin(self) -> None:
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Stop listening; what was heard stays."""
        self._ending.set()
        with self._lock:
            for loop, task in self._tasks.values():
                loop.call_soon_threadsafe(task.cancel)
        for thread in self._threads:
            thread.join(END_S)

    def _listen(self, name: str) -> None:
        while not self._ending.is_set():
            with suppress(NtpError), closing(self._asked(name)) as given:
                told = next(given)
                asyncio.run(self._hear(name, told))
            self._ending.wait(AGAIN_S)

    def _asked(self, name: str) -> Any:
        """Return what the controller says; hanging up on it ends the right to listen."""
        return app.call(self._settings, "tap", name=name)

    async def _hear(self, name: str, told: Mapping[str, Any]) -> None:
        task = asyncio.current_task()
        if task is None:  # not so: `asyncio.run` made one
            return
        with self._lock:
            if self._ending.is_set():
                return
            self._tasks[name] = asyncio.get_running_loop(), task
        try:
            with suppress(asyncio.CancelledError):
                await hear(
                    told["address"],
                    told["credentials"].encode(),
                    [subject for subject in told["subjects"] if subject != BEAT],
                    lambda subject, payload: self.heard.take(name, subject, payload),
                    began=lambda: self._open.add(name),
                )
        finally:
            self._open.discard(name)
            with self._lock:
                del self._tasks[name]


@contextmanager
def listening(settings: Settings, names: Sequence[str]) -> Iterator[Ears]:
    """Listen to these plugins while the block lasts."""
    ears = Ears(settings, names)
    ears.begin()
    try:
        yield ears
    finally:
        ears.end()
