"""NATS: the embedded server, accounts and credentials, the controller's connection."""

import sys

AIOHTTP = "aiohttp"


def _import_nats() -> None:
    """Import nats-py without aiohttp, which it takes where it finds it, for WebSockets that nobody here uses.

    That would be a quarter of a controller's start, and 8 MiB of its memory.
    """
    if AIOHTTP in sys.modules or "nats" in sys.modules:
        return
    sys.modules[AIOHTTP] = None  # type: ignore[assignment]  # Python's way to say that there is none
    try:
        import nats  # noqa: F401
    finally:
        del sys.modules[AIOHTTP]


_import_nats()
