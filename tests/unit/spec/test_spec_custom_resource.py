"""The custom resource says what plugins.yaml says, in words that an API server takes."""

from orchestrator.spec import custom_resource
from orchestrator.spec.structural import FREE, structural

STRATEGY = custom_resource.spec()["properties"]["plugins"]["properties"]["strategies"]["items"]


def nodes(schema):
    if isinstance(schema, dict):
        yield schema
        for each in schema.values():
            yield from nodes(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from nodes(each)


def test_nothing_is_in_it_that_no_structural_schema_has():
    refused = {"$ref", "$defs", "anyOf", "allOf", "if", "const", "examples", "patternProperties"}
    for node in nodes(custom_resource.spec()):
        assert not refused & node.keys()
        assert not [key for key in node if key.startswith("x-") and "kubernetes" not in key]
        assert node.get("additionalProperties") is not False


def test_the_config_of_a_plugin_is_free_and_may_be_left_empty():
    config = STRATEGY["properties"]["config"]
    assert (config["type"], config["nullable"], config[FREE]) == ("object", True, True)


def test_bytes_are_a_number_or_a_text_with_the_limits_of_each():
    memory = STRATEGY["properties"]["resources"]["properties"]["memory"]
    assert memory["x-kubernetes-int-or-string"] is True
    assert memory["minimum"] > 0
    assert memory["pattern"].startswith("^[0-9]")


def test_a_share_or_an_amount_takes_neither_a_list_nor_a_mapping():
    capital = STRATEGY["properties"]["capital"]
    assert (capital[FREE], capital["maxItems"], capital["maxProperties"]) == (True, 0, 0)
    assert (capital["minimum"], capital["exclusiveMinimum"]) == (0, True)


def test_a_field_that_acts_in_a_later_release_only_is_not_there():
    assert "shard_by" not in STRATEGY["properties"]


def test_the_project_is_the_release_so_a_spec_names_none():
    assert set(custom_resource.spec()["properties"]) == {"defaults", "plugins"}


def test_what_is_to_be_written_is_told_where_a_refusal_cannot_tell_it():
    assert (
        "512Mi or 1GiB"
        in STRATEGY["properties"]["resources"]["properties"]["memory"]["description"]
    )


def test_a_reference_is_put_in_where_it_stands_and_what_stands_beside_it_wins():
    schema = {
        "$defs": {"A": {"type": "object", "description": "A.", "properties": {"b": {"const": 1}}}},
        "properties": {"a": {"$ref": "#/$defs/A", "description": "Mine.", "x-fix": "do"}},
        "type": "object",
    }
    assert structural(schema)["properties"]["a"] == {
        "type": "object",
        "description": "Mine. Do.",
        "properties": {"b": {"type": "integer", "enum": [1]}},
    }
