"""What a name in a module means, as far as its imports say: `sp.run` is subprocess.run after `import subprocess as sp`."""

import ast
import builtins
from collections.abc import Iterator

_BUILTIN = frozenset(dir(builtins))
_MEANT = frozenset({"eval", "exec", "compile", "__import__", "getattr", "setattr", "delattr"})
"""Builtins that nobody calls something else by chance, as `exit` and `open` are prices and decisions."""


class Names:
    """Attributes: star: statements `from … import *`, after which nobody can tell."""

    def __init__(self, tree: ast.Module) -> None:
        self._means: dict[str, str] = {}
        self.star: list[ast.ImportFrom] = []
        self._builtin = _BUILTIN - (set(_bound(tree)) - _MEANT)
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    top = alias.name.partition(".")[0]
                    self._means[alias.asname or top] = alias.name if alias.asname else top
            elif isinstance(node, ast.ImportFrom) and not node.level:
                for alias in node.names:
                    if alias.name == "*":
                        self.star.append(node)
                    else:
                        self._means[alias.asname or alias.name] = f"{node.module}.{alias.name}"

    def dotted(self, node: ast.AST) -> str | None:
        """Return the full name of an expression such as `os.environ.get`; None where it is no such name."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return None
        meaning = self._means.get(node.id)
        if meaning is None:
            if node.id not in self._builtin:
                return None
            meaning = node.id
        if meaning == "builtins" and parts:
            meaning = parts.pop()
        return ".".join([meaning, *reversed(parts)])


def _bound(tree: ast.Module) -> Iterator[str]:
    """Yield names that the module gives a meaning of its own."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case _:
                pass


def within(name: str, prefix: str) -> bool:
    """Whether a dotted name is `prefix`, or inside it."""
    return name == prefix or name.startswith(f"{prefix}.")


def imported(tree: ast.Module) -> dict[str, ast.stmt]:
    """Return the top-level modules that are imported, each with its first statement."""
    found: dict[str, ast.stmt] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found.setdefault(alias.name.partition(".")[0], node)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found.setdefault(node.module.partition(".")[0], node)
    return found
