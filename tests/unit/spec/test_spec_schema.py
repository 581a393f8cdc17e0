import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from orchestrator.spec import schema, shape, source

ROOT = Path(__file__).parents[3]


def written(name):
    return (ROOT / "schemas" / name).read_bytes()


def mistakes(text):
    whole = json.loads(written("plugins.schema.json"))
    found = Draft202012Validator(whole).iter_errors(source.parse(text, file="f").value)
    return sorted(error.json_path for error in found)


@pytest.mark.parametrize("name", ["plugins.schema.json", "plugin.schema.json"])
def test_the_committed_schema_is_that_of_the_models(name):
    rendered = schema.render(ROOT / "plugin-images")
    assert rendered.keys() == {"plugins.schema.json", "plugin.schema.json"}
    assert rendered[name] == written(name), "render it again: ntpctl schema --write"
    Draft202012Validator.check_schema(json.loads(rendered[name]))


def test_rendering_is_deterministic_and_without_traces_of_a_machine():
    one, other = (schema.render(ROOT / "plugin-images") for _ in range(2))
    assert one == other
    assert all(b"/work" not in text and b"\r" not in text for text in one.values())


@pytest.mark.parametrize(
    "name", ["plugins.yaml", "examples/exchanges.yaml", "examples/local_exchange.yaml"]
)
def test_an_editor_finds_nothing_to_mark_in_the_files_that_we_ship(name):
    assert mistakes((ROOT / "config" / name).read_bytes()) == []


def test_an_editor_marks_the_config_of_bundled_plugins():
    text = "plugins:\n  strategies:\n    - {name: %s, plugin: %s, config: {perid: 1}}\n"
    by_plugin = mistakes(text % ("mine", "bollinger_strategy"))
    by_name = mistakes("plugins:\n  strategies: [{name: bollinger_strategy, config: {perid: 1}}]\n")
    assert by_plugin == by_name == ["$.plugins.strategies[0].config"]
    assert mistakes(text % ("bollinger_strategy", "mine")) == []
    own = "plugins:\n  strategies: [{name: bollinger_strategy, source: a.py, config: {perid: 1}}]\n"
    assert mistakes(own) == []


def test_what_is_commented_out_is_no_mistake_to_an_editor():
    text = "plugins:\n  strategies:\n  data_sources: [{name: replay_data, config: }]\n"
    assert mistakes(text) == []


def test_every_field_has_words_and_a_fix():
    whole = schema.plugins_schema()
    for name in (
        "DataSource",
        "Indicator",
        "Strategy",
        "Executor",
        "Defaults",
        "Resources",
        "Input",
    ):
        for field, said in whole["$defs"][name]["properties"].items():
            assert said.get("description"), (name, field)
            assert said.get("x-fix"), (name, field)


def test_the_schema_has_every_field_of_the_contract():
    fields = set(schema.plugins_schema()["$defs"]["Strategy"]["properties"])
    assert fields == {
        "name", "enabled", "config", "plugin", "source", "image", "version", "inputs", "history",
        "resources", "storage", "timeout", "network", "secrets", "capital", "short", "pyramid", "risk",
        "replicas", "shard_by", "update", "restart", "kubernetes",
    }  # fmt: skip
    assert set(shape.Strategy.__annotations__) <= fields
