"""What the controller knows from beats: the last one of each instance. Pure; the clock is given."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from ntp.confine.shim_output import harmless
from ntp.contract import CONTRACT
from ntp.contract.beat import Beat, Condition
from ntp.contract.reading import reader

MISMATCH = "ContractMismatch"
FLOODING = "Flooding"
RATE, BURST = 5.0, 20.0
"""Beats a second that are read of one instance, and at once. A plugin sends one."""
FLOOD_MEMORY = timedelta(seconds=10)
_MAJOR = CONTRACT.partition(".")[0]


class BeatBook:
    """The last beat of each instance.

    Who sent a beat is told by the subject that it came on, which the sender's account decides; a
    body that says otherwise is dropped and counted.
    """

    def __init__(self) -> None:
        self._beats: dict[str, tuple[Beat, datetime]] = {}
        self._budgets: dict[str, _Budget] = {}
        self.forged = 0
        """Beats whose body names another instance than their subject."""
        self.unreadable = 0
        self.stale = 0
        """Beats of an incarnation that was succeeded, or out of order."""
        self.flooded = 0
        """Beats that were dropped unread, for their sender sent too many."""

    def all(self) -> Mapping[str, tuple[Beat, datetime]]:
        return dict(self._beats)

    def take(self, instance: str, payload: bytes, now: datetime) -> bool:
        """Take a beat that arrived on `instance`'s subject; say whether it changed what matters."""
        budget = self._budgets.setdefault(instance, _Budget(now))
        if not budget.spend(now):
            return self._flooded(instance, now)
        try:
            beat = _read(payload)
        except msgspec.MsgspecError:
            self.unreadable += 1
            return False
        if beat.instance != instance:
            self.forged += 1
            return False
        if beat.contract.partition(".")[0] != _MAJOR:
            beat = _explained(beat)
        if budget.over(now):
            beat = _flooding(beat, now)
        known = self._beats.get(instance)
        if known is not None and not _follows(*known, beat):
            self.stale += 1
            return False
        self._beats[instance] = (beat, now)
        return known is None or _essence(known[0]) != _essence(beat)

    def _flooded(self, instance: str, now: datetime) -> bool:
        """Mark who beats too often, once; his beats are not even read until he is quieter."""
        self.flooded += 1
        known = self._beats.get(instance)
        if known is None or any(item.type == FLOODING for item in known[0].conditions):
            return False
        self._beats[instance] = (_flooding(known[0], now), known[1])
        return True


_decode = reader(msgspec.json.Decoder(Beat))
_decode_any = reader(msgspec.json.Decoder())


def _read(payload: bytes) -> Beat:
    """Read a beat, its texts made harmless: they are printed on terminals as they stand.

    Raises:
        msgspec.MsgspecError: it is none.
    """
    if payload.isascii() and b"\\" not in payload:
        return _decode(payload)  # JSON writes a control character with a backslash, or not at all
    try:
        return msgspec.convert(_harmless(_decode_any(payload)), Beat)
    except RecursionError as error:
        raise msgspec.DecodeError("it is nested too deeply") from error


def _harmless(value: Any) -> Any:
    if isinstance(value, str):
        # Nor does one line begin another, that could be taken for one of ours.
        return harmless(value.encode()).replace("\n", " ")
    if isinstance(value, dict):
        return {_harmless(key): _harmless(item) for key, item in value.items()}
    return [_harmless(item) for item in value] if isinstance(value, list) else value


class _Budget:
    """RATE beats a second, BURST at once."""

    __slots__ = ("_at", "_last_refusal", "_left")

    def __init__(self, now: datetime) -> None:
        self._left = BURST
        self._at = now
        self._last_refusal: datetime | None = None

    def spend(self, now: datetime) -> bool:
        self._left = min(self._left + (now - self._at).total_seconds() * RATE, BURST)
        self._at = now
        if self._left < 1:
            self._last_refusal = now
            return False
        self._left -= 1
        return True

    def over(self, now: datetime) -> bool:
        return self._last_refusal is not None and now - self._last_refusal < FLOOD_MEMORY


def _follows(old: Beat, heard: datetime, new: Beat) -> bool:
    if new.incarnation == old.incarnation:
        return new.number > old.number
    # A life that claimed to begin in the future must not silence the ones after it.
    return new.started >= min(old.started, heard)


def _essence(beat: Beat) -> tuple[Any, ...]:
    conditions = tuple((item.type, item.status, item.reason) for item in beat.conditions)
    return (beat.incarnation, beat.generation, beat.stage, beat.pushed, conditions)


def _flooding(beat: Beat, now: datetime) -> Beat:
    condition = Condition(
        type=FLOODING,
        status=True,
        reason="BeatFlood",
        message=f"the plugin sends more than {RATE:g} beats a second; the rest is dropped unread",
        since=now,
    )
    return msgspec.structs.replace(beat, conditions=[*beat.conditions, condition])


def _explained(beat: Beat) -> Beat:
    condition = Condition(
        type="ContractMatches",
        status=False,
        reason=MISMATCH,
        message=(
            f"the plugin speaks contract {beat.contract}, the controller {CONTRACT};"
            f" install an ntp-sdk of contract {_MAJOR} for it"
        ),
        since=beat.started,
    )
    return msgspec.structs.replace(beat, conditions=[*beat.conditions, condition])
