import gc
import subprocess
import sys

import pytest

from orchestrator.errors import ConfigError
from orchestrator.spec import marked, source


def read(text):
    return source.parse(text, file="f.yaml")


def refusal(text):
    with pytest.raises(ConfigError) as refused:
        read(text)
    return refused.value.problems


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("12:34:56", "12:34:56"),
        ("2024-01-01", "2024-01-01"),
        ("1_000", "1_000"),
        ("true", True),
        ("~", None),
        ("", None),
        ("20", 20),
        ("-3", -3),
        ("+3", 3),
        ("0", 0),
        ("0o17", 15),
        ("0x1F", 31),
        ("2.0", 2.0),
        (".5", 0.5),
        ("1e3", 1000.0),
        ('"20"', "20"),
        ("'true'", "true"),
        ("!!str 20", "20"),
        ("18446744073709551615", 2**64 - 1),
        ("-9223372036854775808", -(2**63)),
        ("nullable", "nullable"),
        ("1.2.3", "1.2.3"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(written, value):
    found = read(f"a: {written}\n").value["a"]
    assert (type(found), found) == (type(value), value)


def test_a_place_counts_lines_and_columns_from_1():
    document = read("plugins:\n  strategies:\n    - name: a\n      config: {period: 20}\n")
    path = ("plugins", "strategies", 0, "config", "period")
    assert document.place(path) == (4, 16)
    assert document.place(("plugins", "strategies", 0)) == (3, 7)
    assert document.start(document.value["plugins"]["strategies"][0]) == (3, 7)


def test_the_place_of_what_is_absent_is_the_nearest_that_is_there():
    document = read("plugins:\n  strategies:\n    - name: a\n")
    assert document.place(("plugins", "strategies", 0, "config", "period")) == (3, 7)
    assert document.place(("nothing",)) == (1, 1)


def test_bom_and_crlf_are_fine():
    assert read(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n").value == {"a": 1, "b": 2}


def test_keys_of_a_mapping_win_over_merged_ones_wherever_they_stand():
    document = read("x: &x {a: 1, b: 2}\ny:\n  a: 3\n  <<: *x\nz:\n  <<: [*x, {c: 4}]\n  b: 5\n")
    assert document.value["y"] == {"a": 3, "b": 2}
    assert document.value["z"] == {"b": 5, "a": 1, "c": 4}
    assert document.place(("y", "b")) == (1, 14)


def test_an_anchor_can_be_set_again():
    assert read("a: &x 1\nb: *x\nc: &x 2\nd: *x\n").value == {"a": 1, "b": 1, "c": 2, "d": 2}


def test_every_mistake_up_to_the_fatal_one_is_told():
    problems = refusal("a: 0700\na: .nan\nb: [1\n")
    assert [(p.line, p.column) for p in problems] == [(1, 4), (2, 1), (2, 4), (3, 4)]


def test_deep_nesting_is_refused_and_harms_nobody():
    # libyaml's own composer ends the process here (SIGSEGV), so a child looks.
    code = (
        "from orchestrator.spec import source\n"
        "from orchestrator.errors import ConfigError\n"
        "for text in ('[' * 50_000, '{a: ' * 50_000, '- ' * 50_000, '? ' * 50_000):\n"
        "    try:\n"
        "        source.parse(text, file='f')\n"
        "    except ConfigError as error:\n"
        "        print(error.problems[0].message)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("nested deeper than 50 levels") >= 3
    assert len(done.stdout.splitlines()) == 4


def test_fifty_levels_are_allowed():
    assert read("[" * 50 + "]" * 50).value is not None
    assert refusal("[" * 51 + "]" * 51)[0].message == "nested deeper than 50 levels"


def test_too_large_a_file_is_refused_before_it_is_read():
    assert "16,777,216 are allowed" in refusal("#" * (source.MAX_BYTES + 1))[0].message
    assert "lines and commas" in refusal("\n" * (source.MAX_PIECES + 1) + "a: 1")[0].message


def test_aliases_are_counted_before_they_are_followed():
    bomb = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
    for name, before in zip("bcdefghij", "abcdefghi", strict=True):
        bomb += f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
    assert "aliases repeat more than" in refusal(bomb)[0].message
    many = "a: &a 1\nb: [" + ", ".join(["*a"] * (marked.MAX_ALIASES + 1)) + "]\n"
    assert "aliases" in refusal(many)[0].message


def test_problems_without_end_end():
    assert len(refusal("a: [" + "00, " * 5000 + "]")) == marked.MAX_PROBLEMS


def test_a_lone_surrogate_is_no_utf_8():
    assert refusal("a: \ud800")[0].message.startswith("the file is not UTF-8")


def test_the_collector_is_left_as_it_was():
    text = "a: [" + "{b: 1}, " * 20_000 + "]"
    assert gc.isenabled()
    read(text)
    assert gc.isenabled()
    gc.disable()
    try:
        read(text)
        assert not gc.isenabled()
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("name: desk\nplugins: {}\n", "desk"),
        ("plugins:\n  - name: other\nname: desk\n", "desk"),
        ("plugins:\n  name: other\n", None),
        ("plugins: [name, desk]\n", None),
        ("{plugins: {}, name: desk}", "desk"),
        ("name: [desk]\n", None),
        ("plugins: [\n", None),
        ("[" * 1000, None),
        ("", None),
    ],
)
def test_a_top_level_value_is_found_without_reading_the_rest(text, name):
    assert source.top_value(text.encode(), "name") == name
