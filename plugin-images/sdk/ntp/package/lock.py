"""The lock beside a plugin: which wheels, exactly, its requirements became; for each platform."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

_HEAD = (
    "# The wheels that the requirements became; ntpctl makes this file. Keep it with the plugin."
)
_REQUIRES = "# requires: "
_PLATFORM = re.compile(r"# \[(?P<tag>[A-Za-z0-9_.-]{1,100})\]")
_PIN = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]{0,99})==(?P<version>[A-Za-z0-9.!+_-]{1,60})"
    r" --hash=sha256:(?P<sha256>[0-9a-f]{64})"
)


class LockError(Exception):
    """The file is no lock; the message says which line."""


@dataclass(frozen=True, slots=True, order=True)
class Pin:
    """One wheel. `name` is canonical."""

    name: str
    version: str
    sha256: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", canonicalize_name(self.name))
        try:
            object.__setattr__(self, "version", str(Version(self.version)))
        except InvalidVersion as error:
            raise LockError(f"'{self.version}' is no version of {self.name}") from error

    def __str__(self) -> str:
        return f"{self.name}=={self.version} --hash=sha256:{self.sha256}"


@dataclass(frozen=True, slots=True)
class Lock:
    """`requirements` as the plugin writes them, sorted; `pins` by platform tag."""

    requirements: tuple[str, ...]
    pins: Mapping[str, tuple[Pin, ...]] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `render` wrote; LockError on anything else."""
        requirements: list[str] = []
        pins: dict[str, list[Pin]] = {}
        current: list[Pin] | None = None
        for number, line in enumerate(text.splitlines(), start=1):
            if line.startswith(_REQUIRES):
                requirements.append(line.removeprefix(_REQUIRES))
            elif section := _PLATFORM.fullmatch(line):
                current = pins.setdefault(section["tag"], [])
            elif found := _PIN.fullmatch(line):
                if current is None:
                    raise LockError(f"line {number} stands before the first platform")
                current.append(Pin(found["name"], found["version"], found["sha256"]))
            elif line.strip() and not line.startswith("#"):
                raise LockError(f"line {number} is {line[:60]!r}")
        return cls(
            tuple(sorted(requirements)), {tag: tuple(sorted(found)) for tag, found in pins.items()}
        )

    def render(self) -> str:
        lines = [_HEAD, *(_REQUIRES + requirement for requirement in self.requirements)]
        for tag in sorted(self.pins):
            lines += [f"# [{tag}]", *map(str, self.pins[tag])]
        return "\n".join(lines) + "\n"

    def fits(self, requirements: Iterable[str]) -> bool:
        """Whether it was made for these requirements."""
        return self.requirements == tuple(sorted(requirements))

    def with_pins(self, tag: str, pins: Iterable[Pin]) -> "Lock":
        return Lock(self.requirements, {**self.pins, tag: tuple(sorted(pins))})

    def digest(self, tag: str) -> str | None:
        """Of one platform's wheels, so that another platform's section changes nothing here."""
        if tag not in self.pins:
            return None
        text = "\n".join(map(str, self.pins[tag]))
        return hashlib.sha256(text.encode()).hexdigest()
