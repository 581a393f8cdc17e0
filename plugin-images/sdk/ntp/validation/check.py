"""Everything about a plugin that can be told without running it."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from ntp.contract.manifest import FILE, Manifest
from ntp.package.entrypoint import mistake
from ntp.package.manifest_file import locator, parse
from ntp.package.tree import TreeError, read_folder
from ntp.package.wheels import Pip
from ntp.validation import breaking, calls, papers, plugin_class, published, settings, texts, wheels
from ntp.validation.finding import Finding, Permissions, Report, Severity
from ntp.validation.subject import Subject, parsed

REGISTRY_S = 60.0
MOST_ALIKE = 50
"""Findings of one rule in one file."""


def _silent(_: str) -> None: ...


def validate(
    path: Path,
    *,
    against: Manifest | str | None = None,
    offline: bool = False,
    progress: Callable[[str], None] = _silent,
) -> Report:
    """Look at the plugin in the folder `path`; nothing of it is imported or run.

    Args:
        path: a folder with a plugin.yaml.
        against: what was published before: its manifest, or as `published.manifest_of` takes it.
        offline: the package registry is not asked about requirements that have no lock.
        progress: called with one line at a time.

    Raises:
        OciError: what `against` names is not there, or is no plugin.
    """
    before = published.manifest_of(against, progress) if isinstance(against, str) else against
    if path.is_file():
        fix = f"make a folder of it: `ntp plugin create {path.stem}`, and put the code there"
        return _refused(path, "it is a lone file, and only a folder has a plugin.yaml", fix)
    try:
        tree = read_folder(path)
    except TreeError as error:
        return _refused(path, str(error), error.fix)
    if FILE not in tree.files:
        fix = "`ntp plugin create NAME` makes one; it has name, version, kind and entrypoint"
        return _refused(path, f"the folder has no {FILE}", fix)
    modules, unread = parsed(tree, path)
    manifest, problems = parse(tree.files[FILE], file=str(path / FILE))
    findings = [*unread, *(Finding.of(problem, "manifest") for problem in problems)]
    asked = Permissions()
    if manifest is not None:
        subject = Subject(path, tree, manifest, locator(tree.files[FILE]), modules)
        asked = texts.permissions(manifest)
        pip = None if offline else Pip(os.environ, timeout_s=REGISTRY_S)
        findings += _findings(subject, asked, before, pip, progress)
    return Report(str(path), manifest, _bounded(sorted(set(findings))), asked)


def _findings(
    subject: Subject,
    asked: Permissions,
    before: Manifest | None,
    pip: Pip | None,
    progress: Callable[[str], None],
) -> Iterator[Finding]:
    wrong = mistake(subject.tree, subject.manifest.entrypoint)
    if wrong is not None:
        yield subject.manifested(("entrypoint",), Severity.ERROR, "entrypoint", *wrong)
    yield from plugin_class.fit(subject)
    yield from settings.described(subject)
    yield from settings.read(subject)
    yield from papers.papers(subject)
    yield from texts.deceiving(subject)
    yield from texts.hosts(subject, asked)
    for module in subject.modules:
        yield from calls.suspicious(module, subject.kind)
        yield from texts.secrets(module)
    yield from wheels.imports(subject)
    yield from wheels.locked(subject, pip, progress)
    if before is not None:
        yield from breaking.since(before, subject)


def _bounded(findings: list[Finding]) -> tuple[Finding, ...]:
    """Keep the first of each kind in a file: nobody reads a thousand."""
    kept: list[Finding] = []
    counts: Counter[tuple[str, str]] = Counter()
    last: dict[tuple[str, str], Finding] = {}
    for finding in findings:
        kind = (finding.file, finding.rule)
        counts[kind] += 1
        if counts[kind] <= MOST_ALIKE:
            kept.append(finding)
        last[kind] = finding
    for kind, count in counts.items():
        if count > MOST_ALIKE:
            message = f"and {count - MOST_ALIKE:,} more"
            kept.append(replace(last[kind], message=message))
    return tuple(sorted(kept))


def _refused(path: Path, message: str, fix: str) -> Report:
    return Report(
        str(path), None, (Finding(str(path), 0, 0, Severity.ERROR, "folder", message, fix),)
    )
