"""Lay out all that a new life needs on disk; may be cut off (kill -9) after any line."""

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

import ntp.confine
from ntp.confine import shim_files
from orchestrator.errors import ActionError
from orchestrator.launch import Launch
from orchestrator.runtime.process.folder import Label, RunFolder
from orchestrator.runtime.removal import remove_tree


def write_down(folder: RunFolder, label: Label, order: Mapping[str, Any]) -> None:
    """Lay out the run folder of a new life; what is left of the old one, but its output, goes.

    The label is written last but for the FIFO: what carries the new generation never shows an old end.
    """
    for name in (*shim_files.LIVES, f"{shim_files.EXIT}.part"):
        shim_files.remove(folder.file(name))
    launch = Path(order["launch"])
    launch.mkdir(mode=0o700, exist_ok=True)
    shim_files.empty(str(launch))
    _scratch(Path(order["scratch"]), label.uid)
    shim_files.write_atomic(folder.file(shim_files.ORDER), json.dumps(order).encode())
    shim_files.write_atomic(folder.file(shim_files.INSTANCE), msgspec.json.encode(label))
    shim_files.remove(folder.file(shim_files.CONTROL))
    os.mkfifo(folder.file(shim_files.CONTROL), 0o600)
    shim_files.reserve(folder.file(shim_files.EXIT))


def confine_folder(launch: Launch) -> Path:
    """Where the shim's own code is: the plugin's environment, which no upgrade changes under it."""
    if launch.environment is not None:
        for site in launch.environment.site:
            if (site / "ntp" / "confine" / "shim.py").is_file():
                return site / "ntp" / "confine"
    return Path(ntp.confine.__path__[0])


def make_folder(path: Path) -> None:
    """Make a folder of ours on the way to a plugin's own: to be passed, not to be looked into."""
    path.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)


def let_pass(state: Path) -> None:
    """Let other uids walk through the state folder; what is in it stays closed to them (0600, 0700)."""
    state.chmod(0o711)


def check_reach(launch: Launch, folder: Path) -> None:
    """ActionError, if another uid than ours could not even reach what it is to run."""
    environment = launch.environment
    needed = [folder, *([launch.code] if launch.code else [])]
    if environment is not None:
        needed += [environment.python.resolve(), *environment.site]
    for path in needed:
        for above in reversed(path.parents):
            if above.stat().st_mode & 0o001 == 0:
                raise ActionError(
                    f"the own user of {launch.name} cannot pass {above} on its way to {path}: install "
                    f"bubblewrap, which hands it what it needs, or run `chmod o+x {above}`",
                    reason="Unreachable",
                )


def storage_for(path: Path, uid: int | None) -> None:
    """Make the durable folder of a plugin its own; one that it had under another uid is handed over."""
    make_folder(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    if uid is None or path.stat().st_uid == uid:
        return
    for _, _, files, descriptor in os.fwalk(path):
        os.fchown(descriptor, uid, uid)
        for file in files:
            os.chown(file, uid, uid, dir_fd=descriptor, follow_symlinks=False)


def label_of(launch: Launch, life: str, uid: int | None) -> Label:
    return Label(
        id=life,
        project=launch.project,
        name=launch.name,
        kind=launch.kind,
        generation=launch.generation,
        attempt=launch.attempt,
        epoch=launch.epoch,
        hashes=launch.hashes,
        spec=launch.spec.decode(),
        resources=launch.resources,
        created=datetime.now(UTC),
        uid=-1 if uid is None else uid,
    )


def _scratch(path: Path, uid: int) -> None:
    remove_tree(path)
    path.mkdir(mode=0o700)
    if uid >= 0:
        os.chown(path, uid, uid)
