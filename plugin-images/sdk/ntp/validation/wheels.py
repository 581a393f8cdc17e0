"""Requirements: given by the SDK, or locked by hash; and whether the code imports what is required."""

import ast
import contextlib
import functools
import importlib.metadata
import os
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ntp.package import cache
from ntp.package.entrypoint import TAKEN
from ntp.package.environment import Environments
from ntp.package.fault import NoAnswerError, PackageError
from ntp.package.given import Given
from ntp.package.interpreter import platform_tag
from ntp.package.lock import Lock, LockError
from ntp.package.lock_file import read_lock
from ntp.package.tree import TreeError
from ntp.package.wheels import Pip, unmet
from ntp.validation.finding import Finding, Severity
from ntp.validation.names import imported
from ntp.validation.rules import NETWORK, NETWORK_INSIDE
from ntp.validation.subject import Module, Subject

SDK = "ntp-sdk"
LOCK = "requirements.lock"
Progress = Callable[[str], None]


def given_versions() -> dict[str, str]:
    """Return what comes with the SDK here, without extras: canonical name -> version."""
    found: dict[str, str] = {}
    waiting = [SDK]
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found:
            continue
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        found[name] = distribution.version
        for text in distribution.requires or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return found


def locked(subject: Subject, pip: Pip | None, progress: Progress) -> Iterator[Finding]:
    """Yield what is wrong with the lock; where there is none, ask the registry if there can be one.

    Args:
        subject: the plugin.
        pip: how to reach the registry; None: it is not asked.
        progress: called with one line at a time.
    """
    wanted = subject.manifest.requirements
    given = Given(given_versions(), platform_tag())
    path = subject.path / LOCK
    lock: Lock | None = None
    if path.exists():
        try:
            lock = read_lock(path)
        except (LockError, TreeError) as error:
            yield subject.file(
                LOCK, Severity.ERROR, "lock", f"it cannot be used: {error}",
                "delete it: `ntp plugin package` makes a new one",
            )  # fmt: skip
            return
    if lock is not None and not lock.fits(wanted):
        yield subject.file(
            LOCK, Severity.ERROR, "lock",
            f"it was made for {_listed(lock.requirements)}, and plugin.yaml requires {_listed(wanted)}",
            "delete it: `ntp plugin package` makes a new one",
        )  # fmt: skip
    elif lock is None and unmet(wanted, given.versions):
        yield _unlocked(subject, given, pip, progress)


def _unlocked(subject: Subject, given: Given, pip: Pip | None, progress: Progress) -> Finding:
    wanted = subject.manifest.requirements
    place = ("requirements",)
    fix = f"`ntp plugin package` writes {LOCK}; keep it with the plugin"
    if pip is None:
        message = "they are not locked by hash, and the registry was not asked"
        return subject.manifested(place, Severity.WARNING, "lock", message, fix)
    progress("asking the package registry")
    try:
        given.lock(pip, wanted, None, progress=progress)
    except NoAnswerError as error:
        message = f"they are not locked by hash, and nobody says if they can be: {_line(error)}"
        return subject.manifested(place, Severity.WARNING, "lock", message, fix)
    except PackageError as error:
        message = f"no wheels satisfy them: {_line(error)}"
        fix = "correct the versions, or take other packages"
        return subject.manifested(place, Severity.ERROR, "lock", message, fix)
    return subject.manifested(place, Severity.WARNING, "lock", "they are not locked by hash", fix)


def imports(subject: Subject) -> Iterator[Finding]:
    """Yield imports that nothing provides, and ways to the network where no host is declared."""
    wanted = (Requirement(text).name for text in subject.manifest.requirements)
    required = {canonicalize_name(name) for name in (*wanted, *_pinned(subject.path))}
    own = {path.partition("/")[0].removesuffix(".py") for path in subject.tree.files}
    brought = _brought(subject)
    known = own | TAKEN | {name.replace("-", "_") for name in required}
    for module in subject.modules:
        guarded = _guarded(module)
        for name, statement in imported(module.tree).items():
            if name in known or name in (brought or ()) or id(statement) in guarded:
                continue
            if brought is not None and name not in _modules(given_versions().keys()):
                yield module.at(
                    statement, Severity.ERROR, "import", f"imports '{name}', which none of its requirements brings",
                    f"add '{name}' to `requirements`, by the name that its package has",
                )  # fmt: skip
            elif name not in _modules(required | given_versions().keys()):
                # Others' names of packages and of modules differ: scikit-learn is sklearn.
                severity = Severity.WARNING if required else Severity.ERROR
                yield module.at(
                    statement, severity, "import", f"imports '{name}', which nothing in `requirements` is called",
                    f"add '{name}' to `requirements`, by the name that its package has",
                )  # fmt: skip
        if not subject.manifest.egress:
            yield from _network(subject, module)


def _brought(subject: Subject) -> AbstractSet[str] | None:
    """Return the modules of its own wheels; None where they were not installed for a test or a run yet."""
    cached = cache.Cache(cache.root(os.environ))
    environments = Environments(cached, Pip(), lambda *_: None)
    with contextlib.suppress(LockError, TreeError, PackageError, OSError):
        lock = read_lock(subject.path / LOCK)
        folder = environments.there(subject.manifest.requirements, lock)
        if folder is not None:
            return {each.name.partition(".")[0] for each in folder.iterdir()}
    return None


def _network(subject: Subject, module: Module) -> Iterator[Finding]:
    fields = (field for field in subject.properties.values() if isinstance(field, Mapping))
    if any(str(field.get("pattern")).startswith(("^http", "^ws")) for field in fields):
        return  # an entry's config names the host
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            if name.partition(".")[0] in NETWORK or name.startswith(NETWORK_INSIDE):
                yield module.at(
                    node, Severity.WARNING, "host", f"imports '{name}', and no host is declared, so all are refused",
                    'add "host:port" to `egress` in plugin.yaml, or do without the network',
                )  # fmt: skip
                break


def _modules(distributions: AbstractSet[str]) -> set[str]:
    """Return the top-level modules of what is installed here under these canonical names."""
    return {module for module, names in _installed().items() if names & distributions}


@functools.cache
def _installed() -> Mapping[str, AbstractSet[str]]:
    """Read what every distribution here brings: half a second's work."""
    found = importlib.metadata.packages_distributions()
    return {module: {canonicalize_name(name) for name in names} for module, names in found.items()}


def _pinned(path: Path) -> Iterator[str]:
    with contextlib.suppress(LockError, TreeError):
        lock = read_lock(path / LOCK)
        yield from (pin.name for pins in lock.pins.values() for pin in pins)


def _guarded(module: Module) -> set[int]:
    """Return the ids of what stands where it may fail, or is only for who checks types."""
    tops = (node for node in module.tree.body if isinstance(node, ast.Try | ast.If))
    return {id(inside) for node in tops for inside in ast.walk(node)}


def _listed(requirements: object) -> str:
    return (
        ", ".join(requirements)
        if isinstance(requirements, list | tuple) and requirements
        else "nothing"
    )


def _line(error: PackageError) -> str:
    return " ".join(str(error).split())
