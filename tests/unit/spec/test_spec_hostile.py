"""What nobody means to write, row by row of what parsers were seen to do with it."""

import json
import subprocess
import sys
import textwrap

import pytest

from orchestrator.errors import ConfigError
from orchestrator.spec import source

MEMORY = 1 << 30
"""Of the process that reads: far above the largest honest file, far below what a bomb takes."""
PATIENCE_S = 60
"""CPU time of that process: the watchdog for a reading that never ends, no measure of speed."""
TEXT = "plugins:\n  strategies:\n    - name: a\n"


def refusal(text):
    with pytest.raises(ConfigError) as refused:
        source.parse(text, file="f.yaml")
    return [(each.line, each.column, each.message) for each in refused.value.problems]


def bounded(make: str) -> list:
    """Read what the expression `make` gives, in a child whose memory and CPU time the kernel bounds."""
    code = f"""
        import json, resource
        from orchestrator.errors import ConfigError
        from orchestrator.spec import load
        resource.setrlimit(resource.RLIMIT_AS, ({MEMORY}, {MEMORY}))
        resource.setrlimit(resource.RLIMIT_CPU, ({PATIENCE_S}, {PATIENCE_S}))
        text = {make}
        try:
            declared = load.read([("f.yaml", text)], environment={{}}, project="p")
            print(json.dumps([len(declared.entries)]))
        except ConfigError as error:
            print(json.dumps([each.message for each in error.problems]))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr[-2000:]
    return json.loads(done.stdout)


ENTRIES = {
    "short": "'- {{name: s{}}}'",
    "with config": "'- {{name: s{}, config: {{symbols: [BTCUSDT, ETHUSDT], lookback: 14}}}}'",
    "in blocks": "'- name: s{}\\n      enabled: true\\n      config:\\n        lookback: 14'",
}


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_ten_thousand_entries_are_read(entry):
    made = f"chr(10).join('    ' + {entry}.format(at) for at in range(10_000))"
    assert bounded(f"'plugins:\\n  data_sources:\\n' + {made}") == [10_000]


def test_ten_thousand_entries_that_merge_one_are_read():
    made = "chr(10).join(f'    - {{<<: *all, name: s{at}}}' for at in range(10_000))"
    start = "'x-all: &all {enabled: true, timeout: 5s}\\nplugins:\\n  data_sources:\\n'"
    assert bounded(f"{start} + {made}") == [10_000]


def test_ten_thousand_entries_with_a_mistake_each_are_told_up_to_a_bound():
    made = "chr(10).join(f'    - {{name: s{at}, enable: true}}' for at in range(10_000))"
    told = bounded(f"'plugins:\\n  data_sources:\\n' + {made}")
    assert 1 < len(told) <= 1001
    assert "9,000 more problems than are shown" in told


BOMBS = {
    "billion laughs": (
        (
            "'a0: &a0 [lol]\\n' + ''.join("
            "f'a{n}: &a{n} [' + ', '.join([f'*a{n - 1}'] * 9) + ']\\n' for n in range(1, 14))"
        ),
        "aliases repeat more than",
    ),
    "merges of merges": (
        (
            "'a0: &a0 {' + ', '.join(f'k{n}: 1' for n in range(999)) + '}\\n' + ''.join("
            "f'a{n}: &a{n} {{<<: [' + ', '.join([f'*a{n - 1}'] * 9) + ']}\\n' for n in range(1, 9))"
        ),
        "aliases repeat more than",
    ),
    "many aliases": (
        "'a: &a 1\\nb: [' + '*a, ' * 20_000 + ']\\n'",
        "more than 10,000 aliases",
    ),
    "brackets": ("'[' * 1_000_000", "nested deeper than 50 levels"),
    "braces": ("'{a: ' * 1_000_000", "nested deeper than 50 levels"),
    "a long key": ("'k' * 2_000_000 + ': 1'", ""),
    "a long number": ("'a: ' + '9' * 5_000_000", "does not fit 64 bits"),
    "a long fraction": ("'a: 0.' + '9' * 5_000_000 + '\\nb: &x'", ""),
    "a long text": ("'plugins: ' + 'x' * 15_000_000", "plugins was 'xxx"),
    "a long quote": ("'plugins: \"' + 'x' * 15_000_000", "a quote is not closed"),
    "a long comment": ("'#' * 16_000_000", "the file is empty"),
    "blanks": ("' ' * 16_000_000 + ':'", ""),
    "many keys": ("''.join(f'k{n}: 1\\n' for n in range(500_000))", ""),
    "one key often": ("'a: 1\\n' * 300_000", "'a' stands here a second time"),
    "tabs": ("'\\t' * 1_000_000 + 'a: 1'", ""),
    "lines": ("'\\n' * 3_000_000", ""),
    "too many bytes": ("'#' * 17_000_000", "16,777,216"),
    "a late mistake": (
        "'x-a: 1 # ' + 'y' * 80 + '\\n' + '#\\n' * 900_000 + 'a: b: c'",
        "'b:' begins",
    ),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_in_bounded_memory_and_time(bomb):
    make, words = BOMBS[bomb]
    told = bounded(make)
    assert told
    assert isinstance(told[0], str), told
    assert words in told[0]


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16"),
        ("utf-16-be", "UTF-16"),
        ("utf-32", "UTF-32"),
        ("utf-32-le", "UTF-32"),
        ("utf-32-be", "UTF-32"),
    ],
)
def test_wide_encodings_are_named_with_and_without_their_mark(encoding, name):
    assert refusal(TEXT.encode(encoding)) == [(1, 1, f"the file is {name}")]
    assert refusal(("\ufeff" + TEXT).encode(encoding)) == [(1, 1, f"the file is {name}")]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_of_every_system_count_as_lines(ending, mark):
    content = mark + TEXT.replace("\n", ending).encode()
    document = source.parse(content, file="f.yaml")
    assert document.value == {"plugins": {"strategies": [{"name": "a"}]}}
    assert document.place(("plugins", "strategies", 0, "name")) == (3, 7)
    wrong = mark + f"{TEXT}      a: b: c\n".replace("\n", ending).encode()
    assert [(line, column) for line, column, _ in refusal(wrong)] == [(4, 10)]


@pytest.mark.parametrize("code", [0x00, 0x01, 0x08, 0x0B, 0x0C, 0x1B, 0x7F, 0x80, 0x9F, 0xFFFE])
@pytest.mark.parametrize("where", ["a: 1{}\n", 'a: "{}"\n', "# {}\n", "a{}: 1\n"])
def test_characters_that_no_terminal_should_be_shown_are_refused(code, where):
    (problem,) = refusal(f"x: 1\n{where.format(chr(code))}")
    assert problem[0] == 2
    assert problem[2] == f"the control character U+{code:04X} is not allowed"


@pytest.mark.parametrize(
    "written",
    ["y", "Y", "n", "N", "yes", "No", "on", "OFF", "12:34:56", "1:30", "190:20:30.15", "0b101",
     "1_000", "1_000.5", "2024-01-01", "2024-01-01T10:00:00Z", "2001-12-14 21:59:43.10 -5", "=",
     "1e", "0x", "0o8", "+.inf5", "1.2.3", "-", "NaN", "inf", "Infinity", "None", "True1"],
)  # fmt: skip
def test_what_other_parsers_turn_into_something_else_is_text(written):
    text = f"a: [{written}]\n" if written != "-" else "a: ['-']\n"
    assert source.parse(text, file="f.yaml").value == {"a": [written]}


@pytest.mark.parametrize(
    "tag",
    ["!!python/object/apply:os.system", "!!python/name:os.system", "!!python/object/new:a.B",
     "!!binary", "!!set", "!!omap", "!!pairs", "!!timestamp", "!!int", "!!float", "!!bool", "!!null",
     "!env", "!vault", "!include", "!<tag:example.com,2000:x>"],
)  # fmt: skip
@pytest.mark.parametrize("node", ["x", "[x]", "{x: 1}"])
def test_a_tag_runs_nothing_and_changes_no_type(tag, node):
    ((line, column, message),) = refusal(f"a: 1\nb: {tag} {node}\n")
    assert (line, column) == (2, 4)
    assert "is not understood" in message


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [*a]\n",
        "a: &a {b: *a}\n",
        "a: &a\n  <<: *a\n",
        "a: &a\n  - b: {c: [*a]}\n",
        "a: &a\n  ? *a\n  : 1\n",
        "a: &a {<<: [*a]}\n",
    ],
)
def test_nothing_is_a_part_of_itself(text):
    assert "repeats what it is a part of" in refusal(text)[0][2]


@pytest.mark.parametrize("key", ["{a: b}", "[a]", "? {a: b}", "? - a\n  - b"])
def test_a_key_is_text(key):
    assert refusal(f"{key}\n: 1\n" if key[0] == "?" else f"{key}: 1\n")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\nb: 2\na: 3\n", 3),
        ("a: 1\n'a': 3\n", 2),
        ("{a: 1,\n a: 3}\n", 2),
        ("a: {b: 1,\n    b: 2}\n", 2),
        ("? a\n: 1\na: 2\n", 3),
        ('a: 1\n"\\x61": 2\n', 2),
    ],
)
def test_a_key_stands_once_however_it_is_written(text, line):
    ((found, _, message),) = refusal(text)
    assert found == line
    assert "stands here a second time, first in line 1" in message
