"""From an author's plugin to its image in a file: what `ntp plugin package` does."""

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_hex

from ntp.contract import semver
from ntp.contract.config_schema import expand
from ntp.contract.names import object_name
from ntp.oci import archive, base_image, report, source
from ntp.oci.fault import OciError
from ntp.oci.layer import Form
from ntp.oci.layout import REF, Layout, named
from ntp.oci.plugin_image import Built, Plugin, build
from ntp.oci.signing import signature
from ntp.oci.signing.key import PublicKey
from ntp.oci.signing.keyring import Signer
from ntp.oci.source import Sourced
from ntp.package.author import Authored
from ntp.package.lock import Pin
from ntp.package.locked import locked
from ntp.package.sdk_copies import versions
from ntp.package.wheels import Pip

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked for. `base`: as `source.fetch` takes it, or `none`. `out`: file or folder; None: by name."""

    plugin: Authored
    base: str
    out: Path | None
    as_archive: bool
    form: Form
    environment: Mapping[str, str]
    report: bytes | None = None
    """What `ntp plugin test` said of it, a JSON object: attached, and signed with the image."""
    signer: Signer | None = None


@dataclass(frozen=True, slots=True)
class Packed:
    """`lock`: the file that was written beside the plugin, if one was. `signer`: whose signature it has."""

    built: Built
    base: Sourced
    plugin: Plugin
    out: Path
    tag: str
    lock: Path | None
    signer: PublicKey | None = None


def pack(order: Order, progress: Progress = lambda _: None) -> Packed:
    """Build the image and write it; nothing is left where that fails.

    Raises:
        OciError: the base, or the place to write to.
        PackageError: the wheels.
    """
    manifest = order.plugin.manifest
    tag = semver.tag(manifest.version)
    out = order.out or Path(
        f"{object_name(manifest.name)}-{tag}{'.tar' if order.as_archive else ''}"
    )
    _check_target(out, as_archive=order.as_archive)
    pip = Pip(order.environment)
    with tempfile.TemporaryDirectory(prefix="ntp-image-") as scratch:
        layout = Layout.create(Path(scratch))
        progress(f"base {order.base}")
        found = _base(order, layout, progress)
        facts = base_image.facts(found.image, found.name)
        lock, wrote = locked(
            order.plugin.lock, manifest.requirements, facts.given, pip, progress=progress
        )
        pins = facts.given.pins(manifest.requirements, lock)
        plugin = from_manifest(order.plugin, pins or ())
        built = build(layout, plugin, found, facts, pip=pip, form=order.form, progress=progress)
        built = _signed(layout, built, order)
        name = f"ntp/{object_name(manifest.name)}"
        if order.as_archive:
            _write_archive(layout, built, out, name=name, tag=tag)
        else:
            _write_layout(layout, built, out, tag=tag)
    signer = order.signer.public if order.signer else None
    return Packed(built, found, plugin, out, tag, wrote, signer)


def _base(order: Order, layout: Layout, progress: Progress) -> Sourced:
    if order.base != base_image.NONE:
        return source.fetch(order.base, layout, environment=order.environment, progress=progress)
    made = base_image.nothing(layout, versions=versions(), architecture=source.architecture())
    return Sourced(made, base_image.NONE)


def from_manifest(authored: Authored, pins: tuple[Pin, ...]) -> Plugin:
    manifest = authored.manifest
    return Plugin(
        name=manifest.name,
        version=manifest.version,
        manifest=manifest.model_dump(mode="json", exclude_defaults=True),
        schema=expand(manifest.config_schema),
        tree=authored.tree,
        pins=pins,
        revision=authored.revision,
        texts={
            "description": manifest.description,
            "authors": manifest.author,
            "licenses": manifest.licence or "",
        },
    )


def _signed(layout: Layout, built: Built, order: Order) -> Built:
    """Return the image with the report and the signature over all of it, as far as they are asked for."""
    attachments = built.attachments
    if order.report is not None:
        attachments = (*attachments, report.attach_to(layout, built.image, order.report))
    if order.signer is not None:
        name = order.plugin.manifest.name
        found = signature.sign(layout, built.image, name, attachments, order.signer)
        attachments = (*attachments, found)
    return replace(built, attachments=attachments)


def _check_target(out: Path, *, as_archive: bool) -> None:
    if not out.parent.is_dir():
        raise OciError(f"the folder {out.parent} does not exist", fix="make it, or name another")
    if not os.path.lexists(out):
        return
    if as_archive:
        if out.is_file() and _begins(out) in (b"", b"oci-layout"):
            return
        raise OciError(f"{out} is there and no OCI archive", fix="name another file, or remove it")
    if not out.is_dir() or (any(out.iterdir()) and not (out / "oci-layout").is_file()):
        raise OciError(f"{out} is there and no OCI layout", fix="name another folder, or remove it")


def _begins(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(10)


def _write_archive(layout: Layout, built: Built, out: Path, *, name: str, tag: str) -> None:
    # A name that is known before there is a file: whoever is ended while it is made removes it, too.
    scratch = out.with_name(f".{out.name}.{token_hex(8)}")
    try:
        with scratch.open("xb") as file:
            archive.write(layout, [archive.Item(built.image, name, tag, built.attachments)], file)
        scratch.replace(out)
    finally:
        scratch.unlink(missing_ok=True)


def _write_layout(layout: Layout, built: Built, out: Path, *, tag: str) -> None:
    """Add the image to the layout there, in place of one of the same name."""
    target = Layout.create(out)
    for blob in archive.blobs_of(built.image, built.attachments):
        if not target.has(blob):
            shutil.copyfile(layout.path(blob.digest), scratch := out / f".{blob.hexadecimal}")
            scratch.replace(target.path(blob.digest))
    mine = [named(built.image.descriptor, tag), *(each.descriptor for each in built.attachments)]
    with target.locked():
        digests = {each.digest for each in mine}
        others = [
            each
            for each in target.index()
            if each.annotations.get(REF) != tag and each.digest not in digests
        ]
        target.write_index([*mine, *others])
