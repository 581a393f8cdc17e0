"""One recording from first to last: the source found, run, and its file given its name."""

import asyncio
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ntp.recorder import config, source
from ntp.recorder.fault import RecordError
from ntp.recorder.part_file import PartFile
from ntp.recorder.recorder import Note, Recorder, Story
from ntp.recorder.sink import Frames, Rows, Sink


@dataclass(frozen=True, slots=True)
class Order:
    """What to record; `frames`: as the exchange sent it, not as ticks."""

    plugin: str
    symbols: tuple[str, ...]
    url: str | None
    fields: tuple[str, ...]
    out: Path
    frames: bool
    count: int | None
    for_s: float | None
    force: bool
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """`signal`: what a person or system ended it by; None: it ended by itself."""

    source: str
    story: Story
    sink: Sink
    signal: signal.Signals | None


def record(
    order: Order, begun: Callable[[str], None], tell: Callable[[Note | Sink], None]
) -> Outcome:
    """Record until Ctrl-C, SIGTERM, SIGHUP, or as ordered. Where nothing came, there is no file.

    Args:
        order: what.
        begun: is told the source's name once all is ready to begin.
        tell: is told each note, and the sink about once a second.

    Raises:
        RecordError: it cannot begin, or what was recorded cannot get its name.
    """
    plugin_dir = order.environment.get("PLUGIN_DIR")
    found = source.find(order.plugin, Path(plugin_dir) if plugin_dir else None)
    settings = config.assemble(
        found.schema,
        symbols=order.symbols,
        url=order.url,
        fields=order.fields,
        environment=order.environment,
    )
    with PartFile(order.out, force=order.force) as file:
        sink: Sink = Frames(file) if order.frames else Rows(file)

        def told(note: Note | None) -> None:
            tell(sink if note is None else note)

        try:
            recorder = Recorder(
                found, settings, sink, file, count=order.count, for_s=order.for_s, tell=told
            )
            begun(found.name)
            ended_by = asyncio.run(_until_signalled(recorder, lambda: _finish(file, sink)))
        finally:
            if not sink.written:
                file.discard()
    return Outcome(found.name, recorder.story, sink, ended_by)


async def _until_signalled(recorder: Recorder, finish: Callable[[], None]) -> signal.Signals | None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    signals: list[signal.Signals] = []

    def end(number: signal.Signals) -> None:
        signals.append(number)
        stop.set()
        # Whoever says it twice does not want to wait for the source's farewell.
        loop.remove_signal_handler(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, end, number)
    try:
        await recorder.run(stop)
    finally:
        finish()
        await recorder.leave()
    return signals[0] if signals else None


def _finish(file: PartFile, sink: Sink) -> None:
    if not sink.written:
        return
    try:
        file.finish()
    except OSError as error:
        words = f"{file.part} could not be finished: {(error.strerror or str(error)).lower()}"
        raise RecordError(words, f"rename it to {file.path.name} if it can be read") from error
