"""nats-py's client, imported without what a plugin never uses: a quarter of the processor that its start takes.

`import nats` brings the JetStream contexts; aiohttp where it is installed, for WebSockets that nobody
here uses; and, to look up its own version, what reads packages and mail. The contexts come when
somebody names them; the version is in the name of the folder beside. Everything of ours that needs
nats-py gets it here. Whoever imported it, or any of these, before has it whole.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from threading import get_ident
from types import ModuleType
from typing import Any

LATER = "nats.js"
NEVER = "aiohttp"
METADATA = "importlib.metadata"
PACKAGE = "nats-py"
DISTRIBUTION = "nats_py-"


class _Bare:
    """A finder for the thread that made it: the contexts are loaded at the first look into them."""

    def __init__(self) -> None:
        self._thread = get_ident()

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in (LATER, NEVER) or get_ident() != self._thread:
            return None
        if name == NEVER:
            raise ModuleNotFoundError(f"{NEVER} is left out of nats-py", name=NEVER)
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = LazyLoader(spec.loader)
        return spec


class _Metadata(ModuleType):
    """Stands in for importlib.metadata; whoever wants more of it than nats-py's version gets that of the real one."""

    def __init__(self) -> None:
        super().__init__(METADATA)

    def version(self, name: str) -> Any:
        return (_version() if name == PACKAGE else None) or self._real().version(name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what the import system asks any module
            raise AttributeError(name)
        return getattr(self._real(), name)

    def leave(self) -> None:
        if sys.modules.get(METADATA) is self:
            del sys.modules[METADATA]

    def _real(self) -> ModuleType:
        self.leave()
        return import_module(METADATA)


@contextmanager
def _bare() -> Iterator[None]:
    finder, stand_in = _Bare(), _Metadata()
    sys.modules.setdefault(METADATA, stand_in)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        stand_in.leave()


def _version() -> str:
    """Return nats-py's; empty: it lies there without its metadata."""
    spec = PathFinder.find_spec("nats")
    if spec is None or spec.origin is None:
        return ""
    for name in os.listdir(os.path.dirname(os.path.dirname(spec.origin))):  # noqa: PTH120, PTH208 (no pathlib at a start)
        if name.startswith(DISTRIBUTION) and name.endswith(".dist-info"):
            return name.removeprefix(DISTRIBUTION).removesuffix(".dist-info")
    return ""


with _bare():
    from nats import errors
    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.aio.subscription import Subscription
    from nats.aio.transport import TcpTransport
    from nats.protocol.parser import Parser

__all__ = ["Client", "Msg", "Parser", "Subscription", "TcpTransport", "errors"]
