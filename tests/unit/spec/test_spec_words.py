"""What the schema says of a field is what holds: its default, its example."""

import json
from pathlib import Path

import pytest

from orchestrator.errors import ConfigError
from orchestrator.spec import load, quantity, schema
from orchestrator.spec.model import Artifact

WHOLE = schema.plugins_schema()
STRATEGY = WHOLE["$defs"]["Strategy"]["properties"]
RESOURCES = WHOLE["$defs"]["Resources"]["properties"]
OWNERS = {
    "": WHOLE["properties"],
    "Strategy": STRATEGY,
    "Resources": RESOURCES,
    "Network": WHOLE["$defs"]["Network"]["properties"],
    "Input": WHOLE["$defs"]["Input"]["properties"],
}
EXAMPLES = [
    (owner, name, said["examples"][0])
    for owner, fields in OWNERS.items()
    for name, said in fields.items()
    if "examples" in said
]


def resolved(document: dict):
    """The plugins of a project that says only this, each found and asking for nothing."""
    text = json.dumps(document)
    declared = load.read([("plugins.yaml", text)], environment={}, project="desk")
    found = {
        each.name: Artifact(
            plugin=each.plugin,
            kind=each.kind,
            version="1.0.0",
            digest=f"sha256:{each.name}",
            entrypoint="m:C",
            config_schema={},
            egress=(),
            secrets=(),
            requirements=(),
            code=Path("nowhere"),
            origin="bundled",
        )
        for each in declared.wanted()
    }
    return load.resolve(declared, found, revision=1).plugins


def project(**said) -> dict:
    """A project of four entries; `said`: what the strategy says besides."""
    return {
        "plugins": {
            "data_sources": [{"name": "replay_data"}],
            "indicators": [{"name": "rsi_indicator"}],
            "strategies": [{"name": "mine", **said}],
            "executors": [{"name": "paper"}],
        }
    }


def last(default: str) -> str:
    """The value in `PLUGIN_MAX_MEMORY, else 512MB` and in `none, but 64MiB for an executor`."""
    return (
        default.partition("else ")[2] or default.partition("but ")[2].partition(" ")[0] or default
    )


def test_the_defaults_that_are_told_hold():
    plugins = resolved(project())
    mine, paper = plugins["mine"], plugins["paper"]

    told = {name: last(said["x-default"]) for name, said in RESOURCES.items()}
    assert quantity.memory(told["memory"]) == mine.resources.memory
    assert quantity.cpu(told["cpu"]) == mine.resources.cpu
    assert int(told["pids"]) == mine.resources.pids
    assert quantity.memory(told["tmp"]) == mine.resources.tmp
    told = {name: last(said["x-default"]) for name, said in STRATEGY.items() if "x-default" in said}
    assert quantity.duration(told["timeout"]) == mine.timeout
    assert STRATEGY["storage"]["x-default"].startswith("none")
    assert mine.storage == 0
    assert quantity.memory(told["storage"]) == paper.storage
    assert int(told["history"]) == mine.history
    assert int(told["capital"]) == mine.capital
    assert told["short"] == str(mine.short).lower()
    assert int(told["pyramid"]) == mine.pyramid
    assert told["enabled"] == "true"


@pytest.mark.parametrize(("owner", "name", "value"), EXAMPLES)
def test_the_example_of_a_field_is_good(owner, name, value):
    match owner:
        case "":
            assert resolved({**project(), name: value})
        case "Strategy" if name == "enabled":
            assert "mine" not in resolved(project(enabled=value))
        case "Strategy":
            assert resolved(project(**{name: value}))
        case "Input":
            assert resolved(project(inputs=[{"from": "replay_data", name: value}]))
        case "Network":
            hosts = {"egress": ["stream.example.com:443"]}
            assert resolved(project(network={**hosts, name: value}))
        case _:
            assert resolved(project(**{owner.lower(): {name: value}}))


def test_an_example_would_not_pass_where_it_is_none():
    with pytest.raises(ConfigError):
        resolved(project(resources={"memory": "1 GiBi"}))


def test_every_field_that_acts_has_an_example_or_names_of_plugins_to_choose_from():
    bare = {
        name
        for fields in OWNERS.values()
        for name, said in fields.items()
        if "examples" not in said and "not" not in said and "const" not in said
    }
    assert bare == {"name", "plugin", "config", "plugins"}
