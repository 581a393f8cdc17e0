"""A plugin's own description: what is accepted, and what is said about what is not."""

import pytest

from ntp.contract.config_schema import DIALECT, SchemaError, expand
from ntp.contract.manifest import Manifest, read

GOOD = {
    "name": "bollinger_strategy",
    "version": "1.2.0",
    "kind": "strategy",
    "entrypoint": "bollinger_strategy:BollingerStrategy",
}


def told(**changes):
    """Message and fix of the only problem that a change makes."""
    _, (problem,) = read({**GOOD, **changes}, file="plugin.yaml")
    return problem.message, problem.fix


def test_four_fields_are_enough():
    manifest, problems = read(GOOD, file="plugin.yaml")
    assert problems == ()
    assert manifest is not None
    assert (manifest.requirements, manifest.egress, manifest.finite) == ([], [], False)


@pytest.mark.parametrize(
    "version",
    ["1.2", "1", "v1.2.3", "01.2.3", "1.2.3.4", "1.2.3-", "../../1.2.3", "1.2.3\n", "1.٣.0"],
)
def test_a_version_is_strictly_semantic(version):
    message, fix = told(version=version)
    assert message.startswith("'version' was ")
    assert fix == "write three numbers: '1.0.0'"


@pytest.mark.parametrize("version", ["0.0.0", "1.2.3-rc.1", "1.2.3+build.5", "10.20.30-a-b.0"])
def test_semantic_versions_are_accepted(version):
    assert read({**GOOD, "version": version}, file="plugin.yaml")[1] == ()


@pytest.mark.parametrize(
    ("requirement", "said"),
    [
        ("pandas @ https://example.com/pandas.whl", "names an address"),
        ("pandas @ file:///etc/passwd", "names an address"),
        ("-r /etc/passwd", "is no requirement"),
        ("--index-url=https://example.com pandas", "is no requirement"),
        ("pandas>>2", "is no requirement"),
        ("pandas\n--pre", "is no requirement"),
        ("../evil", "is no requirement"),
    ],
)
def test_a_requirement_is_a_name_with_versions_and_nothing_else(requirement, said):
    message, _ = told(requirements=[requirement])
    assert said in message


@pytest.mark.parametrize(
    "address",
    [
        "example.com",
        "example.com:0",
        "example.com:65536",
        "http://example.com:80",
        "*:443",
        "a b:1",
    ],
)
def test_egress_is_a_host_and_a_port(address):
    with pytest.raises(ValueError, match="egress"):
        Manifest.model_validate({**GOOD, "egress": [address]})


def test_every_mistake_is_reported_and_has_its_place():
    lines = {("kind",): (3, 1), ("versoin",): (2, 1), ("requirements", 1): (6, 5)}
    _, problems = read(
        {
            **{key: value for key, value in GOOD.items() if key != "version"},
            "versoin": "1.0.0",
            "kind": "strategies",
            "requirements": ["pandas", "!"],
        },
        file="my/plugin.yaml",
        locate=lambda path: lines.get(tuple(path), (1, 1)),
        entry="mine",
    )
    assert [(p.line, p.column, p.message.partition(":")[0], p.entry) for p in problems] == [
        (1, 1, "the field 'version' is missing", "mine"),
        (2, 1, "unknown field 'versoin'", "mine"),
        (3, 1, "'kind' was 'strategies'", "mine"),
        (6, 5, "'!' is no requirement", "mine"),
    ]
    assert problems[1].fix == "did you mean 'version'?"
    assert problems[2].fix == "write one of data_source, indicator, strategy, executor"


def test_a_mistake_in_the_schema_is_led_to():
    seen = []
    read(
        {**GOOD, "config_schema": {"period": "integr"}},
        file="plugin.yaml",
        locate=lambda path: seen.append(path) or (1, 1),
    )
    assert seen == [("config_schema", "period")]


def test_a_nested_field_is_compared_with_its_own_neighbours():
    message, fix = told(trading={"piramid": 2})
    assert message == "unknown field 'trading.piramid'"
    assert fix == "did you mean 'pyramid'?"


@pytest.mark.parametrize(
    ("risk", "message", "fix"),
    [
        ({"max_drawdown": 0.1}, "unknown field 'trading.risk.max_drawdown'", "known fields: "),
        ({"max_daily_loss": 200}, "'trading.risk.max_daily_loss' was 200", "'2%'"),
        ({"max_position": 0}, "'trading.risk.max_position' was 0", "write 5000"),
    ],
)
def test_limits_of_risk_that_are_none_are_refused(risk, message, fix):
    said, advice = told(trading={"risk": risk})
    assert said.startswith(message)
    assert fix in advice


@pytest.mark.parametrize("document", [None, [], "text", 5])
def test_a_manifest_is_a_mapping(document):
    manifest, (problem,) = read(document, file="plugin.yaml")
    assert manifest is None
    assert "a manifest is a mapping" in problem.message


def test_only_a_data_source_ends_by_itself():
    message, fix = told(finite=True)
    assert "'finite' was set for a plugin of kind strategy" in message
    assert fix.startswith("take it out")


