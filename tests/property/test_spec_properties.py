"""What holds for every text, value and schema, not only for those that somebody thought of."""

import json
import re
from datetime import timedelta
from pathlib import Path

import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from orchestrator.errors import ConfigError
from orchestrator.spec import load, marked, quantity, schema, secret, shape, source
from orchestrator.spec.config_accept import acceptor
from orchestrator.spec.config_check import Checker

ROOT = Path(__file__).parents[2]
FILES = [
    (ROOT / "config" / name).read_text() for name in ("plugins.yaml", "examples/exchanges.yaml")
] + [file.read_text() for file in sorted((ROOT / "tests/fixtures/invalid").glob("in*.yaml"))]

# What JSON can hold and a plugin can be given; no lone surrogates, they have no UTF-8.
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=15,
)


@given(st.integers(0, 2**60))
def test_a_printed_size_is_read_back(size):
    assert quantity.memory(quantity.mebibytes(size)) == size


@given(st.integers(0, 366 * 86400 * 10**6).map(lambda us: timedelta(microseconds=us)))
def test_a_printed_length_of_time_is_read_back(length):
    assert quantity.duration(quantity.printed(length)) == length


@given(st.from_type(object) | TEXT | VALUES)
def test_a_quantity_is_read_or_refused_in_words(value):
    def words(read):
        try:
            read(value)
        except quantity.QuantityError as error:
            return str(error), error.fix
        return "read", "nothing"

    for read in (quantity.memory, quantity.cpu, quantity.duration, quantity.bars):
        assert all(words(read))


def texts(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from texts([*value, *value.values()])
    elif isinstance(value, list):
        for each in value:
            yield from texts(each)


@given(VALUES)
def test_what_is_dumped_as_yaml_or_json_is_read_back(value):
    dumps = [json.dumps({"a": value}, ensure_ascii=False, indent=1)]
    # PyYAML writes YAML 1.1, where 1e3, 0o7 and 08 are text and need no quotes.
    if not any(re.match(r"[-+.]?[0-9]", text) for text in texts(value)):
        dumps.append(yaml.safe_dump({"a": value}, sort_keys=False))
        dumps.append(yaml.safe_dump({"a": value}, sort_keys=False, default_flow_style=True))
    for text in dumps:
        # Merge keys, and characters that YAML does not print, are not JSON's.
        if "<<" in text or not all(char.isprintable() or char == "\n" for char in text):
            continue
        found = source.parse(text, file="f").value
        assert json.dumps(found) == json.dumps({"a": value})


def declared(*contents):
    """What the files declare, or the problems that they have."""
    try:
        named = [(f"{at}", content) for at, content in enumerate(contents)]
        return load.read(named, environment={}, project="p"), ()
    except ConfigError as error:
        return None, error.problems


def parsed(text):
    try:
        return source.parse(text, file="f"), ()
    except ConfigError as error:
        return None, error.problems


ODD = st.text("ab:-[]{},&*!|>'\"#%@`?~ \n\t<0127.enx_\\$\ufeff\x85", max_size=40)


@given(ODD | st.text(max_size=30))
@settings(max_examples=200)
def test_any_text_is_read_or_refused_and_both_readers_agree(text):
    found, problems = parsed(text)
    lines = sum(map(text.count, "\n\r\x85\u2028\u2029")) + 2
    assert all(0 <= problem.line <= lines for problem in problems)
    assert (found is None) == bool(problems)
    if found is not None and found.value is not None:
        careful = marked.build(source._utf8(text, "f"), file="f")
        assert json.dumps(careful.value) == json.dumps(found.value, allow_nan=False)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(content):
    found, problems = declared(content)
    assert (found is None) == bool(problems)


@st.composite
def edited(draw):
    """A file as it is while somebody types."""
    text = draw(st.sampled_from(FILES))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 12)))
        text = text[:start] + draw(st.text(" \n-:[]{}'\"#a1&*?\t", max_size=5)) + text[end:]
    return text


@given(edited())
def test_a_file_in_the_middle_of_an_edit_is_read_or_refused(text):
    found, problems = declared(text)
    assert all(0 <= problem.line <= text.count("\n") + 2 for problem in problems)
    assert all(problem.message and problem.fix for problem in problems)
    for wanted in found.wanted() if found else ():
        line = text.splitlines()[wanted.place.line - 1]
        assert line[wanted.place.column - 1 :].strip()


