"""Whether users' plugins.yaml would still do what it did, and whether the new version says so.

https://semver.org: what breaks needs a new major version, what is new a minor one; below 1.0.0 a minor one
is enough for either.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ntp.contract.config_schema import expand
from ntp.contract.manifest import Manifest
from ntp.contract.semver import order
from ntp.validation.finding import Finding, Severity
from ntp.validation.narrowing import narrowed
from ntp.validation.subject import Subject


@dataclass(frozen=True, slots=True)
class _Change:
    """`breaks`: None where only a person can tell. `path`: inside plugin.yaml."""

    breaks: bool | None
    path: tuple[str | int, ...]
    message: str


def since(before: Manifest, subject: Subject) -> Iterator[Finding]:
    """Yield what changed since `before` for who uses the plugin."""
    now = subject.manifest
    if now.name != before.name:
        yield subject.manifested(
            ("name",), Severity.ERROR, "version",
            f"the published plugin is called '{before.name}'",
            f"write 'name: {before.name}', or compare with another one",
        )  # fmt: skip
        return
    changes = [*_changes(before, now)]
    breaks = any(change.breaks for change in changes)
    least = needed(before.version, breaks=breaks, adds=bool(changes))
    if order(now.version) <= order(before.version):
        yield subject.manifested(
            ("version",), Severity.ERROR, "version",
            f"{now.version} is not above the published {before.version}",
            f"write 'version: {least}'",
        )  # fmt: skip
    enough = order(now.version)[:3] >= order(least)[:3]
    for change in changes:
        if change.breaks and not enough:
            yield subject.manifested(
                change.path, Severity.ERROR, "breaking",
                f"{change.message}: entries that worked with {before.version} would not with {now.version}",
                f"take that back, or write 'version: {least}'",
            )  # fmt: skip
        elif change.breaks is None:
            yield subject.manifested(
                change.path, Severity.WARNING, "breaking",
                f"{change.message}, and no program can tell if entries break",
                f"look; if they do, write 'version: {needed(before.version, breaks=True)}'",
            )  # fmt: skip
        elif not change.breaks and not enough and not breaks:
            yield subject.manifested(
                change.path, Severity.WARNING, "version", change.message,
                f"write 'version: {least}', so that users see that there is more than a correction",
            )  # fmt: skip
        else:
            yield subject.manifested(
                change.path, Severity.NOTE, "changed", f"since {before.version}: {change.message}",
                "tell it in the release's notes",
            )  # fmt: skip
    for host in sorted(set(now.egress) - set(before.egress)):
        yield subject.manifested(
            ("egress", now.egress.index(host)), Severity.WARNING, "more-rights",
            f"'{host}' was not asked for in {before.version}: everyone who updates gives one right more",
            "say in the release's notes why",
        )  # fmt: skip


def needed(before: str, *, breaks: bool = False, adds: bool = False) -> str:
    """Return the lowest version that may follow."""
    major, minor, patch = order(before)[:3]
    if breaks and major:
        return f"{major + 1}.0.0"
    if breaks or (adds and major):
        return f"{major}.{minor + 1}.0"
    return f"{major}.{minor}.{patch + 1}"


def _changes(before: Manifest, now: Manifest) -> Iterator[_Change]:
    if now.kind is not before.kind:
        yield _Change(True, ("kind",), f"it was of kind {before.kind}")
    for name in sorted(set(now.secrets) - set(before.secrets)):
        path = ("secrets", now.secrets.index(name))
        yield _Change(True, path, f"the secret '{name}' has to be given now")
    if now.finite != before.finite:
        yield _Change(True, ("finite",), f"'finite' was {before.finite}".lower())
    had, has = expand(before.config_schema), expand(now.config_schema)
    for found in narrowed(had, has):
        yield _Change(found.sure or None, ("config_schema", *found.path), found.message)
    yield from _fields(had.get("properties", {}), has.get("properties", {}))
    if now.trading != before.trading:
        yield _Change(False, ("trading",), "what the author recommends for trading has changed")


def _fields(had: dict[str, Any], has: dict[str, Any]) -> Iterator[_Change]:
    for name, field in has.items():
        path = ("config_schema", "properties", name)
        if name not in had:
            yield _Change(False, path, f"config.{name} is new")
        elif isinstance(field, dict) and isinstance(had[name], dict):
            old, new = had[name].get("default"), field.get("default")
            if old != new:
                yield _Change(
                    False, path, f"the default of config.{name} was {old!r}, and is {new!r}"
                )
