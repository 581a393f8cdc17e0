"""What the code does that a reader would ask about, told from its syntax."""

import ast
from collections.abc import Iterator

from ntp.contract.names import Kind
from ntp.validation.finding import Finding, Severity
from ntp.validation.names import Names, within
from ntp.validation.rules import BY_ID, INTO_OBJECTS, RULES, SEEDED, Rule
from ntp.validation.subject import Module, functions, written

_CALLBACKS = frozenset(
    {
        *("analyze", "update", "update_state", "calculate_position_size", "get_indicators"),
        *("on_fill", "snapshot", "restore", "report", "transform", "conditions"),
    }
)
_OPENS = frozenset({"open", "io.open", "os.open", "pathlib.Path.open"})
_OWN = ("storage", "__file__")
"""Words of an expression that leads into the plugin's folder or its storage."""


def suspicious(module: Module, kind: Kind) -> Iterator[Finding]:
    """Yield a finding for each place of the module."""
    names = Names(module.tree)
    for statement in names.star:
        yield module.at(
            statement, Severity.WARNING, "star-import",
            f"imports everything of '{statement.module}', so that nobody can tell what a name means",
            "import the names that are used",
        )  # fmt: skip
    # `os.environ` in `os.environ.get` is told with the whole of it.
    inner = {id(node.value) for node in ast.walk(module.tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and node.attr in INTO_OBJECTS:
            yield module.at(
                node, Severity.WARNING, "into-objects",
                f"gets at '{node.attr}', by which code reaches what it was not given",
                "use the object's own methods",
            )  # fmt: skip
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            continue
        if isinstance(node, ast.Attribute | ast.Name) and id(node) not in inner:
            yield from _reference(module, names, node, kind)
        elif isinstance(node, ast.Call):
            yield from _call(module, names, node, kind)
    for function, _ in functions(module.tree):
        yield from _waits(module, names, function)


def _reference(
    module: Module, names: Names, node: ast.Attribute | ast.Name, kind: Kind
) -> Iterator[Finding]:
    dotted = names.dotted(node)
    if dotted is None:
        return
    for rule in RULES:
        if _applies(rule, dotted, kind):
            yield module.at(node, rule.severity, rule.id, f"{dotted} {rule.message}", rule.fix)


def _applies(rule: Rule, dotted: str, kind: Kind) -> bool:
    if rule.kinds and kind not in rule.kinds:
        return False
    if not any(within(dotted, name) for name in rule.names):
        return False
    return not any(within(dotted, name) for name in rule.but)


def _call(module: Module, names: Names, node: ast.Call, kind: Kind) -> Iterator[Finding]:
    dotted = names.dotted(node.func)
    if dotted in SEEDED and not node.args and not node.keywords:
        rule = BY_ID["chance"]
        if kind in rule.kinds:
            message = f"{dotted}() without a seed {rule.message}"
            yield module.at(node, rule.severity, rule.id, message, rule.fix)
    elif dotted in _OPENS and node.args:
        yield from _opens(module, node, dotted)
    elif dotted == "numpy.load" and any(
        word.arg == "allow_pickle" and not _is(word.value, value=False) for word in node.keywords
    ):
        rule = BY_ID["pickle"]
        message = f"numpy.load(allow_pickle=…) {rule.message}"
        yield module.at(node, rule.severity, rule.id, message, rule.fix)
    elif (
        dotted in ("getattr", "setattr", "delattr")
        and len(node.args) > 1
        and not isinstance(node.args[1], ast.Constant)
    ):
        yield module.at(
            node, Severity.NOTE, "dynamic-name",
            f"{dotted}() takes a name that cannot be told from the code",
            "write the name, or choose from a dict",
        )  # fmt: skip


def _opens(module: Module, node: ast.Call, dotted: str) -> Iterator[Finding]:
    where = written(node.args[0])
    if any(word in where for word in _OWN):
        return
    absolute = isinstance(node.args[0], ast.Constant) and str(node.args[0].value).startswith("/")
    shown = where if len(where) <= 60 else f"{where[:57]}…"
    yield module.at(
        node,
        Severity.WARNING if absolute else Severity.NOTE,
        "foreign-files",
        f"{dotted}({shown}) may be a file outside of the plugin's folder and its storage",
        "open self.storage / name, or Path(__file__).parent / name for what the plugin brings",
    )


def _waits(
    module: Module, names: Names, function: ast.FunctionDef | ast.AsyncFunctionDef
) -> Iterator[Finding]:
    is_async = isinstance(function, ast.AsyncFunctionDef)
    if not is_async and function.name not in _CALLBACKS:
        return
    for node in _own_nodes(function):
        if isinstance(node, ast.Call) and names.dotted(node.func) == "time.sleep":
            yield module.at(
                node, Severity.WARNING, "sleep",
                f"time.sleep() in {function.name}() stops everything that the plugin does meanwhile",
                "await asyncio.sleep(…)" if is_async else "return, and look again at the next tick",
            )  # fmt: skip


def _own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """Yield what a function does itself: not what a function inside it does, in a thread perhaps."""
    waiting = list(ast.iter_child_nodes(function))
    while waiting:
        node = waiting.pop()
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield node
            waiting += ast.iter_child_nodes(node)


def _is(node: ast.expr, *, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value
