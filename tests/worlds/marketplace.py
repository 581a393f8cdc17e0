"""A marketplace with its owner and a buyer, in folders of a test, at any place."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ntp.oci.layout import Layout
from ntp.oci.market import admission, catalogue, place, publishing, trust
from ntp.oci.market.configured import Fetched, Marketplaces
from ntp.oci.signing.keyring import Signer
from tests.worlds.signed import signed, signer

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@dataclass
class Desk:
    """`author` and `owner` sign; `buyer` trusts the owner. `folder`: of everything."""

    folder: Path
    location: str
    author: Signer
    owner: Signer
    buyer: Marketplaces
    made: int = 0

    @property
    def place(self):
        return place.at(self.location, {})

    def fetch(self, by: Marketplaces | None = None) -> Fetched:
        found = by or self.buyer
        return found.fetch(found.get(None), self.place)

    def publish(self, version="1.0.0", *, by=None, **made_of) -> bool:
        """Pack, sign and publish as the author does; the owner signs the catalogue. `made_of`: see `signed`."""
        self.made += 1
        by = by or self.author
        made = signed(self.folder / f"packed-{self.made}", by, version=version, **made_of)
        released = admission.admit(
            made.layout, made.image, made.attachments, {by.public.hint: by.public}.get
        )
        order = publishing.Order(made.layout, released, self.owner, datetime.now(UTC))
        return publishing.publish(self.place, self.fetch(), order, lambda _: None)

    def renew(self, *held, days=90) -> tuple[str, ...]:
        return publishing.renew(
            self.place, self.fetch(), held, by=self.owner, now=datetime.now(UTC), days=days
        )

    def look(self, version="1.0.0", name="my_strategy") -> admission.Admitted:
        """What a buyer does before anything is written."""
        self.made += 1
        into = Layout.create(self.folder / f"bought-{self.made}")
        found = admission.look(self.place, self.fetch().catalogue, name, version, into)
        admission.fetch(self.place, found, into, lambda _: None)
        return found


def desk(folder: Path, location: str) -> Desk:
    author, owner = signer(folder / "author", "me"), signer(folder / "owner", "catalogue")
    content = catalogue.write(catalogue.Catalogue())
    files = trust.begin(content, root=owner, catalogue=owner, now=datetime.now(UTC))
    place.at(location, {}).write_catalogue(files, before=None)
    buyer = Marketplaces(folder / "buyer")
    (folder / "buyer").mkdir()
    buyer.add("desk", location, owner.public, files[trust.FIRST_ROOT])
    return Desk(folder, location, author, owner, buyer)
