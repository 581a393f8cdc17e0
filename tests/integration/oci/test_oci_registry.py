"""Push and pull at a real registry, and what a lying one gets."""

import base64
import http.server
import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml

from ntp.oci import archive, image, layer, reference
from ntp.oci.descriptor import CONFIG, LAYER, MANIFEST, digest_of, dump
from ntp.oci.fault import OciError
from ntp.oci.layer import File, Held
from ntp.oci.layout import Layout, named
from ntp.oci.referrer import attach
from ntp.oci.registry import Registry
from ntp.oci.registry_access import Credentials, logged_in
from tests.worlds.environment import absent
from tests.worlds.registry import HTPASSWD, PASSWORD, USER, registry

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    with registry(tmp_path_factory.mktemp("registry")) as found:
        yield found


def _image(folder, content=b"a = 1\n"):
    layout = Layout.create(folder)
    made = layer.write(layout, {"/opt/a.py": File(Held(content))})
    built = image.build(
        layout, base=None, layers=[made], settings={"User": "65532:65532"}, annotations={}, architecture="amd64"
    )  # fmt: skip
    layout.write_index([named(built.descriptor, "1.0.0")])
    return layout, built


def test_what_is_pushed_is_pulled_by_tag_and_by_digest_with_what_is_attached(host, tmp_path):
    layout, built = _image(tmp_path / "from")
    about = attach(layout, built, b'{"a":1}', "application/vnd.cyclonedx+json")
    to = reference.parse(f"{host}/ntp/x:1.0.0")
    there = Registry(host)
    by_digest = there.push(layout, built, to, attachments=[about])
    assert by_digest.digest == built.digest
    # Again: nothing is sent that is there, and nothing is listed twice.
    sent = []
    there.push(layout, built, to, attachments=[about], progress=sent.append)
    assert sent == []
    for wanted in (to, by_digest):
        into = Layout.create(tmp_path / f"to-{wanted.tag}-{wanted is to}")
        pulled = there.pull(wanted, into, architecture="amd64")
        image.check(into, pulled)
        assert pulled.digest == built.digest
    assert [each.digest for each in there.referrers(by_digest)] == [about.descriptor.digest]
    there.close()


def test_an_index_is_resolved_to_the_architecture(host, tmp_path):
    layout, built = _image(tmp_path / "from")
    there = Registry(host)
    there.push(layout, built, reference.parse(f"{host}/ntp/many:one"))
    document = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [
            {**built.descriptor.to_json(), "platform": {"os": "linux", "architecture": "amd64"}}
        ],
    }
    content = dump(document)
    put = there._put(
        reference.parse(f"{host}/ntp/many:all"),
        content,
        layout.put(content, "application/vnd.oci.image.index.v1+json"),
        tag="all",
    )
    assert put
    into = Layout.create(tmp_path / "to")
    many = reference.parse(f"{host}/ntp/many:all")
    assert there.pull(many, into, architecture="amd64").digest == built.digest
    with pytest.raises(OciError, match="linux/arm64"):
        there.pull(many, into, architecture="arm64")
    there.close()


def test_what_is_not_there_and_who_does_not_answer_is_said(host, tmp_path):
    there = Registry(host)
    with pytest.raises(OciError, match="is not there"):
        there.resolve(reference.parse(f"{host}/ntp/none:1"))
    there.close()
    with pytest.raises(OciError, match="does not answer") as refused:
        Registry("127.0.0.1:9").resolve(reference.parse("127.0.0.1:9/ntp/x:1"))
    assert refused.value.transient


