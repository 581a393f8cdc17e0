"""nats-py's client, imported without what a plugin never uses: a quarter of the processor that its start takes.

`import nats` brings the JetStream contexts and, to look up its own version, what reads packages and mail.
The contexts come when somebody names them; the version is in the name of the folder beside.
Everything of ours that needs nats-py gets it here. Whoever imported it before has it whole.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType

LATER = "nats.js"
METADATA = "importlib.metadata"
DISTRIBUTION = "nats_py-"


class _Later:
    """A finder: the contexts are loaded at the first look into them."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != LATER:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = LazyLoader(spec.loader)
        return spec


@contextmanager
def _bare() -> Iterator[None]:
    if "nats" in sys.modules:
        yield
        return
    stand_in = None
    if METADATA not in sys.modules:
        stand_in = sys.modules[METADATA] = ModuleType(METADATA)
        stand_in.version = _version  # type: ignore[attr-defined]  # the only name that nats-py takes
    sys.meta_path.insert(0, _Later)
    try:
        yield
    finally:
        sys.meta_path.remove(_Later)
        if stand_in is not None:
            del sys.modules[METADATA]


def _version(_: str) -> str:
    """Return nats-py's; LookupError: it lies there without its metadata."""
    spec = PathFinder.find_spec("nats")
    if spec is None or spec.origin is None:
        raise LookupError(DISTRIBUTION)
    for name in os.listdir(os.path.dirname(os.path.dirname(spec.origin))):  # noqa: PTH120, PTH208 (no pathlib at a start)
        if name.startswith(DISTRIBUTION) and name.endswith(".dist-info"):
            return name.removeprefix(DISTRIBUTION).removesuffix(".dist-info")
    raise LookupError(DISTRIBUTION)


with _bare():
    from nats import errors
    from nats.aio.client import Client
    from nats.aio.subscription import Subscription
    from nats.aio.transport import TcpTransport
    from nats.protocol.parser import Parser

__all__ = ["Client", "Parser", "Subscription", "TcpTransport", "errors"]
