"""Stand-ins for modules that are declared but not installed yet, so that a file still imports.

Only for reading a description: whatever is taken from such a module can be named, called, indexed,
extended and used as a decorator, and does nothing.
"""

import contextlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any


class Anything:
    """Agrees to everything at import time."""

    __version__ = "0"

    def __init__(self, name: str) -> None:
        self.__name__ = self.__qualname__ = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        # As a decorator it gives back what it decorates: the class below it has to stay.
        if len(args) == 1 and not kwargs and callable(args[0]):
            return args[0]
        return Anything(self.__name__)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return Anything(name)

    def __getitem__(self, key: object) -> Any:
        return Anything(self.__name__)

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __exit__(self, *exc: object) -> None: ...

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return ()


def _agree(self: Anything, *_: object) -> Any:
    return Anything(self.__name__)


for _name in [
    "add",
    "radd",
    "sub",
    "rsub",
    "mul",
    "rmul",
    "truediv",
    "rtruediv",
    "floordiv",
    "rfloordiv",
    "mod",
    "rmod",
    "pow",
    "rpow",
    "matmul",
    "rmatmul",
    "and",
    "rand",
    "or",
    "ror",
    "xor",
    "rxor",
    "lshift",
    "rshift",
    "neg",
    "pos",
    "abs",
    "invert",
    "lt",
    "le",
    "gt",
    "ge",
    "enter",
]:
    setattr(Anything, f"__{_name}__", _agree)


class _Module(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return Anything(name)


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def __init__(self) -> None:
        self.used: set[str] = set()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        del target
        top = fullname.partition(".")[0]
        # A real package without that submodule stays as it is.
        if path is not None and top not in self.used:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        self.used.add(spec.name.partition(".")[0])
        return _Module(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing stands in it."""


@contextlib.contextmanager
def installed(*, active: bool) -> Iterator[set[str]]:
    """Let imports of top-level modules succeed that nobody else finds.

    Yields the set of their names, filled as imports happen; it stays empty unless `active`.
    """
    finder = _Finder()
    if not active:
        yield finder.used
        return
    sys.meta_path.append(finder)
    try:
        yield finder.used
    finally:
        sys.meta_path.remove(finder)
