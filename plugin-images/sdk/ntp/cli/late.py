"""Commands of a group that are imported when they are asked for: who runs one does not wait for all."""

from collections import UserDict
from collections.abc import Iterator
from importlib import import_module

import click


class Late(UserDict[str, click.Command]):
    """Each command is in the module of `ntp.cli` that has its name."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self._names = names

    def __missing__(self, name: str) -> click.Command:
        if name not in self._names:
            raise KeyError(name)
        command: click.Command = getattr(import_module(f"ntp.cli.{name}"), name)
        self.data[name] = command
        return command

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
