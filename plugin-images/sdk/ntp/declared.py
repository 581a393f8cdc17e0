"""What a plugin file declares in its text: read without running it."""

import ast
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_REQUIREMENTS_AT = 4
"""Position of `requirements` among the arguments of PluginMetadata."""
# The reference expression of PEP 723.
_BLOCK = re.compile(
    r"(?m)^# /// (?P<type>[a-zA-Z0-9-]+)$\s(?P<content>(^#(| .*)$\s)+)^# ///$",
)


@dataclass(frozen=True, slots=True)
class Declared:
    """`requirements`: PEP 508; `requires_python`: a version range; `table`: [tool.ntp] of PEP 723."""

    requirements: tuple[str, ...] = ()
    requires_python: str = ""
    table: Mapping[str, Any] = field(default_factory=dict)


def declared(source: bytes, name: str) -> Declared:
    """Return what the text says: a PEP 723 block, else the literal list in `get_metadata`.

    Raises:
        SyntaxError: it is not Python, or nested too deep to be read; `lineno` where known.
    """
    try:
        tree = ast.parse(source, name)
    except SyntaxError:
        raise
    except (ValueError, RecursionError, MemoryError) as error:
        raise SyntaxError(str(error) or "nested too deep") from error
    block = _script_block(source)
    wanted = block.get("dependencies")
    if not isinstance(wanted, list):
        wanted = _literal_requirements(tree)
    tool = block.get("tool")
    table = tool.get("ntp") if isinstance(tool, Mapping) else None
    return Declared(
        requirements=tuple(text for text in wanted if isinstance(text, str)),
        requires_python=str(block.get("requires-python", "")),
        table=table if isinstance(table, Mapping) else {},
    )


def _script_block(source: bytes) -> Mapping[str, Any]:
    text = source.decode(errors="replace").replace("\r\n", "\n")
    for match in _BLOCK.finditer(text):
        if match["type"] == "script":
            lines = match["content"].splitlines(keepends=True)
            body = "".join(line[2:] if line.startswith("# ") else line[1:] for line in lines)
            try:
                return tomllib.loads(body)
            except tomllib.TOMLDecodeError:
                return {}
    return {}


def _literal_requirements(tree: ast.AST) -> list[Any]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == "get_metadata":
            for call in ast.walk(node):
                if isinstance(call, ast.Call):
                    found = _requirements_argument(call)
                    if found is not None:
                        return found
    return []


def _requirements_argument(call: ast.Call) -> list[Any] | None:
    value = next((k.value for k in call.keywords if k.arg == "requirements"), None)
    if value is None and len(call.args) > _REQUIREMENTS_AT:
        value = call.args[_REQUIREMENTS_AT]
    if value is None:
        return None
    try:
        literal = ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    return list(literal) if isinstance(literal, list | tuple) else None
