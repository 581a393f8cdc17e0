import pytest

from ntp.examination.ranges import MOST, variants, words
from ntp.package.author import AuthorError


def test_ranges_end_with_their_last_value_and_the_last_one_turns_fastest():
    made = variants(["period=10:40:15", "std_dev=1.5:2.5:0.5"])
    assert [tuple(one.values()) for one in made] == [
        (period, width) for period in (10, 25, 40) for width in (1.5, 2.0, 2.5)
    ]
    assert all(type(one["period"]) is int and type(one["std_dev"]) is float for one in made)


def test_steps_are_exact():
    assert [one["x"] for one in variants(["x=0.1:0.5:0.1"])] == [0.1, 0.2, 0.3, 0.4, 0.5]


def test_values_are_json_or_text():
    assert [one["side"] for one in variants(["side=long,short,1,true"])] == ["long", "short", 1, True]  # fmt: skip


def test_words_are_what_a_person_types():
    assert words({"period": 10, "side": "long"}) == 'period=10 side="long"'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("period", "is no range"),
        ("period=", "no value"),
        ("period=40:10:5", "goes nowhere"),
        ("period=1:10:0", "goes nowhere"),
        ("period=1:10", "three numbers"),
        ("period=a:b:c", "three numbers"),
        ("period=1:inf:1", "goes nowhere"),
        (f"period=1:{MOST + 1}:1", "values"),
    ],
)
def test_what_is_no_range_is_said(text, said):
    with pytest.raises(AuthorError, match=said):
        variants([text])


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(AuthorError) as raised:
        variants(["a=1:2", "b=1:200:1", "b=1:200:1", "c=1:200:1"])
    assert [p.message.partition(" ")[0] for p in raised.value.problems] == ["a", "b", "these"]
