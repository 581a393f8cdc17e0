"""Installing: verified whole, agreed to, kept, and then named in plugins.yaml by its digest."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ntp.contract import semver
from ntp.contract.names import is_name, object_name
from ntp.oci.market import admission
from ntp.oci.market.folder import local_reference
from orchestrator.app import entries, purchase_log, shelves
from orchestrator.app.entries import Entry
from orchestrator.catalog.purchases import Candidate
from orchestrator.catalog.told import told
from orchestrator.errors import ActionError
from orchestrator.files import shown
from orchestrator.settings import Settings

Agree = Callable[[Mapping[str, Any]], None]
"""Called with what is to be installed, before anything is written; it raises where that is not wanted."""
Progress = Callable[[str], None]


def install(
    settings: Settings,
    name: str,
    version: str | None,
    *,
    market: str | None,
    entry_name: str | None,
    agree: Agree,
    progress: Progress,
) -> dict[str, Any]:
    """Install a release of a marketplace; return what was done.

    Args:
        settings: of the project.
        name: of the plugin.
        version: None: the newest.
        market: None: the default one.
        entry_name: how the entry is called; None: as the plugin.
        agree: see `Agree`.
        progress: called with what is fetched.

    Raises:
        ActionError: it is refused; nothing was written.
        ConfigError: the file cannot be edited.
        UnreachableError: the registry does not answer.
    """
    called = _entry_name(entry_name or name)
    with told(), shelves.opened(settings, market) as shelf:
        where = f"'{shelf.market.name}'"
        _, wanted, release = admission.find(shelf.catalogue, name, version, where)
        before = _entry(settings, called)
        if before is not None:
            _check_not_there(before, shelves.version_of(before, shelf.catalogue), wanted, release.digest)  # fmt: skip
        image = f"{shelf.place.reference(name, wanted)}@{release.digest}"
        with shelves.purchases(settings).from_place(
            shelf.place, shelf.catalogue, name, wanted
        ) as candidate:
            said = {**shelves.described(candidate.found, release), "marketplace": shelf.market.name}
            return _taken(
                settings,
                candidate,
                said,
                called=called,
                image=image,
                before=before,
                agree=agree,
                progress=progress,
            )


def install_file(
    settings: Settings,
    file: Path,
    *,
    key_files: Sequence[Path],
    entry_name: str | None,
    agree: Agree,
    progress: Progress,
) -> dict[str, Any]:
    """Install the image of a file; no network is needed. As `install`; `key_files`: who may have signed it."""
    if not file.is_file():
        raise ActionError(
            f"the file {file} was not found\n  fix: name what `ntp plugin package --sign` made",
            reason="ImageNotFound",
        )
    with told(), shelves.purchases(settings).from_file(file, shelves.trusting(key_files)) as candidate:  # fmt: skip
        manifest, digest = candidate.manifest, candidate.found.image.digest
        called = _entry_name(entry_name or manifest.name)
        before = _entry(settings, called)
        if before is not None:
            _check_not_there(before, before.version, manifest.version, digest)
        image = f"{local_reference(manifest.name, manifest.version)}@{digest}"
        said = {**shelves.described(candidate.found, None), "marketplace": None}
        return _taken(
            settings,
            candidate,
            said,
            called=called,
            image=image,
            before=before,
            agree=agree,
            progress=progress,
        )


def update(
    settings: Settings,
    name: str,
    version: str | None,
    *,
    market: str | None,
    agree: Agree,
    progress: Progress,
) -> dict[str, Any] | None:
    """Have an entry run a newer release; None where it runs it already. As `install`.

    Without a marketplace it comes from where the installed one is, or from who signed that one.
    """
    before = entries.named(settings, name)
    with told(), shelves.having(settings, before, market) as shelf:
        where = f"'{shelf.market.name}'"
        _, wanted, release = admission.find(shelf.catalogue, before.plugin, version, where)
        if release.digest == before.digest:
            return None
        current = shelves.version_of(before, shelf.catalogue)
        _check_rises(before, current, wanted)
        image = f"{shelf.place.reference(before.plugin, wanted)}@{release.digest}"
        with shelves.purchases(settings).from_place(
            shelf.place, shelf.catalogue, before.plugin, wanted
        ) as candidate:
            signer = purchase_log.signer_of(settings, before.digest)
            if market is None:
                _check_signer(before, signer, candidate.found.key.fingerprint, shelf.market.name)
            said = {
                **shelves.described(candidate.found, release),
                "marketplace": shelf.market.name,
                "before": current or None,
                "signed_before": signer,
            }
            return _taken(
                settings,
                candidate,
                said,
                called=before.name,
                image=image,
                before=before,
                agree=agree,
                progress=progress,
            )


def uninstall(settings: Settings, name: str, agree: Agree) -> dict[str, Any]:
    """Take an entry out of its file; its image stays in the cache until `images prune`."""
    entry = entries.named(settings, name)
    done = {
        "name": entry.name,
        "plugin": entry.plugin,
        "image": entry.image,
        "file": shown(entry.file, settings.folder),
    }
    agree(done)
    with purchase_log.opened(settings) as write:
        entries.remove(settings, entry)
        write({"action": "uninstall", **done})
    return done


def _taken(
    settings: Settings,
    candidate: Candidate,
    said: Mapping[str, Any],
    *,
    called: str,
    image: str,
    before: Entry | None,
    agree: Agree,
    progress: Progress,
) -> dict[str, Any]:
    manifest = candidate.manifest
    entry = {"name": called, "image": image}
    if called != manifest.name:
        entry = {"name": called, "plugin": manifest.name, "image": image}

    section = manifest.kind.section
    if before is None:
        entries.check_add(settings, section, entry)  # told before anything is fetched
    elif before.path[1] != section:
        raise ActionError(
            f"'{before.name}' stands below {before.path[1]}, and {manifest.version} is of kind {manifest.kind}\n"
            f"  fix: if that is meant: ntpctl plugin uninstall {before.name}, then install it",
            reason="KindChanged",
        )
    agree(said)
    shelves.purchases(settings).keep(candidate, progress)
    done = {
        "name": called,
        "plugin": manifest.name,
        "version": manifest.version,
        "image": image,
        "digest": candidate.found.image.digest,
        "signed_by": candidate.found.key.fingerprint,
        "marketplace": said["marketplace"],
    }
    with purchase_log.opened(settings) as write:
        if before is not None:
            file = entries.change(settings, before, image)
        else:
            file = entries.add(settings, section, entry)
        done["file"] = shown(file, settings.folder)
        write({"action": "update" if before else "install", **done})
    return done


def _entry_name(name: str) -> str:
    if not is_name(name):
        raise ActionError(f"{name[:80]!r} is no name of an entry\n  fix: --as NAME")
    return name


def _entry(settings: Settings, name: str) -> Entry | None:
    found = (each for each in entries.listed(settings) if object_name(each.name) == object_name(name))  # fmt: skip
    return next(found, None)


def _check_not_there(before: Entry, current: str, wanted: str, digest: str) -> None:
    where = f"{before.file.name} has an entry '{before.name}' already"
    if before.image and before.digest != digest:
        _check_rises(before, current, wanted)
    if not before.image or object_name(before.plugin) != object_name(before.name):
        raise ActionError(f"{where}\n  fix: --as NAME", reason="NameTaken")
    words = f"which is {current}" if current else "of another version"
    if before.digest == digest:
        raise ActionError(f"{where}, which is this release\n  fix: nothing is left to do", reason="NameTaken")  # fmt: skip
    raise ActionError(
        f"{where}, {words}\n  fix: ntpctl plugin update {before.name}", reason="NameTaken"
    )


def _check_signer(before: Entry, signer: str | None, now: str, market: str) -> None:
    if signer not in (None, now):
        raise ActionError(
            f"'{before.name}' is signed by {signer}, and the release in '{market}' by {now}\n"
            f"  fix: ask its author; if that is meant: "
            f"ntpctl plugin update {before.name} --marketplace {market}",
            reason="KeyNotTrusted",
        )


def _check_rises(before: Entry, current: str, wanted: str) -> None:
    if current and semver.order(wanted) < semver.order(current):
        raise ActionError(
            f"'{before.name}' is {current}, and {wanted} is older\n"
            f"  fix: if that is meant: ntpctl plugin uninstall {before.name}, then install it",
            reason="Downgrade",
        )
