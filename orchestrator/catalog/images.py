"""Images of plugins, made once for each input, in one OCI layout under the user's cache.

Plugins share their base's layers there. An image is never changed: another input is another image, and
what runs by digest is found as long as it lies here.
"""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from ntp.contract.manifest import Manifest
from ntp.contract.names import object_name
from ntp.oci import archive, base, source
from ntp.oci import image as images
from ntp.oci.described import manifest
from ntp.oci.descriptor import Descriptor
from ntp.oci.fault import OciError
from ntp.oci.image import Image
from ntp.oci.layer import PLAIN
from ntp.oci.layout import Layout, named
from ntp.oci.plugin_image import INPUT, build, key
from ntp.oci.referrer import attached
from ntp.oci.source import Sourced
from ntp.package.fault import PackageError
from ntp.package.lock import Lock
from ntp.package.wheels import Pip
from orchestrator.catalog.image_input import as_packed
from orchestrator.errors import ActionError, UnreachableError
from orchestrator.spec.model import Artifact

FOLDER = "images"
BASE = "ntp-base"
"""The base that was named last; it is what is built on where none is named."""
PLUGIN, VERSION, MADE = "ntp-image.plugin", "ntp-image.version", "ntp-image.made"
"""Of an entry of the index here; the images themselves do not say when they were made."""

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class PluginImage:
    """`name`: what an engine calls it. `id`: in an engine; `digest`: in a registry. `made`: just now."""

    plugin: str
    version: str
    name: str
    digest: str
    id: str
    size: int
    base: str
    at: datetime
    made: bool


class Images:
    """Methods block: call them in a thread. Several processes may share one cache."""

    def __init__(self, cache: Path, pip: Pip, environment: Mapping[str, str]) -> None:
        """Keep the settings. `environment`: says where `docker login` left who we are."""
        self._root = cache / FOLDER
        self._pip = pip
        self._environment = environment

    def base(self, text: str | None, progress: Progress = lambda _: None) -> Sourced:
        """Return the base, whole and unaltered.

        Args:
            text: as `ntp.oci.source.fetch` takes it; None: the one that was named last.
            progress: called with what is fetched.

        Raises:
            ActionError: none was ever named, or it is no base.
            UnreachableError: its registry does not answer.
        """
        with _told():
            layout = self._layout()
            if text is None:
                return self._known_base(layout)
            found = source.fetch(text, layout, environment=self._environment, progress=progress)
            base.facts(found.image, found.name)
            kept = replace_annotations(found.image.descriptor, {BASE: found.name})
            self._keep(layout, [named(kept, BASE), *found.index], in_place_of=BASE)
            return found

    def has_base(self) -> bool:
        """Whether one was named before; False also where the store cannot be read."""
        try:
            return any(BASE in each.annotations for each in Layout.open(self._root).index())
        except (OciError, OSError):
            return False

    def image(
        self,
        artifact: Artifact,
        lock: Lock | None,
        below: Sourced,
        progress: Progress = lambda _: None,
    ) -> PluginImage:
        """Return a plugin's image on this base; it is built only where this input has none yet.

        Args:
            artifact: what the catalog resolved: bundled, a folder, or a lone file.
            lock: the wheels that it is prepared with.
            below: what `base` returned.
            progress: called with one line at a time.

        Raises:
            ActionError: the wheels cannot be had, or the base has another Python.
        """
        with _told():
            layout = self._layout()
            facts = base.facts(below.image, below.name)
            wheels = facts.given.lock(self._pip, artifact.requirements, lock, progress=progress)
            pins = facts.given.pins(artifact.requirements, wheels) or ()
            plugin = as_packed(artifact, pins)
            wanted = key(plugin, below.image, PLAIN)
            known = self._found(layout, wanted)
            if known is not None:
                return known
            made = build(layout, plugin, below, facts, pip=self._pip, progress=progress)
            about = _about(plugin.name, plugin.version, wanted)
            entry = replace_annotations(made.image.descriptor, about)
            self._keep(layout, [entry, *(each.descriptor for each in made.attachments)])
            return _row(made.image, about, made=True)

    def settle(self, reference: str) -> str:
        """Return the reference by the digest that it means now; with a digest it is asked for nothing.

        Raises:
            ActionError: it is no reference, or names nothing.
            UnreachableError: its registry does not answer.
        """
        with _told():
            return source.settle(reference, environment=self._environment)

    def fetched(
        self, reference: str, progress: Progress = lambda _: None
    ) -> tuple[PluginImage, Manifest]:
        """Return a plugin's image of a registry, by digest, whole and unaltered, and what it says it is.

        Raises:
            ActionError: it is not there, not what its digest says, or no image of a plugin.
            UnreachableError: its registry does not answer.
        """
        with _told():
            layout = self._layout()
            digest = reference.partition("@")[2]
            for each in layout.index():
                if PLUGIN in each.annotations and each.digest == digest:
                    # By digest there is nothing to ask anybody for.
                    here = images.read(layout, each)
                    images.check(layout, here)
                    return _row(here, each.annotations, made=False), manifest(here, reference)
            found = source.pull(reference, layout, environment=self._environment, progress=progress)
            said = manifest(found.image, found.name)
            about = _about(said.name, said.version, found.image.digest)
            kept = replace_annotations(found.image.descriptor, about)
            self._keep(layout, [kept, *found.index])
            return _row(found.image, about, made=False), said

    @contextlib.contextmanager
    def archive(self, digests: Sequence[str]) -> Iterator[Path]:
        """Yield a file of these images that `docker load` takes, for as long as the block lasts.

        What they share is in it once. Every byte was compared with its digest on the way.

        Raises:
            ActionError: one is not here any more, or was altered.
        """
        with tempfile.TemporaryDirectory(prefix="ntp-load-", dir=self._existing()) as folder:
            file = Path(folder) / "images.tar"
            with _told():
                layout = self._layout()
                index = {each.digest: each for each in layout.index() if PLUGIN in each.annotations}
                for digest in digests:
                    if digest not in index:
                        words = f"the image {digest} is not here any more"
                        raise OciError(words, fix="ntpctl images build")
                items = [_item(layout, index[digest]) for digest in dict.fromkeys(digests)]
                with file.open("xb") as out:
                    archive.write(layout, items, out)
            yield file

    def _existing(self) -> Path:
        with _told():
            self._layout()
        return self._root

    def listed(self) -> Sequence[PluginImage]:
        """Return the images that are here, the newest of each plugin first.

        Raises:
            ActionError: the store cannot be read.
        """
        if not (self._root / "index.json").exists():
            return ()
        with _told():
            layout = self._layout()
            rows = [
                _row(images.read(layout, each), each.annotations, made=False)
                for each in layout.index()
                if PLUGIN in each.annotations
            ]
        rows.sort(key=lambda row: row.at, reverse=True)
        return sorted(rows, key=lambda row: row.plugin)

    def _layout(self) -> Layout:
        return Layout.create(self._root)

    def _known_base(self, layout: Layout) -> Sourced:
        index = layout.index()
        entry = next((each for each in index if BASE in each.annotations), None)
        if entry is None:
            raise OciError(
                "no base image was named yet",
                fix="--base IMAGE or NTP_BASE=IMAGE: a layout, an archive, or host/repository@sha256:…",
            )
        found = images.read(layout, entry)
        images.check(layout, found)
        others = tuple(each.descriptor for each in attached(layout, found, index))
        return Sourced(found, entry.annotations[BASE], others)

    def _found(self, layout: Layout, wanted: str) -> PluginImage | None:
        for each in layout.index():
            if each.annotations.get(INPUT) == wanted:
                found = images.read(layout, each)
                if all(layout.has(layer) for layer in found.layers):
                    return _row(found, each.annotations, made=False)
        return None

    def _keep(
        self, layout: Layout, fresh: Sequence[Descriptor], *, in_place_of: str | None = None
    ) -> None:
        with layout.locked():
            digests = {each.digest for each in fresh}
            others = [
                each
                for each in layout.index()
                if each.digest not in digests
                and (in_place_of is None or in_place_of not in each.annotations)
            ]
            layout.write_index([*fresh, *others])


