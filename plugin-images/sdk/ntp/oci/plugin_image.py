"""A plugin's image: the layers of a base, one of its locked wheels, one of its code."""

import importlib.metadata
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ntp.oci import image as images
from ntp.oci import layer, own_layers, provenance, sbom
from ntp.oci.base_image import CODE, NONE, OCI, OWN, SYSTEM, WHEELS_FOLDER, Facts, files, settings
from ntp.oci.descriptor import digest_of, dump
from ntp.oci.fault import OciError
from ntp.oci.image import Image
from ntp.oci.layer import PLAIN, Form, Layer
from ntp.oci.layout import Layout
from ntp.oci.referrer import Attached, attach, attached
from ntp.oci.source import Sourced
from ntp.package.given import SDK
from ntp.package.interpreter import compile_folder, platform_tag
from ntp.package.lock import Pin
from ntp.package.tree import Tree
from ntp.package.wheels import Pip

MANIFEST, SCHEMA = f"{OWN}manifest", f"{OWN}config-schema"
MANIFEST_DIGEST = f"{OWN}manifest-digest"
INPUT = f"{OWN}input"
FORM = "2"
"""Changes whenever this module makes another image of the same input."""
_INSTALLERS = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"})
"""What pip writes about itself and this machine."""

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plugin:
    """What is packed. `manifest`: plugin.yaml as JSON. `pins`: every wheel it needs, given ones too."""

    name: str
    version: str
    manifest: Mapping[str, Any]
    schema: Mapping[str, Any]
    tree: Tree
    pins: tuple[Pin, ...]
    revision: str | None = None
    """Of its source, as its version control calls it."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """More labels of org.opencontainers.image: description, authors, licenses."""


@dataclass(frozen=True, slots=True)
class Built:
    """An image of a plugin in a layout, with what is attached to it."""

    image: Image
    attachments: tuple[Attached, ...]


def key(plugin: Plugin, base: Image, form: Form) -> str:
    """Return one digest of all that the image follows from: where it is known, nothing has to be built."""
    said = {
        "form": FORM,
        "sdk": _packer(),
        "base": base.digest,
        "tree": plugin.tree.digest,
        "manifest": dict(plugin.manifest),
        "pins": [str(pin) for pin in plugin.pins],
        "revision": plugin.revision,
        "epoch": form.epoch,
        "compress": form.compress,
    }
    return digest_of(dump(said))


def build(
    layout: Layout,
    plugin: Plugin,
    base: Sourced,
    facts: Facts,
    *,
    pip: Pip,
    form: Form = PLAIN,
    progress: Progress = lambda _: None,
) -> Built:
    """Write the image.

    Args:
        layout: has the base.
        plugin: what to pack.
        base: on which.
        facts: what the base says of itself.
        pip: how to reach the registry of wheels.
        form: how layers are written; its time is when the image says that it was made.
        progress: called with one line at a time.

    Raises:
        OciError: the base has another Python than this.
        PackageError: the wheels cannot be had.
    """
    if facts.tag != platform_tag():
        raise OciError(
            f"{base.name} has Python {facts.tag}, and this is {platform_tag()}: compiled files of one "
            "are nothing to the other",
            fix="run this with the base's Python, or take a base with this one",
        )
    own = facts.given.own(plugin.pins)
    wheels = _wheels(layout, own, pip, form, progress) if own else None
    code = _code(layout, plugin, form)
    manifest = dump(dict(plugin.manifest))
    labels = {
        f"{OCI}title": plugin.name,
        f"{OCI}version": plugin.version,
        f"{OCI}base.digest": base.image.digest,
        **{f"{OCI}{name}": text for name, text in plugin.texts.items() if text},
        **({f"{OCI}revision": plugin.revision} if plugin.revision else {}),
        MANIFEST: manifest.decode(),
        MANIFEST_DIGEST: digest_of(manifest),
        SCHEMA: dump(dict(plugin.schema)).decode(),
        f"{OWN}sdk": facts.distributions[SDK],
        own_layers.LAYERS: own_layers.label(wheels, code),
        own_layers.PYTHON: facts.tag,
        own_layers.CONTRACT: facts.contract,
        **({} if facts.system else {SYSTEM: NONE}),
    }
    made = images.build(
        layout,
        base=base.image,
        layers=[code] if wheels is None else [wheels, code],
        settings=settings(facts.python, labels),
        annotations={name: labels[name] for name in sorted(labels) if name.startswith(OCI)},
        architecture=base.image.architecture,
        epoch=form.epoch,
    )
    return Built(made, _about(layout, made, plugin, base, own))


def _packer() -> str:
    """The version of what packs: this distribution."""
    return importlib.metadata.version(SDK)


def _wheels(layout: Layout, own: Sequence[Pin], pip: Pip, form: Form, progress: Progress) -> Layer:
    with TemporaryDirectory(prefix="ntp-wheels-") as scratch:
        site = Path(scratch) / "site"
        site.mkdir()
        pip.install(own, site, progress=progress)
        compile_folder(site, shown=WHEELS_FOLDER)
        found = [
            (path, content)
            for path, content in files(site)
            if not (
                path.partition("/")[0].endswith(".dist-info") and Path(path).name in _INSTALLERS
            )
        ]
        names = ", ".join(f"{pin.name} {pin.version}" for pin in own)
        return layer.write(
            layout,
            layer.under(WHEELS_FOLDER, found),
            form,
            comment=f"ntp: {names[:300]}",
        )


def _code(layout: Layout, plugin: Plugin, form: Form) -> Layer:
    with TemporaryDirectory(prefix="ntp-code-") as scratch:
        folder = Path(scratch)
        for path, content in plugin.tree.files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        compile_folder(folder, shown=CODE)
        return layer.write(
            layout,
            layer.under(CODE, files(folder)),
            form,
            comment=f"ntp: {plugin.name} {plugin.version}",
        )


def _about(
    layout: Layout, made: Image, plugin: Plugin, base: Sourced, own: Sequence[Pin]
) -> tuple[Attached, ...]:
    purl = f"pkg:oci/{plugin.name}@{made.digest.replace(':', '%3A')}"
    parts = _of_base(layout, base)
    parts += [sbom.pypi(pin.name, pin.version, pin.sha256, "wheels") for pin in own]
    taken = {part.purl for part in parts}
    parts += [
        part
        for pin in plugin.pins
        if (part := sbom.pypi(pin.name, pin.version, None, "base")).purl not in taken
    ]
    document = sbom.write(
        subject=purl,
        digest=made.digest,
        name=plugin.name,
        version=plugin.version,
        components=parts,
    )
    materials = [
        (
            f"pkg:oci/base@{base.image.digest.replace(':', '%3A')}",
            base.image.descriptor.hexadecimal,
        ),
        (f"ntp-tree:{plugin.name}", plugin.tree.digest),
        *((f"pkg:pypi/{pin.name}@{pin.version}", pin.sha256) for pin in own),
    ]
    statement = provenance.write(
        name=plugin.name,
        digest=made.digest,
        parameters={
            "plugin": plugin.name,
            "version": plugin.version,
            "base": base.image.digest,
            **({"revision": plugin.revision} if plugin.revision else {}),
        },
        materials=materials,
        builder_version=_packer(),
    )
    return (
        attach(layout, made, document, sbom.MEDIA_TYPE),
        attach(
            layout,
            made,
            statement,
            provenance.MEDIA_TYPE,
            annotations={provenance.ANNOTATION: provenance.PREDICATE},
        ),
    )


def _of_base(layout: Layout, base: Sourced) -> list[sbom.Component]:
    """What the base's own SBOM lists, if it came with one."""
    for each in attached(layout, base.image, base.index):
        if each.descriptor.artifact_type != sbom.MEDIA_TYPE:
            continue
        try:
            document = json.loads(layout.read(each.document))
            return [sbom.Component.of(part) for part in document["components"]]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise OciError(f"the SBOM of {base.name} cannot be read") from error
    return []
