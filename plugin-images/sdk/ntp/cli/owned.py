"""The marketplaces that a user has, and the keys of the user's that sign their catalogues."""

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ntp.cli.keys import keyring, signer
from ntp.cli.outcome import say

if TYPE_CHECKING:
    from ntp.oci.market.configured import Marketplace, Marketplaces
    from ntp.oci.signing.keyring import Signer


def ours(of: "Marketplace") -> "Signer":
    """Return the key of ours that signs a marketplace's catalogue; OciError if it is somebody else's."""
    from ntp.oci.fault import OciError

    if not of.key:
        raise OciError(
            f"the catalogue of '{of.name}' is signed by somebody else's key",
            fix="send its owner the file of `ntp plugin package --sign KEY`",
            reason="KeyNotTrusted",
        )
    return signer(of.key)


def free_key(prefix: str) -> str:
    """Return a name that no key of the user's has yet."""
    known = {each.name for each in keyring().listed()}
    numbers = (f"{prefix[:36].rstrip('-_')}-{number}" for number in range(2, 1000))
    return next(each for each in numbers if each not in known)


def marketplaces() -> "Marketplaces":
    from ntp.oci.market.configured import Marketplaces
    from ntp.oci.signing.keyring import configuration

    return Marketplaces(configuration(os.environ))


def begin(
    name: str, location: str, *, key: str | None = None, root_key: str | None = None
) -> "Marketplace":
    """Make a marketplace, with an empty catalogue signed by a key of its own; it is ours from now on.

    Raises:
        OciError: there is one already.
    """
    from ntp.oci.fault import OciError
    from ntp.oci.market import catalogue, place, trust

    marketplaces().check_new(name)
    there = place.at(location, os.environ)
    if there.catalogue() is not None:
        raise OciError(
            f"there is a catalogue at {location} already",
            fix=f"ntp marketplace add {name} {location}",
        )
    online = own_key(key or f"catalogue-{name}"[:40].rstrip("-_"), make=key is None)
    root = signer(root_key) if root_key else online
    now = datetime.now(UTC).replace(microsecond=0)
    content = catalogue.write(catalogue.Catalogue())
    files = trust.begin(content, root=root, catalogue=online, now=now)
    there.write_catalogue(files, before=None)
    there.close()
    mine = next(each.name for each in keyring().listed() if each.public == online.public)
    first = files[trust.FIRST_ROOT]
    return marketplaces().add(name, there.location, root.public, first, mine)


def own_key(name: str, *, make: bool) -> "Signer":
    """Return a key of the user's; where there is none of that name and it may be made, a new one."""
    if make and name not in {each.name for each in keyring().listed()}:
        held = keyring().create(name, algorithm="ecdsa-p256", passphrase=None)
        say(f"made the key '{name}', {held.public.fingerprint}")
    return signer(name)


def document(of: "Marketplace") -> dict[str, Any]:
    return {"name": of.name, "location": of.location, "owner": of.owner, "key": of.key or None}
