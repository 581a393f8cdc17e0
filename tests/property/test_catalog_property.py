"""Locks, trees and patterns, for inputs that nobody thought of."""

import re
import string

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from ntp.contract.config_schema import SchemaError, expand
from ntp.contract.pattern import is_tame
from ntp.package.lock import Lock, LockError, Pin
from ntp.package.tree import Tree

names = st.from_regex(r"[a-z][a-z0-9]{0,10}(-[a-z0-9]{1,5})?", fullmatch=True)
versions = st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){0,3}((a|rc|\.post)[0-9])?", fullmatch=True)
hashes = st.text("0123456789abcdef", min_size=64, max_size=64)
pins = st.builds(Pin, names, versions, hashes)
locks = st.builds(
    lambda requirements, pins: Lock(
        tuple(sorted(requirements)), {tag: tuple(sorted(found)) for tag, found in pins.items()}
    ),
    st.lists(names, unique=True, max_size=4),
    st.dictionaries(
        st.from_regex(r"[a-z0-9_.-]{1,20}", fullmatch=True), st.lists(pins, max_size=4)
    ),
)


@settings(deadline=None)
@given(locks)
def test_a_lock_is_read_as_it_was_written(lock):
    assert Lock.parse(lock.render()) == lock


@settings(deadline=None)
@given(locks, st.lists(pins, max_size=3))
def test_another_platform_changes_nothing_here(lock, more):
    before = lock.with_pins("here", more)
    after = before.with_pins("there", more)
    assert after.digest("here") == before.digest("here")


@settings(deadline=None)
@given(st.text(max_size=200))
@example("demo==1.0 --hash=sha256:" + "0" * 64 + " --index-url=https://example.com")
@example("-r /etc/passwd")
@example("# [here]\ndemo==1.0 --hash=sha256:" + "0" * 63)
def test_only_what_was_written_is_a_lock(text):
    try:
        lock = Lock.parse(text)
    except LockError:
        return
    for found in lock.pins.values():
        for pin in found:
            assert re.fullmatch(r"[a-z0-9.-]+==[0-9a-z.!+]+ --hash=sha256:[0-9a-f]{64}", str(pin))
    assert all(line.startswith("#") or "==" in line for line in text.splitlines() if line.strip())


files = st.dictionaries(st.text("ab/.", min_size=1, max_size=6), st.binary(max_size=6), max_size=4)


@settings(deadline=None)
@given(files, files)
def test_a_digest_tells_trees_apart(one, other):
    assert (Tree(one).digest == Tree(other).digest) == (one == other)


@settings(deadline=None)
@given(files)
def test_the_order_of_files_does_not_matter(one):
    assert Tree(dict(reversed(one.items()))).digest == Tree(one).digest


patterns = st.text(alphabet="ab.()[]|?*+{}0123456789,\\d^$:", max_size=20)


@settings(deadline=None)
@given(patterns)
@example("[[]")
@example("(a+)+$")
@example("(a|aa)*$")
@example("a?" * 9 + "a" * 9)
@example("[a-b]*[a-b]*$")
@example("(?:a?b?)?(?:a?b?)?$")
def test_a_tame_pattern_does_not_keep_the_engine_busy(pattern):
    assume(is_tame(pattern))
    compiled = re.compile(pattern)
    # The session's timeout is the judge: an untame pattern takes years for texts of this length.
    for text in ("a" * 200 + "!", "ab" * 100 + "!", "1" * 200 + "a"):
        compiled.search(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(string.ascii_letters, max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "properties",
                    "items",
                    "$ref",
                    "$defs",
                    "allOf",
                    "anyOf",
                    "not",
                    "a",
                    "pattern",
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=20,
)


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=8), json_values, max_size=4))
@example({"type": "object", "$defs": {"a": {"$ref": "#/$defs/a"}}})
def test_a_schema_is_bounded_or_refused_with_words(schema):
    words = ()
    try:
        full = expand(schema)
    except SchemaError as error:
        full = None
        words = (str(error), error.fix)
    if full is None:
        assert all(words)
        return
    assert full["type"] == "object"
    assert expand(full) == full
