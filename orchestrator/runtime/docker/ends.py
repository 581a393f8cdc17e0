"""How a container ended: read once, written down, the same after a restart of the controller."""

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from ntp.confine import shim_end, shim_files
from ntp.contract.launch import TERMINATION_FILE
from orchestrator.decide.state import Exit
from orchestrator.errors import NtpError
from orchestrator.runtime.docker import output, places
from orchestrator.runtime.docker.engine import Engine
from orchestrator.runtime.docker.life import Life
from orchestrator.runtime.view import CODE

_NO_THREAD = ("can't start new thread", "Resource temporarily unavailable", "[Errno 11]")


class Record(msgspec.Struct, frozen=True):
    container: str
    exit: Exit


def of(engine: Engine, folder: Path, launch: Path, container: str, life: Life) -> Exit:
    """Return how it ended; the output of the life is still with the engine."""
    content = shim_files.read(str(folder / places.EXIT))
    with suppress(msgspec.MsgspecError):
        if content:
            record = msgspec.json.decode(content, type=Record)
            if record.container == container:
                return record.exit
    found = _made(engine, folder, launch, container, life)
    if folder.is_dir():
        shim_files.write_atomic(
            str(folder / places.EXIT), msgspec.json.encode(Record(container, found))
        )
    return found


def _made(engine: Engine, folder: Path, launch: Path, container: str, life: Life) -> Exit:
    state = life.facts["State"]
    status = int(state.get("ExitCode", 0))
    code, signal = outcome(status)
    stopping = places.recorded(folder / places.STOPPING) or {}
    last: tuple[str, ...] = ()
    if code != 0 or stopping.get("reason") != "Stopped":
        # Nobody asks for the last words of who was told to stop, and did.
        with suppress(NtpError):
            last = output.last_lines(engine, container)
    oom = bool(state.get("OOMKilled")) or stopping.get("reason") == "OOMKilled"
    refused = life.refused or sum(any(word in line for word in _NO_THREAD) for line in last)
    reason, message, permanent = shim_end.verdict(
        "OOMKilled" if oom else str(stopping.get("reason", "")),
        str(stopping.get("cause", "")),
        termination=shim_files.read(str(launch / TERMINATION_FILE), shim_end.TERMINATION_BYTES)
        or b"",
        code_folder=CODE,
        refused=refused if code != 0 else 0,
    )
    if signal:
        code, signal, message = shim_end.told_apart(status, signal, reason, message)
    if not reason and state.get("Error"):
        reason, message = "StartRefused", str(state["Error"])
    # The engine notes the start after it, so of one that ends at once it would lie behind the end.
    ended = moment(str(state.get("FinishedAt", ""))) or datetime.now(UTC)
    began = moment(str(state.get("StartedAt", ""))) or ended
    return Exit(
        at=max(began, ended),
        code=code,
        signal=signal,
        oom=oom,
        reason=reason,
        message=message,
        permanent=permanent,
        # The kernel kills when the limit is reached, and its count goes with the control group.
        memory_peak=life.label.resources.memory if oom else life.peak,
        last_output=last,
    )


def outcome(status: int) -> tuple[int | None, int | None]:
    """Return (code, signal): an engine's init tells a signal N as 128 + N, as shells do."""
    if 128 < status <= 192:
        return None, status - 128
    return status, None


def moment(text: str) -> datetime | None:
    """Read the engine's time; its zero (year 1) is None."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    try:
        found = datetime.fromisoformat(f"{whole}.{fraction[:6]:0<6}").replace(tzinfo=UTC)
    except ValueError:
        return None
    return found if found.year > 1 else None
