"""How a life ended, in the words of the person who has to act on it."""

import signal
from datetime import timedelta

from orchestrator.decide.state import Exit

_CRASHES = frozenset({"SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT", "SIGSYS"})


def reason(end: Exit) -> str:
    """One CamelCase word. A service that ends by itself has failed, also with exit code 0."""
    if end.oom:
        return "OOMKilled"
    if end.reason:
        return end.reason
    if end.code == 0:
        return "ExitedZero"
    if end.code is not None:
        return "Exited"
    if end.signal is not None:
        return "Crashed" if signal_name(end.signal) in _CRASHES else "Killed"
    return "Lost"


def killed(end: Exit) -> str:
    """Say in one word what a life was killed for; empty: it ended by itself, or nobody knows how."""
    if end.oom:
        return "memory"
    if end.reason == "CallbackTimeout":
        return "timeout"
    return "signal" if reason(end) == "Killed" else ""


def sentence(end: Exit, *, memory_limit: int = 0) -> str:
    """Say what happened and what to do about it. `memory_limit` in bytes, 0: unknown."""
    word = reason(end)
    if word == "OOMKilled":
        limit = f"limit {mebibytes(memory_limit)}, " if memory_limit else ""
        peak = f"peak {mebibytes(end.memory_peak)}; " if end.memory_peak else ""
        return f"{limit}{peak}raise resources.memory"
    if end.message:
        return end.message
    if word == "ExitedZero":
        return "ended by itself with exit code 0; a plugin runs until it is told to stop"
    if end.code is not None:
        return f"exit code {end.code}"
    if end.signal is not None:
        return f"killed by {signal_name(end.signal)}"
    return "nobody saw how it ended; was the machine restarted?"


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def mebibytes(size: int) -> str:
    """Print bytes as people write limits: `512 MiB`, `1.5 GiB`."""
    if size >= 1 << 30:
        return f"{size / (1 << 30):.4g} GiB"
    if size >= 1 << 20 or size == 0:
        return f"{size / (1 << 20):.0f} MiB"
    return f"{size / (1 << 10):.4g} KiB"


def span(length: timedelta) -> str:
    """Print a length of time with its two largest units, rounded down."""
    left = max(0, int(length.total_seconds()))
    if left < 60:
        return f"{left} s"
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    first = next(index for index, (_, size) in enumerate(units) if left >= size)
    parts = []
    for unit, size in units[first : first + 2]:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts)
