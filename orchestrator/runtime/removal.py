"""Removes folders that a plugin could write to, with whatever it left in them."""

import os
import shutil
from contextlib import suppress
from pathlib import Path


def remove_tree(path: Path) -> None:
    """Remove a folder; an absent one is removed. OSError: part of it stays.

    A plugin that has our own uid (an ordinary user's) may have closed its folders to us as well: they
    are opened. Nothing of it runs any more.
    """
    with suppress(FileNotFoundError):
        try:
            shutil.rmtree(path)
        except PermissionError:
            _open_up(path)
            shutil.rmtree(path)


def _open_up(path: Path) -> None:
    path.chmod(0o700)
    for folder, names, _ in os.walk(path):  # from the top: each is opened before it is walked into
        for name in names:
            below = Path(folder, name)
            if not below.is_symlink():
                below.chmod(0o700)