def test_another_major_contract_is_refused():
    assert "contract 2.0" in told(contract="2.0")[0]
    assert read({**GOOD, "contract": "1.9"}, file="plugin.yaml")[1] == ()


def test_a_yes_is_not_a_true():
    assert told(finite="yes") == ("'finite' was 'yes'", "write true or false")


def test_the_users_shorthand_becomes_a_schema():
    assert expand({"period": "int", "std_dev": "float", "symbols": "list"}) == {
        "$schema": DIALECT,
        "type": "object",
        "properties": {
            "period": {"type": "integer"},
            "std_dev": {"type": "number"},
            "symbols": {"type": "array"},
        },
        "additionalProperties": False,
    }


def test_no_schema_allows_everything():
    assert expand({}) == {"$schema": DIALECT, "type": "object"}


def test_a_parameter_may_be_called_type():
    assert expand({"type": "str"})["properties"] == {"type": {"type": "string"}}


def test_a_whole_schema_stays_as_it_is():
    schema = {
        "type": "object",
        "properties": {"period": {"$ref": "#/$defs/Period"}},
        "required": ["period"],
        "$defs": {"Period": {"type": "integer", "minimum": 2}},
    }
    assert expand(schema) == {"$schema": DIALECT, **schema}


@pytest.mark.parametrize(
    ("word", "fix"),
    [("integer", "write 'int'"), ("string", "write 'str'"), ("flaot", "write 'float'")],
)
def test_other_words_for_a_type_are_translated(word, fix):
    with pytest.raises(SchemaError) as caught:
        expand({"period": word})
    assert caught.value.fix == fix
    assert caught.value.path == ("period",)


def doubling(depth):
    """Each definition refers twice to the next: 2^depth visits for who follows them."""
    definitions = {
        f"d{at}": {"allOf": [{"$ref": f"#/$defs/d{at + 1}"}, {"$ref": f"#/$defs/d{at + 1}"}]}
        for at in range(depth)
    }
    return {**definitions, f"d{depth}": {"type": "integer"}}


def nested(depth):
    node = {"type": "string"}
    for _ in range(depth):
        node = {"type": "object", "properties": {"a": node}}
    return node


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "the dialect was"),
        ({"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1/x"}}}, "'$ref' was"),
        ({"type": "object", "properties": {"a": {"$ref": "file:///etc/passwd"}}}, "'$ref' was"),
        ({"type": "object", "$ref": "#"}, "'$ref' was"),
        ({"type": "object", "$ref": "#/$defs/absent"}, "does not exist"),
        ({"type": "object", "$id": "http://example.com/"}, "'$id' was found"),
        ({"type": "object", "properties": {"a": {"$dynamicRef": "#a"}}}, "'$dynamicRef' was found"),
        ({"type": "object", "$defs": {"a": {"$ref": "#/$defs/a"}}}, "contains itself"),
        (
            {
                "type": "object",
                "$ref": "#/$defs/a",
                "$defs": {
                    "a": {"not": {"$ref": "#/$defs/b"}},
                    "b": {"items": {"$ref": "#/$defs/a"}},
                },
            },
            "contains itself",
        ),
        ({"type": "object", "$ref": "#/$defs/d0", "$defs": doubling(24)}, "branches"),
        (nested(100), "nested deeper"),
        ({"type": "object", "properties": {"a": "int"}}, "a schema stood as 'int'"),
        ({"type": "object", "allOf": {"a": 1}}, "'allOf' was"),
        ({"type": "object", "description": "x" * 70_000}, "bytes"),
        ({"type": "object", "properties": {"a": {"default": float("nan")}}}, "is not JSON"),
        ({"$schema": DIALECT, "type": "array"}, "of type 'array'"),
        ({"type": "object", "patternProperties": {"(a+)+$": True}}, "the pattern"),
        (
            {
                "type": "object",
                "$ref": "#/$defs/a~0b",
                "$defs": {"a~0b": True, "a~b": {"$ref": "#/$defs/a~0b"}},
            },
            "does not exist",
        ),
    ],
)
def test_a_schema_that_harms_its_reader_is_refused(schema, said):
    with pytest.raises(SchemaError) as caught:
        expand(schema)
    assert said in str(caught.value)
    assert caught.value.fix


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "a?" * 30 + "a" * 30, "(?=a)a", 5, "("])
def test_a_pattern_that_may_take_for_ever_is_left_to_the_plugin(pattern):
    schema = {"type": "object", "properties": {"symbol": {"type": "string", "pattern": pattern}}}
    assert expand(schema)["properties"]["symbol"] == {"type": "string", "x-pattern": pattern}
    assert schema["properties"]["symbol"]["pattern"] == pattern


@pytest.mark.parametrize(
    "pattern", ["^[A-Z]{2,6}/[A-Z]{3}$", "^(?:BTC|ETH)USDT?$", r"^\w+://[^/]+$"]
)
def test_an_ordinary_pattern_stays(pattern):
    schema = {"type": "object", "properties": {"symbol": {"type": "string", "pattern": pattern}}}
    assert expand(schema)["properties"]["symbol"]["pattern"] == pattern
