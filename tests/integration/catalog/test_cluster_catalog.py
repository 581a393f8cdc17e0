"""On a cluster plugins are images: those that the release brings along, and those that entries name."""

from pathlib import Path

import pytest

from ntp.oci.layer import Form
from ntp.oci.packing import Order, pack
from ntp.oci.pushing import push, target
from ntp.package.author import look
from orchestrator.app.places import packaged
from orchestrator.catalog.cluster_catalog import ClusterCatalog, DescribedImages
from orchestrator.catalog.image_store import ImageStore
from orchestrator.spec.model import Place, Wanted
from tests.worlds import base_image
from tests.worlds.registry import registry

DIGEST = f"sha256:{'a' * 64}"
LISTED = {"momentum_strategy": f"registry.example.com/ntp/momentum-strategy@{DIGEST}"}
PYTHON = Path("/usr/bin/python3")


@pytest.fixture
def catalog(tmp_path):
    named = DescribedImages(ImageStore(tmp_path / "cache"), {}, reserved="ntp.dev/")
    return ClusterCatalog(LISTED, bundled=packaged("plugin-images"), named=named, python=PYTHON)


def wanted(plugin, **more):
    given = {"name": plugin, "source": None, "image": None, "version": None} | more
    return Wanted(kind="strategy", plugin=plugin, place=Place("pluginset/desk", 3, 5), **given)


async def test_a_bundled_plugin_is_the_image_that_the_release_lists(catalog):
    found, problems = await catalog.resolve([wanted("momentum_strategy")])
    assert problems == []
    artifact = found["momentum_strategy"]
    assert (artifact.digest, artifact.image) == (DIGEST, LISTED["momentum_strategy"])
    assert "lookback" in artifact.config_schema["properties"]
    environment = await catalog.prepare(artifact)
    assert environment.image.reference == LISTED["momentum_strategy"]
    assert environment.python == PYTHON
    assert await catalog.image_of(artifact) == DIGEST


async def test_entries_of_one_plugin_share_what_is_known_of_it(catalog):
    asked = [wanted("momentum_strategy", name=name) for name in ("one", "another")]
    found, _ = await catalog.resolve(asked)
    assert found["one"] is found["another"]


async def test_one_of_an_older_revision_is_the_image_of_then(catalog):
    older = f"sha256:{'b' * 64}"
    found, _ = await catalog.resolve([wanted("momentum_strategy", pinned=older)])
    assert found["momentum_strategy"].image.endswith(f"momentum-strategy@{older}")


@pytest.mark.parametrize(
    ("asked", "words", "fix"),
    [
        (
            wanted("mine", source="strategies/mine.py"),
            "source 'strategies/mine.py' is of another machine, and a cluster runs images",
            "`ntp plugin package strategies/mine.py --push REGISTRY --pin` makes its image",
        ),
        (
            wanted("momentum_strateg"),
            "the plugin 'momentum_strateg' is none that this release brings along (momentum_strategy)",
            "did you mean 'momentum_strategy'? Else `ntp plugin package momentum_strateg",
        ),
        (wanted("rsi_indicator"), "none that this release brings along", "--push REGISTRY --pin"),
    ],
)
async def test_what_no_node_can_pull_is_told_with_the_command_that_helps(
    catalog, asked, words, fix
):
    found, problems = await catalog.resolve([asked])
    assert found == {}
    assert words in problems[0].message
    assert fix in problems[0].fix
    assert (problems[0].file, problems[0].line, problems[0].entry) == (
        "pluginset/desk",
        3,
        asked.name,
    )


async def test_of_a_named_image_only_what_it_says_of_itself_is_read(catalog, tmp_path):
    """Its tag means what it means when it is applied; from then on its digest."""
    base_image.make(tmp_path / "base")
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "plugin.yaml").write_text(MANIFEST)
    (folder / "mine.py").write_text("class Mine: pass\n")
    packed = tmp_path / "mine.tar"
    order = Order(
        plugin=look(folder), base=str(tmp_path / "base"), out=packed, as_archive=True,
        form=Form(0, compress=False), environment={}, report=None, signer=None,
    )  # fmt: skip
    pack(order, lambda _: None)
    with registry(tmp_path / "registry") as host:
        to = target(f"{host}/desk", "mine", "1.0.0")
        pushed = push(packed, to, environment={}, progress=lambda _: None)
        found, problems = await catalog.resolve([wanted("mine", image=str(to))])
        assert problems == []
        assert found["mine"].image == str(pushed)
        environment = await catalog.prepare(found["mine"])
        assert environment.image.reference == str(pushed)
        assert environment.python != PYTHON, "the image says which is its own"
        blobs = (tmp_path / "cache").rglob("*")
        assert max(each.stat().st_size for each in blobs if each.is_file()) < 100_000, "no layer"
    # What a digest says is asked for once: the registry may be gone.
    await catalog.resolve([wanted("mine", image=str(pushed))])
    assert (await catalog.prepare(found["mine"])).image.reference == str(pushed)
    _, problems = await catalog.resolve([wanted("other", image=str(to))])
    assert host in problems[0].message


MANIFEST = """\
name: mine
version: 1.0.0
author: desk
description: d
kind: strategy
entrypoint: "mine:Mine"
"""
