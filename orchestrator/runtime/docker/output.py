"""What plugins print: kept by the engine while a life lasts, by us in the run folder after it."""

import asyncio
import concurrent.futures
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from ntp.confine import shim_files
from ntp.confine.shim_output import LAST_LINE_CHARS, LAST_LINES, LINE_BYTES, harmless
from orchestrator.errors import NtpError
from orchestrator.ports import LogLine
from orchestrator.runtime.docker import places
from orchestrator.runtime.docker.client import Closable
from orchestrator.runtime.docker.engine import AbsentError, Engine
from orchestrator.runtime.docker.hardening import LOG_BYTES

LIVES_KEPT = 3
POLL_S = 0.1
QUEUE = 1000
_DROPPED = "the last 2 MiB of a life's output are kept: what was said before may have been dropped"


def parse(stream: str, message: bytes) -> Iterator[LogLine]:
    """Read `time text` as the engine gives it; a line that is too long becomes several."""
    stamp, _, text = message.partition(b" ")
    at = _time(stamp)
    if at is None:
        return
    text = text.removesuffix(b"\n")
    for start in range(0, max(len(text), 1), LINE_BYTES):
        yield LogLine(at, stream, harmless(text[start : start + LINE_BYTES]))


def lines(engine: Engine, container: str) -> list[LogLine]:
    """Everything that the engine has of it now; AbsentError: the container is gone."""
    found = _messages(engine, container, tail=-1)
    # As the engine's files hold it: a message has some thirty bytes beside its text. Whoever comes this
    # near to the size of one file may have lost some, to a rotation or to a full buffer.
    if sum(len(line.text) + 32 for line in found) > LOG_BYTES * 3 // 4:
        found.insert(0, LogLine(found[0].at, "ntp", _DROPPED))
    return found


def _messages(engine: Engine, container: str, *, tail: int) -> list[LogLine]:
    return [
        line
        for stream, message in engine.output(container, follow=False, tail=tail)
        for line in parse(stream, message)
    ]


def last_lines(engine: Engine, container: str) -> tuple[str, ...]:
    found = _messages(engine, container, tail=LAST_LINES)
    return tuple(line.text[:LAST_LINE_CHARS] for line in found[-LAST_LINES:])


def keep(engine: Engine, folder: Path, container: str, *, since: datetime) -> None:
    """Write the output of a life that ended to the run folder; of old lives a few stay."""
    lives = folder / places.LIVES
    lives.mkdir(mode=0o700, exist_ok=True)
    path = lives / f"{since.timestamp():017.6f}-{container}"
    found = lines(engine, container)
    text = "".join(f"{line.at.isoformat()} {line.stream} {line.text}\n" for line in found)
    shim_files.write_atomic(str(path), text.encode())
    for old in sorted(lives.iterdir())[:-LIVES_KEPT]:
        old.unlink(missing_ok=True)


def kept(folder: Path) -> dict[str, Path]:
    """Container -> file with its output, oldest first."""
    with suppress(FileNotFoundError):
        return {
            path.name.partition("-")[2]: path for path in sorted((folder / places.LIVES).iterdir())
        }
    return {}


def kept_lines(path: Path) -> list[LogLine]:
    found = []
    for line in path.read_text(encoding="utf-8").split("\n"):
        stamp, _, rest = line.partition(" ")
        stream, _, text = rest.partition(" ")
        if stream:
            found.append(LogLine(datetime.fromisoformat(stamp), stream, text))
    return found


async def read(engine: Engine, folder: Path, *, follow: bool, tail: int) -> AsyncIterator[LogLine]:
    """Yield the last `tail` lines (negative: all that are kept), then, with `follow`, new ones.

    Following ends when the instance is removed, not when a life ends: the next one goes on.
    """
    shown: dict[str, int] = {}
    """Container -> how many of its lines were taken."""
    recent: deque[LogLine] = deque(maxlen=tail if tail >= 0 else None)
    recent.extend(await engine.run(lambda: _take(engine, folder, shown)))
    for line in recent:
        yield line
    while follow and await asyncio.to_thread(folder.is_dir):
        # Asked first: whoever ended before it began is kept by now, and has its turn before it.
        current = _current(folder)
        for line in await engine.run(lambda: _take_kept(folder, shown)[0]):
            yield line
        if current is not None and current not in kept(folder):
            async for line in _live(engine, current, skip=shown.get(current, 0)):
                shown[current] = shown.get(current, 0) + 1
                yield line
        await asyncio.sleep(POLL_S)


def _take(engine: Engine, folder: Path, shown: dict[str, int]) -> list[LogLine]:
    """All that was not taken before, of lives that ended and of the one that runs."""
    current = _current(folder)
    found, files = _take_kept(folder, shown)
    if current is not None and current not in files:
        with suppress(AbsentError):
            _add(found, current, lines(engine, current), shown)
    return found


def _take_kept(folder: Path, shown: dict[str, int]) -> tuple[list[LogLine], Mapping[str, Path]]:
    """All that was not taken before of lives that ended, and their files."""
    found: list[LogLine] = []
    files = kept(folder)
    for container, path in files.items():
        with suppress(FileNotFoundError):
            _add(found, container, kept_lines(path), shown)
    return found, files


def _add(found: list[LogLine], life: str, all_of_it: list[LogLine], shown: dict[str, int]) -> None:
    """Add what was not shown yet; our own note in front is no line of the plugin's, and not counted."""
    said = [line for line in all_of_it if line.stream != "ntp"]
    before = shown.get(life, 0)
    found.extend(said[before:] if before else all_of_it)
    shown[life] = max(len(said), before)


async def _live(engine: Engine, container: str, *, skip: int) -> AsyncIterator[LogLine]:
    """Follow one life to its end, through a thread and a bounded queue."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[LogLine | None] = asyncio.Queue(QUEUE)
    over = threading.Event()
    stream: list[Closable] = []

    def put(line: LogLine | None) -> None:
        if not over.is_set():
            asyncio.run_coroutine_threadsafe(queue.put(line), loop).result()

    def pump() -> None:
        left = skip
        # Whatever ends it (the life, the engine, a reader that left), the next round begins anew.
        with suppress(NtpError, RuntimeError, concurrent.futures.CancelledError):
            found = engine.output(container, follow=True, tail=-1, opened=stream.append)
            for name, message in found:
                for line in parse(name, message):
                    if left > 0:
                        left -= 1
                    else:
                        put(line)
        with suppress(RuntimeError, concurrent.futures.CancelledError):
            put(None)

    thread = threading.Thread(target=pump, daemon=True, name=f"follow {container[:12]}")
    thread.start()
    try:
        while (line := await queue.get()) is not None:
            yield line
    finally:
        over.set()
        while not queue.empty():  # the pump may wait for room
            queue.get_nowait()
        for each in stream:
            with suppress(OSError):
                each.close()


def _current(folder: Path) -> str | None:
    found = places.recorded(folder / places.CONTAINER)
    return found if isinstance(found, str) else None


def _time(stamp: bytes) -> datetime | None:
    text = stamp.decode("ascii", "replace").removesuffix("Z")
    whole, _, fraction = text.partition(".")
    try:
        return datetime.fromisoformat(f"{whole}.{fraction[:6]:0<6}").replace(tzinfo=UTC)
    except ValueError:
        return None
