"""Which marketplace an installed image is from."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ntp.oci.market.catalogue import ANY, Release
from orchestrator.app import purchase_log
from orchestrator.app.entries import Entry
from orchestrator.settings import Settings

if TYPE_CHECKING:
    from orchestrator.app.shelves import Shelf


def of(
    settings: Settings, shelves: "Sequence[Shelf]", entry: Entry, *, chosen: bool = False
) -> "Shelf | None":
    """Return the marketplace that has an entry's image, else the first in which its signer signs the plugin.

    A plugin of the same name in another marketplace may be anybody's: only a user who has `chosen` that one takes it.
    """
    having = [each for each in shelves if entry.plugin in each.catalogue.plugins]
    for each in having:
        if entry.digest in {one.digest for one in releases(each, entry).values()}:
            return each
    signer = purchase_log.signer_of(settings, entry.digest) or ""
    for each in having:
        publisher = each.catalogue.publishers.get(signer)
        if publisher is not None and {entry.plugin, ANY} & set(publisher.plugins):
            return each
    return having[0] if having and chosen else None


def releases(shelf: "Shelf", entry: Entry) -> Mapping[str, Release]:
    """Return the releases of an entry's plugin, by version."""
    return shelf.catalogue.plugins[entry.plugin].versions
