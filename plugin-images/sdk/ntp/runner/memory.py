"""What a strategy or an indicator remembers from life to life, where its entry declares `storage`."""

import time
from collections.abc import Mapping
from typing import Any

import msgspec

from ntp.plugin import BasePlugin
from ntp.runner.core import border
from ntp.runner.core.intake import Intake
from ntp.runner.core.kept import Kept
from ntp.runner.core.objects import Maker, overrides, snapshots
from ntp.runner.keeper import Keeper

REMEMBER_S = 5.0
"""Seconds between two snapshots."""


class Memory:
    """Snapshots, and how far the data had been analysed when they were made.

    A plugin that has no `snapshot` begins anew with each life, so it is shown again what is sent again.
    """

    def __init__(self, keeper: Keeper, maker: Maker[Any], refusals: border.Refusals) -> None:
        self._keeper = keeper
        self._maker = maker
        self._refusals = refusals
        self._kept = Kept()
        self._snapshots = False
        self._at = time.monotonic()

    def begin(self, intake: Intake, plugin: BasePlugin) -> Kept:
        """Take up what the last life left; before any data."""
        self._kept = self._keeper.load()
        self._snapshots = self._keeper.keeps and overrides(plugin, "snapshot", BasePlugin)
        if self._snapshots:
            self._maker.kept = self._kept.objects
            intake.resume(self._kept.marks)
        return self._kept

    def remember(self, intake: Intake, objects: Mapping[str, BasePlugin], *, at_once: bool) -> None:
        """Keep snapshots of all objects, every few seconds or at once."""
        now = time.monotonic()
        marks = intake.marks()
        if not self._snapshots or marks is None or not (at_once or now - self._at >= REMEMBER_S):
            return
        self._at = now
        # What no tick has brought back in this life is kept for the next one.
        known = {**self._kept.objects, **snapshots(objects)}
        try:
            self._save(msgspec.structs.replace(self._kept, objects=known, marks=marks))
        except OSError as error:  # the last one still holds; data goes on
            self._refusals.note(f"snapshot() was not kept: {error}")

    def positions(self, quantities: dict[str, str], fills: list[str]) -> None:
        """Keep what the strategy holds; before its fills are acknowledged.

        Raises:
            OSError: the storage is full or gone; unacknowledged, the fills come again.
        """
        self._save(msgspec.structs.replace(self._kept, positions=quantities, fills=fills))

    def _save(self, kept: Kept) -> None:
        try:
            self._keeper.save(kept)
        except border.RefusedError as error:
            self._refusals.note(f"snapshot(): {error}")
        else:
            self._kept = kept
