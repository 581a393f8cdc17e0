"""A packed image into a registry, with all that is attached to it."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from ntp.contract.names import object_name
from ntp.oci import reference, source
from ntp.oci.layout import Layout
from ntp.oci.reference import Reference
from ntp.oci.referrer import attached
from ntp.oci.registry import Registry
from ntp.oci.registry_access import logged_in


def target(place: str, plugin: str, version: str) -> Reference:
    """Return where a plugin goes in `place` (host/path): its own repository, and its version as tag.

    Raises:
        OciError: it is no such place: a name with a tag or a digest is none.
    """
    found = reference.parse(f"{place.rstrip('/')}/{object_name(plugin)}")
    return Reference(found.host, found.repository, version.replace("+", "_"), None)


def push(
    packed: Path, to: Reference, *, environment: Mapping[str, str], progress: Callable[[str], None]
) -> Reference:
    """Send what was packed; return its name by digest.

    Raises:
        OciError: the registry refuses it, or does not answer.
    """
    with tempfile.TemporaryDirectory(prefix="ntp-push-") as scratch:
        layout = Layout.create(Path(scratch))
        found = source.fetch(str(packed), layout, environment=environment)
        registry = Registry(to.host, credentials=logged_in(to.host, environment))
        try:
            attachments = attached(layout, found.image, found.index)
            return registry.push(
                layout, found.image, to, attachments=attachments, progress=progress
            )
        finally:
            registry.close()
