from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from orchestrator.spec import config_check
from orchestrator.spec.config_accept import acceptor
from orchestrator.spec.config_check import Checker


def told(schema, config, **other):
    return [
        (c.message, c.fix)
        for c in Checker({"type": "object", **schema}).complaints(config, **other)
    ]


def one(inner, value):
    return told({"properties": {"a": inner}}, {"a": value})


@pytest.mark.parametrize(
    ("inner", "value", "complaint"),
    [
        ({"type": "integer"}, "20", ("a was '20'", "write a whole number without quotes: 20")),
        ({"type": "integer"}, "2.5", ("a was '2.5'", "write a whole number")),
        ({"type": "number"}, "2.5", ("a was '2.5'", "write a number without quotes: 2.5")),
        ({"type": "number"}, None, ("a was empty", "write a number, or take it out")),
        ({"type": "string"}, 5, ("a was 5", "write text, in quotes")),
        ({"type": "array"}, "x, y", ("a was 'x, y'", 'write a list: ["x", "y"]')),
        ({"type": "array"}, 'x"', ("a was 'x\"'", "write a list")),
        (
            {"pattern": "^w", "examples": ["wss"]},
            "x",
            ("a was 'x'", "write text that matches '^w', such as 'wss'"),
        ),
        ({"uniqueItems": True}, [1, 1], ("a has the same item twice", "list each item once")),
        ({"type": "integer"}, True, ("a was true", "write a whole number")),
        ({"type": "number"}, "x", ("a was 'x'", "write a number")),
        ({"type": "boolean"}, 1, ("a was 1", "write true or false")),
        ({"type": ["string", "null"]}, 1, ("a was 1", "write text or nothing")),
        ({"type": "integer", "minimum": 2}, 1, ("a was 1", "write at least 2")),
        ({"exclusiveMaximum": 1}, 1, ("a was 1", "write less than 1")),
        ({"multipleOf": 5}, 7, ("a was 7", "write a multiple of 5")),
        ({"enum": ["x", "y"]}, "z", ("a was 'z'", "write one of 'x', 'y'")),
        ({"const": 3}, 4, ("a was 4", "write 3")),
        ({"pattern": "^[A-Z]+$"}, "a", ("a was 'a'", "write text that matches '^[A-Z]+$'")),
        ({"minItems": 1}, [], ("a was an empty list", "list at least 1")),
        (
            {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            "x",
            ("a was 'x'", "write one of a whole number, nothing"),
        ),
        (
            {"not": {"type": "string"}},
            "x",
            ("a was 'x', which 'not' does not allow", "see 'not' in the plugin's config_schema"),
        ),
    ],
)
def test_a_refused_value_is_told_with_what_to_write(inner, value, complaint):
    assert one(inner, value) == [complaint]


def test_what_is_missing_and_what_is_unknown():
    schema = {
        "properties": {
            "period": {"type": "integer"},
            "deep": {"type": "object", "required": ["x"]},
        },
        "required": ["period"],
        "additionalProperties": False,
    }
    assert set(told(schema, {"perod": 1, "deep": {}})) == {
        ("config: 'period' is missing", "add 'period: …'"),
        ("deep: 'x' is missing", "add 'x: …'"),
        ("unknown key 'perod'", "did you mean 'period'?"),
    }


def test_the_path_leads_to_the_value():
    schema = {"type": "object", "properties": {"a": {"items": {"type": "integer"}}}}
    (complaint,) = Checker(schema).complaints({"a": [1, "x"]})
    assert (complaint.path, complaint.message) == (("a", 1), "a[1] was 'x'")


def test_patterns_of_keys_count_for_what_is_additional():
    schema = {"patternProperties": {"^s_": {"type": "integer"}}, "additionalProperties": False}
    assert told(schema, {"s_a": 1}) == []
    assert told(schema, {"s_a": "x"}) == [("s_a was 'x'", "write a whole number")]
    assert told(schema, {"t_a": 1}) == [("unknown key 't_a'", "take it out")]


def test_items_are_the_same_as_json_sees_them():
    unique = {"uniqueItems": True}
    assert one(unique, [1, "1", True, [1], {"a": 1}]) == []
    for twice in ([1, 1.0], [{"a": 1, "b": 2}, {"b": 2.0, "a": 1}], [[True], [True]]):
        assert one(unique, twice)


def test_of_a_secret_only_the_type_is_known():
    strict = {"type": "string", "minLength": 32, "pattern": "^[A-Z]+$"}
    assert one(strict, "${KEY}") == []
    assert one({"type": "integer"}, "${KEY}") == [("a was '${KEY}'", "write a whole number")]
    assert told({"required": ["k"]}, {}, given=("k",)) == []
    closed = {"properties": {}, "additionalProperties": False}
    assert told(closed, {}, given=("k",)) == []


HOSTILE = {
    "exponential pattern": (
        {"properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}},
        {"a": "a" * 60_000 + "!"},
    ),
    "exponential pattern of a key": (
        {"patternProperties": {"^(a+)+$": {}}, "additionalProperties": False},
        {"a" * 5_000 + "!": 1},
    ),
    "exponential pattern of names": (
        {"propertyNames": {"pattern": "^(a|a)*$"}},
        {"a" * 5_000 + "!": 1},
    ),
    "unique objects": (
        {"properties": {"a": {"type": "array", "uniqueItems": True}}},
        {"a": [{"at": at} for at in range(8_000)] + [{"at": 0}]},
    ),
    "remote reference": ({"properties": {"a": {"$ref": "http://localhost:1/x"}}}, {"a": 1}),
    "file reference": ({"$ref": "file:///etc/passwd"}, {"a": 1}),
    "recursive reference": (
        {"$defs": {"x": {"allOf": [{"$ref": "#/$defs/x"}]}}, "$ref": "#/$defs/x"},
        {"a": 1},
    ),
    "doubling references": (
        {
            "$defs": {f"d{at}": {"allOf": [{"$ref": f"#/$defs/d{at + 1}"}] * 2} for at in range(24)}
            | {"d24": {"type": "string"}},
            "properties": {"a": {"$ref": "#/$defs/d0"}},
        },
        {"a": 1},
    ),
    "work that multiplies": (
        {"properties": {"a": {"items": {"anyOf": [{"const": at} for at in range(2_000)]}}}},
        {"a": ["x"] * 10_000},
    ),
    "unevaluated": ({"unevaluatedProperties": False}, {"a": 1}),
    "huge repetition": (
        {"properties": {"a": {"pattern": "((a{1,100}){1,100}){1,100}"}}},
        {"a": "a" * 100},
    ),
    "look-around": ({"properties": {"a": {"pattern": "(?=x)x"}}}, {"a": "x"}),
    "no keyword": ({"minimum": "x", "required": 5, "properties": {"a": {"type": "int"}}}, {"a": 1}),
    "zero": ({"properties": {"a": {"multipleOf": 0}}}, {"a": 1}),
    "nested": ({"not": {"not": {"not": {"not": {"not": {"not": {}}}}}}}, {"a": 1}),
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_schema_ends_in_words_and_soon(name):
    schema, config = HOSTILE[name]
    complaints = Checker({"type": "object", **schema}).complaints(config)
    assert complaints if name != "nested" else True
    assert all(complaint.message and complaint.fix for complaint in complaints)


def test_the_authors_fault_is_not_laid_at_the_users_door():
    (complaint,) = Checker({"type": "object", "properties": {"a": {"minimum": "x"}}}).complaints(
        {"a": 1}
    )
    assert "config_schema cannot be used" in complaint.message
    assert "plugin's author" in complaint.fix


def test_a_schema_that_was_never_expanded_is_no_danger():
    deep: dict = {"type": "object"}
    for _ in range(3_000):
        deep = {"type": "object", "properties": {"a": deep}}
    (complaint,) = Checker(deep).complaints({"a": 1})
    assert "nested deeper" in complaint.message


def test_too_much_work_is_known_before_it_begins():
    schema, config = HOSTILE["work that multiplies"]
    (complaint,) = Checker({"type": "object", **schema}).complaints(config)
    assert "too many to check" in complaint.message
    assert config_check.MAX_STEPS < 10_000 * 2_000


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "pattern": "(?=x)"},
        {"type": "string", "pattern": 1},
        {"type": "array", "uniqueItems": 1},
        {"enum": ["a"], "minLength": 1},
        {"title": "anything"},
        {"anyOf": [{"type": "string"}]},
        {"properties": {}},
        {"type": ["string", "null"]},
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}},
        {"type": "string", "enum": [[1]]},
        {"type": "integer", "minimum": "x"},
        {"type": "array", "items": {"uniqueItems": True}},
        {"type": "object", "required": "a"},
        False,
    ],
)
def test_the_quick_yes_keeps_out_of_what_it_does_not_know(schema):
    assert acceptor(schema) is None


def test_a_bundled_plugin_needs_no_jsonschema_for_a_yes():
    """It is 19 MiB of a controller's memory, 34 where what it may check formats with is installed."""
    manifests = list(Path(__file__).parents[3].glob("plugin-images/*/plugin.yaml"))
    assert len(manifests) > 5
    for each in manifests:
        schema = yaml.safe_load(each.read_text()).get("config_schema")
        assert schema is None or acceptor(schema) is not None, each


def test_one_and_true_are_two_values():
    accept = acceptor({"type": "integer", "enum": [1, 2]})
    assert accept is not None
    assert (accept(1), accept(1.0), accept(True), accept([1])) == (True, True, False, False)
    assert not Draft202012Validator({"enum": [1]}).is_valid(True)