def test_a_registry_with_a_password_takes_what_docker_login_wrote(tmp_path):
    layout, built = _image(tmp_path / "from")
    with registry(tmp_path / "registry", htpasswd=HTPASSWD) as host:
        to = reference.parse(f"{host}/ntp/x:1.0.0")
        with pytest.raises(OciError, match=r"refuses"):
            Registry(host).push(layout, built, to)
        pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        (tmp_path / "config.json").write_text(json.dumps({"auths": {host: {"auth": pair}}}))
        found = logged_in(host, {"DOCKER_CONFIG": str(tmp_path)})
        assert found == Credentials(USER, PASSWORD)
        assert PASSWORD not in repr(found)
        assert Registry(host, credentials=found).push(layout, built, to).digest == built.digest
        assert logged_in("elsewhere:1", {"DOCKER_CONFIG": str(tmp_path)}) is None


@pytest.mark.long
def test_skopeo_copies_from_the_layout_and_we_read_what_it_copied(host, tmp_path):
    if shutil.which("skopeo") is None:
        absent("programs", "skopeo is not installed: apt-get install skopeo")
    layout, built = _image(tmp_path / "from", b"b = 2\n")
    target = f"docker://{host}/ntp/skopeo:1.0.0"
    subprocess.run(
        ["skopeo", "copy", "--dest-tls-verify=false", f"oci:{layout.root}:1.0.0", target],
        check=True,
        timeout=60,
    )  # fmt: skip
    there = Registry(host)
    assert there.resolve(reference.parse(f"{host}/ntp/skopeo:1.0.0")).digest == built.digest
    subprocess.run(
        ["skopeo", "copy", "--src-tls-verify=false", target, f"oci:{tmp_path / 'back'}:1.0.0"],
        check=True,
        timeout=60,
    )
    back = Layout.open(tmp_path / "back")
    found = image.choose(back, "1.0.0", architecture="amd64")
    image.check(back, found)
    assert found.digest == built.digest
    there.close()


def test_what_was_packed_is_published_with_what_is_attached(host, tmp_path):
    layout, built = _image(tmp_path / "from", b"c = 3\n")
    about = attach(layout, built, b"{}", "application/vnd.cyclonedx+json")
    file = tmp_path / "published.tar"
    with file.open("wb") as out:
        archive.write(layout, [archive.Item(built, "ntp/published", "1.0.0", [about])], out)
    run = subprocess.run(
        [sys.executable, ROOT / ".ci" / "publish_images.py", f"{host}/team", "main", file],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.stdout == f"{host}/team/published:main@{built.digest}\n", run.stderr
    there = Registry(host)
    (listed,) = there.referrers(reference.parse(run.stdout.strip()))
    assert listed.digest == about.descriptor.digest
    assert listed.artifact_type == "application/vnd.cyclonedx+json"
    there.close()


def test_archives_of_two_architectures_are_published_as_one_index_by_whose_digest_values_ask(
    host, tmp_path
):
    made, files = {}, []
    for name in ("amd64", "arm64"):
        layout = Layout.create(tmp_path / name)
        added = layer.write(layout, {"/which": File(Held(name.encode()))})
        settings = {"Labels": {"org.opencontainers.image.title": "one_of_all"}}
        built = image.build(layout, base=None, layers=[added], settings=settings, annotations={}, architecture=name)  # fmt: skip
        other = image.build(layout, base=None, layers=[added], settings={"Labels": {"org.opencontainers.image.title": "other"}}, annotations={}, architecture=name)  # fmt: skip
        made[name] = built
        file = tmp_path / f"{name}.tar"
        with file.open("wb") as out:
            items = [archive.Item(built, "l/one-of-all", "1"), archive.Item(other, "l/other", "1")]
            archive.write(layout, items, out, by_digest=True)
        files.append(file)
    program = [sys.executable, ROOT / ".ci" / "publish_images.py", "--values", tmp_path / "v.yaml"]
    run = subprocess.run(
        [*program, f"{host}/team", "v1", *files], capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr
    one, _ = run.stdout.split()
    digest = one.partition("@")[2]
    values = yaml.safe_load((tmp_path / "v.yaml").read_text())["image"]
    assert values["registry"] == f"{host}/team"
    assert values["digests"]["one-of-all"] == digest
    assert one == f"{host}/team/one-of-all:v1@{digest}"
    there = Registry(host)
    for name, built in made.items():
        into = Layout.create(tmp_path / f"back-{name}")
        assert there.pull(reference.parse(one), into, architecture=name).digest == built.digest
    there.close()


class _Liar(http.server.BaseHTTPRequestHandler):
    """A registry whose answers are what the test says: path -> (media type, content)."""

    answers: dict[str, tuple[str, bytes]]

    def do_GET(self):
        media, content = self.answers.get(self.path, ("text/plain", b""))
        self.send_response(200 if self.path in self.answers else 404)
        self.send_header("Content-Type", media)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def liar():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Liar)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}", _Liar
    server.shutdown()
    thread.join()
    server.server_close()


