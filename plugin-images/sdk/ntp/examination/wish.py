"""What is to be examined, and how."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ntp.contract.launch import Trading
from ntp.examination.cell import Limits
from ntp.examination.ranges import parted


@dataclass(frozen=True, slots=True)
class Metering:
    """An indicator, and the name under which the strategy finds its values."""

    name: str
    path: Path
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be examined, and how; see `ntp plugin test --help`."""

    path: Path
    data: Sequence[str] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    indicators: Sequence[Metering] = ()
    bars: str | None = None
    history: int = 1000
    trading: Trading = field(default_factory=Trading)
    costs: Mapping[str, Any] = field(default_factory=dict)
    symbol: str = ""
    zone: str = ""
    mapping: Mapping[str, str] = field(default_factory=dict)
    sort: bool = False
    checks: bool = True
    ticks: int = 1000
    seconds: float = 10.0
    allow: Sequence[str] = ()
    wheels: Path | None = None
    """What the plugin requires, installed already; None: it is installed now."""
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    limits: Limits = field(default_factory=Limits)

    def varied(self, variant: Mapping[str, Any]) -> "Wish":
        """Return it with the configs of a variant."""
        own, theirs = parted(variant)
        indicators = [
            replace(each, config={**each.config, **theirs.get(each.name, {})})
            for each in self.indicators
        ]
        return replace(self, config={**self.config, **own}, indicators=indicators)
