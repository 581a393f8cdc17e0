"""One file per mistake, and exactly what a person is told about it."""

from pathlib import Path

import pytest
import yaml

from ntp.contract.config_schema import expand
from orchestrator.errors import ConfigError
from orchestrator.spec import load, schema
from orchestrator.spec.model import Artifact

ROOT = Path(__file__).parents[3]
MISTAKES = sorted((ROOT / "tests" / "fixtures" / "invalid").glob("*.yaml"))


def bundled() -> dict[str, Artifact]:
    return {
        manifest.name: Artifact(
            plugin=manifest.name,
            kind=manifest.kind.value,
            version=manifest.version,
            digest=f"sha256:{manifest.name}",
            entrypoint=manifest.entrypoint,
            config_schema=expand(manifest.config_schema),
            egress=tuple(manifest.egress),
            secrets=tuple(manifest.secrets),
            requirements=tuple(manifest.requirements),
            code=Path("nowhere"),
            origin="bundled",
            trading=manifest.trading.model_dump(exclude_none=True),
            finite=manifest.finite,
        )
        for manifest in schema.manifests(ROOT / "plugin-images")
    }


def complaint(file: Path) -> str:
    """What `ntpctl validate` prints of a file."""
    plugins = bundled()
    declared, problems = load.gather(
        [(file.name, file.read_bytes())], environment={}, project="desk"
    )
    wanted = declared.wanted()
    found = {each.name: plugins[each.plugin] for each in wanted if each.plugin in plugins}
    try:
        load.resolve(declared.only(found), found, revision=1)
    except ConfigError as error:
        problems += error.problems
    return f"{ConfigError(problems)}\n" if problems else ""


@pytest.mark.parametrize("file", MISTAKES, ids=lambda file: file.stem)
def test_a_mistake_is_told_with_place_and_fix(file):
    assert complaint(file) == file.with_suffix(".txt").read_text()


def test_every_mistake_has_a_text_and_every_text_a_mistake():
    texts = {text.stem for text in MISTAKES[0].parent.glob("*.txt")}
    assert {mistake.stem for mistake in MISTAKES} == texts
    assert len(texts) >= 100


@pytest.mark.parametrize(
    "name", ["plugins.yaml", "examples/exchanges.yaml", "examples/local_exchange.yaml"]
)
def test_the_files_that_we_ship_have_no_mistake(name):
    file = ROOT / "config" / name
    declared = load.read([(name, file.read_bytes())], environment={}, project="desk")
    plugins = bundled()
    known = {each.name: plugins[each.plugin] for each in declared.wanted()}
    desired = load.resolve(declared, known, revision=1)
    if name == "plugins.yaml":
        assert list(desired.plugins) == [
            "binance_data",
            "rsi_indicator",
            "bollinger_strategy",
            "momentum_strategy",
            "paper_executor",
        ]
        assert declared.disabled == ("polygon_data",)
    elif name == "examples/local_exchange.yaml":
        assert {"127.0.0.1:9443"} < set(map(str, desired.plugins["polygon_data"].egress))
    else:
        assert list(desired.plugins) == [
            "binance_data",
            "polygon_data",
            "bollinger_strategy",
            "momentum_strategy",
        ]
        reached = {name: list(map(str, spec.egress)) for name, spec in desired.plugins.items()}
        assert reached["binance_data"] == ["stream.binance.com:9443"]
        assert reached["polygon_data"] == ["socket.polygon.io:443"]
        assert desired.plugins["polygon_data"].secrets["config.api_key"].key == "POLYGON_API_KEY"


def test_the_demos_file_is_the_example_at_another_place():
    def entries(name):
        plugins = yaml.safe_load((ROOT / "config" / name).read_text())["plugins"]
        for several in plugins.values():
            for each in several:
                each.pop("enabled", None)
                each.get("config", {}).pop("stream_url", None)
        return plugins

    assert entries("examples/local_exchange.yaml") == entries("plugins.yaml")
