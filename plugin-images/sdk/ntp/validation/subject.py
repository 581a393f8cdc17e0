"""The plugin that is looked at: its files, its manifest, its code as trees of syntax."""

import ast
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ntp.contract.manifest import FILE, Manifest
from ntp.contract.names import Kind
from ntp.package.tree import Tree
from ntp.validation.finding import Finding, Severity

MOST_CODE = 1024 * 1024
"""Bytes of all modules: their trees take a hundred times as much memory."""


@dataclass(frozen=True, slots=True)
class Module:
    """A file of Python. `shown`: how a person calls it."""

    path: str
    shown: str
    tree: ast.Module

    def at(
        self,
        node: ast.expr | ast.stmt | ast.arg,
        severity: Severity,
        rule: str,
        message: str,
        fix: str,
    ) -> Finding:
        return Finding(self.shown, node.lineno, node.col_offset + 1, severity, rule, message, fix)


@dataclass(frozen=True, slots=True)
class Subject:
    """`locate`: from a path inside plugin.yaml to its line and column."""

    path: Path
    tree: Tree
    manifest: Manifest
    locate: Callable[[tuple[str | int, ...]], tuple[int, int]]
    modules: tuple[Module, ...]

    @property
    def kind(self) -> Kind:
        return self.manifest.kind

    @property
    def properties(self) -> Mapping[str, object]:
        """What config_schema describes, by name; of the shorthand too."""
        from ntp.contract.config_schema import expand

        described = expand(self.manifest.config_schema).get("properties", {})
        return described if isinstance(described, Mapping) else {}

    def file(self, name: str, severity: Severity, rule: str, message: str, fix: str) -> Finding:
        """About a file of the folder, or about the folder itself where `name` is empty."""
        shown = str(self.path / name) if name else str(self.path)
        return Finding(shown, 0, 0, severity, rule, message, fix)

    def manifested(
        self, path: tuple[str | int, ...], severity: Severity, rule: str, message: str, fix: str
    ) -> Finding:
        """About a place in plugin.yaml."""
        line, column = self.locate(path)
        return Finding(str(self.path / FILE), line, column, severity, rule, message, fix)


def parsed(tree: Tree, root: Path) -> tuple[tuple[Module, ...], tuple[Finding, ...]]:
    """Return what can be read of the code, and a finding for each file that cannot."""
    modules, findings, left = [], [], MOST_CODE
    for path, content in sorted(tree.files.items()):
        if not path.endswith(".py"):
            continue
        shown = str(root / path)
        left -= len(content)
        if left < 0:
            message = f"with it the code has more than {MOST_CODE:,} bytes, which nobody reads"
            fix = "keep data out of the code, and libraries in `requirements`"
            findings.append(_unread(shown, 0, 0, message, fix))
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of invalid escapes and the like: not ours to tell
                module = ast.parse(content, shown)
        except SyntaxError as error:
            place = (error.lineno or 0, error.offset or 0)
            message = f"it is not Python: {error.msg}"
            findings.append(_unread(shown, *place, message, "correct the line"))
        except (ValueError, RecursionError, MemoryError) as error:
            message = f"it cannot be read: {str(error) or 'nested too deep'}"
            findings.append(_unread(shown, 0, 0, message, "save it as UTF-8, and make it flatter"))
        else:
            modules.append(Module(path, shown, module))
    return tuple(modules), tuple(findings)


def _unread(shown: str, line: int, column: int, message: str, fix: str) -> Finding:
    return Finding(shown, line, column, Severity.ERROR, "syntax", message, fix)


def written(node: ast.expr) -> str:
    """Return an expression as text; of one that is nested too deep only that it is one."""
    try:
        return ast.unparse(node)
    except RecursionError:
        return "…"


def functions(tree: ast.AST) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef, str]]:
    """Yield each function with the name of the class that it is a method of, or ''."""
    for node in ast.walk(tree):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield child, node.name if isinstance(node, ast.ClassDef) else ""
