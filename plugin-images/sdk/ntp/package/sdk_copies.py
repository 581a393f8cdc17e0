"""What every plugin's environment is made of: the SDK, and the distributions that it needs.

Both are copied out of the running installation, so that `pip install -U` under a running plugin
changes nothing for it; and only what runs is copied.
"""

import hashlib
import importlib.metadata
import importlib.util
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ntp.package.cache import Cache
from ntp.package.fault import PackageError
from ntp.package.given import SDK
from ntp.package.interpreter import compile_folder, platform_tag
from ntp.package.needed import is_needed
from ntp.package.tree import TreeError, read_folder

_FORM = "1"
"""Changes whenever this module makes other folders of the same input."""


@dataclass(frozen=True, slots=True)
class Base:
    """Copies for one state of the installation. `versions`: canonical name -> version."""

    sdk: Path
    runtime: Path
    versions: Mapping[str, str]
    digest: str


def base(store: Cache) -> Base:
    """Make (once) and return the copies; blocks for seconds the first time.

    Raises:
        PackageError: the installation cannot be copied, or the cache cannot be written.
    """
    distributions = _closure(SDK)
    package = _sdk_folder()
    try:
        tree = read_folder(package)
    except TreeError as error:
        raise PackageError(
            f"the SDK's own files cannot be read: {error}", reason="EnvironmentFailed"
        ) from error
    sdk_digest = digest("sdk", platform_tag(), tree.digest)
    runtime_digest = digest(
        "runtime", platform_tag(), *(_identity(distribution) for distribution in distributions)
    )

    def copy_sdk(folder: Path) -> None:
        for path, content in tree.files.items():
            if PurePosixPath(path).suffix in {".py", ".typed"}:
                target = folder / "site" / "ntp" / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
        compile_folder(folder / "site")

    def copy_runtime(folder: Path) -> None:
        for distribution in distributions:
            _copy(distribution, folder / "site")
        compile_folder(folder / "site")

    return Base(
        sdk=store.folder("env", sdk_digest, copy_sdk) / "site",
        runtime=store.folder("env", runtime_digest, copy_runtime) / "site",
        versions=versions(),
        digest=digest(sdk_digest, runtime_digest),
    )


def versions() -> Mapping[str, str]:
    """Return what is installed of the SDK and what it needs: canonical name -> version.

    Raises:
        PackageError: EnvironmentFailed, something of it is not.
    """
    found: dict[str, str] = {
        canonicalize_name(one.metadata["Name"]): one.version for one in _closure(SDK)
    }
    found[canonicalize_name(SDK)] = importlib.metadata.version(SDK)
    return found


@cache
def _closure(name: str) -> tuple[importlib.metadata.Distribution, ...]:
    """The distributions that `name` needs, without itself, in a stable order."""
    found: dict[str, importlib.metadata.Distribution] = {}
    waiting = [name]
    while waiting:
        distribution = _distribution(waiting.pop())
        for text in distribution.requires or ():
            requirement = Requirement(text)
            if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
                continue
            key = canonicalize_name(requirement.name)
            if key not in found:
                found[key] = _distribution(requirement.name)
                waiting.append(requirement.name)
    return tuple(found[key] for key in sorted(found))


def _distribution(name: str) -> importlib.metadata.Distribution:
    try:
        return importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError as error:
        raise PackageError(
            f"'{name}' is not installed beside ntp; install ntp again with pip, pipx or uv",
            reason="EnvironmentFailed",
            permanent=True,
        ) from error


def _sdk_folder() -> Path:
    spec = importlib.util.find_spec("ntp")
    if spec is None or spec.origin is None:
        raise PackageError("the module 'ntp' has no files", reason="EnvironmentFailed")
    return Path(spec.origin).parent


def _identity(distribution: importlib.metadata.Distribution) -> str:
    record = distribution.read_text("RECORD")
    if record is None:
        raise PackageError(
            f"{distribution.metadata['Name']} was installed without a list of its files; install ntp "
            "with pip, pipx or uv",
            reason="EnvironmentFailed",
            permanent=True,
        )
    # Lines of compiled files come and go with whoever imported them first.
    lines = sorted(line for line in record.splitlines() if ".pyc," not in line)
    return digest(distribution.metadata["Name"], distribution.version, *lines)


def _copy(distribution: importlib.metadata.Distribution, site: Path) -> None:
    for file in distribution.files or ():
        if ".." in file.parts or file.is_absolute() or not is_needed(file):
            continue
        source = Path(str(distribution.locate_file(file)))
        if not source.is_file():
            continue
        target = site / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def digest(*parts: str) -> str:
    """One digest for an ordered list of texts."""
    return hashlib.sha256("\0".join((_FORM, *parts)).encode()).hexdigest()
