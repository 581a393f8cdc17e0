"""The parts of the official client that are used here, imported without all others."""

import sys
from importlib import import_module, util
from types import ModuleType
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
        if package not in sys.modules:
            _put_off(package)
    return import_module(f"kubernetes.aio.{name}")


def _put_off(package: str) -> None:
    """Import a package whose own lines run when somebody asks it for something.

    They import the blocking client too, with requests and OAuth beneath it: 9 MiB and 300 modules that
    nobody here asks. Whoever does, a plugin's tool or a test, is given all of it.
    """
    spec = util.find_spec(package)
    if spec is None or spec.loader is None:
        return  # its parts will say that it is not installed
    module, run = util.module_from_spec(spec), spec.loader.exec_module

    def asked(name: str) -> Any:
        part = sys.modules.get(f"{package}.{name}")
        if part is not None:
            return part  # one that is being imported just now
        if vars(module).pop("__getattr__", None) is not None:
            run(module)
        return getattr(module, name)

    vars(module)["__getattr__"] = asked
    sys.modules[package] = module
    _name_in_parent(package, module)


def _name_in_parent(package: str, module: ModuleType) -> None:
    """As an import does."""
    parent, _, name = package.rpartition(".")
    if parent:
        setattr(sys.modules[parent], name, module)
