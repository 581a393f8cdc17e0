"""Images of plugins, made of their files once for each input."""

from collections.abc import Callable, Mapping

from ntp.oci import base_image, source
from ntp.oci import image as images
from ntp.oci.fault import LostError, OciError
from ntp.oci.layer import PLAIN
from ntp.oci.layout import Layout, named
from ntp.oci.plugin_image import INPUT, build, key
from ntp.oci.referrer import attached
from ntp.oci.source import Sourced
from ntp.package.lock import Lock
from ntp.package.wheels import Pip
from orchestrator.catalog.image_input import as_packed
from orchestrator.catalog.image_store import (
    BASE,
    ImageStore,
    PluginImage,
    about,
    row_of,
    with_annotations,
)
from orchestrator.catalog.told import told
from orchestrator.spec.model import Artifact

Progress = Callable[[str], None]


class Images:
    """Built on the base that was named last, where none is named. Methods block: call them in a thread. Several processes may share one cache."""

    def __init__(self, store: ImageStore, pip: Pip, environment: Mapping[str, str]) -> None:
        """Keep the settings. `environment`: says where `docker login` left who we are."""
        self._store = store
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
        with told(), self._store.using():
            layout = self._store.layout()
            if text is None:
                return self._known_base(layout)
            found = source.fetch(text, layout, environment=self._environment, progress=progress)
            base_image.facts(found.image, found.name)
            kept = with_annotations(found.image.descriptor, {BASE: found.name})
            self._store.keep(layout, named(kept, BASE), found.index, in_place_of=BASE)
            return found

    def has_base(self) -> bool:
        """Whether one was named before; False also where the store cannot be read."""
        try:
            return any(BASE in each.annotations for each in Layout.open(self._store.root).index())
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
        with told(), self._store.using():
            layout = self._store.layout()
            facts = base_image.facts(below.image, below.name)
            wheels = facts.given.lock(self._pip, artifact.requirements, lock, progress=progress)
            pins = facts.given.pins(artifact.requirements, wheels) or ()
            plugin = as_packed(artifact, pins)
            wanted = key(plugin, below.image, PLAIN)
            known = self._found(layout, wanted)
            if known is not None:
                self._store.note(artifact.digest, known.digest)
                return known
            made = build(layout, plugin, below, facts, pip=self._pip, progress=progress)
            said = about(plugin.name, plugin.version, wanted)
            entry = with_annotations(made.image.descriptor, said)
            self._store.keep(layout, entry, [each.descriptor for each in made.attachments])
            self._store.note(artifact.digest, made.image.digest)
            return row_of(made.image, said, made=True)

    def known(self, artifact: str) -> str:
        """Return the digest of the image that is here of an artifact, by its digest, on the base that
        was named last; empty: there is none.
        """
        digest = self._store.made_of(artifact)
        try:
            index = {each.digest: each for each in Layout.open(self._store.root).index()}
            below = next((name for name, each in index.items() if BASE in each.annotations), None)
            image = images.read(Layout.open(self._store.root), index[digest])
        except (KeyError, OciError, OSError):
            return ""
        return digest if image.labels.get(f"{base_image.OCI}base.digest") == below else ""

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
                try:
                    found = images.read(layout, each)
                except LostError:
                    return None  # it is made again, the same bytes
                if all(layout.has(layer) for layer in found.layers):
                    return row_of(found, each.annotations, made=False)
        return None
