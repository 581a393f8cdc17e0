"""A spec is written as a text that our own reader reads as the same, and places in it are fields of the spec."""

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import Problem
from orchestrator.spec import source
from orchestrator.store.kubernetes.written import fields, place_of, text_of

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.sampled_from(
        ["1e3", "0777", "no", "~", "null", "<<", "12:30:00", "“q”", "a: b #c", "-", "*a"]
    )
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), values, min_size=1))
def test_what_is_written_is_read_as_it_was(spec):
    text = text_of(spec)
    assert source.parse(text, file="x").value == spec
    assert text.endswith("\n")


def test_a_place_in_the_text_is_a_field_of_the_object():
    spec = {
        "defaults": {"timeout": "5s"},
        "plugins": {"strategies": [{"name": "a", "config": {"period": -1, "list": [1, {"b": 2}]}}]},
    }
    text = text_of(spec)
    document = source.parse(text, file="x")
    for path, called in (
        (("defaults", "timeout"), "spec.defaults.timeout"),
        (("plugins", "strategies", 0), "spec.plugins.strategies[0]"),
        (("plugins", "strategies", 0, "config", "period"), "spec.plugins.strategies[0].config.period"),
        (("plugins", "strategies", 0, "config", "list", 1, "b"), "spec.plugins.strategies[0].config.list[1]"),
    ):  # fmt: skip
        problem = Problem("x", *document.place(path), "was wrong", "mend it")
        assert place_of(problem, fields(text, "x")) == called
    assert place_of(Problem("x", 0, 0, "m", "f"), fields(text, "x")) == "spec"
