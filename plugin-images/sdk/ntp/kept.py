"""State of an object as plain JSON values, and back: to the last bit."""

from collections import deque
from collections.abc import Mapping
from typing import Any


class Kept:
    """For a plugin's own `snapshot` and `restore`: an indicator goes on to the last bit."""

    __slots__: tuple[str, ...] = ()

    def snapshot(self) -> dict[str, Any]:
        """Return the whole state as plain JSON values."""
        return {name: _plain(getattr(self, name)) for name in self.__slots__}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back a `snapshot`; of an indicator that was made with the same arguments."""
        for name in self.__slots__:
            own, kept = getattr(self, name), state[name]
            if isinstance(own, Kept):
                own.restore(kept)
            elif isinstance(own, deque):
                setattr(self, name, deque(kept, own.maxlen))
            else:
                setattr(self, name, list(kept) if isinstance(own, list) else kept)


def _plain(value: Any) -> Any:
    if isinstance(value, Kept):
        return value.snapshot()
    return [*map(_plain, value)] if isinstance(value, list | tuple | deque) else value
