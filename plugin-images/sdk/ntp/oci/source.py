"""Where a base is: an OCI layout, an OCI archive, or a registry by digest; brought into a layout."""

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ntp.oci import archive, image, reference
from ntp.oci.descriptor import Descriptor
from ntp.oci.fault import OciError
from ntp.oci.image import Image
from ntp.oci.layout import Layout
from ntp.oci.referrer import attached
from ntp.oci.registry import Registry
from ntp.oci.registry_access import logged_in

_GO = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True, slots=True)
class Sourced:
    """An image that is whole and unaltered in a layout. `index`: what else came with it."""

    image: Image
    name: str
    index: tuple[Descriptor, ...] = ()


def architecture() -> str:
    """Return this machine's, in the words of Go."""
    machine = platform.machine().lower()
    return _GO.get(machine, machine)


def fetch(
    text: str,
    into: Layout,
    *,
    environment: Mapping[str, str],
    progress: Callable[[str], None] = lambda _: None,
) -> Sourced:
    """Bring an image into a layout, every blob compared with its digest.

    Args:
        text: `folder`, `file.tar`, either with `#name` where there are several images; or
            `host/repository[:tag]@sha256:…`. A tag alone is refused: it may mean another one tomorrow.
        into: where to.
        environment: where `docker login` left who we are.
        progress: called with what is fetched.

    Raises:
        OciError: it is not there, or not what it says.
    """
    named, _, inside = text.partition("#")
    path = Path(named)
    if path.exists():
        return _local(path, inside or None, into)
    if named.startswith((".", "/", "~")) or ("@" not in named and named.endswith(".tar")):
        raise OciError(
            f"{named} was not found", fix="name an OCI layout, an OCI archive, or a reference"
        )
    return pull(text, into, environment=environment, progress=progress)


def pull(
    text: str,
    into: Layout,
    *,
    environment: Mapping[str, str],
    progress: Callable[[str], None] = lambda _: None,
) -> Sourced:
    """Bring an image out of a registry into a layout, with what is attached to it; as `fetch`."""
    found = reference.parse(text)
    if found.digest is None:
        now = settle(text, environment=environment)
        raise OciError(
            f"{text} is a tag, which may mean another image tomorrow", fix=f"write {now}"
        )
    registry = Registry(found.host, credentials=logged_in(found.host, environment))
    try:
        pulled = registry.pull(found, into, architecture=architecture(), progress=progress)
        image.check(into, pulled)
        listed = registry.pull_attached(found.at(pulled.digest), into)
        return Sourced(pulled, str(found), listed)
    finally:
        registry.close()


def settle(text: str, *, environment: Mapping[str, str]) -> str:
    """Return a reference by the digest that it means now.

    Raises:
        OciError: it is no reference, or names nothing.
    """
    found = reference.parse(text)
    if found.digest is not None:
        return str(found)
    registry = Registry(found.host, credentials=logged_in(found.host, environment))
    try:
        return str(found.at(registry.resolve(found).digest))
    finally:
        registry.close()


def _local(path: Path, name: str | None, into: Layout) -> Sourced:
    if path.is_file():
        index = archive.take(path, into)
        return _chosen(into, index, name, str(path))
    other = Layout.open(path)
    index = other.index()
    chosen = image.choose(other, name, architecture=architecture())
    mine = attached(other, chosen, index)
    for blob in archive.blobs_of(chosen, mine):
        if not into.has(blob):
            into.take(other.chunks(blob), blob)
        else:
            into.check(blob)
    return Sourced(chosen, str(path), tuple(each.descriptor for each in mine))


def _chosen(into: Layout, index: tuple[Descriptor, ...], name: str | None, shown: str) -> Sourced:
    chosen = image.choose_from(into, index, name, architecture=architecture(), shown=shown)
    image.check(into, chosen)
    mine = attached(into, chosen, index)
    return Sourced(chosen, shown, tuple(each.descriptor for each in mine))