def _about(plugin: str, version: str, wanted: str) -> dict[str, str]:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {INPUT: wanted, PLUGIN: plugin, VERSION: version, MADE: now}


def _item(layout: Layout, entry: Descriptor) -> archive.Item:
    name, _, tag = _name(entry.annotations).partition(":")
    return archive.Item(images.read(layout, entry), name, tag)


def _name(about: Mapping[str, str]) -> str:
    return f"ntp/{object_name(about[PLUGIN])}:{about[VERSION].replace('+', '_')}"


def replace_annotations(descriptor: Descriptor, annotations: Mapping[str, str]) -> Descriptor:
    return replace(descriptor, annotations={**descriptor.annotations, **annotations})


def _row(image: Image, about: Mapping[str, str], *, made: bool) -> PluginImage:
    labels = image.labels
    return PluginImage(
        plugin=about[PLUGIN],
        version=about[VERSION],
        name=_name(about),
        digest=image.digest,
        id=image.id,
        size=image.size,
        base=labels.get(f"{base.OCI}base.digest", ""),
        at=datetime.fromisoformat(about[MADE]),
        made=made,
    )


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Say in our own tree of errors what went wrong with images and wheels."""
    try:
        yield
    except PackageError as error:
        raise ActionError(str(error), reason=error.reason, permanent=error.permanent) from error
    except OciError as error:
        words = str(error) + (f"\n  fix: {error.fix}" if error.fix else "")
        if error.transient:
            raise UnreachableError(words) from error
        raise ActionError(words, reason=error.reason) from error
    except OSError as error:
        raise ActionError(
            f"the images in the cache cannot be written: {error.strerror or error}; free space, or "
            f"set NTP_CACHE to a folder that can be written ({os.fspath(error.filename or '')})",
            reason="CacheFailed",
        ) from error