def _answers(content=b"layer", *, claimed=b"layer"):
    config = dump(
        {"architecture": "amd64", "os": "linux", "rootfs": {"diff_ids": [digest_of(claimed)]}}
    )

    def described(media, blob):
        return {"mediaType": media, "digest": digest_of(blob), "size": len(blob)}

    manifest = dump(
        {
            "schemaVersion": 2,
            "config": described(CONFIG, config),
            "layers": [described(LAYER, claimed)],
        }
    )
    return manifest, {
        "/v2/x/manifests/1": (MANIFEST, manifest),
        f"/v2/x/manifests/{digest_of(manifest)}": (MANIFEST, manifest),
        f"/v2/x/blobs/{digest_of(config)}": (CONFIG, config),
        f"/v2/x/blobs/{digest_of(claimed)}": (LAYER, content),
    }


def test_a_registry_that_lies_is_not_believed(liar, tmp_path):
    host, handler = liar
    manifest, handler.answers = _answers()
    by_tag = reference.parse(f"{host}/x:1")
    into = Layout.create(tmp_path / "good")
    pulled = Registry(host).pull(by_tag, into, architecture="amd64")
    image.check(into, pulled)

    # Another layer under the same digest; one byte more; endless.
    for content in (b"LAYER", b"layer+", b"x" * 10_000_000):
        _, handler.answers = _answers(content)
        with pytest.raises(OciError, match=r"altered|more than|does not answer"):
            Registry(host).pull(by_tag, Layout.create(tmp_path / "bad"), architecture="amd64")

    # Another manifest, though a digest was asked for.
    other, _ = _answers(claimed=b"other")
    handler.answers[f"/v2/x/manifests/{digest_of(manifest)}"] = (MANIFEST, other)
    with pytest.raises(OciError, match="sent a manifest whose digest is"):
        Registry(host).resolve(by_tag.at(digest_of(manifest)))

    # No manifest at all.
    handler.answers["/v2/x/manifests/1"] = ("text/html", b"<html>")
    with pytest.raises(OciError, match="no image"):
        Registry(host).resolve(by_tag)
    handler.answers["/v2/x/manifests/1"] = (MANIFEST, b"x" * (5 * 1024**2))
    with pytest.raises(OciError, match="more than"):
        Registry(host).resolve(by_tag)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("python", "no registry"),
        ("library/python:3.11", "no registry"),
        ("host:70000/x", "port"),
        ("host:5000/Upper", "repository"),
        ("host:5000/x:a b", "tag"),
        ("host:5000/x@sha256:12", "digest"),
        ("host:5000/--privileged", "repository"),
        ("user:secret@host/x", "digest"),
    ],
)
def test_what_is_no_reference_is_refused(text, words):
    with pytest.raises(OciError, match=words):
        reference.parse(text)


def test_a_reference_is_read_and_written():
    digest = "sha256:" + "a" * 64
    found = reference.parse(f"registry.example:5000/team/app:1.2@{digest}")
    assert (found.host, found.repository, found.tag, found.digest) == (
        "registry.example:5000", "team/app", "1.2", digest
    )  # fmt: skip
    assert str(found) == f"registry.example:5000/team/app:1.2@{digest}"
    assert reference.parse("localhost/x").tag == "latest"
