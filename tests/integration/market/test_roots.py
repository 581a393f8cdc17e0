"""Roots that somebody with write access to a marketplace puts there: nobody signs, keeps or believes them."""

from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from tuf.api.metadata import Metadata, Root

from ntp.cli import main
from ntp.oci.market import catalogue, trust
from ntp.oci.market.tuf_keys import TufSigner, key_of
from tests.worlds.marketplace import desk
from tests.worlds.signed import signer


@pytest.fixture
def world(tmp_path):
    return desk(tmp_path, str(tmp_path / "plugins"))


def _root(*named, by, version=1, days=700):
    """A root that names these keys for everything, signed by those in `by` alone."""
    expires = datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)
    root = Root(version=version, expires=expires, consistent_snapshot=False)
    for role in ("root", "targets", "snapshot", "timestamp"):
        for each in named:
            root.add_key(key_of(each.public), role)
    held = Metadata(root)
    for each in by:
        held.sign(TufSigner(each), append=True)
    return held.to_bytes()


@pytest.mark.parametrize("step", ["renew", "replace"])
def test_a_root_that_somebody_only_put_there_is_neither_signed_nor_kept(world, step):
    world.publish()
    thief = signer(world.folder / "thief")
    planted = {
        # In its last year, in which a renewed catalogue has its root signed anew.
        "9.root.json": _root(world.owner, thief, by=(), days=10),
        "4.root.json": _root(thief, by=[thief], version=4),
        "07.root.json": b"{}",
    }
    there = world.place.catalogue()
    world.place.write_catalogue({**there.files, **planted}, before=there.digest)
    fetched = world.fetch()
    if step == "renew":
        world.renew()
    else:
        files = trust.replace(
            fetched.verified,
            fetched.verified.content,
            old=world.owner.public,
            new=signer(world.folder / "owner", "second"),
            root=world.owner,
            now=datetime.now(UTC),
        )
        world.place.write_catalogue(files, before=fetched.listed.digest)
    after = world.place.catalogue().files
    roots = {name for name in after if name.endswith("root.json")}
    assert roots == ({"1.root.json"} if step == "renew" else {"1.root.json", "2.root.json"})
    assert not any(key_of(thief.public).keyid.encode() in each for each in after.values())
    world.fetch()


def test_a_key_that_a_root_only_names_does_not_own_it(world):
    thief = signer(world.folder / "thief")
    there = world.place.catalogue()
    forged = trust.begin(
        there.files[catalogue.FILE], root=thief, catalogue=thief, now=datetime.now(UTC)
    )
    forged[trust.FIRST_ROOT] = _root(world.owner, thief, by=[thief])
    (owner,) = trust.owners(forged[trust.FIRST_ROOT], "it")
    assert owner == thief.public
    world.place.write_catalogue(forged, before=there.digest)
    mine = world.owner.public.fingerprint
    said = ["marketplace", "add", "other", world.location, "--fingerprint", mine]
    done = CliRunner().invoke(main, said, env={"NTP_CONFIG": str(world.folder / "late")})
    assert done.exit_code == 5
    assert f"and {mine} was given" in done.stderr
