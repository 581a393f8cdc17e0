"""Publishing and admission at a real registry and in a folder: what was changed on the way is refused."""

import json
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp

import pytest

from ntp.oci import artifact, reference
from ntp.oci.descriptor import digest_of
from ntp.oci.fault import OciError
from ntp.oci.image import Image
from ntp.oci.layout import REF, Layout, named
from ntp.oci.market import catalogue, place, trust
from ntp.oci.market.catalogue import Catalogue, Entry, Publisher, Release
from ntp.oci.market.configured import Marketplaces
from ntp.oci.registry import Registry
from ntp.oci.signing.keyring import Keyring
from tests.worlds.environment import absent
from tests.worlds.marketplace import desk
from tests.worlds.registry import registry
from tests.worlds.signed import signed, signer


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    folder = tmp_path_factory.mktemp("registry")
    with registry(folder) as found:
        yield found, folder


@pytest.fixture(params=["folder", "registry"])
def world(request, tmp_path):
    if request.param == "folder":
        return desk(tmp_path, str(tmp_path / "plugins"))
    found = request.getfixturevalue("host")[0]
    return desk(tmp_path, f"{found}/{tmp_path.name.replace('_', '-').lower()[:40].strip('-')}")


def _refused(world, words, reason, **how):
    with pytest.raises(OciError, match=words) as refused:
        world.look(**how)
    assert refused.value.reason == reason
    assert "\n" not in str(refused.value)


def _snapshot(world):
    """The catalogue as it lies there now, to be served again later."""
    return world.place.catalogue()


def test_what_is_published_is_found_verified_and_fetched_whole(world):
    assert world.publish()
    found = world.look()
    assert found.key == world.author.public
    assert found.report == b'{"signals": 12}'
    assert found.manifest.egress == ["api.example.com:443"]
    # The same again is nothing new.
    before = _snapshot(world).digest
    assert not world.publish()
    assert _snapshot(world).digest == before


def test_a_version_is_published_once_and_versions_only_rise(world):
    world.publish("1.1.0")
    for version, words in (("1.1.0", "is published already"), ("1.0.9", "is not above 1.1.0")):
        with pytest.raises(OciError, match=words) as refused:
            world.publish(version, code=b"x = 2\n")
        assert refused.value.reason == "VersionTaken"
    world.publish("1.2.0-rc.1")
    world.publish("1.2.0")
    assert world.fetch().catalogue.plugins["my_strategy"].newest == "1.2.0"
    assert world.look("1.1.0").manifest.version == "1.1.0"


def test_a_tag_that_was_moved_is_refused(world):
    world.publish()
    other = signed(world.folder / "other", world.author, code=b"x = 2\n")
    world.place.push(
        other.layout, other.image, other.attachments, name="my_strategy", version="1.0.0", progress=print
    )  # fmt: skip
    _refused(world, "the tag of 'my_strategy' 1.0.0 was moved", "TagMoved")


def test_a_key_that_was_revoked_is_refused_and_the_next_one_may_sign(world):
    world.publish()
    held = Keyring(world.folder / "author").revoke("me", "laptop was stolen")
    assert world.renew(held) == (world.author.public.fingerprint,)
    _refused(world, "which was revoked at .*: laptop was stolen", "KeyRevoked")
    with pytest.raises(OciError, match="was revoked"):
        world.publish("1.1.0")
    world.author = signer(world.folder / "author", "second")
    world.publish("1.1.0")
    assert world.look("1.1.0").key == world.author.public
    _refused(world, "which was revoked", "KeyRevoked")


def test_a_plugin_stays_with_who_signs_it(world):
    world.publish()
    thief = signer(world.folder / "thief")
    with pytest.raises(OciError, match="'my_strategy' is signed by SHA256:") as refused:
        world.publish("9.0.0", by=thief)
    assert refused.value.reason == "KeyNotTrusted"
    world.publish("1.0.0", by=thief, said={"name": "theirs"})
    assert world.look(name="theirs").key == thief.public


