"""Figures as people read them: sizes, ages, states."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

GOOD = {"Running", "Exhausted"}
BUSY = {"Starting", "Waiting", "Preparing", "Stopping"}
PAUSED = {"Stopped", "Unknown"}


def bytes_of(count: int) -> str:
    """Print bytes as MiB below a GiB, as GiB above.

    >>> bytes_of(536870912), bytes_of(3 * 2**29)
    ('512 MiB', '1.5 GiB')
    """
    if count < 1 << 20:
        return f"{count / (1 << 10):.0f} KiB"
    if count < 1 << 30:
        return f"{count / (1 << 20):.0f} MiB"
    return f"{count / (1 << 30):.1f} GiB"


def age(since: str | None, now: str) -> str:
    """Print how long ago `since` was, in the largest fitting unit; both ISO 8601."""
    if not since:
        return ""
    seconds = (datetime.fromisoformat(now) - datetime.fromisoformat(since)).total_seconds()
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f}{unit}"
    return f"{max(seconds, 0):.0f}s"


def signal_of(signal: Mapping[str, Any] | None, now: str) -> str:
    """Print a plugin's newest signal in one line, with how long ago it was made; `now` is ISO 8601.

    >>> made = {"signal_type": "BUY", "symbol": "BTCUSDT", "price": 64012.5, "at": "2026-03-02T12:00:00Z"}
    >>> signal_of(made, "2026-03-02T12:00:04Z")
    'BUY BTCUSDT 64012.5 4s'
    """
    if signal is None:
        return ""
    made = age(signal["at"], now)
    return f"{signal['signal_type']} {signal['symbol']} {signal['price']:.10g} {made}"


def signal_in_full(made: Mapping[str, Any]) -> str:
    """Print a signal: what, of which symbol, how much, how sure."""
    size = "" if made["size"] is None else f", size {made['size']:.10g}"
    words = f"{made['signal_type']} {made['symbol']}, price {made['price']:.10g}{size}"
    return f"{words}, confidence {made['confidence']:.2g}"


def replay_of(shown: Mapping[str, Any]) -> str:
    """Print what a life was shown before it was ready, and what it would have sent."""
    if shown["problem"]:
        return f"nothing: {shown['problem']}"
    words = f"{shown['ticks']:,} ticks in {shown['seconds'] * 1000:.0f} ms"
    if missed := shown.get("missed"):  # not of an older runner
        words = f"{words}, then {missed:,} that it had missed"
    if not shown["signals"]:
        return words
    several = "" if shown["signals"] == 1 else "s"
    last = f"; the last: {signal_in_full(shown['last'])}" if shown["last"] else ""
    return f"{words}, {shown['signals']:,} signal{several} made of them and not sent{last}"


def state_style(row: Mapping[str, Any]) -> str:
    """Return the colour of a plugin's state; the word itself always says it too."""
    state = row["state"]
    if state in GOOD and row["ready"]:
        return "green"
    if state in BUSY or state in GOOD:
        return "yellow"
    return "dim" if state in PAUSED else "red"
