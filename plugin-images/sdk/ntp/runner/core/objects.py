"""The plugin's objects: one for each symbol, each strategy, or one for all."""

import copy
import inspect
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from ntp.plugin import BasePlugin

P = TypeVar("P", bound=BasePlugin)

Await = Callable[[str, Awaitable[Any]], Awaitable[Any]]
"""Awaits a named callback of the plugin under the runner's deadline."""


_REFUSALS = (ArithmeticError, LookupError, TypeError, ValueError, msgspec.MsgspecError)
"""What a constructor raises at a config; the last by `msgspec.convert` to a typed one."""


class ConfigRefusedError(Exception):
    """The plugin does not take this config; no retry helps until it changes."""


async def straight(_: str, awaitable: Awaitable[Any]) -> Any:
    """Await without a deadline, as a test does."""
    return await awaitable


class Maker(Generic[P]):
    """Makes objects of the plugin class.

    Args:
        make: returns a new object; for the runner the class itself.
        config: each object has a deep copy of its own.
        deadline: awaits `initialize` and the like.

    Attributes:
        kept: snapshots of an earlier life, by what their object saw.
    """

    def __init__(
        self,
        make: Callable[[dict[str, Any]], P],
        config: dict[str, Any],
        *,
        instance: str,
        storage: Path | None = None,
        storage_bytes: int = 0,
        deadline: Await = straight,
    ) -> None:
        self._make = make
        self._config = config
        self.instance = instance
        self.storage = storage
        self.storage_bytes = storage_bytes
        self.deadline = deadline
        self.kept: Mapping[str, dict[str, Any]] = {}

    def new(self) -> P:
        """Return an object whose config was checked; raises ConfigRefusedError."""
        config = copy.deepcopy(self._config)
        try:
            plugin = self._make(config)
        except _REFUSALS as error:
            raise ConfigRefusedError(f"its constructor raised {_said(error)}") from error
        self.adopt(plugin, config)
        self.check(plugin)
        return plugin

    def check(self, plugin: P) -> None:
        """Have the plugin look at the config that it has now; raises ConfigRefusedError."""
        try:
            accepted = plugin.validate_config()
        except Exception as error:
            raise ConfigRefusedError(f"validate_config() raised {_said(error)}") from error
        if inspect.iscoroutine(accepted):
            accepted.close()
            raise ConfigRefusedError("validate_config() is async; write it as a plain method")
        if accepted is False:
            raise ConfigRefusedError("validate_config() returned False")

    def adopt(self, plugin: P, config: dict[str, Any]) -> None:
        """Set what the runner sets."""
        if not hasattr(plugin, "config"):  # its __init__ did not call super().__init__
            plugin.config = config
        plugin.instance = self.instance
        plugin.storage = self.storage
        plugin.storage_bytes = self.storage_bytes

    async def initialize(self, plugin: P) -> None:
        await self.deadline("initialize", plugin.initialize())

    def restored(self, key: str) -> bool:
        """Whether an object is given its snapshot of an earlier life."""
        return bool(self.kept.get(key))

    def restore(self, plugin: P, key: str) -> str:
        """Give an object its snapshot of an earlier life, if it left one; return why it does not take it.

        Then the object is of no use, and the snapshot is dropped: it may be of code that was other.
        """
        if self.restored(key):
            try:
                plugin.restore(self.kept[key])
            except Exception as error:  # noqa: BLE001 - the author's, and there is another way
                self.kept = {name: state for name, state in self.kept.items() if name != key}
                return f"restore() raised {_said(error)}; what came before is shown instead"
        return ""


def overrides(plugin: BasePlugin, method: str, base: type[BasePlugin]) -> bool:
    """Whether the author wrote this method, so that a default need not be called for each tick."""
    return getattr(type(plugin), method) is not getattr(base, method)


def snapshots(objects: Mapping[str, P]) -> dict[str, dict[str, Any]]:
    """Return what the objects want to find again, by what they see."""
    return {key: state for key, one in objects.items() if (state := one.snapshot())}


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
