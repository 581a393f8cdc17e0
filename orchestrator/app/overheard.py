"""What was said on the bus while somebody listened: ticks, signals and fills of some plugins."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field

import msgspec

from ntp.contract.messages import DataBatch, Fill, MarketData, ProgressMessage, SignalMessage
from orchestrator.app.tapping import listen
from orchestrator.errors import NtpError
from orchestrator.settings import Settings

LOOK_S = 0.1
"""How long somebody who is silent keeps us from ending."""
AGAIN_S = 0.2
"""Between two tries to listen, after controller or broker went away."""
END_S = 5.0
BEAT = "beat"
"""The controller hears beats already."""

_batch = msgspec.json.Decoder(DataBatch).decode
_signal = msgspec.json.Decoder(SignalMessage | ProgressMessage).decode
_fill = msgspec.json.Decoder(Fill).decode


@dataclass(slots=True)
class Transcript:
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
        self.heard = Transcript()
        self._settings = settings
        self._open: set[str] = set()
        self._ending = threading.Event()
        self._names = frozenset(names)
        self._threads = [
            # Daemons: a controller that hangs must not keep us from ending.
            threading.Thread(target=self._listen, args=(name,), daemon=True)
            for name in names
        ]

    @property
    def deaf_to(self) -> Sequence[str]:
        """Those who were not heard yet, or are not at this moment as far as is known."""
        return sorted(self._names - self._open)

    def begin(self) -> None:
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Stop listening; what was heard stays."""
        self._ending.set()
        ends = time.monotonic() + END_S
        for thread in self._threads:
            thread.join(max(ends - time.monotonic(), 0))

    def _listen(self, name: str) -> None:
        while not self._ending.is_set():
            # Not there yet, or gone for long: from the beginning.
            with suppress(NtpError):
                self._hear(name)
            self._open.discard(name)
            self._ending.wait(AGAIN_S)

    def _hear(self, name: str) -> None:
        def choose(subjects: Sequence[str]) -> list[str]:
            return [subject for subject in subjects if subject != BEAT]

        with closing(
            listen(self._settings, name, choose, within_s=lambda: LOOK_S, notice=lambda _: None)
        ) as said:
            for each in said:
                self._open.add(name)
                if each is not None:
                    self.heard.take(name, each.subject, each.payload)
                elif self._ending.is_set():
                    return


@contextmanager
def listening(settings: Settings, names: Sequence[str]) -> Iterator[Ears]:
    """Listen to these plugins while the block lasts."""
    ears = Ears(settings, names)
    ears.begin()
    try:
        yield ears
    finally:
        ears.end()
