"""What stands in the texts of the code: addresses, secrets, characters that deceive a reader."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from urllib.parse import urlsplit

from ntp.contract.config_schema import expand
from ntp.contract.manifest import Manifest
from ntp.validation.finding import Finding, Permissions, Severity
from ntp.validation.subject import Module, Subject

_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}
SECRET = re.compile(r"(?i)(api_?key|secret|token|passw(or)?d|private_?key)$")
_LOOKS_SECRET = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[A-Za-z0-9+/=_.-]{16,}\Z")
_DECEIVING = re.compile("[\u202a-\u202e\u2066-\u2069\u200b\u200e\u200f]")
"""Turn or hide what stands beside them: N. Boucher and R. Anderson, Trojan Source, 2021."""


def address(text: str) -> str | None:
    """Return host:port of a URL of HTTP or WebSocket, else None."""
    try:
        parts = urlsplit(text.strip())
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    if (
        parts.scheme not in _PORTS
        or not parts.hostname
        or not re.fullmatch(r"[a-z0-9.-]+", parts.hostname)
    ):
        return None
    return f"{parts.hostname}:{port}"


def permissions(manifest: Manifest) -> Permissions:
    """Return what the manifest asks for; the addresses among its config's defaults count as asked for."""
    described = expand(manifest.config_schema).get("properties", {})
    defaults = (field.get("default") for field in described.values() if isinstance(field, dict))
    found = (address(text) for text in defaults if isinstance(text, str))
    hosts = dict.fromkeys([*manifest.egress, *filter(None, found)])
    return Permissions(tuple(sorted(hosts)), tuple(sorted(manifest.secrets)))


def deceiving(subject: Subject) -> Iterator[Finding]:
    """Yield each line of code with a character that makes it look like another."""
    for module in subject.modules:
        content = subject.tree.files[module.path]
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        if encoding not in ("utf-8", "utf-8-sig"):
            yield Finding(
                module.shown, 1, 1, Severity.ERROR, "deceiving",
                f"its encoding is '{encoding}', so Python reads other text than most people see",
                "save it as UTF-8, and take the 'coding' line out",
            )  # fmt: skip
        text = content.decode(errors="replace")
        for number, line in enumerate(text.splitlines(), start=1):
            if found := _DECEIVING.search(line):
                yield Finding(
                    module.shown, number, found.start() + 1, Severity.ERROR, "deceiving",
                    f"the invisible character U+{ord(found[0]):04X} makes the line look like another one",
                    f"take it out, or write '\\u{ord(found[0]):04x}' in a text",
                )  # fmt: skip


def hosts(subject: Subject, asked: Permissions) -> Iterator[Finding]:
    """Yield addresses that nothing declares, and declared hosts that nothing mentions."""
    mentioned: list[str] = list(_described(subject.manifest.config_schema))
    declared = {host.lower() for host in asked.hosts}
    for module in subject.modules:
        told: set[str] = set()
        for node, text in _texts(module):
            mentioned.append(text.lower())
            found = address(text)
            if found is None or found in declared or found in told:
                continue
            told.add(found)
            host = found.rpartition(":")[0]
            if host in ("localhost", "127.0.0.1"):
                message = (
                    f"'{found}' is the plugin's own machine, and in a sandbox nothing is there"
                )
                fix = "name the service's real host, and declare it in `egress`"
            else:
                message = f"the host '{found}' is not declared, so it would be refused"
                fix = f'add "{found}" to `egress` in plugin.yaml'
            yield module.at(node, Severity.WARNING, "host", message, fix)
    for at, entry in enumerate(subject.manifest.egress):
        host = entry.rpartition(":")[0].lower()
        if not any(host in text for text in mentioned):
            yield subject.manifested(
                ("egress", at), Severity.NOTE, "host",
                f"'{entry}' is asked for, and no text of the code has that host",
                "take it out if a library does not need it: each host is one more way out",
            )  # fmt: skip


def secrets(module: Module) -> Iterator[Finding]:
    """Yield texts that are given to a name of a secret."""
    for node in ast.walk(module.tree):
        for name, value in _given(node):
            if not isinstance(value, ast.Constant) or not isinstance(value.value, str):
                continue
            if SECRET.search(name) and _LOOKS_SECRET.match(value.value):
                yield module.at(
                    value, Severity.ERROR, "secret",
                    f"'{name}' looks like a secret, and everyone who has the plugin would have it",
                    f'take it from `config`, by reference: {name.lower()}: "${{{name.upper()}}}"; and renew it',
                )  # fmt: skip


def _given(node: ast.AST) -> list[tuple[str, ast.expr | None]]:
    """Return the names that a value is given to, each with the value."""
    match node:
        case (
            ast.Assign(targets=[ast.Name(id=name) | ast.Attribute(attr=name)], value=value)
            | ast.AnnAssign(target=ast.Name(id=name) | ast.Attribute(attr=name), value=value)
            | ast.keyword(arg=str(name), value=value)
        ):
            return [(name, value)]
        case ast.Dict(keys=keys, values=values):
            pairs = zip(keys, values, strict=True)
            return [(str(key.value), one) for key, one in pairs if isinstance(key, ast.Constant)]
        case _:
            return []


def _texts(module: Module) -> Iterator[tuple[ast.Constant, str]]:
    documentation = {
        id(node.body[0].value)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(module.tree):
        match node:
            case ast.Constant(value=str(text)) if id(node) not in documentation:
                yield node, text
            case _:
                pass


def _described(schema: object) -> Iterator[str]:
    waiting = [schema]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            yield each.lower()
        elif isinstance(each, dict):
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each