def test_an_older_catalogue_is_refused_by_who_has_seen_a_newer_one(world):
    world.publish("1.0.0")
    old = _snapshot(world)
    world.publish("1.1.0")
    world.fetch()
    world.place.write_catalogue(old.files, before=_snapshot(world).digest)
    with pytest.raises(OciError, match="is older than the one that was seen") as refused:
        world.fetch()
    assert refused.value.reason == "CatalogueRolledBack"


def test_a_catalogue_that_nobody_signs_anew_ends(world):
    world.publish()
    world.renew(days=-1)
    with pytest.raises(OciError, match="has expired") as refused:
        world.fetch()
    assert refused.value.reason == "CatalogueExpired"


def test_a_catalogue_of_other_keys_or_with_other_words_is_refused(world):
    world.publish()
    there = _snapshot(world)
    stranger = signer(world.folder / "stranger")
    content = there.files[catalogue.FILE]
    forged = trust.begin(content, root=stranger, catalogue=stranger, now=datetime.now(UTC))
    tries = [
        {**forged, trust.FIRST_ROOT: there.files[trust.FIRST_ROOT]},
        {**there.files, catalogue.FILE: content.replace(b'"Buys."', b'"Sells"')},
        {**there.files, "2.root.json": forged[trust.FIRST_ROOT]},
        {name: held for name, held in there.files.items() if name != "timestamp.json"},
        {**there.files, "timestamp.json": b"[" * 10_000},
    ]
    for files in tries:
        world.place.write_catalogue(files, before=_snapshot(world).digest)
        with pytest.raises(OciError, match="is refused") as refused:
            world.fetch()
        assert refused.value.reason == "CatalogueRefused"
    world.place.write_catalogue(there.files, before=_snapshot(world).digest)
    world.fetch()


def test_who_may_not_sign_the_catalogue_changes_nothing(world):
    world.owner = signer(world.folder / "stranger")
    with pytest.raises(OciError, match="may not sign this catalogue"):
        world.publish()


def test_two_who_change_the_catalogue_at_once_lose_nothing(world):
    before = _snapshot(world)
    world.publish()
    with pytest.raises(OciError, match="somebody else has changed the catalogue"):
        world.place.write_catalogue(before.files, before=before.digest)
    assert "my_strategy" in world.fetch().catalogue.plugins


def _blob(world, host, digest):
    if "/" in world.location and not world.location.startswith("/"):
        value = digest.partition(":")[2]
        (found,) = host[1].glob(f"**/blobs/sha256/{value[:2]}/{value}/data")
        return found
    return Layout.open(Path(world.location)).path(digest)


@pytest.mark.parametrize("part", ["manifest", "config", "layer"])
def test_an_image_whose_bytes_were_changed_there_is_refused(world, host, part):
    world.publish(code=f"x = '{world.location} {part}'\n".encode())
    found = world.look()
    digest = {
        "manifest": found.image.digest,
        "config": found.image.id,
        "layer": found.image.layers[-1].digest,
    }[part]
    path = _blob(world, host, digest)
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(OciError, match=r"altered|whose digest is|does not answer|is no JSON|500"):
        world.look()


def test_skopeo_sees_an_ordinary_image_and_an_ordinary_artifact(world, tmp_path):
    if shutil.which("skopeo") is None:
        absent("programs", "skopeo is not installed: apt-get install skopeo")
    world.publish()

    def inspect(name, tag):
        where = (
            f"docker://{world.location}/{name}:{tag}"
            if not world.location.startswith("/")
            else f"oci:{world.location}:{name}" + (f":{tag}" if name != place.CATALOGUE else "")
        )
        tls = ["--tls-verify=false"] if where.startswith("docker") else []
        run = subprocess.run(["skopeo", "inspect", "--raw", *tls, where], capture_output=True, timeout=60)  # fmt: skip
        assert run.returncode == 0, run.stderr
        return run.stdout

    raw = inspect("my-strategy", "1.0.0")
    assert digest_of(raw) == world.fetch().catalogue.plugins["my_strategy"].versions["1.0.0"].digest
    listed = json.loads(inspect(place.CATALOGUE, place.LATEST))
    assert listed["artifactType"] == place.KIND
    titles = {each["annotations"][artifact.TITLE] for each in listed["layers"]}
    assert titles == {
        "1.root.json", "targets.json", "snapshot.json", "timestamp.json", "catalogue.json"
    }  # fmt: skip


