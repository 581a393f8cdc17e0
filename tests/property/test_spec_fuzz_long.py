"""Broken plugins.yaml by the hundred thousand: read or refused in words, soon, and in little memory."""

import json
import random
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.errors import ConfigError, Problem
from orchestrator.spec import load

ROOT = Path(__file__).parents[2]
FILES = sorted(
    [*(ROOT / "tests/fixtures/invalid").glob("*.yaml"), *(ROOT / "config").rglob("*.yaml")],
    key=lambda file: file.name,
)
SMALL = 4_000
"""Bytes of a file that is mutated at every byte; of larger ones as many places are taken by chance."""
PATIENCE_S = 60
"""CPU time of one reading: the watchdog for one that never ends, no measure of speed."""
MEMORY = 1 << 30
"""Of the process that reads them all: far above the largest honest file, far below an alias bomb."""
BITS = [b"", b"\x00", b"\t", b"\n", b" ", b":", b"-", b"&a ", b"*a", b"!", b"{", b"]", b'"', b"\xff",
        b"<<: ", b"9" * 5000, b"[" * 300, b"\xef\xbb\xbf", b"\xc2\x85", b"\xe2\x80\xa8"]  # fmt: skip
BREAKS = ("\n", "\r", "\x85", "\u2028", "\u2029")

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]


def check(content: bytes | str) -> None:
    """Read one file: nothing but ConfigError, and each of its problems has a place and a fix."""
    problems = found(content)
    if problems is None:
        return
    assert problems, content
    text = content.decode("utf-8-sig", "replace") if isinstance(content, bytes) else content
    lines = sum(map(text.count, BREAKS)) + 1
    for problem in problems:
        assert problem.file == "plugins.yaml"
        # One more: what is missing at the end of the file is missing after its last line.
        assert 0 <= problem.line <= lines + 1, (problem, content)
        # 0:0 is the file as a whole.
        assert problem.column >= 0, (problem, content)
        assert (problem.line == 0) == (problem.column == 0), (problem, content)
        assert problem.message.strip(), (problem, content)
        assert problem.fix.strip(), (problem, content)


def found(content: bytes | str) -> list[Problem] | None:
    try:
        load.read([("plugins.yaml", content)], environment={}, project="p")
    except ConfigError as error:
        return list(error.problems)
    return None


def mutations(content: bytes, chance: random.Random):
    """Yield the file cut off at, without, and with something else at each byte."""
    places = range(len(content))
    if len(content) > SMALL:
        places = sorted(chance.sample(places, SMALL))
    for at in places:
        yield content[:at]
        yield content[:at] + content[at + 1 :]
        yield content[:at] + chance.choice(BITS) + content[at:]
        yield content[:at] + bytes([content[at] ^ 1 << chance.randrange(8)]) + content[at + 1 :]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_mutated_byte_by_byte_is_read_or_refused(file):
    """In a process of its own, whose CPU time for each reading and whose memory the kernel bounds."""
    done = subprocess.run(
        [sys.executable, "-P", __file__, str(file)],
        cwd=ROOT, capture_output=True, text=True, timeout=1700, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) > 0


WORDS = [
    "plugins", "data_sources", "indicators", "strategies", "executors", "defaults", "name", "source",
    "config", "inputs", "storage", "resources", "memory", "timeout", "enabled", "secrets", "network",
    "egress", "replicas", "history", "capital", "restart", "update", "a", "b", "1MB", "5s", "true",
    "null", "1e999", "-1", ".nan", "~", "<<", "&x", "*x", "!!int", "${A}", "env:A", "x-", "'", '"',
]  # fmt: skip
MARKS = [
    ": ",
    "\n",
    "\n  ",
    "\n    ",
    "\n      - ",
    "- ",
    "{",
    "}",
    "[",
    "]",
    ", ",
    "# ",
    "|\n",
    ">",
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=5), inner, max_size=6)
    ),
    max_leaves=40,
)


@given(st.lists(st.sampled_from(WORDS + MARKS), max_size=80).map("".join))
@settings(max_examples=8_000, deadline=None, suppress_health_check=list(HealthCheck))
def test_words_of_the_language_in_any_order(text):
    check("plugins:\n" + text)
    check(text)


@given(st.dictionaries(st.sampled_from(WORDS), VALUES, max_size=6))
@settings(max_examples=8_000, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_structure_with_the_names_of_the_language(value):
    text = json.dumps({"plugins": {"strategies": [value]}, "defaults": value}, ensure_ascii=False)
    check(text)
    check(text.encode("utf-8", "surrogatepass"))


@given(st.binary(max_size=300))
@settings(max_examples=8_000, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_bytes(content):
    check(content)
    check(b"plugins:\n  strategies:\n    - name: " + content)


def main(file: Path) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    content = file.read_bytes()
    count = 0
    for each in mutations(content, random.Random(file.name)):
        used = int(time.process_time())
        # The limit is of the process as a whole: renewed for each reading; SIGXCPU ends it.
        resource.setrlimit(resource.RLIMIT_CPU, (used + PATIENCE_S, resource.RLIM_INFINITY))
        check(each)
        count += 1
    print(count)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
