"""The one grammar of names: instances, plugins, projects."""

import re
from enum import StrEnum

NAME_PATTERN = r"^[a-z]([a-z0-9_-]{0,38}[a-z0-9])?$"
_NAME = re.compile(NAME_PATTERN.removesuffix("$") + r"\Z")

RESERVED = frozenset({"all", "broker", "controller", "core", "door", "sys", "system"})


class Kind(StrEnum):
    """What a plugin is; the section of plugins.yaml that lists it is `section`."""

    DATA_SOURCE = "data_source"
    INDICATOR = "indicator"
    STRATEGY = "strategy"
    EXECUTOR = "executor"

    @property
    def section(self) -> str:
        return {
            Kind.DATA_SOURCE: "data_sources",
            Kind.INDICATOR: "indicators",
            Kind.STRATEGY: "strategies",
            Kind.EXECUTOR: "executors",
        }[self]


class Channel(StrEnum):
    """What flows along an edge of the wiring."""

    DATA = "data"
    INDICATOR = "indicator"
    SIGNAL = "signal"
    FILL = "fill"


def is_name(text: str) -> bool:
    return _NAME.match(text) is not None and text not in RESERVED


def object_name(name: str) -> str:
    """Map a name to what DNS, images and Kubernetes allow: `_` becomes `-`."""
    return name.replace("_", "-")