KEYS = st.sampled_from(sorted(shape.Strategy.__annotations__)) | TEXT
NAMES = st.sampled_from(["a", "b", "a-b", "a_b", "all", "A", "", 5])
FIELD_VALUES = VALUES | st.sampled_from(
    [{"memory": "1GB"}, {"memory": 5}, ["a"], [{"from": "a"}], [{"from": "b", "symbols": ["x"]}], "30s",
     "recreate", "always", 1, 1.0, {"egress": ["h:1"]}, {"k": "env:A"}, "512MB", True, "1.0.0"]
)  # fmt: skip
ENTRIES = st.builds(
    lambda name, rest: {**rest, "name": name},
    NAMES,
    st.dictionaries(KEYS, FIELD_VALUES, max_size=4),
)
SECTIONS = st.sampled_from(["data_sources", "indicators", "strategies", "executors"])
WHOLE = st.fixed_dictionaries(
    {
        "plugins": st.dictionaries(SECTIONS, st.lists(ENTRIES | VALUES, max_size=3), max_size=4)
        | VALUES
    },
    optional={"defaults": st.dictionaries(KEYS, FIELD_VALUES, max_size=2) | VALUES, "name": NAMES},
)


@given(WHOLE)
def test_any_shape_is_declared_or_refused_with_a_place(whole):
    found, problems = declared(json.dumps(whole, indent=1, ensure_ascii=False))
    assert (found is None) == bool(problems)
    assert all(problem.line >= 1 and problem.fix for problem in problems)


SCHEMA = Draft202012Validator(schema.plugins_schema())
# What no keyword of JSON Schema can say, so an editor does not mark it: field -> a value that the
# model refuses. Sizes and times as text have bounds, bars divide a day, hosts may be link-local …
BEYOND_THE_SCHEMA = {
    "storage",
    "resources",
    "timeout",
    "capital",
    "inputs",
    "network",
    "history",
    "risk",
}


def accepted(entry):
    try:
        shape.FILE.validate_python({"plugins": {"strategies": [entry]}})
    except ValidationError:
        return False
    return True


@given(KEYS.filter(lambda key: key != "name"), FIELD_VALUES | VALUES)
@settings(max_examples=200)
def test_schema_and_model_agree_but_for_a_listed_few(field, value):
    entry = {"name": "a", field: value}
    valid = SCHEMA.is_valid({"plugins": {"strategies": [entry]}})
    if accepted(entry):
        assert valid, f"an editor marks {entry}, and it is fine"
    elif valid:
        # 1.0 is a whole number in JSON, and text in the file to the model.
        floats = isinstance(value, float) and value.is_integer()
        assert field in BEYOND_THE_SCHEMA or floats, f"an editor passes {entry}"


NUMBERS = st.integers(-5, 5) | st.sampled_from([0.5, 1.0, -2.0])
LEAVES = st.one_of(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["integer", "number"])},
        optional={
            "minimum": NUMBERS,
            "exclusiveMinimum": NUMBERS,
            "maximum": NUMBERS,
            "exclusiveMaximum": NUMBERS,
        },
    ),
    st.fixed_dictionaries(
        {"type": st.just("string")},
        optional={
            "minLength": st.integers(0, 3),
            "maxLength": st.integers(0, 3),
            "pattern": st.sampled_from(["a", "^b", "ab?$", "^[ab]{2}$", ""]),
            "enum": st.lists(st.sampled_from(["a", "b", 1, True, None]), min_size=1, max_size=3),
        },
    ),
    st.fixed_dictionaries({"type": st.sampled_from(["boolean", "null", "integer"])}),
    st.fixed_dictionaries(
        {"enum": st.lists(st.sampled_from(["a", "b", 1, True, None]), min_size=1)}
    ),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["integer", "boolean"])},
        optional={"const": st.sampled_from([0, 1, True, False, 1.0])},
    ),
)
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.fixed_dictionaries(
            {"type": st.just("array")},
            optional={
                "items": inner,
                "minItems": st.integers(0, 2),
                "maxItems": st.integers(0, 2),
                "uniqueItems": st.booleans(),
            },
        ),
        st.fixed_dictionaries(
            {"type": st.just("object")},
            optional={
                "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
                "required": st.lists(st.sampled_from("abc"), unique=True, max_size=2),
                "additionalProperties": st.booleans() | inner,
            },
        ),
    ),
    max_leaves=6,
)
CANDIDATES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text("ab", max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(SCHEMAS, CANDIDATES)
def test_the_quick_yes_is_jsonschemas_yes(config_schema, value):
    accept = acceptor(config_schema)
    assert accept is not None
    assert accept(value) == Draft202012Validator(config_schema).is_valid(value)


@given(SCHEMAS, st.dictionaries(st.sampled_from("abcd"), CANDIDATES, max_size=4))
def test_complaints_come_exactly_when_jsonschema_refuses(inner, config):
    whole = {
        "type": "object",
        "properties": {"a": inner, "b": {"anyOf": [inner]}},
        "required": ["a"],
    }
    valid = Draft202012Validator(whole).is_valid(config)
    complaints = Checker(whole).complaints(config)
    assert bool(complaints) != valid
    for complaint in complaints:
        assert complaint.message
        assert complaint.fix


@given(st.dictionaries(TEXT, VALUES, max_size=4))
def test_a_config_without_references_is_given_as_it_is(config):
    assume("${" not in json.dumps(config))
    assert list(secret.uses(config)) == []
    assert secret.fill(config, {}, lambda _: "never") == config
