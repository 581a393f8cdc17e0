"""What was published before, and what users' plugins.yaml would notice."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from ntp.contract.config_schema import expand
from ntp.contract.manifest import read
from ntp.validation import validate
from ntp.validation.breaking import needed
from ntp.validation.narrowing import narrowed

BEFORE = """\
name: mine
version: 1.2.0
author: me
description: Buys.
kind: strategy
entrypoint: mine:Mine
egress: ["a.example.com:443"]
config_schema:
  type: object
  additionalProperties: false
  properties:
    period: {type: integer, minimum: 2, default: 20, description: Ticks.}
    side: {enum: [long, short, both], default: both, description: Which.}
"""
CODE = """\
from ntp import StrategyPlugin

URLS = ["wss://a.example.com", "wss://b.example.com"]


class Mine(StrategyPlugin):
    def analyze(self, data, history):
        return None
"""


def manifest(text):
    found, problems = read(yaml.safe_load(text), file="plugin.yaml")
    assert problems == ()
    return found


@pytest.fixture
def since(tmp_path):
    """Compares a text with BEFORE; returns (rule, severity, message) of what that adds."""

    def compare(text, before=BEFORE):
        (tmp_path / "plugin.yaml").write_text(text)
        (tmp_path / "mine.py").write_text(CODE)
        plain = set(validate(tmp_path, offline=True).findings)
        findings = validate(tmp_path, against=manifest(before), offline=True).findings
        return [(f.rule, str(f.severity), f.message, f.fix) for f in findings if f not in plain]

    return compare


def bumped(text, version):
    return text.replace("version: 1.2.0", f"version: {version}")


BREAKS = [
    ("minimum: 2", "minimum: 3", "config.period has to be at least 3 now"),
    ("minimum: 2", "minimum: 2, maximum: 50", "config.period has to be at most 50 now"),
    ("type: integer", "type: string", "config.period was integer, and has to be string now"),
    ("[long, short, both]", "[long, both]", "config.side takes 'short' no more"),
    ("    period:", "    perod:", "config.period is gone"),
    ("  additional", "  required: [period]\n  additional", "config.period has to be given now"),
    ("kind: strategy", "kind: indicator", "it was of kind strategy"),
    ("egress:", "secrets: [key]\negress:", "the secret 'key' has to be given now"),
]


@pytest.mark.parametrize(("old", "new", "words"), BREAKS)
def test_what_breaks_entries_needs_a_major_version(since, old, new, words):
    changed = BEFORE.replace(old, new)
    assert changed != BEFORE
    minor = [entry for entry in since(bumped(changed, "1.3.0")) if entry[0] == "breaking"]
    assert [(severity, fix.endswith("'version: 2.0.0'")) for _, severity, _, fix in minor] == [
        ("error", True)
    ]
    assert words in minor[0][2]
    major = since(bumped(changed, "2.0.0"))
    assert {severity for _, severity, *_ in major} == {"note"}
    assert any(words in message for _, _, message, _ in major)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("default: 20", "default: 30", "the default of config.period was 20, and is 30"),
        ("    side:", "    more: {type: integer, description: M}\n    side:", "config.more is new"),
        ("egress:", "trading: {short: true}\negress:", "recommends for trading has changed"),
    ],
)  # fmt: skip
def test_what_is_new_needs_a_minor_version(since, old, new, words):
    changed = BEFORE.replace(old, new)
    ((rule, severity, message, fix),) = since(bumped(changed, "1.2.1"))
    assert (rule, severity, fix.partition(",")[0]) == (
        "version",
        "warning",
        "write 'version: 1.3.0'",
    )
    assert words in message
    assert [entry[1] for entry in since(bumped(changed, "1.3.0"))] == ["note"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("minimum: 2", "minimum: 1"),
        ("type: integer", "type: number"),
        ("type: integer", "type: [integer, string]"),
        ("[long, short, both]", "[long, short, both, none]"),
        ("additionalProperties: false", "additionalProperties: true"),
        ("description: Buys.", "description: Buys and sells."),
    ],
)
def test_a_correction_is_a_patch(since, old, new):
    assert since(bumped(BEFORE.replace(old, new), "1.2.1")) == []


@pytest.mark.parametrize("version", ["1.2.0", "1.1.9", "1.2.0-rc.1", "0.9.0"])
def test_a_version_has_to_go_up(since, version):
    ((rule, severity, _, fix),) = since(bumped(BEFORE, version))
    assert (rule, severity, fix) == ("version", "error", "write 'version: 1.2.1'")


def test_one_more_host_is_one_more_right(since):
    more = bumped(BEFORE.replace('443"]', '443", "b.example.com:443"]'), "1.3.0")
    ((rule, severity, message, _),) = since(more)
    assert (rule, severity) == ("more-rights", "warning")
    assert "'b.example.com:443' was not asked for in 1.2.0" in message


def test_what_no_program_can_compare_is_left_to_a_person(since):
    changed = BEFORE.replace("minimum: 2", "multipleOf: 5")
    ((rule, severity, message, fix),) = since(bumped(changed, "1.2.1"))
    assert (rule, severity) == ("breaking", "warning")
    assert "no program can tell" in message
    assert "2.0.0" in fix


def test_another_plugin_is_not_compared(since):
    ((rule, severity, *_),) = since(BEFORE.replace("name: mine", "name: other"))
    assert (rule, severity) == ("version", "error")


def test_below_1_a_minor_version_may_break(since):
    before = bumped(BEFORE, "0.2.0")
    changed = BEFORE.replace("minimum: 2", "minimum: 3")
    assert [entry[1] for entry in since(bumped(changed, "0.2.1"), before)] == ["error"]
    assert [entry[1] for entry in since(bumped(changed, "0.3.0"), before)] == ["note"]


def test_the_lowest_version_that_may_follow():
    assert (needed("1.2.3", breaks=True), needed("1.2.3", adds=True), needed("1.2.3")) == (
        "2.0.0",
        "1.3.0",
        "1.2.4",
    )
    assert (needed("0.2.3", breaks=True), needed("0.2.3", adds=True)) == ("0.3.0", "0.2.4")


FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["integer", "number", "string", "array", ["integer", "string"]]),
        "minimum": st.integers(-2, 3), "exclusiveMinimum": st.integers(-2, 3),
        "maximum": st.integers(0, 5), "exclusiveMaximum": st.integers(0, 5),
        "enum": st.lists(st.sampled_from([0, 1, 2.5, "a", "bb", []]), min_size=1, unique_by=str),
        "minLength": st.integers(0, 3), "maxLength": st.integers(0, 3),
        "minItems": st.integers(0, 2), "maxItems": st.integers(0, 2), "uniqueItems": st.booleans(),
        "items": st.fixed_dictionaries({}, optional={"type": st.sampled_from(["integer", "string"])}),
    },
)  # fmt: skip
SCHEMAS = st.fixed_dictionaries(
    {"type": st.just("object"), "properties": st.dictionaries(st.sampled_from("ab"), FIELDS)},
    optional={
        "additionalProperties": st.booleans(),
        "required": st.lists(st.sampled_from("ab"), unique=True),
    },
)
VALUES = [
    -3,
    -2,
    -1,
    0,
    1,
    2,
    2.5,
    3,
    4,
    5,
    6,
    "",
    "a",
    "bb",
    "ccc",
    "dddd",
    [],
    [1],
    [1, 1],
    ["a", 1],
]
CONFIGS = [{}] + [{name: value} for name in "abc" for value in VALUES] + [{"a": 1, "b": "bb"}]


@given(before=SCHEMAS, now=SCHEMAS)
def test_no_config_is_refused_without_a_word(before, now):
    """Where nothing is said to be narrower, all that was taken is taken: tried with real configs."""
    before, now = expand(before), expand(now)
    had, has = Draft202012Validator(before), Draft202012Validator(now)
    lost = [config for config in CONFIGS if had.is_valid(config) and not has.is_valid(config)]
    if lost:
        assert list(narrowed(before, now)), lost
    assert not list(narrowed(before, before))


def test_a_definition_is_followed():
    def schema(least):
        return expand(
            {
                "$ref": "#/$defs/Config",
                "$defs": {"Config": {"properties": {"a": {"minimum": least}}}},
            }
        )

    assert [found.message for found in narrowed(schema(1), schema(2))] == [
        "config.a has to be at least 2 now"
    ]
    assert list(narrowed(schema(2), schema(1))) == []
