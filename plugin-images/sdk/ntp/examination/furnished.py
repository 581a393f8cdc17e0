"""What plugins require, for the processes that run them: the wheels that live plugins are given, from the same cache."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ntp.examination.author import Target

if TYPE_CHECKING:
    from ntp.package.environment import Environments
    from ntp.package.wheels import Pip

Told = Callable[[str], None]


def wheels(targets: Sequence[Target], environ: Mapping[str, str], told: Told) -> list[Path]:
    """Return the folders of their wheels, in order; each is installed once, by its lock.

    A lock that is missing is made, and written beside the plugin.

    Args:
        targets: plugins.
        environ: says where the cache is, and which registry pip asks.
        told: is told what is fetched.

    Raises:
        PackageError: RequirementsFailed, and of which plugin; CacheFailed, EnvironmentFailed.
    """
    asking = [each for each in targets if each.manifest.requirements]
    if not asking:
        return []
    from ntp.package import cache
    from ntp.package.environment import Environments
    from ntp.package.fault import PackageError
    from ntp.package.wheels import Pip

    pip = Pip(environ)
    environments = Environments(
        cache.Cache(cache.root(environ)), pip, lambda plugin, line: told(f"{plugin}: {line}")
    )
    found: list[Path] = []
    for each in asking:
        try:
            folder = _wheels(each, environments, pip, told)
        except PackageError as error:
            asked = ", ".join(each.manifest.requirements)
            raise error.about(f"{each.manifest.name} needs {asked}") from error
        if folder is not None and folder not in found:
            found.append(folder)
    return found


def _wheels(one: Target, environments: "Environments", pip: "Pip", told: Told) -> Path | None:
    from ntp.package.locked import locked

    def progress(line: str) -> None:
        told(f"{one.manifest.name}: {line}")

    requirements = one.manifest.requirements
    lock, wrote = locked(one.lock, requirements, environments.given, pip, progress=progress)
    folder = environments.wheels(one.manifest.name, requirements, lock)
    if wrote is not None:
        told(f"wrote {wrote}: keep it with the plugin")
    return folder
