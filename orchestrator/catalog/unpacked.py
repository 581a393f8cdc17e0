"""The code and the wheels of images, taken out for processes: folders in the cache, named by their layer."""

from dataclasses import dataclass
from pathlib import Path

from ntp.oci.base_image import CODE, WHEELS_FOLDER
from ntp.oci.descriptor import Descriptor
from ntp.oci.image import Image
from ntp.oci.layout import Layout
from ntp.oci.own_layers import OwnLayers, own_layers, take_out
from ntp.package.cache import ASIDE, Cache
from ntp.package.interpreter import compile_folder, platform_tag
from ntp.package.seal_key import SealKey
from ntp.package.seals import Seals
from orchestrator.catalog.image_store import ImageStore

ROOM = "unpacked"


@dataclass(frozen=True, slots=True)
class Folders:
    """Read-only, compiled for this Python. `wheels`: None where the plugin has none of its own."""

    layers: OwnLayers
    code: Path
    wheels: Path | None


class Unpacked:
    """Methods block: call them in a thread. Several processes may share one cache.

    Args:
        store: has the images.
        cache: the user's folder for what can be made again.
        states: the folder of all projects, with the key that the folders are sealed with.
    """

    def __init__(self, store: ImageStore, cache: Path, states: Path) -> None:
        self._store = store
        self._cache = Cache(cache)
        self._seals = Seals(self._cache, SealKey(states))

    def of(self, image: Image, name: str) -> Folders:
        """Return the folders of an image that is in the store; each layer is taken out once.

        What was altered since is laid aside, and taken out of the image anew.

        Args:
            image: with every digest compared.
            name: what a person calls it.

        Raises:
            OciError: `ntp plugin package` did not make it so, or a layer holds what none may.
            PackageError: the cache cannot be written.
            ActionError: somebody prunes for long.
        """
        found = own_layers(image, name)
        with self._store.using():
            layout = self._store.layout()
            code = self._folder(layout, found.code, CODE)
            if found.wheels is None:
                return Folders(found, code, None)
            return Folders(found, code, self._folder(layout, found.wheels, WHEELS_FOLDER))

    def unaltered(self, folders: Folders) -> bool:
        """Whether they hold what was taken out, and nothing else; quick where nobody touched them."""
        some = (folders.code, folders.wheels)
        return all(self._seals.hold(each) for each in some if each is not None)

    def _folder(self, layout: Layout, layer: Descriptor, inside: str) -> Path:
        name = f"{layer.hexadecimal}-{platform_tag()}"

        def make(folder: Path) -> None:
            take_out(layout, layer, inside, folder)
            compile_folder(folder)
            self._seals.note(folder, name)

        folder = self._cache.folder(ROOM, name, make)
        if self._seals.hold(folder):
            return folder
        with self._cache.lock(f"{ROOM}-{name}"):
            if folder.is_dir() and not self._seals.hold(folder):
                # An older release, or who has another key, did not seal it for us: the layer tells.
                with self._cache.scratch(ROOM, name) as fresh:
                    make(fresh)
                    if not self._seals.hold(folder):
                        self._cache.aside(ROOM, name)
        return self._cache.folder(ROOM, name, make)


def layer_of(folder: Path) -> str:
    """Return the digest of the layer that a folder of the room was taken from, laid aside or not."""
    return f"sha256:{folder.name.removeprefix(ASIDE).partition('-')[0]}"
