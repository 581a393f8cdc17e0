"""Whether a plugin's entrypoint can be what it says, told from its files alone."""

import sys

from ntp.package.tree import Tree

TAKEN = sys.stdlib_module_names | {"ntp", "nats", "nkeys", "nacl", "msgspec", "numpy", "websockets"}
"""Modules that a plugin's own would hide."""


def mistake(tree: Tree, entrypoint: str) -> tuple[str, str] | None:
    """Return what was found and what to do, or None."""
    module = entrypoint.partition(":")[0]
    path = module.replace(".", "/")
    if not {f"{path}.py", f"{path}/__init__.py"} & tree.files.keys():
        return (
            f"the entrypoint's module '{module}' is not in the folder",
            f"add {path}.py, or name a module that is there",
        )
    if module.partition(".")[0] in TAKEN:
        return (
            f"the module '{module}' would hide one that Python or ntp needs",
            "rename it, and the entrypoint with it",
        )
    return None
