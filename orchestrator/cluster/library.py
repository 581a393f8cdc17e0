"""The parts of the official client that are used here, imported without all others."""

import sys
from importlib import import_module, util
from typing import Any

PACKAGES = ("kubernetes", "kubernetes.aio")


def client() -> Any:
    """Return `kubernetes.aio.client`."""
    return _part("client")


def config() -> Any:
    """Return `kubernetes.aio.config`, which reads configurations."""
    return _part("config")


def _part(name: str) -> Any:
    for package in PACKAGES:
        if package not in sys.modules and (spec := util.find_spec(package)) is not None:
            # Its own lines, which are left out, import the blocking client too, with requests and OAuth
            # beneath it: 9 MiB and 300 modules that nobody here asks.
            sys.modules[package] = util.module_from_spec(spec)
    return import_module(f"kubernetes.aio.{name}")
