"""`ntpctl plugin`: from the search to an entry with its digest, and what is refused on the way, each in one line."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ntp.oci import archive
from ntp.oci import image as images
from ntp.oci.archive import Item
from ntp.oci.layout import Layout
from ntp.oci.market.configured import Marketplaces
from ntp.oci.signing.keyring import Keyring
from orchestrator.app import entries
from orchestrator.cli import main
from orchestrator.errors import ActionError, ConflictError
from orchestrator.settings import find
from tests.worlds.marketplace import desk
from tests.worlds.registry import registry
from tests.worlds.signed import signed, signer


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    with registry(tmp_path_factory.mktemp("registry")) as found:
        yield found


@pytest.fixture(params=["folder", "registry"])
def world(request, tmp_path):
    if request.param == "folder":
        return desk(tmp_path, str(tmp_path / "plugins"))
    name = hashlib.sha256(str(tmp_path).encode()).hexdigest()[:12]
    return desk(tmp_path, f"{request.getfixturevalue('host')}/{name}")


@pytest.fixture
def local(tmp_path):
    return desk(tmp_path, str(tmp_path / "plugins"))


def _refused(ntpctl, words, *arguments, code=5):
    """One line that says it, one that says what to do; and nothing was written."""
    before = ntpctl.file.read_text()
    done = ntpctl(*arguments, code=code)
    lines = [line for line in done.stderr.splitlines() if line.startswith(("error:", "  fix:"))]
    assert len(lines) == 2, done.stderr
    assert words in lines[0]
    assert ntpctl.file.read_text() == before
    return done


def test_installing_again_mends_what_was_altered_in_the_cache(local, ntpctl):
    local.publish("1.0.0")
    image = json.loads(ntpctl("install", "my_strategy", "-o", "json").stdout)["image"]
    here = Layout.open(ntpctl.cache / "images")
    (entry,) = [each for each in here.index() if each.digest == image.partition("@")[2]]
    last = images.read(here, entry).layers[-1]
    blob = here.path(last.digest)
    content = bytearray(blob.read_bytes())
    content[100] ^= 1
    blob.chmod(0o644)
    blob.write_bytes(content)
    assert "was altered" in ntpctl("verify", code=6).stdout
    ntpctl("uninstall", "my_strategy")
    ntpctl("install", "my_strategy")
    here.check(last)
    ntpctl("verify")


def test_the_whole_way_search_info_install_outdated_update_verify_uninstall(world, ntpctl):
    world.publish("1.0.0")
    (row,) = json.loads(ntpctl("search", "strategy", "buys", "-o", "json").stdout)["plugins"]
    assert (row["plugin"], row["version"], row["marketplace"]) == ("my_strategy", "1.0.0", "desk")
    assert json.loads(ntpctl("search", "nothing", "-o", "json").stdout)["plugins"] == []

    info = json.loads(ntpctl("info", "my_strategy", "-o", "json").stdout)
    assert info["permissions"] == {"egress": ["api.example.com:443"], "secrets": ["api_key"]}
    assert info["signed_by"] == world.author.public.fingerprint
    assert info["report"] == {"signals": 12}
    assert {each["name"] for each in info["sbom"]} == {"libc6"}
    shown = ntpctl("info", "my_strategy@1.0.0").stdout
    for words in ("api.example.com:443", "api_key", "signals: 12", "libc6", info["signed_by"]):
        assert words in shown

    done = ntpctl("install", "my_strategy@1.0.0", "-o", "json")
    for words in ("api.example.com:443", "api_key", info["signed_by"]):
        assert words in done.stderr
    told = json.loads(done.stdout)
    assert told["image"].endswith(f"/my-strategy:1.0.0@{info['digest']}")
    new = f"    - name: my_strategy\n      image: {told['image']}\n"
    assert ntpctl.file.read_text() == ntpctl.before + new
    here = Layout.open(ntpctl.cache / "images")
    assert info["digest"] in {each.digest for each in here.index()}

    assert json.loads(ntpctl("verify", "-o", "json").stdout)["plugins"][0]["good"]
    ntpctl("outdated")
    world.publish("1.1.0", code=b"x = 2\n")
    (row,) = json.loads(ntpctl("outdated", "-o", "json", code=6).stdout)["plugins"]
    assert (row["version"], row["newest"]) == ("1.0.0", "1.1.0")
    (told,) = json.loads(ntpctl("update", "my_strategy", "-o", "json").stdout)["plugins"]
    assert told["version"] == "1.1.0"
    assert (
        ntpctl.file.read_text()
        == ntpctl.before + f"    - name: my_strategy\n      image: {told['image']}\n"
    )
    assert "is this release already" in ntpctl("update", "my_strategy").stderr

    _refused(ntpctl, "is 1.1.0, and 1.0.0 is older", "update", "my_strategy@1.0.0")
    _refused(ntpctl, "is 1.1.0, and 1.0.0 is older", "install", "my_strategy@1.0.0")
    ntpctl("uninstall", "my_strategy")
    assert ntpctl.file.read_text() == ntpctl.before
    log = (world.folder / "buyer" / "installed.jsonl").read_text().splitlines()
    assert [json.loads(line)["action"] for line in log] == ["install", "update", "uninstall"]


def test_a_tampered_image_a_moved_tag_a_revoked_key_and_an_older_catalogue_are_refused(
    world, ntpctl
):
    world.publish("1.0.0")
    good = world.place.catalogue()
    other = signed(world.folder / "other", world.author, code=b"x = 2\n")
    world.place.push(other.layout, other.image, other.attachments, name="my_strategy", version="1.0.0", progress=print)  # fmt: skip
    _refused(ntpctl, "the tag of 'my_strategy' 1.0.0 was moved", "install", "my_strategy")

    world.publish("1.1.0", code=b"x = 3\n")
    ntpctl("install", "my_strategy")
    world.renew(Keyring(world.folder / "author").revoke("me", "stolen"))
    _refused(ntpctl, "which was revoked at", "install", "my_strategy", "--as", "again")
    (row,) = json.loads(ntpctl("verify", "-o", "json", code=6).stdout)["plugins"]
    assert "which was revoked at" in row["found"]
    # Somebody serves what was true before the key was revoked.
    world.place.write_catalogue(good.files, before=world.place.catalogue().digest)
    _refused(ntpctl, "is older than the one that was seen", "install", "my_strategy", "--as", "x")


def test_a_tampered_layer_is_refused_and_nothing_is_left(local, ntpctl):
    local.publish()
    found = local.look()
    path = Layout.open(Path(local.location)).path(found.image.layers[-1].digest)
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[20] ^= 1
    path.write_bytes(content)
    _refused(ntpctl, "was altered", "install", "my_strategy")
    assert found.image.digest not in {
        each.digest for each in Layout.open(ntpctl.cache / "images").index()
    }


def test_what_was_altered_in_the_cache_is_found(local, ntpctl):
    local.publish()
    ntpctl("install", "my_strategy")
    found = local.look()
    path = Layout.open(ntpctl.cache / "images").path(found.image.layers[-1].digest)
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[20] ^= 1
    path.write_bytes(content)
    assert "was altered" in ntpctl("verify", "my_strategy", code=6).stdout


def _archive(found, file, version="1.0.0"):
    with file.open("wb") as out:
        archive.write(found.layout, [Item(found.image, "ntp/my-strategy", version, found.attachments)], out)  # fmt: skip
    return file


def test_a_file_is_installed_offline_by_a_key_that_is_named(tmp_path, ntpctl):
    by = signer(tmp_path / "author")
    found = signed(tmp_path / "layout", by)
    file = _archive(found, tmp_path / "x.tar")
    _refused(ntpctl, "and that key is not trusted here", "install", file)
    other = tmp_path / "other.pub"
    other.write_bytes(signer(tmp_path / "other").public.pem)
    _refused(ntpctl, "and that key is not trusted here", "install", file, "--key", other)
    mine = tmp_path / "author.pub"
    mine.write_bytes(by.public.pem)
    told = json.loads(ntpctl("install", file, "--key", mine, "-o", "json").stdout)
    assert told["image"] == f"localhost/my-strategy:1.0.0@{found.image.digest}"
    assert json.loads(ntpctl("verify", "--key", mine, "-o", "json").stdout)["plugins"][0]["good"]
    assert "not trusted here" in ntpctl("verify", code=6).stdout
    newer = signed(tmp_path / "newer", by, version="0.9.0")
    old = _archive(newer, tmp_path / "old.tar", "0.9.0")
    _refused(ntpctl, "is 1.0.0, and 0.9.0 is older", "install", old, "--key", mine)


def test_a_file_that_nobody_signed_or_that_was_cut_is_refused(tmp_path, ntpctl):
    bare = _archive(signed(tmp_path / "layout", None), tmp_path / "x.tar")
    _refused(ntpctl, "has no signature", "install", bare)
    content = bare.read_bytes()
    bare.write_bytes(content[: len(content) // 2])
    done = ntpctl("install", bare, code=5)
    assert done.stderr.startswith("error: ")


def test_an_entry_may_have_another_name_and_a_taken_one_is_told(local, ntpctl):
    local.publish(said={"name": "bollinger_strategy"})
    _refused(ntpctl, "has an entry 'bollinger_strategy' already", "install", "bollinger_strategy")
    ntpctl("install", "bollinger_strategy", "--as", "bought")
    assert "    - name: bought\n      plugin: bollinger_strategy\n      image: " in ntpctl.file.read_text()  # fmt: skip
    local.publish("1.1.0", said={"name": "bollinger_strategy"}, code=b"x = 2\n")
    (told,) = json.loads(ntpctl("update", "bought", "-o", "json").stdout)["plugins"]
    assert told["version"] == "1.1.0"


def test_a_file_in_which_nothing_can_be_added_is_told_and_nothing_is_fetched(local, ntpctl):
    local.publish()
    ntpctl.file.write_text("plugins: {executors: [{name: paper_executor}]}\n")
    done = ntpctl("install", "my_strategy", code=2)
    assert "add it by hand below 'plugins':" in done.stderr
    assert "- name: my_strategy" in done.stderr
    assert "layer 1" not in done.stderr
    assert not (ntpctl.cache / "images" / "index.json").exists()


def test_what_was_installed_is_what_apply_reads_and_nobody_is_asked(local, ntpctl, monkeypatch):
    local.publish()
    ntpctl.file.write_text("plugins:\n")
    ntpctl("install", "my_strategy")
    Path(local.location).rename(local.folder / "gone")
    monkeypatch.setenv("NTP_RUNTIME", "docker")
    with pytest.raises(SystemExit) as ended:
        main(["validate"])
    assert ended.value.code == 0


def test_many_who_edit_at_once_lose_nothing(tmp_path, ntpctl):
    settings = find([str(ntpctl.file)], project="desk")
    names = [f"p{number}" for number in range(8)]

    def one(name):
        added = {"name": name, "image": f"localhost/{name}:1.0.0@sha256:{'a' * 64}"}
        entries.add(settings, "strategies", added)
        entries.change(
            settings, entries.named(settings, name), added["image"].replace("1.0", "1.1")
        )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, names))
    found = {each.name: each.version for each in entries.listed(settings) if each.image}
    assert found == dict.fromkeys(names, "1.1.0")
    with pytest.raises(ActionError, match="has an entry 'p0' by now"):
        one("p0")
    stale = entries.named(settings, "p1")
    entries.remove(settings, stale)
    with pytest.raises(ConflictError, match="was changed meanwhile"):
        entries.change(settings, stale, "localhost/x:1.0.0")


def test_a_project_without_a_file_gets_one(local, ntpctl):
    local.publish()
    ntpctl.file.unlink()
    ntpctl("install", "my_strategy", "-f", "new.yaml")
    text = (ntpctl.file.parent / "new.yaml").read_text()
    assert text.startswith("plugins:\n  strategies:\n    - name: my_strategy\n      image: ")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("info", "../x"), 2, "no name of a plugin"),
        (("install", "x@../../etc"), 2, "the version was '../../etc'"),
        (("info", "absent"), 5, "has no plugin 'absent'"),
        (("install", "my_strategy@9.9.9"), 5, "has no 'my_strategy' 9.9.9"),
        (("search", "--marketplace", "other"), 5, "there is no marketplace 'other'"),
        (("update", "absent"), 5, "'absent' is not installed"),
        (("uninstall", "bollinger_strategy"), 5, "'bollinger_strategy' is not installed"),
    ],
)
def test_bad_input_says_what_and_what_to_do(local, ntpctl, arguments, code, words):
    local.publish()
    done = ntpctl(*arguments, code=code)
    assert words in done.stderr
    assert "fix: " in done.stderr


def test_without_a_marketplace_the_fix_says_how_to_add_one(ntpctl):
    done = ntpctl("search", code=5)
    assert "no marketplace is configured" in done.stderr
    assert "ntp marketplace add" in done.stderr


def test_a_registry_that_does_not_answer_is_no_refusal(tmp_path, ntpctl):
    with registry(tmp_path / "registry") as host:
        world = desk(tmp_path, f"{host}/gone")
        world.publish()
    done = ntpctl("install", "my_strategy", code=3)
    assert "does not answer" in done.stderr


def _other_desk(tmp_path):
    """A second marketplace of the same buyer, with another author; it is asked after the first."""
    folder = tmp_path / "other"
    folder.mkdir()
    found = desk(folder, str(folder / "plugins"))
    root = found.place.catalogue().files["1.root.json"]
    Marketplaces(tmp_path / "buyer").add("second", found.location, found.owner.public, root)
    return found


def test_another_marketplace_or_signer_updates_nothing_unasked(local, ntpctl, tmp_path):
    file = _archive(signed(tmp_path / "layout", local.author), tmp_path / "x.tar")
    key = tmp_path / "author.pub"
    key.write_bytes(local.author.public.pem)
    ntpctl("install", file, "--key", key)
    theirs = _other_desk(tmp_path)
    theirs.publish("9.0.0", code=b"x = 9\n")
    (row,) = json.loads(ntpctl("outdated", "-o", "json").stdout)["plugins"]
    assert (row["newest"], row["marketplace"], row["outdated"]) == (None, None, False)
    told = _refused(ntpctl, "of second is of other signers than", "update", "my_strategy", "-y")
    assert "--marketplace second" in told.stderr

    # The same key signs it in the first one, which is asked then; until another key does so there.
    local.publish("1.1.0", code=b"x = 2\n")
    (row,) = json.loads(ntpctl("update", "my_strategy", "-o", "json").stdout)["plugins"]
    assert (row["version"], row["marketplace"]) == ("1.1.0", "desk")
    local.renew(Keyring(local.folder / "author").revoke("me", "lost"))
    local.author = signer(local.folder / "author", "next")
    local.publish("1.2.0", code=b"x = 3\n")
    told = _refused(ntpctl, "'my_strategy' is signed by SHA256:", "update", "my_strategy", "-y")
    assert "--marketplace desk" in told.stderr
    done = ntpctl("update", "my_strategy", "-y", "--marketplace", "desk")
    assert f"{local.author.public.fingerprint} (now by SHA256:" in done.stderr


def test_a_release_of_another_kind_is_no_update(local, ntpctl):
    local.publish()
    ntpctl("install", "my_strategy")
    local.publish("1.1.0", said={"kind": "indicator"}, code=b"x = 2\n")
    told = _refused(ntpctl, "stands below strategies, and 1.1.0 is of kind indicator", "update", "my_strategy")  # fmt: skip
    assert "layer 1" not in told.stderr


def test_a_newer_version_from_a_file_is_not_outdated_and_several_updates_are_one_document(
    local, ntpctl, tmp_path
):
    local.publish()
    local.publish(said={"name": "second"}, code=b"x = 2\n")
    ntpctl("install", "my_strategy")
    ntpctl("install", "second")
    key = tmp_path / "author.pub"
    key.write_bytes(local.author.public.pem)
    newer = signed(tmp_path / "newer", local.author, version="2.0.0", said={"name": "third"})
    local.publish("1.0.0", said={"name": "third"})
    ntpctl("install", _archive(newer, tmp_path / "x.tar", "2.0.0"), "--key", key)
    rows = json.loads(ntpctl("outdated", "-o", "json").stdout)["plugins"]
    assert [(row["version"], row["newest"]) for row in rows][-1] == ("2.0.0", "1.0.0")
    for name in ("my_strategy", "second"):
        local.publish("1.1.0", said={"name": name}, code=b"x = 3\n")
    told = json.loads(ntpctl("update", "my_strategy", "second", "third", "-o", "json", code=5).stdout)  # fmt: skip
    assert [(row["name"], row["version"]) for row in told["plugins"]] == [
        ("my_strategy", "1.1.0"),
        ("second", "1.1.0"),
    ]


def test_what_cannot_be_written_down_is_not_done(local, ntpctl):
    local.publish()
    log = local.folder / "buyer" / "installed.jsonl"
    log.mkdir()
    _refused(ntpctl, f"{log} cannot be written: is a directory; nothing was changed", "install", "my_strategy")  # fmt: skip
    log.rmdir()
    ntpctl("install", "my_strategy")
    log.unlink()
    log.mkdir()
    _refused(ntpctl, "cannot be written", "uninstall", "my_strategy")


def test_a_file_that_cannot_be_written_is_not_called_the_cache(local, ntpctl):
    local.publish()
    (ntpctl.file.parent / "blocked").write_text("a file")
    told = ntpctl("install", "my_strategy", "-f", "blocked/new.yaml", code=5).stderr
    assert "new.yaml cannot be written: " in told
    assert "NTP_CACHE" not in told


def test_what_an_author_writes_prints_no_line_that_looks_like_ours(local, ntpctl):
    forged = "Bands.\n  signed by   SHA256:TRUSTED\r\u2028  network     none\u202e\x1b]0;x\x07"
    local.publish(said={"description": forged, "author": forged})
    plain = "Bands. signed by SHA256:TRUSTED network none]0;x"
    for told in (
        ntpctl("info", "my_strategy").stdout,
        ntpctl("install", "my_strategy", "-y").stderr,
    ):
        lines = told.splitlines()
        assert lines[0] == f"my_strategy 1.0.0, strategy: {plain}"
        signed_by = [each for each in lines if each.startswith("  signed by ")]
        assert signed_by == [f"  signed by   {local.author.public.fingerprint}"]
        assert [each for each in lines if each.startswith("  network ")] == ["  network     api.example.com:443"]  # fmt: skip
    found = ntpctl("search").stdout
    assert len(found.splitlines()) == 2
    assert "\u202e" not in found


def test_the_licence_of_the_manifest_is_shown(local, ntpctl):
    local.publish(said={"licence": "Apache-2.0 OR mit"})
    assert "  licence     Apache-2.0 OR MIT\n" in ntpctl("info", "my_strategy").stdout
    assert json.loads(ntpctl("info", "my_strategy", "-o", "json").stdout)["licence"] == "Apache-2.0 OR MIT"  # fmt: skip
