"""The lock of a plugin that is one's own: read beside it, made and written there where it is missing."""

import os
from pathlib import Path

from ntp.package.fault import PackageError
from ntp.package.given import Given
from ntp.package.lock import Lock, LockError
from ntp.package.lock_file import read_lock, write_lock
from ntp.package.tree import TreeError
from ntp.package.wheels import REASON, Pip, Progress


def locked(
    path: Path, requirements: list[str], given: Given, pip: Pip, *, progress: Progress
) -> tuple[Lock | None, Path | None]:
    """Return the lock with wheels for this platform, and its file if that was written now.

    No lock: what is given satisfies everything.

    Args:
        path: of the lock, which need not be there.
        requirements: PEP 508.
        given: what every plugin has.
        pip: how to reach the registry.
        progress: called with one line at a time.

    Raises:
        PackageError: RequirementsFailed.
    """
    known = None
    if os.path.lexists(path):
        try:
            known = read_lock(path)
        except (TreeError, LockError) as error:
            raise PackageError(
                f"{path} cannot be used: {error}\n  fix: delete it, and run this again: that makes a new one",
                reason=REASON,
                permanent=True,
            ) from error
    lock = given.lock(pip, requirements, known, progress=progress)
    if lock is None or lock == known:
        return lock, None
    if not write_lock(lock, path):
        raise PackageError(
            f"the lock {path} cannot be written\n  fix: check the permissions of its folder",
            reason=REASON,
        )
    return lock, path
