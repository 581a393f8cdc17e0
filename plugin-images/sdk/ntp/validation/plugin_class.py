"""The class that `entrypoint` names, as far as its text says what it is."""

import ast
from collections.abc import Iterator
from difflib import get_close_matches

from ntp.contract.names import Kind
from ntp.validation.finding import Finding, Severity
from ntp.validation.names import Names
from ntp.validation.subject import Module, Subject, written

_KINDS = {
    "DataSourcePlugin": Kind.DATA_SOURCE,
    "LiveSource": Kind.DATA_SOURCE,
    "IndicatorPlugin": Kind.INDICATOR,
    "StrategyPlugin": Kind.STRATEGY,
    "ExecutorPlugin": Kind.EXECUTOR,
}
_NEEDED = {
    "DataSourcePlugin": ("stream",),
    "LiveSource": ("topics", "greet", "take"),
    "IndicatorPlugin": ("update",),
    "StrategyPlugin": ("analyze",),
    "ExecutorPlugin": ("process_signal",),
}
_PLAIN = frozenset(
    {
        *("analyze", "update", "update_state", "calculate_position_size", "get_indicators"),
        *("validate_config", "get_metadata", "snapshot", "restore", "report", "conditions"),
        *("on_fill", "transform", "topics", "take", "resume"),
    }
)
_ASYNC = frozenset(
    {
        *("initialize", "shutdown", "connect", "disconnect", "subscribe", "unsubscribe"),
        *("process_signal", "on_data", "on_halt", "on_resume", "finish", "greet"),
    }
)


def fit(subject: Subject) -> Iterator[Finding]:
    """Yield what is wrong with the class; what it inherits from another module is not looked at."""
    where, _, wanted = subject.manifest.entrypoint.partition(":")
    paths = {f"{where.replace('.', '/')}{end}" for end in (".py", "/__init__.py")}
    module = next((each for each in subject.modules if each.path in paths), None)
    if module is None:
        return  # told already: it is not there, or no Python
    classes = {node.name: node for node in module.tree.body if isinstance(node, ast.ClassDef)}
    found = classes.get(wanted)
    if found is not None:
        yield from _class(subject, module, found)
    elif not _names_it(module.tree, wanted):
        near = next(iter(get_close_matches(wanted, classes, 1)), None)
        listed = ", ".join(sorted(classes)) or "no class"
        yield subject.manifested(
            ("entrypoint",), Severity.ERROR, "entrypoint",
            f"'{module.path}' has no class '{wanted}'",
            f"did you mean '{near}'?" if near else f"name a class that is there: {listed}",
        )  # fmt: skip


def _names_it(tree: ast.Module, wanted: str) -> bool:
    """Whether the name is imported, assigned or defined below a condition."""
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(name=name) | ast.Name(id=name, ctx=ast.Store()) if name == wanted:
                return True
            case ast.alias(name=name, asname=other) if wanted in (name, other, "*") or name == "*":
                return True
    return False


def _class(subject: Subject, module: Module, found: ast.ClassDef) -> Iterator[Finding]:
    names = Names(module.tree)
    bases = [(names.dotted(base) or "").rpartition(".") for base in found.bases]
    known = [last for room, _, last in bases if room.partition(".")[0] == "ntp" and last in _KINDS]
    methods = {
        node.name: node
        for node in found.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    for base in known:
        if _KINDS[base] is not subject.kind:
            yield subject.manifested(
                ("kind",), Severity.ERROR, "kind",
                f"the manifest says {subject.kind}, and {found.name} extends {base}",
                f"write 'kind: {_KINDS[base]}', or extend another class",
            )  # fmt: skip
        elif len(found.bases) == 1 and (lacks := [m for m in _NEEDED[base] if m not in methods]):
            said = ", ".join(f"{name}()" for name in lacks)
            yield module.at(
                found, Severity.ERROR, "method",
                f"the class {found.name} does not implement {said}", f"add {said} to it",
            )  # fmt: skip
    for name, method in methods.items():
        is_async = isinstance(method, ast.AsyncFunctionDef)
        if is_async and name in _PLAIN:
            message, fix = f"{name}() is async, and is called as a plain method", f"def {name}(…)"
            yield module.at(method, Severity.ERROR, "method", message, fix)
        elif not is_async and name in _ASYNC:
            message, fix = f"{name}() is awaited, and is no async method", f"async def {name}(…)"
            yield module.at(method, Severity.ERROR, "method", message, fix)
    yield from _shared(subject, module, found)
    if "get_metadata" in methods:
        yield from _metadata(subject, module, methods["get_metadata"])


def _shared(subject: Subject, module: Module, found: ast.ClassDef) -> Iterator[Finding]:
    """A list of the class is one list for all symbols: their prices would mix."""
    if subject.kind is Kind.DATA_SOURCE:
        return
    for node in found.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                pass
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                pass
            case _:
                continue
        match value:
            case ast.List() | ast.Dict() | ast.Set():
                is_shared = True
            case ast.Call(func=ast.Name(id="list" | "dict" | "set" | "deque")):
                is_shared = True
            case _:
                is_shared = False
        if is_shared and not name.isupper():
            yield module.at(
                node, Severity.WARNING, "shared-state",
                f"'{name}' belongs to the class: the objects of all symbols share one",
                f"write self.{name} = … in __init__",
            )  # fmt: skip


def _metadata(
    subject: Subject, module: Module, method: ast.FunctionDef | ast.AsyncFunctionDef
) -> Iterator[Finding]:
    """The manifest counts; another version in the code would only mislead."""
    for node in ast.walk(method):
        if not isinstance(node, ast.Call) or not written(node.func).endswith("PluginMetadata"):
            continue
        given = {word.arg: word.value for word in node.keywords if word.arg}
        given |= dict(zip(("name", "version"), node.args, strict=False))
        for name in ("name", "version"):
            value, counts = given.get(name), getattr(subject.manifest, name)
            if isinstance(value, ast.Constant) and value.value not in (
                counts,
                counts.replace("-", "_"),
            ):
                yield module.at(
                    value, Severity.WARNING, "metadata",
                    f"get_metadata() says {name} {value.value!r}, and plugin.yaml says '{counts}'",
                    "leave get_metadata() out: plugin.yaml says it all",
                )  # fmt: skip