def test_a_registry_lists_signature_and_documents_as_referrers(host, tmp_path):
    world = desk(tmp_path, f"{host[0]}/referrers")
    world.publish()
    found = world.look()
    there = Registry(host[0])
    listed = there.referrers(reference.parse(f"{world.location}/my-strategy@{found.image.digest}"))
    there.close()
    assert {each.artifact_type for each in listed} == {
        "application/vnd.cyclonedx+json",
        "application/vnd.in-toto+json",
        "application/vnd.ntp.report.v1+json",
        "application/vnd.dev.sigstore.bundle.v0.3+json",
    }


def test_cosign_verifies_what_is_published_and_refuses_another_key(host, tmp_path):
    cosign = shutil.which("cosign")
    if cosign is None:
        absent("programs", "cosign is not installed: it needs Go, or a release of sigstore/cosign")
    world = desk(tmp_path, f"{host[0]}/cosign")
    world.publish()
    root = {"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}
    (tmp_path / "root.json").write_text(json.dumps(root))
    command = [cosign, "verify", "--insecure-ignore-tlog", "--allow-http-registry", "--trusted-root", tmp_path / "root.json"]  # fmt: skip
    image = f"{world.location}/my-strategy@{world.look().image.digest}"
    codes = []
    for by in (world.author, world.owner):
        (tmp_path / "key.pub").write_bytes(by.public.pem)
        run = subprocess.run([*command, "--key", tmp_path / "key.pub", image], capture_output=True, timeout=60)  # fmt: skip
        codes.append(run.returncode)
    assert codes == [0, 1], run.stderr


def test_an_image_that_nobody_signed_is_refused_though_the_catalogue_has_it(tmp_path):
    world = desk(tmp_path, str(tmp_path / "plugins"))
    world.publish()
    bare = signed(tmp_path / "bare", None, version="2.0.0")
    _name_in_catalogue(world, bare.image, "2.0.0")
    world.place.push(
        bare.layout, bare.image, bare.attachments, name="my_strategy", version="2.0.0", progress=print
    )  # fmt: skip
    _refused(world, "has no signature", "Unsigned", version="2.0.0")


def test_a_release_that_needs_a_licence_is_refused_here(tmp_path):
    world = desk(tmp_path, str(tmp_path / "plugins"))
    world.publish()
    found = world.look()
    _name_in_catalogue(world, found.image, "1.0.0", licence="signal-only")
    _refused(world, "needs the licence 'signal-only'", "LicenceNeeded")


def test_another_version_under_a_versions_name_is_refused(tmp_path):
    world = desk(tmp_path, str(tmp_path / "plugins"))
    world.publish("1.0.0")
    world.publish("1.1.0")
    old = world.look("1.0.0")
    _name_in_catalogue(world, old.image, "1.2.0")
    there = Layout.open(Path(world.location))
    entry = named(old.image.descriptor, "my-strategy:1.2.0")
    there.write_index([each for each in there.index() if each.digest != entry.digest] + [entry])
    _refused(world, "1.2.0 says that it is 1.0.0", "SignatureRefused", version="1.2.0")


def _name_in_catalogue(world, image: Image, version, licence=None):
    """Have the owner name an image that `publish` would not take: a careless owner is no reason to run it."""
    fetched = world.fetch()
    known = fetched.catalogue.plugins["my_strategy"]
    release = Release(image.digest, image.size, datetime.now(UTC), licence)
    entry = Entry(known.kind, "", "", version, {**known.versions, version: release})
    changed = Catalogue(publishers=fetched.catalogue.publishers, plugins={"my_strategy": entry})
    files = trust.renew(
        fetched.verified, catalogue.write(changed), catalogue=world.owner, now=datetime.now(UTC)
    )
    world.place.write_catalogue(files, before=fetched.listed.digest)


@pytest.mark.parametrize(
    ("plugins", "words"),
    [
        ({"../x": "1.0.0"}, "no name of a plugin"),
        ({"x": "../../etc"}, "has no release|has the release"),
        ({"x": "1.0"}, "has the release"),
    ],
)
def test_names_and_versions_of_a_catalogue_are_no_paths(plugins, words):
    release = Release("sha256:" + "0" * 64, 1, datetime.now(UTC))
    found = Catalogue(
        plugins={
            name: Entry("strategy", "", "", version, {version: release})
            for name, version in plugins.items()
        }
    )
    with pytest.raises(OciError, match=words):
        catalogue.read(catalogue.write(found), "it")


def test_a_key_of_a_catalogue_is_what_its_fingerprint_says(tmp_path):
    one, other = signer(tmp_path, "one").public, signer(tmp_path, "other").public
    found = Catalogue(publishers={one.fingerprint: Publisher(other.pem.decode(), ["x"])})
    with pytest.raises(OciError, match="has another fingerprint"):
        catalogue.read(catalogue.write(found), "it")


def test_an_ntp_catalogue_is_no_plugin(tmp_path):
    world = desk(tmp_path, str(tmp_path / "plugins"))
    with pytest.raises(OciError, match="is the name of the catalogue itself"):
        world.publish(said={"name": "ntp_catalogue"})


def test_the_folder_keeps_no_old_catalogue(tmp_path):
    world = desk(tmp_path, str(tmp_path / "plugins"))
    world.publish()
    world.renew()
    index = Layout.open(Path(world.location)).index()
    assert [each.annotations.get(REF) for each in index].count(place.CATALOGUE) == 1


def test_marketplaces_are_remembered_the_first_is_the_default(tmp_path):
    world = desk(tmp_path, str(tmp_path / "plugins"))
    again = Marketplaces(tmp_path / "buyer")
    assert again.get(None).name == again.get("desk").name == "desk"
    with pytest.raises(OciError, match="there is no marketplace 'other'"):
        again.get("other")
    for name, words in (("desk", "already"), ("../x", "no name of a marketplace")):
        with pytest.raises(OciError, match=words):
            again.check_new(name)
    assert world.fetch(again).catalogue.plugins == {}
    (tmp_path / "buyer" / "marketplaces" / "desk" / "root.json").unlink()
    with pytest.raises(OciError, match="what 'desk' was trusted by cannot be read"):
        world.fetch(again)


def test_a_key_that_was_replaced_signs_the_catalogue_no_more(world):
    world.publish()
    fetched, old = world.fetch(), world.owner
    new = signer(world.folder / "owner", "second")
    content = fetched.listed.files[catalogue.FILE]
    files = trust.replace(
        fetched.verified, content, old=old.public, new=new, root=old, now=datetime.now(UTC)
    )
    world.place.write_catalogue(files, before=fetched.listed.digest)
    with pytest.raises(OciError, match="may not sign this catalogue"):
        world.publish("1.1.0")
    world.owner = new
    world.publish("1.1.0")
    # The old key goes on as if nothing had been: over what it signed last, in a later version.
    seen = replace(fetched.verified, version=fetched.verified.version + 1)
    later = trust.renew(seen, content, catalogue=old, now=datetime.now(UTC))
    root = {name: held for name, held in files.items() if name.endswith("root.json")}
    world.place.write_catalogue({**later, **root}, before=world.place.catalogue().digest)
    with pytest.raises(OciError, match="is refused"):
        world.fetch()


def test_a_root_is_dated_anew_in_its_last_year_by_who_signs_both(tmp_path):
    by, now = signer(tmp_path), datetime.now(UTC)
    content = catalogue.write(Catalogue())

    def verified(files):
        folder = Path(mkdtemp(dir=tmp_path))
        return trust.verify(files, folder, files[trust.FIRST_ROOT], "it")

    files = trust.begin(content, root=by, catalogue=by, now=now)
    first = verified(files)
    soon = verified(trust.renew(first, content, catalogue=by, now=now))
    assert trust.root_expires(soon) == trust.root_expires(first)
    later = verified(trust.renew(first, content, catalogue=by, now=now + timedelta(days=400)))
    assert trust.root_expires(later) > trust.root_expires(first)
    assert set(later.roots) == {"1.root.json", "2.root.json"}
    other = verified(trust.begin(content, root=signer(tmp_path, "root"), catalogue=by, now=now))
    later = verified(trust.renew(other, content, catalogue=by, now=now + timedelta(days=400)))
    assert trust.root_expires(later) == trust.root_expires(other)
